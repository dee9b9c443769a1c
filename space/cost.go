package space

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Metric is what a budget is counted in.
type Metric string

// Metrics: multiply-accumulates of one sample, trained parameters, bytes of all initialisers.
const (
	MACs   Metric = "macs"
	Params Metric = "params"
	Bytes  Metric = "bytes"
)

// Metrics lists every metric.
var Metrics = []Metric{MACs, Params, Bytes}

// term is the cost of one node or tensor: a table over the choices of the few
// dims that it depends on, row-major, or (when the table would be too large) a
// product of axis sizes, each linear in the choices.
type term struct {
	dims   []int
	sizes  []int
	table  []float64
	factor float64
	axes   []linear
	shared []int                      // dims of several axes: the expectation goes through their choices
	at     func(choice []int) float64 // of a term in product form: the exact cost, by choice per t.dims
}

// linear is an axis size: base + Σ_d kept_d[choice].
type linear struct {
	base float64
	dims []int
	kept [][]float64
}

// CostModel gives the cost of a subnet and its exact expectation under
// independent choices.
type CostModel struct {
	Metric Metric
	fixed  float64
	terms  []term
	dims   []int // choices per dim
}

const tableLimit = 1 << 14

type touch struct {
	axis int
	dim  int
	ax   AxisEffect
}

// Cost builds the cost model of a supernet.
func (s *Supernet) Cost(metric Metric) (*CostModel, error) {
	c := &CostModel{Metric: metric}
	for _, d := range s.Space.Dims {
		c.dims = append(c.dims, len(d.Choices))
	}
	touches := map[string][]touch{}
	closed := map[string][]int{} // outputs[0] of a node → gates around it
	for d, e := range s.Effects {
		for _, ax := range e.Axes {
			touches[ax.Value] = append(touches[ax.Value], touch{ax.Axis, d, ax})
		}
		if e.Gate != nil {
			for _, n := range e.Gate.Nodes {
				closed[n] = append(closed[n], d)
			}
		}
	}
	switch metric {
	case MACs:
		return c, s.macs(c, touches, closed)
	case Params, Bytes:
		return c, s.weights(c, metric, touches)
	}
	return nil, fmt.Errorf("space: metric %q: want one of %v", metric, Metrics)
}

func (s *Supernet) macs(c *CostModel, touches map[string][]touch, closed map[string][]int) error {
	batch := float64(s.An.Batch)
	for _, n := range s.An.Model.Graph.Nodes {
		op, site := ops.Lookup(n.Domain, n.OpType), s.An.Facts.Sites[n]
		if op == nil || op.Cost == nil || site == nil {
			continue
		}
		full := op.Cost(site).MACs / batch
		if full == 0 {
			continue
		}
		values := slices.Concat(n.Inputs, n.Outputs)
		t := term{dims: slices.Clone(closed[n.Output(0)])}
		for _, v := range values {
			for _, x := range touches[v] {
				t.dims = append(t.dims, x.dim)
			}
		}
		gates := closed[n.Output(0)]
		c.add(&t, full, func(choice []int) float64 {
			for k, d := range t.dims {
				if slices.Contains(gates, d) && choice[k] == 0 {
					return 0
				}
			}
			at := *site
			at.In, at.Out = slices.Clone(site.In), slices.Clone(site.Out)
			for i := range at.In {
				at.In[i] = resized(site.In[i], touches[n.Input(i)], t.dims, choice)
			}
			for i := range at.Out {
				at.Out[i] = resized(site.Out[i], touches[n.Output(i)], t.dims, choice)
			}
			return op.Cost(&at).MACs / batch
		}, func() []linear {
			// One axis of a product stands on several values, each time with the same
			// dims; two of its axes with the same dims stand on one value.
			var axes []linear
			seen := map[string]int{}
			for _, v := range values {
				here := map[string]int{}
				for _, l := range s.linears(v, touches[v]) {
					key := fmt.Sprint(l)
					if here[key]++; here[key] > seen[key] {
						seen[key] = here[key]
						axes = append(axes, l)
					}
				}
			}
			for _, d := range gates {
				axes = append(axes, linear{dims: []int{d}, kept: [][]float64{{0, 1}}})
			}
			return axes
		})
	}
	return nil
}

// resized returns a fact whose type has the sizes of the given choices.
func resized(f ops.Fact, ts []touch, dims, choice []int) ops.Fact {
	if len(ts) == 0 {
		return f
	}
	f.Type = f.Type.Clone()
	for _, t := range ts {
		c := choice[slices.Index(dims, t.dim)]
		for _, first := range t.ax.First {
			if first > c {
				f.Type.Shape[t.axis].Size--
			}
		}
	}
	return f
}

func (s *Supernet) linears(value string, ts []touch) []linear {
	byAxis := map[int]*linear{}
	var order []int
	for _, t := range ts {
		l := byAxis[t.axis]
		if l == nil {
			l = &linear{base: float64(s.An.Facts.Values[value].Shape()[t.axis])}
			byAxis[t.axis] = l
			order = append(order, t.axis)
		}
		kept := make([]float64, len(s.Space.Dims[t.dim].Choices))
		for _, first := range t.ax.First {
			for c := first; c < len(kept); c++ {
				kept[c]++
			}
		}
		l.base -= float64(len(t.ax.Own))
		l.dims, l.kept = append(l.dims, t.dim), append(l.kept, kept)
	}
	out := make([]linear, len(order))
	for i, a := range order {
		out[i] = *byAxis[a]
	}
	return out
}

