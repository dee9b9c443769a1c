package runtimes

import (
	"fmt"
	"os"

	"github.com/entangle-nas/entangle/ir"
)

// Source is one model in the forms that runtimes ask for.
type Source struct {
	Path  string    // the file; needed when weights lie beside it
	Data  []byte    // the file's bytes; read from Path when nil
	Model *ir.Model // the imported model; never nil
}

// Bytes returns Data, or the content of Path.
func (s Source) Bytes() ([]byte, error) {
	if s.Data != nil {
		return s.Data, nil
	}
	return os.ReadFile(s.Path)
}

// Label names the source in messages: its path, else the graph's name.
func (s Source) Label() string {
	switch {
	case s.Path != "":
		return s.Path
	case s.Model != nil && s.Model.Graph != nil && s.Model.Graph.Name != "":
		return s.Model.Graph.Name
	}
	return "model"
}

// Runtime runs ONNX models.
type Runtime interface {
	// Name is the lower-case name that --runtime takes, for example "ort".
	Name() string
	// Describe returns the version and where it was found. The error is an
	// *UnavailableError when the runtime cannot be used on this machine.
	Describe() (Info, error)
	// Open prepares a model. The error is an *UnsupportedError when the runtime
	// does not know an operator of the model, an *UnavailableError when the
	// runtime cannot be used at all.
	Open(src Source) (Session, error)
}

// Ending is a runtime whose runs are known to end, however long they take: this program's own.
type Ending interface{ Ends() }

// Info says what a runtime is.
type Info struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Location string `json:"location,omitempty"` // of the shared library
	Threads  int    `json:"threads"`            // that one run uses; 0 when the runtime decides
}

// Session is a model ready to run. It is not safe for concurrent use.
type Session interface {
	// Run takes one tensor per graph input that is not an initialiser, by name, and
	// returns one per graph output. Inputs are not written; outputs belong to the caller.
	Run(in map[string]*ir.Tensor) (map[string]*ir.Tensor, error)
	// Close frees the session. Closing twice is harmless.
	Close() error
}

// Binder is a session that can hold inputs and outputs ready, so that runs can be timed without
// the copies around them.
type Binder interface {
	// Bind prepares runs on what Session.Run takes. It outlives no session.
	Bind(in map[string]*ir.Tensor) (Bound, error)
}

// Bound is a session with its inputs in place.
type Bound interface {
	Run() error
	// OneThread reports whether runs compute on the thread that calls them alone, so that the
	// time of its processor is the time of the run.
	OneThread() bool
	// Close frees inputs and outputs. Closing twice is harmless.
	Close() error
}

// Optimiser is a runtime that can tell which nodes it runs as one.
type Optimiser interface {
	// Optimise writes the graph that the runtime makes of a model, as ONNX; values that
	// stay keep their names.
	Optimise(src Source, path string) error
}

// Profiler is a runtime that can tell what each of its nodes takes.
type Profiler interface {
	// Profile runs a model as often as said behind runs that do not count, and returns the times
	// of the nodes that the runtime ran, in its order.
	Profile(src Source, in map[string]*ir.Tensor, warmup, runs int) ([]NodeTimes, error)
}

// NodeTimes are what a node took in each run, in milliseconds. Name is what the runtime calls it:
// the model's name, or one that it made of that.
type NodeTimes struct {
	Name, Op string
	Times    []float64
}

// UnavailableError says that a runtime cannot be used on this machine.
type UnavailableError struct {
	Runtime, Reason string
}

// Error names the runtime and the reason.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("runtime %s: not available: %s", e.Runtime, e.Reason)
}

// UnsupportedError says that a runtime cannot run a model, and lists every reason.
type UnsupportedError struct {
	Runtime string
	Reasons []string
}

// Error lists all reasons.
func (e *UnsupportedError) Error() string {
	s := fmt.Sprintf("runtime %s: model not supported", e.Runtime)
	for i, r := range e.Reasons {
		if i == 0 {
			s += ": " + r
		} else {
			s += "; " + r
		}
	}
	return s
}

// FeedNames returns the graph inputs that a caller must give: those that no initialiser defines, in order.
func FeedNames(g *ir.Graph) []string {
	inits := make(map[string]bool, len(g.Inits))
	for _, t := range g.Inits {
		inits[t.Name] = true
	}
	var names []string
	for _, v := range g.Inputs {
		if !inits[v.Name] {
			names = append(names, v.Name)
		}
	}
	return names
}

// CheckFeed reports every input that is missing, superfluous, malformed or of a
// type that the graph does not take.
func CheckFeed(runtime string, g *ir.Graph, in map[string]*ir.Tensor) error {
	var reasons []string
	known := map[string]bool{}
	for _, v := range g.Inputs {
		t := in[v.Name]
		if t == nil {
			continue
		}
		known[v.Name] = true
		if err := t.Check(); err != nil {
			reasons = append(reasons, err.Error())
			continue
		}
		if !fits(v.Type, t) {
			reasons = append(reasons, fmt.Sprintf("input %q: want %s, got %s", v.Name, v.Type, t.Type()))
		}
	}
	for _, name := range FeedNames(g) {
		if in[name] == nil {
			reasons = append(reasons, fmt.Sprintf("input %q: want a tensor, got nothing", name))
		}
	}
	extra := 0
	for name, t := range in {
		if t != nil && !known[name] {
			extra++
		}
	}
	if extra > 0 {
		reasons = append(reasons, fmt.Sprintf("want inputs %q, got %d tensors of other names", FeedNames(g), extra))
	}
	if len(reasons) == 0 {
		return nil
	}
	return &FeedError{Runtime: runtime, Reasons: reasons}
}

// Fix returns a copy of a model whose inputs have the types of the tensors given, and the
// sizes that they give the named dimensions.
func Fix(m *ir.Model, in map[string]*ir.Tensor) (*ir.Model, map[string]int, error) {
	m, bind := m.Clone(), map[string]int{}
	for i := range m.Graph.Inputs {
		v := &m.Graph.Inputs[i]
		t := in[v.Name]
		if t == nil {
			continue
		}
		for k, d := range v.Type.Shape {
			if d.Param == "" || d.Known() || t.Dims[k] < 1 {
				continue
			}
			if old, ok := bind[d.Param]; ok && old != t.Dims[k] {
				return nil, nil, fmt.Errorf("input %q: dimension %q: want %d as in another input, got %d", v.Name, d.Param, old, t.Dims[k])
			}
			bind[d.Param] = t.Dims[k]
		}
		v.Type = t.Type()
	}
	return m, bind, nil
}

func fits(want ir.Type, t *ir.Tensor) bool {
	if want.Kind == ir.KindNone {
		return true
	}
	if want.Kind != ir.KindTensor || (want.Elem != ir.Undefined && want.Elem != t.DType) {
		return false
	}
	if !want.Ranked {
		return true
	}
	if len(want.Shape) != len(t.Dims) {
		return false
	}
	for i, d := range want.Shape {
		if d.Known() && d.Size != t.Dims[i] {
			return false
		}
	}
	return true
}

// FeedError says that the tensors given do not fit a model's inputs.
type FeedError struct {
	Runtime string
	Reasons []string
}

// Error lists all reasons.
func (e *FeedError) Error() string {
	s := "runtime " + e.Runtime + ": inputs"
	for _, r := range e.Reasons {
		s += ": " + r
	}
	return s
}
