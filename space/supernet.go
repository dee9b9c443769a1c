package space

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Superposition says which weights carry a width's coefficients.
type Superposition string

const (
	// Every masks each weight on every elastic axis, as in TangleNAS (Algorithm 1):
	// a unit is scaled where it is made and again where it is read.
	Every Superposition = "every"
	// Reader masks the axes that read a unit only, so a unit is scaled once. At a
	// one-hot vertex both are the same network.
	Reader Superposition = "reader"
)

// maskAxis is one axis of one weight as one dim sees it.
type maskAxis struct {
	axis  int
	dims  []int    // dims that own positions of it
	owner []int    // per position: index into dims, -1 for none
	first []int    // per position: first choice of its owner, or its rank, that keeps it
	sizes []int    // choices of each dim
	ranks [][]int  // of each dim: see AxisEffect
	given [][]bool // of each dim: see AxisEffect
}

// Supernet is a normal model whose weights are scaled by the coefficients of the
// dims' choices. Coefficients of dim d are a vector of len(Dims[d].Choices)
// numbers ≥ 0 with sum 1; a one-hot vector selects that choice exactly.
type Supernet struct {
	An      *Analysis
	Space   *Space
	Effects []*Effect
	Metrics []Metric // what it can be priced in; those of the package, and others that are put in
	masks   map[string][]maskAxis
	gates   []gateOf
	// alternatives: some dim has more than one gate.
	alternatives bool
	any          map[string]int // by openKey: the gate, or union of gates, that opens so
	owners       map[axisID][]owner
}

// gateOf is a gate of a dim.
type gateOf struct {
	*Gate
	dim int
}

// dimsOf lists the dims of gates.
func (s *Supernet) dimsOf(gates []int) (out []int) {
	for _, k := range gates {
		out = append(out, s.gates[k].dim)
	}
	return out
}

// owner is a dim that owns positions of an axis.
type owner struct {
	dim int
	ax  AxisEffect
}

// Entangle binds a space to a model. Weights keep their largest size; masks add
// storage only in proportion to the size of a weight, whatever the number of choices.
func Entangle(an *Analysis, s *Space, sp Superposition) (*Supernet, error) {
	if sp != Every && sp != Reader {
		return nil, fmt.Errorf("space: superposition: want %q or %q, got %q", Every, Reader, sp)
	}
	effects, err := s.Bind(an)
	if err != nil {
		return nil, err
	}
	net := &Supernet{An: an, Space: s, Effects: effects, Metrics: Metrics, masks: map[string][]maskAxis{}, owners: map[axisID][]owner{}}
	for d, e := range effects {
		for _, gate := range e.Gates {
			for _, other := range net.gates {
				if other.dim != d && (other.Node == gate.Node || other.Branch == gate.Branch && !other.Edge && !gate.Edge) {
					return nil, fmt.Errorf("space: dimensions %q and %q skip the same branch", s.Dims[other.dim].Name, s.Dims[d].Name)
				}
			}
		}
		for _, gate := range e.Gates {
			net.gates = append(net.gates, gateOf{gate, d})
		}
		net.alternatives = net.alternatives || len(e.Gates) > 1
		for _, ax := range e.Axes {
			id := axisID{ax.Value, ax.Axis}
			for _, o := range net.owners[id] {
				if overlap(ax.Own, o.ax.Own) {
					return nil, fmt.Errorf("space: dimensions %q and %q both change axis %d of %q", s.Dims[o.dim].Name, s.Dims[d].Name, ax.Axis, ax.Value)
				}
			}
			net.owners[id] = append(net.owners[id], owner{d, ax})
			if !ax.Mask || (sp == Reader && s.Dims[d].CountsUnits() && !ax.Contracted) {
				continue
			}
			net.addMask(d, ax)
		}
	}
	net.unite()
	return net, nil
}

// overlap reports whether two lists of positions have one in common.
func overlap(a, b []int) bool {
	in := make(map[int]bool, len(a))
	for _, p := range a {
		in[p] = true
	}
	return slices.ContainsFunc(b, func(p int) bool { return in[p] })
}

func (s *Supernet) addMask(d int, ax AxisEffect) {
	list := s.masks[ax.Value]
	i := slices.IndexFunc(list, func(m maskAxis) bool { return m.axis == ax.Axis })
	if i < 0 {
		list = append(list, newMask(ax.Axis, s.An.Facts.Values[ax.Value].Shape()[ax.Axis]))
		i = len(list) - 1
	}
	list[i].own(d, len(s.Space.Dims[d].Choices), ax)
	s.masks[ax.Value] = list
}

