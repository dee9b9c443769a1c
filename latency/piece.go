package latency

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// class is groups of nodes that do the same at the same sizes, and have the same choices.
type class struct {
	key    string // signature in the original, at the batch of the runs
	kind   string
	group  []*ir.Node // the first of them
	dims   []int      // that change its sizes
	points []*point
	count  int // of groups
}

// point is a piece: a class at some sizes.
type point struct {
	class     *class
	signature string
	choice    []int
	at        features
	model     *ir.Model // that is timed
}

// classes sorts groups; of gives each group its class.
func (s Source) classes(groups [][]*ir.Node) (list []*class, of []*class, err error) {
	_, widths := s.Net.Hangs(groups)
	whole, err := s.facts(s.Net.Space.Largest())
	if err != nil {
		return nil, nil, err
	}
	known := map[string]*class{}
	for i, g := range groups {
		sites := whole.sites(g)
		key := space.Signature(sites)
		for _, d := range widths[i] {
			dim := s.Net.Space.Dims[d]
			key += fmt.Sprintf("; %s %v", dim.Kind, dim.Choices)
		}
		c := known[key]
		if c == nil {
			c = &class{key: key, kind: kind(g), group: g, dims: widths[i]}
			known[key], list = c, append(list, c)
		}
		c.count++
		of = append(of, c)
	}
	return list, of, nil
}

// cutFacts is a subnet at the sizes of a run.
type cutFacts struct {
	model *ir.Model
	facts *ops.Facts
	at    map[string]*ir.Node
}

func (s Source) facts(choice []int) (*cutFacts, error) {
	m, err := subnet.Cut(s.Net, choice, nil)
	if err != nil {
		return nil, fmt.Errorf("latency: %w", err)
	}
	f, err := ops.InferModel(m, s.Bind)
	if err != nil {
		return nil, fmt.Errorf("latency: sizes at batch %d: %w", s.Batch, err)
	}
	c := &cutFacts{m, f, map[string]*ir.Node{}}
	for _, n := range m.Graph.Nodes {
		c.at[n.Label()] = n
	}
	return c, nil
}

// sites gives those of a group's nodes that the subnet has.
func (c *cutFacts) sites(group []*ir.Node) []*ops.Site {
	var out []*ops.Site
	for _, n := range group {
		if m := c.at[n.Label()]; m != nil && c.facts.Sites[m] != nil {
			out = append(out, c.facts.Sites[m])
		}
	}
	return out
}

// gridPoints bounds the pieces of a class.
const gridPoints = 24

// grid lists choices that set a class's dims to every corner, the middle of every dim, and
// some places between; to every choice where these are few. Other dims stay whole.
func (s Source) grid(c *class, seed uint64) [][]int {
	largest := s.Net.Space.Largest()
	all := 1
	for _, d := range c.dims {
		if all *= largest[d] + 1; all > gridPoints {
			break
		}
	}
	var out [][]int
	add := func(choice []int) {
		if !slices.ContainsFunc(out, func(o []int) bool { return slices.Equal(o, choice) }) {
			out = append(out, slices.Clone(choice))
		}
	}
	add(largest)
	if all <= 6 {
		for i := range all {
			choice := slices.Clone(largest)
			for _, d := range c.dims {
				choice[d] = i % (largest[d] + 1)
				i /= largest[d] + 1
			}
			add(choice)
		}
		return out
	}
	corner := func(of func(k, d int) int) {
		choice := slices.Clone(largest)
		for k, d := range c.dims {
			choice[d] = of(k, d)
		}
		add(choice)
	}
	corner(func(int, int) int { return 0 })
	if len(c.dims) <= 3 {
		for bits := range 1 << len(c.dims) {
			corner(func(k, d int) int { return largest[d] * (bits >> k & 1) })
		}
	}
	r := rng.New(seed, "latency/grid").Rand
	for k := range min(len(c.dims), gridPoints/4) {
		corner(func(j, d int) int {
			if j == k {
				return largest[d] / 2
			}
			return largest[d]
		})
	}
	corner(func(_, d int) int { return largest[d] / 2 })
	for range 12 {
		corner(func(_, d int) int { return r.IntN(largest[d] + 1) })
	}
	return out
}

