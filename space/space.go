package space

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/entangle-nas/entangle/ir"
)

// Space is a list of dims over one model.
type Space struct {
	Source string // fingerprint of the model
	Dims   []Dim
}

// Fingerprint identifies a model's graph: SHA-256 over its nodes and initialisers
// (names, operators, attributes that are numbers or strings, weights), in hex.
func Fingerprint(m *ir.Model) string {
	h := sha256.New()
	for _, t := range m.Graph.Inits {
		fmt.Fprintf(h, "t %q %d %v\n", t.Name, t.DType, t.Dims)
		h.Write(t.Raw)
	}
	for _, n := range m.Graph.Nodes {
		fmt.Fprintf(h, "n %q %q %q %q\n", n.Domain, n.OpType, n.Inputs, n.Outputs)
		for _, a := range n.Attrs {
			fmt.Fprintf(h, "a %q %d %d %v %q %v %v %q\n", a.Name, a.Kind, a.I, a.F, a.S, a.Ints, a.Floats, a.Strings)
			if a.T != nil {
				fmt.Fprintf(h, "t %d %v\n", a.T.DType, a.T.Dims)
				h.Write(a.T.Raw)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Fingerprint identifies the model that was analysed, with its tail where it has one.
func (an *Analysis) Fingerprint() string {
	if an.Source != "" {
		return an.Source
	}
	return Fingerprint(an.Model)
}

// New offers every dim of the asked kinds that the model allows. It is an error
// when there is none. Of a model that declares its space these are the declared ones, where no
// kinds are asked for by name, and the declared operations where no nodes are named for them.
func New(an *Analysis, o Options) (*Space, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	declared, err := Declared(an)
	if err != nil {
		return nil, err
	}
	s := &Space{Source: an.Fingerprint()}
	kinds := Kinds
	if declared != nil && o.Operations == nil && o.Kinds == nil {
		s.Dims, kinds = declared.of("", an, o), nil
	}
	for _, k := range kinds {
		switch asked := slices.Contains(o.Kinds, k.Name); {
		case asked && !k.fits(an):
			return nil, fmt.Errorf("space: kind %q: want a model analysed for it by name", k.Name)
		case asked && declared != nil && o.Operations == nil && k.Name == operationsKind.Name:
			s.Dims = append(s.Dims, declared.of(k.Name, an, o)...)
		case asked || o.Kinds == nil && k.fits(an):
			s.Dims = append(s.Dims, k.Find(an, o)...)
		}
	}
	if err := unmatched(an, s, o); err != nil {
		return nil, err
	}
	if err := s.dropGated(an); err != nil {
		return nil, err
	}
	if len(s.Dims) == 0 {
		why := ""
		for _, n := range an.Model.Graph.Nodes {
			if w := Whole(n); w != "" {
				why += fmt.Sprintf("; node %q (%s): %s", n.Label(), n.OpType, w)
			}
		}
		return nil, fmt.Errorf("space: nothing in this model may change: %d groups found, divisor %d, smallest ratio %g, elastic %q, keep %q%s", len(an.Groups), o.Divisor, o.MinRatio, o.Elastic, o.Keep, why)
	}
	return s, nil
}

// Bind returns the effect of every dim, in order, or the first mismatch with the model.
func (s *Space) Bind(an *Analysis) ([]*Effect, error) {
	out := make([]*Effect, len(s.Dims))
	names := map[string]bool{}
	for i, d := range s.Dims {
		if names[d.Name] {
			return nil, fmt.Errorf("space: dimension %q stands twice", d.Name)
		}
		names[d.Name] = true
		k, err := KindByName(d.Kind)
		if err != nil {
			return nil, fmt.Errorf("space: dimension %q: %w", d.Name, err)
		}
		if !k.fits(an) {
			return nil, fmt.Errorf("space: dimension %q: kind %q: want a model analysed for it by name", d.Name, d.Kind)
		}
		if out[i], err = bindTied(an, k, d); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// stage opens an effect's gates from a choice on, and takes out those that are never closed.
func (e *Effect) stage(choices []int, from int) {
	for _, g := range e.Gates {
		g.Open = make([]bool, len(choices))
		for c, choice := range choices {
			g.Open[c] = choice >= from
		}
	}
	e.Gates = slices.DeleteFunc(e.Gates, func(g *Gate) bool { return !slices.Contains(g.Open, false) })
}

// bindTied merges what a dim does at each of its nodes.
func bindTied(an *Analysis, k Kind, d Dim) (*Effect, error) {
	nodes, last := d.Nodes(), 1
	for i, t := range d.Tied {
		last = max(last, t.Step)
		switch {
		case slices.Contains(nodes[:i+1], t.Node):
			return nil, fmt.Errorf("space: dimension %q: tied: node %q stands twice", d.Name, t.Node)
		case len(t.Candidates) != len(d.Candidates):
			return nil, fmt.Errorf("space: dimension %q: tied: node %q: want %d candidates like node %q, got %d", d.Name, t.Node, len(d.Candidates), d.Node, len(t.Candidates))
		case t.Kernels != nil && d.Kind != operationsKind.Name:
			return nil, fmt.Errorf("space: dimension %q: tied: node %q: kernels are those of candidates, kind %q has none", d.Name, t.Node, d.Kind)
		case t.Step < 0 || t.Step != 0 && d.Kind != depthKind.Name:
			return nil, fmt.Errorf("space: dimension %q: tied: node %q: step: want at least 1, of kind %q, got %d of kind %q", d.Name, t.Node, depthKind.Name, t.Step, d.Kind)
		}
	}
	stack := d.Choices
	if d.Kind == depthKind.Name && len(d.Tied) > 0 {
		if err := d.check(last, 0); err != nil {
			return nil, err
		}
		d.Choices = []int{0, 1}
	}
	out := &Effect{}
	for i, at := range d.each() {
		e, err := k.Bind(an, at)
		if err != nil && i > 0 {
			return nil, fmt.Errorf("tied node %q: %w", at.Node, err)
		}
		if err != nil {
			return nil, err
		}
		if d.Kind == depthKind.Name && len(d.Tied) > 0 {
			step := 1
			if i > 0 {
				step = max(step, d.Tied[i-1].Step)
			}
			e.stage(stack, step)
		}
		if i == 0 {
			out = e
			continue
		}
		out.Gates = append(out.Gates, e.Gates...)
		for _, ax := range e.Axes {
			same := slices.IndexFunc(out.Axes, func(o AxisEffect) bool { return o.Value == ax.Value && o.Axis == ax.Axis })
			if same < 0 {
				out.Axes = append(out.Axes, ax)
				continue
			}
			o := &out.Axes[same]
			if overlap(ax.Own, o.Own) {
				return nil, fmt.Errorf("space: dimension %q: tied: node %q changes axis %d of %q, as an earlier node does", d.Name, at.Node, ax.Axis, ax.Value)
			}
			o.Own, o.First = append(slices.Clone(o.Own), ax.Own...), append(slices.Clone(o.First), ax.First...)
			o.Contracted = o.Contracted || ax.Contracted
		}
	}
	return out, nil
}

// Kinds lists the kinds of the space's dims, each once, in their order.
func (s *Space) Kinds() []string {
	var out []string
	for _, d := range s.Dims {
		if !slices.Contains(out, d.Kind) {
			out = append(out, d.Kind)
		}
	}
	return out
}

// Largest returns the choice indices of the original.
func (s *Space) Largest() []int {
	out := make([]int, len(s.Dims))
	for i, d := range s.Dims {
		out[i] = len(d.Choices) - 1
	}
	return out
}

// Smallest returns the choice indices of the smallest subnet.
func (s *Space) Smallest() []int { return make([]int, len(s.Dims)) }

// Size returns the number of subnets.
func (s *Space) Size() float64 {
	n := 1.0
	for _, d := range s.Dims {
		n *= float64(len(d.Choices))
	}
	return n
}

// CheckChoice reports a choice vector that does not fit.
func (s *Space) CheckChoice(choice []int) error {
	if len(choice) != len(s.Dims) {
		return fmt.Errorf("space: choice: want %d entries, got %d", len(s.Dims), len(choice))
	}
	for i, c := range choice {
		if c < 0 || c >= len(s.Dims[i].Choices) {
			return fmt.Errorf("space: choice of %q: want an index below %d, got %d", s.Dims[i].Name, len(s.Dims[i].Choices), c)
		}
	}
	return nil
}

type spaceFile struct {
	Version int       `yaml:"version"`
	Source  string    `yaml:"source"`
	Dims    []dimFile `yaml:"dimensions"`
}

type dimFile struct {
	Name    string `yaml:"name"`
	Kind    string `yaml:"kind"`
	Node    string `yaml:"node"`
	Choices []int  `yaml:"choices,flow"`
	Order   []int  `yaml:"order,flow,omitempty"`

	Candidates []string `yaml:"candidates,flow,omitempty"`
	Kernels    []int    `yaml:"kernels,flow,omitempty"`
	Whole      bool     `yaml:"whole,omitempty"`
	Tied       []Tied   `yaml:"tied,omitempty"`
}

// Version is the format version of space.yaml.
const Version = 1

// Marshal writes space.yaml.
func (s *Space) Marshal() ([]byte, error) {
	f := spaceFile{Version: Version, Source: s.Source}
	for _, d := range s.Dims {
		f.Dims = append(f.Dims, dimFile(d))
	}
	body, err := yaml.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("space: write: %w", err)
	}
	head := "# Search space. Delete a dimension to keep it as it is; remove choices to forbid them (the\n" +
		"# last one is the original and stays). Widths keep the first units of `order`. Operations keep\n" +
		"# one of `candidates`, 1 the first, 0 none; the last choice is their sum, which `whole: true` lets stay.\n" +
		"# `kernels` shrinks a candidate's kernels; nodes under `tied` follow the same choice.\n"
	return append([]byte(head), body...), nil
}

// Unmarshal reads space.yaml; unknown keys are errors with their position.
func Unmarshal(data []byte) (*Space, error) {
	var f spaceFile
	if err := yaml.UnmarshalWithOptions(data, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("space: read: %w", err)
	}
	if f.Version != Version {
		return nil, fmt.Errorf("space: read: version: want %d, got %d", Version, f.Version)
	}
	s := &Space{Source: f.Source}
	for _, d := range f.Dims {
		s.Dims = append(s.Dims, Dim(d))
	}
	return s, nil
}

// Scores holds, per dim, one importance per unit; nil for dims that are not widths.
type Scores [][]float64

// Magnitude scores units by the squared L2 norm of their weights; each tensor
// counts relative to its mean so that large layers do not drown small ones.
func Magnitude(an *Analysis, s *Space) (Scores, error) {
	return score(an, s, func(t *ir.Tensor) (func(v []float64, at int), error) {
		return func(v []float64, _ int) {
			for i, x := range v {
				v[i] = x * x
			}
		}, nil
	}, true)
}

// Taylor scores units by the first-order change of the loss when they are cut:
// (Σ w·∂L/∂w)² over each tensor's slice, added over tensors. Grads holds the
// gradient of every trained initialiser, row-major; the others count nothing.
func Taylor(an *Analysis, s *Space, grads map[string][]float32) (Scores, error) {
	return score(an, s, func(t *ir.Tensor) (func(v []float64, at int), error) {
		g, trained := grads[t.Name]
		if !trained {
			return func(v []float64, _ int) { clear(v) }, nil
		}
		if len(g) != t.Len() {
			return nil, fmt.Errorf("space: gradient of %q: want %d elements, got %d", t.Name, t.Len(), len(g))
		}
		return func(v []float64, at int) {
			for i := range v {
				v[i] *= float64(g[at+i])
			}
		}, nil
	}, false)
}

// score adds up element scores per unit. elements gives what makes weights, those from
// element at on, to their scores. Magnitude: relative sums per tensor; otherwise the square
// of each tensor's sum.
func score(an *Analysis, s *Space, elements func(*ir.Tensor) (func(v []float64, at int), error), relative bool) (Scores, error) {
	if _, err := s.Bind(an); err != nil {
		return nil, err
	}
	out := make(Scores, len(s.Dims))
	for i, d := range s.Dims {
		if !d.CountsUnits() {
			continue
		}
		var members []Member
		var total []float64
		for _, name := range d.Nodes() { // of one size: Bind has checked it
			g := an.group(name)
			members, total = append(members, g.Members...), make([]float64, g.Size)
		}
		for _, mb := range members {
			if !mb.Weight {
				continue
			}
			t := an.Model.Graph.Init(mb.Value)
			f, err := elements(t)
			if err != nil {
				return nil, err
			}
			part, err := unitSums(t, f, mb)
			if err != nil {
				return nil, err
			}
			mean := 0.0
			for _, x := range part {
				mean += x / float64(len(part))
			}
			for u, x := range part {
				switch {
				case !relative:
					total[u] += x * x
				case mean > 0:
					total[u] += x / mean
				}
			}
		}
		for u, x := range total {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, fmt.Errorf("space: dimension %q: importance of unit %d is %g: the weights or gradients of its group are not finite", d.Name, u, x)
			}
		}
		out[i] = total
	}
	return out, nil
}

// scored is how many weights are scored at once.
const scored = 1 << 16

// unitSums adds up the scores of a tensor's elements that belong to each unit of a member.
func unitSums(t *ir.Tensor, scores func(v []float64, at int), mb Member) ([]float64, error) {
	positions := t.Dims[mb.Axis]
	unit := make([]int, positions)
	for i := range unit {
		unit[i] = -1
	}
	for u, ps := range mb.Units {
		for _, p := range ps {
			unit[p] = u
		}
	}
	inner := ir.Prod(t.Dims[mb.Axis+1:])
	out := make([]float64, len(mb.Units))
	buf := make([]float64, min(scored, t.Len()))
	for from := 0; from < t.Len(); from += scored {
		to := min(from+scored, t.Len())
		v := buf[:to-from]
		if err := t.Part(from, to).ReadFloat64s(v); err != nil {
			return nil, err
		}
		scores(v, from)
		p, left := from/inner%positions, inner-from%inner
		for _, x := range v {
			if u := unit[p]; u >= 0 {
				out[u] += x
			}
			if left--; left == 0 {
				if left = inner; p+1 < positions {
					p++
				} else {
					p = 0
				}
			}
		}
	}
	return out, nil
}

// SetOrder ranks every width's units by descending score; ties keep file order.
func (s *Space) SetOrder(sc Scores) {
	for i := range s.Dims {
		if sc[i] == nil {
			continue
		}
		order := make([]int, len(sc[i]))
		for u := range order {
			order[u] = u
		}
		slices.SortStableFunc(order, func(x, y int) int {
			switch {
			case sc[i][x] > sc[i][y]:
				return -1
			case sc[i][x] < sc[i][y]:
				return 1
			}
			return 0
		})
		s.Dims[i].Order = order
	}
}