// newMask is an axis of n positions that no dim owns.
func newMask(axis, n int) maskAxis {
	m := maskAxis{axis: axis, owner: make([]int, n), first: make([]int, n)}
	for p := range n {
		m.owner[p] = -1
	}
	return m
}

// own gives the positions of an effect to dim d with that many choices.
func (m *maskAxis) own(d, choices int, ax AxisEffect) {
	m.dims = append(m.dims, d)
	m.sizes = append(m.sizes, choices)
	m.ranks, m.given = append(m.ranks, ax.Rank), append(m.given, ax.Given)
	for k, p := range ax.Own {
		m.owner[p], m.first[p] = len(m.dims)-1, ax.First[k]
	}
}

// Masked reports whether a weight carries coefficients.
func (s *Supernet) Masked(weight string) bool { return len(s.masks[weight]) > 0 }

// Coefficients declares one program input per dim, named "coef/<dim>", of type
// float [choices].
func (s *Supernet) Coefficients(b *prim.Builder, float prim.DType) []prim.ID {
	out := make([]prim.ID, len(s.Space.Dims))
	for i, d := range s.Space.Dims {
		out[i] = b.Input("coef/"+d.Name, prim.Type{DType: float, Shape: []int{len(d.Choices)}})
	}
	return out
}

// Weight returns w ⊙ M for the weight of that name and coefficients from
// Coefficients. M is the outer product over dims of their staircases; a dim that
// owns positions on several axes (a square residual weight, a kernel) counts once,
// by the larger of its axes' first choices, which is the literal sum of padded blocks.
func (s *Supernet) Weight(b *prim.Builder, name string, w prim.ID, coefs []prim.ID) prim.ID {
	list := s.masks[name]
	if len(list) == 0 {
		return w
	}
	rank := len(b.Shape(w))
	float := b.Type(w).DType
	operands := []prim.ID{w}
	e := prim.A(0)
	operand := func(v prim.ID) *prim.X {
		operands = append(operands, v)
		return prim.A(len(operands) - 1)
	}
	spread := func(v prim.ID, axis int) prim.ID {
		shape := slices.Repeat([]int{1}, rank)
		shape[axis] = prim.Prod(b.Shape(v))
		return b.Reshape(v, shape...)
	}
	axes := map[int]int{} // dim → axes that it owns positions of
	for _, m := range list {
		for _, d := range m.dims {
			axes[d]++
		}
	}
	for _, m := range list {
		alone := func(k int) bool { return axes[m.dims[k]] == 1 }
		if slices.ContainsFunc(m.dims, func(d int) bool { return axes[d] == 1 }) {
			e = prim.Op(prim.Mul, e, operand(spread(s.staircase(b, m, alone, float, coefs), m.axis)))
		}
	}
	for i, m := range list {
		for k, d := range m.dims {
			if axes[d] == 1 || slices.ContainsFunc(list[:i], func(o maskAxis) bool { return slices.Contains(o.dims, d) }) {
				continue
			}
			factor := operand(spread(s.staircase(b, m, only(k), float, coefs), m.axis))
			first := operand(spread(firsts(b, m, k, float), m.axis))
			for _, o := range list[i+1:] {
				ok := slices.Index(o.dims, d)
				if ok < 0 {
					continue
				}
				other := operand(spread(s.staircase(b, o, only(ok), float, coefs), o.axis))
				ofirst := operand(spread(firsts(b, o, ok, float), o.axis))
				later := prim.Op(prim.Le, ofirst, first)
				factor, first = prim.Op(prim.Select, later, factor, other), prim.Op(prim.Select, later, first, ofirst)
			}
			e = prim.Op(prim.Mul, e, factor)
		}
	}
	return b.Map(e, operands...)
}

func only(k int) func(int) bool { return func(j int) bool { return j == k } }

// leastShare is the coefficient of a value below which shares of it are not formed: what the
// value is scaled by is that small, and its reciprocal is not finite.
const leastShare = 1e-6