func (s *Supernet) weights(c *CostModel, metric Metric, touches map[string][]touch) error {
	owners := s.owned()
	state := map[string]bool{}
	for _, n := range s.An.Model.Graph.Nodes {
		if op := ops.Lookup(n.Domain, n.OpType); op != nil {
			for _, i := range op.State {
				state[n.Input(i)] = true
			}
		}
	}
	for _, t := range s.An.Model.Graph.Inits {
		width := 1.0
		if metric == Bytes {
			width = float64(t.DType.Bits()) / 8
		} else if !t.DType.IsFloat() || state[t.Name] {
			continue
		}
		full := float64(t.Len()) * width
		// A tensor goes when every node that reads it does.
		ways := owners[t.Name]
		tm := term{}
		for _, w := range ways {
			tm.dims = append(tm.dims, w...)
		}
		read := func(choice []int) bool {
			return len(ways) == 0 || slices.ContainsFunc(ways, func(way []int) bool {
				return !slices.ContainsFunc(way, func(d int) bool { return choice[slices.Index(tm.dims, d)] == 0 })
			})
		}
		for _, x := range touches[t.Name] {
			tm.dims = append(tm.dims, x.dim)
		}
		fact := ops.Fact{Type: t.Type()}
		c.add(&tm, full, func(choice []int) float64 {
			if !read(choice) {
				return 0
			}
			return float64(ir.Prod(resized(fact, touches[t.Name], tm.dims, choice).Shape())) * width
		}, func() []linear {
			axes := s.linears(t.Name, touches[t.Name])
			if len(ways) != 1 {
				return axes
			}
			for _, d := range ways[0] {
				axes = append(axes, linear{dims: []int{d}, kept: [][]float64{{0, 1}}})
			}
			return axes
		})
	}
	return nil
}

// maxWays bounds the alternatives that owned keeps for one value.
const maxWays = 16

// owned returns, for every value, the alternatives of gates that must all be open for
// something to read it; none for a value that is always read, or by too many alternatives.
func (s *Supernet) owned() map[string][][]int {
	gate := map[[2]string]int{} // residual node and branch → dim
	for d, e := range s.Effects {
		if e.Gate != nil {
			gate[[2]string{e.Gate.Node, e.Gate.Branch}] = d
		}
	}
	type need struct {
		ways   [][]int
		always bool
	}
	needs := map[string]need{}
	for _, v := range s.An.Model.Graph.Outputs {
		needs[v.Name] = need{always: true}
	}
	nodes := s.An.Model.Graph.Nodes
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		var of need
		for _, o := range n.Outputs {
			of.always = of.always || needs[o].always
			of.ways = append(of.ways, needs[o].ways...)
		}
		if !of.always && len(of.ways) == 0 {
			continue
		}
		for _, v := range n.Inputs {
			to := needs[v]
			d, gated := gate[[2]string{n.Label(), v}]
			switch {
			case gated && of.always:
				to.ways = append(to.ways, []int{d})
			case gated:
				for _, w := range of.ways {
					to.ways = append(to.ways, append(slices.Clone(w), d))
				}
			default:
				to.always = to.always || of.always
				to.ways = append(to.ways, of.ways...)
			}
			if to.ways = distinct(to.ways); to.always || len(to.ways) > maxWays {
				to = need{always: true}
			}
			needs[v] = to
		}
	}
	out := map[string][][]int{}
	for v, n := range needs {
		out[v] = n.ways
	}
	return out
}

// distinct sorts every list and drops repeated ones.
func distinct(lists [][]int) [][]int {
	var out [][]int
	for _, l := range lists {
		l = slices.Clone(l)
		slices.Sort(l)
		l = slices.Compact(l)
		if !slices.ContainsFunc(out, func(o []int) bool { return slices.Equal(o, l) }) {
			out = append(out, l)
		}
	}
	return out
}

// add completes a term: constant, table, or product form when the table is too large.
func (c *CostModel) add(t *term, full float64, at func(choice []int) float64, axes func() []linear) {
	slices.Sort(t.dims)
	t.dims = slices.Compact(t.dims)
	if len(t.dims) == 0 {
		c.fixed += full
		return
	}
	n := 1
	for _, d := range t.dims {
		t.sizes = append(t.sizes, c.dims[d])
		if n *= c.dims[d]; n > tableLimit {
			break
		}
	}
	if n > tableLimit {
		t.axes, t.at = axes(), at
		t.factor = full
		for _, l := range t.axes {
			t.factor /= l.at(func(d int) int { return c.dims[d] - 1 })
		}
		t.shared = c.sharedDims(t.axes)
		c.terms = append(c.terms, *t)
		return
	}
	t.table = make([]float64, n)
	choice := make([]int, len(t.dims))
	for i := range t.table {
		r := i
		for k := len(t.dims) - 1; k >= 0; k-- {
			choice[k] = r % t.sizes[k]
			r /= t.sizes[k]
		}
		t.table[i] = at(choice)
	}
	c.terms = append(c.terms, *t)
}

