package exporter

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

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

// EncodeTensor returns t as the bytes of one TensorProto.
func EncodeTensor(t *ir.Tensor) ([]byte, error) {
	pb, err := tensor(t)
	if err != nil {
		return nil, fmt.Errorf("exporter: %w", err)
	}
	return marshal(pb)
}

func encode(m *ir.Model, s *side) ([]byte, error) {
	if err := ir.Verify(m); err != nil {
		return nil, fmt.Errorf("exporter: %w", err)
	}
	pb, err := (&emitter{side: s}).model(m)
	if err != nil {
		return nil, fmt.Errorf("exporter: %w", err)
	}
	return marshal(pb)
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
	if !opts.External && rawBytes(m.Graph) <= largest {
		b, err := Encode(m)
		if err != nil {
			return err
		}
		t, err := newTemp(path)
		if err != nil {
			return err
		}
		defer t.discard()
		return t.finish(b)
	}
	return writeExternal(path, m, opts)
}

func writeExternal(path string, m *ir.Model, opts Options) error {
	if opts.Threshold <= 0 {
		opts.Threshold = 1024
	}
	dataPath := path + ".data"
	data, err := newTemp(dataPath)
	if err != nil {
		return err
	}
	defer data.discard()
	s := newSide(data.f, filepath.Base(dataPath), opts.Threshold)
	b, err := encode(m, s)
	if err != nil {
		return err
	}
	if s.at == 0 { // nothing was large enough
		t, err := newTemp(path)
		if err != nil {
			return err
		}
		defer t.discard()
		return t.finish(b)
	}
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("exporter: %s: %w", dataPath, err)
	}
	model, err := newTemp(path)
	if err != nil {
		return err
	}
	defer model.discard()
	if err := model.fill(b); err != nil {
		return err
	}
	old, err := setAside(dataPath)
	if err != nil {
		return err
	}
	if err := data.finish(nil); err != nil {
		old.restore()
		return err
	}
	if err := model.rename(); err != nil {
		os.Remove(dataPath)
		old.restore()
		return err
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

// temp is a file beside its final place that takes that place only when it is whole.
type temp struct {
	f    *os.File
	path string
	done bool
}

func newTemp(path string) (*temp, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp*")
	if err != nil {
		return nil, fmt.Errorf("exporter: %s: %w", path, err)
	}
	return &temp{f: f, path: path}, nil
}

// discard removes the temporary file unless it has been renamed.
func (t *temp) discard() {
	t.f.Close()
	if !t.done {
		os.Remove(t.f.Name())
	}
}

// fill appends b and makes sure that everything is on the disk.
func (t *temp) fill(b []byte) error {
	_, err := t.f.Write(b)
	if err == nil {
		err = t.f.Chmod(0o644)
	}
	if err == nil {
		err = t.f.Sync()
	}
	if cerr := t.f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("exporter: %s: %w", t.path, err)
	}
	return nil
}

func (t *temp) rename() error {
	if err := os.Rename(t.f.Name(), t.path); err != nil {
		return fmt.Errorf("exporter: %w", err)
	}
	t.done = true
	if dir, err := os.Open(filepath.Dir(t.path)); err == nil {
		dir.Sync() // not every file system can; the file itself is safe
		dir.Close()
	}
	return nil
}

func (t *temp) finish(b []byte) error {
	if err := t.fill(b); err != nil {
		return err
	}
	return t.rename()
}

// aside keeps the file that stood where a new one goes, until both new files are there.
type aside struct{ path, kept string }

func setAside(path string) (aside, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return aside{}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".old*")
	if err != nil {
		return aside{}, fmt.Errorf("exporter: %s: %w", path, err)
	}
	f.Close()
	if err := os.Rename(path, f.Name()); err != nil {
		os.Remove(f.Name())
		return aside{}, fmt.Errorf("exporter: %w", err)
	}
	return aside{path: path, kept: f.Name()}, nil
}

func (a aside) restore() {
	if a.kept != "" {
		os.Rename(a.kept, a.path)
	}
}

func (a aside) drop() {
	if a.kept != "" {
		os.Remove(a.kept)
	}
}
