package importer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/entangle-nas/entangle/internal/onnxpb"
	"github.com/entangle-nas/entangle/ir"
)

// IR versions that Read accepts.
const (
	MinIRVersion = 3
	MaxIRVersion = 13
)

// Limits bound what a file may ask for. A zero field means its default.
type Limits struct {
	Messages int // protobuf messages in the file; default 20 million
	Depth    int // nesting of messages (a subgraph takes three); default 192
}

func (l Limits) withDefaults() Limits {
	if l.Messages <= 0 {
		l.Messages = 20_000_000
	}
	if l.Depth <= 0 {
		l.Depth = 192
	}
	return l
}

type options struct {
	limits Limits
	fold   Folder
	copies func(m *ir.Model) (*ir.Patch, error)
	sides  *int64
}

// Option changes how a model is read or normalised.
type Option func(*options)

// WithLimits replaces the default limits.
func WithLimits(l Limits) Option { return func(o *options) { o.limits = l } }

// WithSides adds the sizes of the files of external data, in bytes, to n.
func WithSides(n *int64) Option { return func(o *options) { o.sides = n } }

func collect(opts []Option) options {
	var o options
	for _, f := range opts {
		f(&o)
	}
	o.limits = o.limits.withDefaults()
	return o
}

// Read reads an ONNX file of IR version 3 to 13 and its external data. The
// result is the raw stage: nothing is folded, removed or renamed; only a graph
// whose nodes stand out of order is sorted. It passes ir.Verify.
func Read(path string, opts ...Option) (*ir.Model, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	m, err := decode(b, filepath.Dir(path), opts...)
	if err != nil {
		return nil, fmt.Errorf("%w (file %s)", err, path)
	}
	return m, nil
}

func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("importer: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("importer: %s: want a regular file, got %s", path, st.Mode().Type())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("importer: %w", err)
	}
	return b, nil
}

// Decode is Read on the bytes of a file. External data is looked up in dir; with
// dir "" a model that has any is an error. The model does not alias b.
func Decode(b []byte, dir string, opts ...Option) (*ir.Model, error) {
	return decode(bytes.Clone(b), dir, opts...)
}

// decode is Decode to a model whose large tensors are parts of b.
func decode(b []byte, dir string, opts ...Option) (*ir.Model, error) {
	o := collect(opts)
	var pb onnxpb.ModelProto
	var aside asides
	if err := unmarshal(b, &pb, "model", o.limits, &aside); err != nil {
		return nil, err
	}
	l := &lifter{external: newExternal(dir), aside: aside}
	defer l.external.close()
	m, err := l.model(&pb)
	if err != nil {
		return nil, fmt.Errorf("importer: %w", err)
	}
	if o.sides != nil {
		for _, size := range l.external.seen {
			*o.sides += size
		}
	}
	if err := sortGraphs(m); err != nil {
		return nil, fmt.Errorf("importer: %w", err)
	}
	if err := ir.Verify(m); err != nil {
		return nil, fmt.Errorf("importer: %w", err)
	}
	return m, nil
}

// ReadTensor reads a file that holds one TensorProto, as the ONNX test data do.
func ReadTensor(path string) (*ir.Tensor, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t, err := decodeTensor(b, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%w (file %s)", err, path)
	}
	return t, nil
}

// DecodeTensor is ReadTensor on the bytes of a file; external data is an error.
func DecodeTensor(b []byte) (*ir.Tensor, error) { return decodeTensor(b, "") }

func decodeTensor(b []byte, dir string) (*ir.Tensor, error) {
	var pb onnxpb.TensorProto
	if err := unmarshal(b, &pb, "tensor", Limits{}.withDefaults(), nil); err != nil {
		return nil, err
	}
	l := &lifter{external: newExternal(dir)}
	defer l.external.close()
	t, err := l.tensor(&pb)
	if err != nil {
		return nil, fmt.Errorf("importer: %w", err)
	}
	return t, nil
}

// unmarshal checks the wire structure first, so that errors have an address and
// hostile input is refused before memory is taken. Raw data of a model go to aside, as parts of b.
func unmarshal(b []byte, m proto.Message, root string, lim Limits, aside *asides) error {
	s := scanner{limits: lim}
	if err := s.message(b, m.ProtoReflect().Descriptor(), root, 0, 0); err != nil {
		return fmt.Errorf("importer: %w", err)
	}
	if aside != nil {
		b = aside.message(nil, b, m.ProtoReflect().Descriptor())
	}
	// The scanner counts depth as messages; the decoder counts the same.
	if err := (proto.UnmarshalOptions{RecursionLimit: lim.Depth + 2}).Unmarshal(b, m); err != nil {
		return fmt.Errorf("importer: %s: %w", root, err)
	}
	return nil
}