func (l linear) at(choice func(d int) int) float64 {
	v := l.base
	for k, d := range l.dims {
		v += l.kept[k][choice(d)]
	}
	return v
}

// At returns the cost of one subnet, by choice index per dim.
func (c *CostModel) At(choice []int) float64 {
	total := c.fixed
	for _, t := range c.terms {
		if t.table == nil {
			own := make([]int, len(t.dims))
			for k, d := range t.dims {
				own[k] = choice[d]
			}
			total += t.at(own)
			continue
		}
		i := 0
		for k, d := range t.dims {
			i = i*t.sizes[k] + choice[d]
		}
		total += t.table[i]
	}
	return total
}

// Idle reports whether no choice of dim d, the others as given, changes the cost. Of
// bytes that is so when everything the dim cuts went with skipped branches.
func (c *CostModel) Idle(choice []int, d int) bool {
	low, high := slices.Clone(choice), slices.Clone(choice)
	low[d], high[d] = 0, c.dims[d]-1
	return c.At(low) == c.At(high)
}

// Expect returns the expected cost when choices are drawn independently with
// probabilities coef, and its gradient. It is exact, unless a term in product form
// has dims of several axes with more combinations than a table holds: such a term
// takes the product of its axes' expectations.
func (c *CostModel) Expect(coef [][]float64) (float64, [][]float64) {
	grad := make([][]float64, len(c.dims))
	for d := range grad {
		grad[d] = make([]float64, c.dims[d])
	}
	total := c.fixed
	for _, t := range c.terms {
		if t.table == nil {
			total += t.product(coef, grad)
		} else {
			total += t.expect(coef, grad)
		}
	}
	return total, grad
}

func (t *term) expect(coef, grad [][]float64) float64 {
	n := len(t.dims)
	choice := make([]int, n)
	pre := make([]float64, n+1)
	total := 0.0
	for i, v := range t.table {
		r := i
		for k := n - 1; k >= 0; k-- {
			choice[k] = r % t.sizes[k]
			r /= t.sizes[k]
		}
		pre[0] = 1
		for k, d := range t.dims {
			pre[k+1] = pre[k] * coef[d][choice[k]]
		}
		total += v * pre[n]
		post := 1.0
		for k := n - 1; k >= 0; k-- {
			d := t.dims[k]
			grad[d][choice[k]] += v * pre[k] * post
			post *= coef[d][choice[k]]
		}
	}
	return total
}

// sharedDims lists the dims of more than one axis, none when their choices have
// too many combinations.
func (c *CostModel) sharedDims(axes []linear) []int {
	count := map[int]int{}
	for _, l := range axes {
		for _, d := range l.dims {
			count[d]++
		}
	}
	var out []int
	n := 1
	for d, size := range c.dims {
		if count[d] < 2 {
			continue
		}
		if n *= size; n > tableLimit {
			return nil
		}
		out = append(out, d)
	}
	return out
}

// product goes through the combinations of the shared dims; given one, the axes
// are independent.
func (t *term) product(coef, grad [][]float64) float64 {
	n := len(t.shared)
	fixed := make([]int, n)
	pre := make([]float64, n+1)
	total := 0.0
	for done := false; !done; {
		pre[0] = 1
		for k, d := range t.shared {
			pre[k+1] = pre[k] * coef[d][fixed[k]]
		}
		v := t.given(fixed, pre[n], coef, grad)
		total += v * pre[n]
		post := 1.0
		done = true
		for k := n - 1; k >= 0; k-- {
			d := t.shared[k]
			grad[d][fixed[k]] += v * pre[k] * post
			post *= coef[d][fixed[k]]
			if done { // count up, the last dim first
				if fixed[k]++; fixed[k] < len(coef[d]) {
					done = false
				} else {
					fixed[k] = 0
				}
			}
		}
	}
	return total
}

// given returns the product of the axes' expected sizes when the shared dims have
// fixed choices, and adds its gradient with respect to the other dims, times weight.
func (t *term) given(fixed []int, weight float64, coef, grad [][]float64) float64 {
	vals := make([]float64, len(t.axes))
	total := t.factor
	for i, l := range t.axes {
		vals[i] = l.base
		for k, d := range l.dims {
			if s := slices.Index(t.shared, d); s >= 0 {
				vals[i] += l.kept[k][fixed[s]]
				continue
			}
			for c, p := range coef[d] {
				vals[i] += p * l.kept[k][c]
			}
		}
		total *= vals[i]
	}
	for i, l := range t.axes {
		rest := t.factor * weight
		for j, v := range vals {
			if j != i {
				rest *= v
			}
		}
		for k, d := range l.dims {
			if slices.Contains(t.shared, d) {
				continue
			}
			for c := range coef[d] {
				grad[d][c] += rest * l.kept[k][c]
			}
		}
	}
	return total
}