// piece cuts a group out of a subnet as a model of its own; nil where the subnet has none of
// it, or where it reads nothing that is computed.
func (c *cutFacts) piece(group []*ir.Node) (*ir.Model, []*ops.Site, error) {
	sites := c.sites(group)
	if len(sites) == 0 {
		return nil, nil, nil
	}
	x := ir.NewIndex(c.model.Graph)
	in := map[*ir.Node]bool{}
	made := map[string]bool{}
	for _, s := range sites {
		in[s.Node] = true
		for _, o := range s.Node.Outputs {
			made[o] = o != ""
		}
	}
	m := *c.model
	m.Graph = &ir.Graph{Name: "piece"}
	m.Meta, m.Doc, m.Extra, m.Functions = nil, "", nil, nil
	seen := map[string]bool{"": true}
	for _, s := range sites {
		m.Graph.Nodes = append(m.Graph.Nodes, s.Node)
		for _, v := range ir.Uses(s.Node) {
			if seen[v] || made[v] {
				continue
			}
			seen[v] = true
			f := c.facts.Values[v]
			switch t := x.Init(v); {
			case t != nil:
				t := *t
				t.Of = ""
				m.Graph.Inits = append(m.Graph.Inits, &t)
			case f.Const != nil && f.Type.Elem.IsInt():
				t := *f.Const
				t.Name = v
				m.Graph.Inits = append(m.Graph.Inits, &t)
			case !f.Type.Static() || f.Type.Kind != ir.KindTensor:
				return nil, nil, fmt.Errorf("input %q: want known sizes, got %s", v, f.Type)
			default:
				m.Graph.Inputs = append(m.Graph.Inputs, ir.Value{Name: v, Type: f.Type.Clone()})
			}
		}
	}
	for _, s := range sites {
		for _, o := range s.Node.Outputs {
			if o != "" && (x.IsOutput(o) || slices.ContainsFunc(x.Consumers(o), func(n *ir.Node) bool { return !in[n] })) {
				f := c.facts.Values[o]
				if !f.Type.Static() {
					return nil, nil, fmt.Errorf("output %q: want known sizes, got %s", o, f.Type)
				}
				m.Graph.Outputs = append(m.Graph.Outputs, ir.Value{Name: o, Type: f.Type.Clone()})
			}
		}
	}
	if len(m.Graph.Inputs) == 0 || len(m.Graph.Outputs) == 0 {
		return nil, sites, nil
	}
	return &m, sites, ir.Verify(&m)
}

// pieces fills the points of a class. What cannot be cut is told in a note.
func (s Source) pieces(c *class, seed uint64) (note string, err error) {
	known := map[string]bool{}
	for _, choice := range s.grid(c, seed) {
		f, err := s.facts(choice)
		if err != nil {
			return "", err
		}
		m, sites, err := f.piece(c.group)
		if err != nil {
			return fmt.Sprintf("node %q (%s) is not timed by itself: %v", c.group[0].Label(), c.kind, err), nil
		}
		if m == nil {
			continue
		}
		if sig := space.Signature(sites); !known[sig] {
			known[sig] = true
			c.points = append(c.points, &point{class: c, signature: sig, choice: choice, at: (*scales)(nil).of(sites), model: m})
		}
	}
	return "", nil
}

// feed draws inputs for a piece: floats in [0.1, 1), so that roots and logarithms exist, zeros
// for integers, which are places that every table has.
func feed(m *ir.Model, r *rand.Rand) (map[string]*ir.Tensor, error) {
	in := map[string]*ir.Tensor{}
	for _, v := range m.Graph.Inputs {
		if m.Graph.Init(v.Name) != nil {
			continue
		}
		dims := v.Type.Sizes()
		values := make([]float64, ir.Prod(dims))
		if v.Type.Elem.IsFloat() {
			for i := range values {
				values[i] = 0.1 + 0.9*r.Float64()
			}
		}
		t, err := ir.NewFloats(v.Name, v.Type.Elem, dims, values)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", v.Name, err)
		}
		in[v.Name] = t
	}
	return in, nil
}

// short is a signature's beginning.
func short(signature string) string {
	first, _, _ := strings.Cut(signature, ";")
	return first
}
