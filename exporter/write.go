package exporter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/ir"
)

// Options say how a model is written.
type Options struct {
	// External puts initialisers of at least Threshold bytes into the side file
	// NAME.data beside the model. A model that protobuf cannot hold (2 GB) is
	// written so in any case.
	External bool
	// Threshold is in bytes; 0 means 1024.
	Threshold int
}

// largest is how many bytes of tensors a model may have inside its own file; the
// rest of the 2 GB that protobuf allows is left to the graph.
const largest = math.MaxInt32 - 64<<20

// Encode returns the bytes of m with all data inside. Equal models give equal
// bytes. A model that does not pass ir.Verify or that exceeds 2 GB is an error.
func Encode(m *ir.Model) ([]byte, error) { return encode(m, nil) }

func encode(m *ir.Model, s *side) ([]byte, error) {
	m = rejoined(m)
	if err := ir.Verify(m); err != nil {
		return nil, fmt.Errorf("exporter: %w", err)
	}
	pb, err := (&emitter{side: s}).model(m)
	if err != nil {
		return nil, fmt.Errorf("exporter: %w", err)
	}
	return marshal(pb)
}

// rejoined is m without the copies of initialisers (ir.Tensor.Of) that still equal what they
// were copied from; m stays as it is.
func rejoined(m *ir.Model) *ir.Model {
	if m.Graph == nil {
		return m
	}
	inits := map[string]*ir.Tensor{}
	for _, t := range m.Graph.Inits {
		inits[t.Name] = t
	}
	first := map[string]string{}
	for _, t := range m.Graph.Inits {
		if o := inits[t.Of]; t.Of != "" && o != nil && o.DType == t.DType && slices.Equal(o.Dims, t.Dims) && bytes.Equal(o.Raw, t.Raw) {
			first[t.Name] = t.Of
		}
	}
	for _, v := range m.Graph.Outputs {
		delete(first, v.Name)
	}
	if len(first) == 0 {
		return m
	}
	out, g := *m, *m.Graph
	out.Graph, g.Inits, g.Nodes = &g, nil, nil
	for _, t := range m.Graph.Inits {
		if first[t.Name] == "" {
			g.Inits = append(g.Inits, t)
		}
	}
	for _, n := range m.Graph.Nodes {
		c := *n
		c.Inputs = slices.Clone(n.Inputs)
		for i, v := range c.Inputs {
			if of := first[v]; of != "" {
				c.Inputs[i] = of
			}
		}
		g.Nodes = append(g.Nodes, &c)
	}
	return &out
}

func marshal(pb proto.Message) ([]byte, error) {
	if n := proto.Size(pb); n > math.MaxInt32 {
		return nil, fmt.Errorf("exporter: the message has %d bytes, protobuf holds %d: write it with external data", n, math.MaxInt32)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(pb)
	if err != nil {
		return nil, fmt.Errorf("exporter: %w", err)
	}
	return b, nil
}

// Write writes m to path, and to path + ".data" when data is external. On an
// error neither file is changed and nothing is left behind.
func Write(path string, m *ir.Model, opts Options) error {
	if m.Graph == nil {
		return fmt.Errorf("exporter: %s: the model has no graph", path)
	}
	if opts.Threshold <= 0 {
		opts.Threshold = 1024
	}
	external := opts.External || rawBytes(m.Graph) > largest
	if external && hasLarge(m.Graph, opts.Threshold) {
		return writeExternal(path, m, opts.Threshold)
	}
	b, err := Encode(m)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(path, b); err != nil {
		return fmt.Errorf("exporter: %w", err)
	}
	return nil
}

// writeExternal puts the side file into its place first, and puts the old one
// back when the model cannot follow.
func writeExternal(path string, m *ir.Model, threshold int) error {
	dataPath := path + ".data"
	old, err := keep(dataPath)
	if err != nil {
		return err
	}
	replaced := false
	err = atomicfile.Write(path, func(w io.Writer) error {
		var b []byte
		err := atomicfile.Write(dataPath, func(dw io.Writer) error {
			var err error
			b, err = encode(m, &side{name: filepath.Base(dataPath), threshold: threshold, w: dw})
			return err
		})
		if err != nil {
			return err
		}
		replaced = true
		_, err = w.Write(b)
		return err
	})
	if err != nil {
		if replaced {
			err = errors.Join(err, old.restore())
		} else {
			old.drop()
		}
		return fmt.Errorf("exporter: %s: %w", path, err)
	}
	old.drop()
	return nil
}

func rawBytes(g *ir.Graph) int {
	n := 0
	ir.WalkGraphs(g, func(g *ir.Graph) {
		for _, t := range g.Inits {
			n += len(t.Raw)
		}
	})
	return n
}

// hasLarge reports whether the side file would hold anything.
func hasLarge(g *ir.Graph, threshold int) bool {
	found := false
	ir.WalkGraphs(g, func(g *ir.Graph) {
		for _, t := range g.Inits {
			found = found || len(t.Raw) >= threshold
		}
	})
	return found
}

// kept is a second name for a file that is about to be replaced; name is empty
// when there was none.
type kept struct{ path, name string }

func keep(path string) (kept, error) {
	k := kept{path: path}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".old*")
	if err != nil {
		return k, fmt.Errorf("exporter: %s: %w", path, err)
	}
	k.name = f.Name()
	f.Close()
	os.Remove(k.name)
	if err := os.Link(path, k.name); err != nil {
		// A file system without links: the old file is away until the new one stands.
		if err := os.Rename(path, k.name); err != nil {
			return k, fmt.Errorf("exporter: %w", err)
		}
	}
	return k, nil
}

// restore undoes the replacement.
func (k kept) restore() error {
	if k.name == "" {
		return os.Remove(k.path)
	}
	return os.Rename(k.name, k.path)
}

// drop forgets the old file; where it had to be moved away and no new one came, it returns.
func (k kept) drop() {
	if k.name == "" {
		return
	}
	if _, err := os.Lstat(k.path); errors.Is(err, fs.ErrNotExist) {
		os.Rename(k.name, k.path)
		return
	}
	os.Remove(k.name)
}