// staircase returns, per position of an axis, the sum of the coefficients of the
// choices that keep it; 1 where no dim owns it that takes accepts (by index into
// m.dims). Shape [1, n]. Of a value that some choices of a dim do not have it is the share
// of that sum in the coefficients of those that do; where these are less than leastShare in all,
// the share that equal coefficients would give.
func (s *Supernet) staircase(b *prim.Builder, m maskAxis, takes func(k int) bool, float prim.DType, coefs []prim.ID) prim.ID {
	n := len(m.owner)
	var sum prim.ID = prim.Invalid
	for k, d := range m.dims {
		if !takes(k) {
			continue
		}
		ind := make([]float64, m.sizes[k]*n)
		for p, o := range m.owner {
			if o != k {
				continue
			}
			for c := range m.sizes[k] {
				if m.keeps(k, p, c) {
					ind[c*n+p] = 1
				}
			}
		}
		row := b.Reshape(coefs[d], 1, m.sizes[k])
		part := b.MatMul(row, b.Const(prim.F64Tensor(ind, m.sizes[k], n).Cast(float)), false, false)
		if m.given[k] != nil {
			part = share(b, part, row, ind, m.given[k], float)
		}
		if sum == prim.Invalid {
			sum = part
		} else {
			sum = b.Plus(sum, part)
		}
	}
	fixed := make([]float64, n)
	for p, o := range m.owner {
		if o < 0 || !takes(o) {
			fixed[p] = 1
		}
	}
	if slices.Contains(fixed, 1) {
		sum = b.Plus(sum, b.Const(prim.F64Tensor(fixed, 1, n).Cast(float)))
	}
	return sum
}

// keeps reports whether choice c of dim k of the axis keeps a position that the dim owns.
func (m *maskAxis) keeps(k, p, c int) bool {
	if m.given[k] != nil && !m.given[k][c] {
		return false
	}
	if m.ranks[k] != nil {
		c = m.ranks[k][c]
	}
	return m.first[p] <= c
}

// share divides sums of coefficients [1, n] by that of the choices that have the value. Ind is
// which choice, of a row of coefficients, counts at which position.
func share(b *prim.Builder, part, row prim.ID, ind []float64, given []bool, float prim.DType) prim.ID {
	n := len(ind) / len(given)
	has, even, count := make([]float64, len(given)), make([]float64, n), 0.0
	for c, g := range given {
		if g {
			has[c] = 1
			count++
		}
	}
	for i, v := range ind {
		even[i%n] += v / max(count, 1)
	}
	total := b.MatMul(row, b.Const(prim.F64Tensor(has, len(given), 1).Cast(float)), false, false)
	enough := prim.Op(prim.Lt, prim.L(leastShare), prim.A(1))
	e := prim.Op(prim.Div, prim.Op(prim.Select, enough, prim.A(0), prim.A(2)), prim.Op(prim.Select, enough, prim.A(1), prim.L(1)))
	return b.Map(e, part, total, b.Const(prim.F64Tensor(even, 1, n).Cast(float)))
}

// firsts returns the first keeping choice of each position that dim k of the axis
// owns, -1 elsewhere.
func firsts(b *prim.Builder, m maskAxis, k int, float prim.DType) prim.ID {
	v := make([]float64, len(m.owner))
	for p, o := range m.owner {
		if v[p] = -1; o == k {
			v[p] = float64(m.first[p])
		}
	}
	return b.Const(prim.F64Tensor(v, 1, len(v)).Cast(float))
}

// Gated scales a value by the coefficient of staying when it is a residual branch
// that a depth dim may skip; any other value is returned as it is.
func (s *Supernet) Gated(b *prim.Builder, value string, v prim.ID, coefs []prim.ID) prim.ID {
	for _, g := range s.gates {
		if g.Branch == value && !g.Edge {
			return b.Times(v, g.keep(b, b.Type(coefs[g.dim]).DType, coefs))
		}
	}
	return v
}

// Read scales what a node reads of a candidate by the sum of the coefficients of the choices
// that keep it; any other value is returned as it is. Float is the type of coefficients.
func (s *Supernet) Read(b *prim.Builder, node, value string, v prim.ID, float prim.DType, coefs []prim.ID) prim.ID {
	for _, g := range s.gates {
		if !g.Edge || g.Inner || g.Node != node || g.Branch != value {
			continue
		}
		return b.Times(v, g.keep(b, float, coefs))
	}
	return v
}

// keep is the sum of the coefficients of the choices that open a gate, [1].
func (g gateOf) keep(b *prim.Builder, float prim.DType, coefs []prim.ID) prim.ID {
	if only := slices.Index(g.Open, true); only >= 0 && !slices.Contains(g.Open[only+1:], true) {
		return b.Add(prim.Slice{Start: []int{only}, Size: []int{1}, Step: []int{1}}, coefs[g.dim])
	}
	open := make([]float64, len(g.Open))
	for c, o := range g.Open {
		if o {
			open[c] = 1
		}
	}
	return b.Reshape(b.MatMul(b.Reshape(coefs[g.dim], 1, len(open)), b.Const(prim.F64Tensor(open, len(open), 1).Cast(float)), false, false), 1)
}

