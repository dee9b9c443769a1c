package native

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Options configure the runtime.
type Options struct {
	Float   prim.DType // dtype that floating values compute in: prim.F32 or prim.F64
	Threads int        // for Info; the backend was made with it
}

// New returns a runtime over a backend; its name is the backend's.
func New(b engine.Backend, o Options) runtimes.Runtime { return &library{b, o} }

type library struct {
	backend engine.Backend
	Options
}

func (l *library) Name() string { return l.backend.Name() }

// Ends marks a runtimes.Ending.
func (l *library) Ends() {}

func (l *library) Describe() (runtimes.Info, error) {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = strings.Trim(info.Main.Version, "()")
	}
	return runtimes.Info{Name: l.Name(), Version: "entangle " + version + " (" + l.Float.String() + ")", Threads: l.Threads}, nil
}

// Open returns a session that compiles the model for the sizes of each run and
// keeps the last program.
func (l *library) Open(src runtimes.Source) (runtimes.Session, error) {
	return &session{lib: l, model: src.Model, label: src.Label()}, nil
}

type session struct {
	lib   *library
	model *ir.Model
	label string

	shapes [][]int // of the feed that program and exe were built for
	facts  *ops.Facts
	prog   *prim.Program
	exe    engine.Executable
}

func (s *session) Close() error {
	s.shapes, s.prog, s.exe, s.facts = nil, nil, nil, nil
	return nil
}

func (s *session) Run(in map[string]*ir.Tensor) (map[string]*ir.Tensor, error) {
	if err := runtimes.CheckFeed(s.lib.Name(), s.model.Graph, in); err != nil {
		return nil, err
	}
	if err := s.compile(in); err != nil {
		return nil, err
	}
	host := make(map[string]*prim.Tensor, len(s.prog.Inputs))
	for _, p := range s.prog.Inputs {
		t, err := ops.HostTensor(in[p.Name], s.lib.Float)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: input %q: %w", s.lib.Name(), s.label, p.Name, err)
		}
		host[p.Name] = t
	}
	res, err := engine.ExecHost(s.lib.backend, s.exe, s.prog, host)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", s.lib.Name(), s.label, err)
	}
	out := make(map[string]*ir.Tensor, len(res))
	for _, v := range s.model.Graph.Outputs {
		elem := s.facts.Values[v.Name].Type.Elem
		t, err := ops.ModelTensor(v.Name, elem, res[v.Name])
		if err != nil {
			return nil, fmt.Errorf("%s: %s: output %q: %w", s.lib.Name(), s.label, v.Name, err)
		}
		out[v.Name] = t
	}
	return out, nil
}

// compile builds the program for the feed's sizes unless the last one fits.
func (s *session) compile(in map[string]*ir.Tensor) error {
	feed := runtimes.FeedNames(s.model.Graph)
	shapes := make([][]int, len(feed))
	for i, name := range feed {
		shapes[i] = in[name].Dims
	}
	if s.exe != nil && slices.EqualFunc(shapes, s.shapes, slices.Equal[[]int]) {
		return nil
	}
	s.shapes, s.prog, s.exe, s.facts = nil, nil, nil, nil // weights are not held twice
	m, bind, err := runtimes.Fix(s.model, in)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", s.lib.Name(), s.label, err)
	}
	prog, facts, err := ops.Program(m, bind, s.lib.Float)
	if err != nil {
		var u *ops.UnsupportedError
		if errors.As(err, &u) {
			return &runtimes.UnsupportedError{Runtime: s.lib.Name(), Reasons: []string{s.label + ": " + err.Error()}}
		}
		return fmt.Errorf("%s: %s: %w", s.lib.Name(), s.label, err)
	}
	exe, err := s.lib.backend.Compile(prog)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", s.lib.Name(), s.label, err)
	}
	for i := range shapes {
		shapes[i] = slices.Clone(shapes[i])
	}
	s.shapes, s.prog, s.exe, s.facts = shapes, signature(prog), exe, facts
	return nil
}

// signature is a program without what it computes: the executable holds its own weights.
func signature(p *prim.Program) *prim.Program {
	out := *p
	out.Nodes = make([]prim.Node, len(p.Nodes))
	for _, in := range p.Inputs {
		out.Nodes[in.ID].Type = p.Nodes[in.ID].Type
	}
	return &out
}
