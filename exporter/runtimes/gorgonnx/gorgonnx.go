package gorgonnx

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/owulveryck/onnx-go"
	backend "github.com/owulveryck/onnx-go/backend/x/gorgonnx"
	"gorgonia.org/tensor"
)

// Name is the runtime's name.
const Name = "gorgonnx"

// New returns the runtime.
func New() runtimes.Runtime { return library{} }

type library struct{}

func (library) Name() string { return Name }

func (library) Describe() (runtimes.Info, error) {
	version := "onnx-go"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/owulveryck/onnx-go" {
				version = "onnx-go " + d.Version
			}
		}
	}
	return runtimes.Info{Name: Name, Version: version}, nil
}

// Open checks the model and decodes it once.
func (library) Open(src runtimes.Source) (runtimes.Session, error) {
	if err := Supports(src.Model); err != nil {
		return nil, err
	}
	data, err := src.Bytes()
	if err != nil {
		return nil, err
	}
	s := &session{model: src.Model, label: src.Label(), data: data}
	if _, _, err := s.decode(); err != nil {
		return nil, err
	}
	return s, nil
}

// session decodes the file for every run: gorgonnx operators write into their
// operands, weights included.
type session struct {
	model *ir.Model
	label string
	data  []byte
}

func (s *session) Close() error { return nil }

func (s *session) decode() (g *backend.Graph, m *onnx.Model, err error) {
	defer s.catch("decode", &err)
	g = backend.NewGraph()
	m = onnx.NewModel(g)
	if err := m.UnmarshalBinary(s.data); err != nil {
		return nil, nil, s.explain(err)
	}
	return g, m, nil
}

func (s *session) catch(what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("gorgonnx: %s: %s: onnx-go panicked: %v", s.label, what, p)
	}
}

// explain tells what gorgonnx does not implement from what went wrong.
func (s *session) explain(err error) error {
	var missing *onnx.ErrNotImplemented
	if errors.As(err, &missing) {
		return &runtimes.UnsupportedError{Runtime: Name, Reasons: []string{fmt.Sprintf("%s: %v", s.label, err)}}
	}
	return fmt.Errorf("gorgonnx: %s: %w", s.label, err)
}

func (s *session) Run(in map[string]*ir.Tensor) (out map[string]*ir.Tensor, err error) {
	if err := runtimes.CheckFeed(Name, s.model.Graph, in); err != nil {
		return nil, err
	}
	g, m, err := s.decode()
	if err != nil {
		return nil, err
	}
	defer s.catch("run", &err)
	for i, v := range s.model.Graph.Inputs {
		t := in[v.Name]
		if t == nil {
			continue
		}
		data, err := t.Float32s()
		if err != nil {
			return nil, err
		}
		if err := m.SetInput(i, tensor.New(tensor.WithShape(t.Dims...), tensor.WithBacking(data))); err != nil {
			return nil, fmt.Errorf("gorgonnx: %s: input %q: %w", s.label, v.Name, err)
		}
	}
	if err := g.Run(); err != nil {
		return nil, s.explain(err)
	}
	tensors, err := m.GetOutputTensors()
	if err != nil {
		return nil, fmt.Errorf("gorgonnx: %s: %w", s.label, err)
	}
	out = make(map[string]*ir.Tensor, len(tensors))
	for i, v := range s.model.Graph.Outputs {
		t, err := s.output(v.Name, tensors[i])
		if err != nil {
			return nil, err
		}
		out[v.Name] = t
	}
	return out, nil
}

func (s *session) output(name string, t tensor.Tensor) (*ir.Tensor, error) {
	if t == nil {
		return nil, fmt.Errorf("gorgonnx: %s: output %q: want a tensor, got nothing", s.label, name)
	}
	dims := slices.Clone([]int(t.Shape()))
	if d, ok := t.(*tensor.Dense); ok && d.RequiresIterator() {
		d, ok = d.Materialize().(*tensor.Dense)
		if !ok {
			return nil, fmt.Errorf("gorgonnx: %s: output %q: want a dense tensor, got another kind", s.label, name)
		}
		t = d
	}
	switch data := t.Data().(type) {
	case []float32:
		if len(data) == ir.Prod(dims) {
			return ir.NewFloat32(name, dims, slices.Clone(data)), nil
		}
	case float32:
		return ir.NewFloat32(name, dims, []float32{data}), nil
	}
	return nil, fmt.Errorf("gorgonnx: %s: output %q: want float32%v, got %v%v", s.label, name, dims, t.Dtype(), t.Shape())
}