// AxisMask returns the coefficients of the positions along an axis of a value, [size]:
// what statistics over the axis weigh them by. prim.Invalid when no dim owns any.
func (s *Supernet) AxisMask(b *prim.Builder, value string, axis int, float prim.DType, coefs []prim.ID) prim.ID {
	list := s.owners[axisID{value, axis}]
	if len(list) == 0 {
		return prim.Invalid
	}
	n := s.An.Facts.Values[value].Shape()[axis]
	m := newMask(axis, n)
	for _, o := range list {
		m.own(o.dim, len(s.Space.Dims[o.dim].Choices), o.ax)
	}
	return b.Reshape(s.staircase(b, m, func(int) bool { return true }, float, coefs), n)
}

// Hooks returns the lowering hooks of the supernet: h.Init gives the program value
// of a trained weight.
func (s *Supernet) Hooks(h ops.Hooks, coefs []prim.ID) ops.Hooks {
	init, output := h.Init, h.Output
	h.Init = func(b *prim.Builder, t *ir.Tensor) prim.ID {
		return s.Weight(b, t.Name, init(b, t), coefs)
	}
	h.AxisMask = func(b *prim.Builder, value string, axis int) prim.ID {
		return s.AxisMask(b, value, axis, h.Float, coefs)
	}
	h.Output = func(b *prim.Builder, n *ir.Node, k int, v prim.ID) prim.ID {
		if output != nil {
			v = output(b, n, k, v)
		}
		return s.Gated(b, n.Outputs[k], v, coefs)
	}
	if slices.ContainsFunc(s.gates, func(g gateOf) bool { return g.Edge }) {
		h.Input = func(b *prim.Builder, n *ir.Node, value string, v prim.ID) prim.ID {
			return s.Read(b, n.Label(), value, v, h.Float, coefs)
		}
	}
	return h
}

// OneHot returns coefficient vectors that select a choice per dim.
func (s *Space) OneHot(choice []int) [][]float64 {
	out := make([][]float64, len(s.Dims))
	for i, d := range s.Dims {
		out[i] = make([]float64, len(d.Choices))
		out[i][choice[i]] = 1
	}
	return out
}

// Cut returns which positions stay on every value when a choice is taken, and
// the gates that are closed; of a sum that is zeros, the open one with Zeros
// in place of those of its additions.
func (s *Supernet) Cut(choice []int) (keep map[string]ops.Positions, closed []*Gate, err error) {
	if err := s.Space.CheckChoice(choice); err != nil {
		return nil, nil, err
	}
	cut := map[string][][]bool{}
	for d, e := range s.Effects {
		zeros := map[string]bool{} // roots
		for _, gate := range e.Gates {
			if gate.Zeros != "" && gate.Open[choice[d]] {
				zeros[gate.Root] = true
				closed = append(closed, gate)
			}
		}
		for _, gate := range e.Gates {
			if gate.Zeros == "" && !gate.Open[choice[d]] && !(gate.Root != "" && zeros[gate.Root]) {
				closed = append(closed, gate)
			}
		}
		for _, ax := range e.Axes {
			shape := s.An.Facts.Values[ax.Value].Shape()
			if cut[ax.Value] == nil {
				cut[ax.Value] = make([][]bool, len(shape))
			}
			if cut[ax.Value][ax.Axis] == nil {
				cut[ax.Value][ax.Axis] = make([]bool, shape[ax.Axis])
			}
			for k, p := range ax.Own {
				if !ax.keeps(k, choice[d]) {
					cut[ax.Value][ax.Axis][p] = true
				}
			}
		}
	}
	return positions(cut), closed, nil
}

// positions turns a set of cut positions into the kept ones, in ascending order.
func positions(cut map[string][][]bool) map[string]ops.Positions {
	out := make(map[string]ops.Positions, len(cut))
	for v, axes := range cut {
		pos := make(ops.Positions, len(axes))
		for i, c := range axes {
			if c == nil || !slices.Contains(c, true) {
				continue
			}
			pos[i] = []int{}
			for p, gone := range c {
				if !gone {
					pos[i] = append(pos[i], p)
				}
			}
		}
		out[v] = pos
	}
	return out
}
