package space

import (
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// term is the price of one piece: a table over the choices of the few dims that it
// depends on, row-major, or (when the table would be too large) a product of axis sizes,
// each linear in the choices.
type term struct {
	dims   []int
	sizes  []int
	table  []float64
	factor float64
	axes   []linear
	shared []int                      // dims of several axes: the expectation goes through their choices
	at     func(choice []int) float64 // of a term in product form: the exact price, by choice per dim
}

// linear is an axis size: base + Σ_d kept_d[choice].
type linear struct {
	base float64
	dims []int
	kept [][]float64
}

// CostModel gives the price of a subnet: the largest of one or more sums of terms.
type CostModel struct {
	Metric Metric
	// Whole is the price of the model as it is written, or where there is none that of the largest
	// subnet. Shares are shares of it.
	Whole float64
	terms []term
	sums  []sum
	dims  []int // choices per dim
}

// sum adds up terms, by index, and what costs the same in every subnet.
type sum struct {
	fixed float64
	terms []int
}

const tableLimit = 1 << 14

type touch struct {
	axis int
	dim  int
	ax   AxisEffect
}

// pricing is what all cost models of a supernet need to know.
type pricing struct {
	net     *Supernet
	sizes   []int // choices per dim
	touches map[string][]touch
	nodes   map[*ir.Node]need // when a node stays
	values  map[string]need   // when the node that makes a value stays; of others, when something reads it
}

func (s *Supernet) pricing() *pricing {
	p := &pricing{net: s, touches: map[string][]touch{}, nodes: map[*ir.Node]need{}}
	for _, d := range s.Space.Dims {
		p.sizes = append(p.sizes, len(d.Choices))
	}
	for d, e := range s.Effects {
		for _, ax := range e.Axes {
			p.touches[ax.Value] = append(p.touches[ax.Value], touch{ax.Axis, d, ax})
		}
	}
	s.walk(func(i int, r *reads) {
		p.nodes[s.An.Model.Graph.Nodes[i]], p.values = r.stays, r.needs
	})
	for n, stays := range p.nodes {
		for _, o := range n.Outputs {
			p.values[o] = stays
		}
	}
	return p
}

// Cost builds the cost model of one of the supernet's metrics.
func (s *Supernet) Cost(name string) (*CostModel, error) {
	m, err := metricOf(s.Metrics, name)
	if err != nil {
		return nil, err
	}
	return s.pricing().model(m)
}

// written is the space of one subnet, the model as it is written; nil where the largest subnet of
// the space is that.
func (s *Space) written() *Space {
	out, other := &Space{Source: s.Source}, false
	for _, d := range s.Dims {
		last := d.Choices[len(d.Choices)-1]
		if all := len(d.Candidates) + 1; !d.Ordered() && last != all {
			last, other = all, true
		}
		d.Choices = []int{last}
		out.Dims = append(out.Dims, d)
	}
	if !other {
		return nil
	}
	return out
}

// whole prices the model as it is written.
func (p *pricing) whole(c *CostModel) float64 {
	largest := c.At(p.net.Space.Largest())
	one := p.net.Space.written()
	if one == nil {
		return largest
	}
	net, err := Entangle(p.net.An, one, Reader)
	if err != nil {
		return largest
	}
	net.Metrics = p.net.Metrics
	w, err := net.pricing().model(c.Metric)
	if err != nil {
		return largest
	}
	return w.Whole
}

// Costs builds the cost models of all metrics of the supernet, by name.
func (s *Supernet) Costs() (map[string]*CostModel, error) {
	p, out := s.pricing(), map[string]*CostModel{}
	var errs []error
	for _, m := range s.Metrics {
		c, err := p.model(m)
		errs = append(errs, err)
		out[m.Name] = c
	}
	return out, errors.Join(errs...)
}

func (p *pricing) model(m Metric) (*CostModel, error) {
	lists, err := m.Sums(p.net)
	if err != nil {
		return nil, fmt.Errorf("space: metric %q: %w", m.Name, err)
	}
	c := &CostModel{Metric: m, dims: p.sizes}
	at := map[*Piece]int{} // → term
	fixed := map[*Piece]float64{}
	errs := &faults{metric: m.Name, seen: map[string]bool{}, at: map[string]int{}}
	for _, list := range lists {
		var of sum
		for list := slices.Clone(list); len(list) > 0; {
			x := list[0]
			list = list[1:]
			if x.Parts != nil && p.tooLarge(x) {
				list = append(x.Parts(), list...)
				continue
			}
			_, varies := at[x]
			if _, constant := fixed[x]; !varies && !constant {
				t := p.term(x, errs)
				if t == nil {
					continue
				}
				if len(t.dims) == 0 {
					fixed[x] = t.table[0]
				} else {
					at[x] = len(c.terms)
					c.terms = append(c.terms, *t)
				}
			}
			if k, varies := at[x]; varies {
				of.terms = append(of.terms, k)
			} else {
				of.fixed += fixed[x]
			}
		}
		c.sums = append(c.sums, of)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	c.Whole = p.whole(c)
	return c, nil
}

// presence says when a subnet has the piece.
func (p *pricing) presence(x *Piece) presence {
	if x.when != nil {
		return *x.when
	}
	var out presence
	for _, n := range x.Nodes {
		out.need = out.need.or(p.nodes[n])
	}
	if len(x.Nodes) == 0 {
		of, read := p.values[x.Value]
		if out.need = of; !read {
			out.always = true // nothing reads it in the source either
		}
	}
	return out
}

// hangs lists the dims that the price of a piece can hang on, ascending.
func (p *pricing) hangs(x *Piece, when presence) []int {
	dims := p.net.dimsOf(when.gates())
	for _, n := range x.Nodes {
		dims = append(dims, p.net.dimsOf(p.nodes[n].gates())...)
	}
	for _, v := range x.values() {
		for _, y := range p.touches[v] {
			dims = append(dims, y.dim)
		}
	}
	slices.Sort(dims)
	return slices.Compact(dims)
}

// tooLarge reports whether a piece hangs on more choices than a table holds.
func (p *pricing) tooLarge(x *Piece) bool {
	n := 1
	for _, d := range p.hangs(x, p.presence(x)) {
		if n *= p.sizes[d]; n > tableLimit {
			return true
		}
	}
	return false
}

// Hangs lists the dims that the price of a set of nodes can hang on, ascending; Widths
// are those of them that change sizes, the others only whether the subnet has the nodes.
func (s *Supernet) Hangs(sets [][]*ir.Node) (all, widths [][]int) {
	p := s.pricing()
	for _, nodes := range sets {
		x := &Piece{Nodes: nodes}
		all = append(all, p.hangs(x, p.presence(x)))
		var own []int
		for _, v := range x.values() {
			for _, y := range p.touches[v] {
				own = append(own, y.dim)
			}
		}
		slices.Sort(own)
		widths = append(widths, slices.Compact(own))
	}
	return all, widths
}

// term tables the price of a piece, or gives it product form. A piece that costs the
// same everywhere has no dims and a table of one entry. Nil is a fault.
func (p *pricing) term(x *Piece, errs *faults) *term {
	for _, n := range x.Nodes {
		if p.net.An.Facts.Sites[n] == nil {
			errs.add(x, nil, fmt.Errorf("want nodes of the supernet's model"))
			return nil
		}
	}
	when, t := p.presence(x), &term{}
	t.dims = p.hangs(x, when)
	price := func(choice []int) (float64, error) {
		v := &View{piece: x, cost: p, choice: choice}
		if !when.holds(v.open) {
			return 0, nil
		}
		return x.Price(v)
	}
	choice, n := p.net.Space.Largest(), 1
	for _, d := range t.dims {
		t.sizes = append(t.sizes, p.sizes[d])
		if n *= p.sizes[d]; n > tableLimit {
			break
		}
	}
	if n > tableLimit {
		if !x.Product {
			errs.add(x, nil, fmt.Errorf("it hangs on %d dimensions with more than %d combinations of choices, and its price is no product of axis sizes", len(t.dims), tableLimit))
			return nil
		}
		t.at = func(choice []int) float64 {
			c, err := price(choice)
			if err != nil {
				panic(fmt.Sprintf("BUG: space: price of %s, a product: %v", x.name(), err))
			}
			return c
		}
		t.axes, t.factor = p.axes(x, when), t.at(choice)
		for _, l := range t.axes {
			t.factor /= l.at(func(d int) int { return choice[d] })
		}
		t.shared = sharedDims(t.axes, p.sizes)
		return t
	}
	t.table = make([]float64, n)
	for i := range t.table {
		r := i
		for k := len(t.dims) - 1; k >= 0; k-- {
			choice[t.dims[k]] = r % t.sizes[k]
			r /= t.sizes[k]
		}
		c, err := price(choice)
		if err != nil {
			errs.add(x, choice, err)
		}
		t.table[i] = c
	}
	return t
}

// axes lists the factors of a product: the axes of its values, the gates around it, and of
// every name that it may be another by the first gate that keeps the two apart.
// One axis of a product stands on several values, each time with the same dims; two of
// its axes with the same dims stand on one value.
func (p *pricing) axes(x *Piece, when presence) []linear {
	var out []linear
	seen := map[string]int{}
	for _, v := range x.values() {
		here := map[string]int{}
		for _, l := range p.linears(v) {
			key := fmt.Sprint(l)
			if here[key]++; here[key] > seen[key] {
				seen[key] = here[key]
				out = append(out, l)
			}
		}
	}
	var gates []int
	if len(when.ways) == 1 {
		gates = slices.Clone(when.ways[0])
	}
	for _, m := range when.mergers {
		gates = append(gates, m.closed[0])
	}
	slices.Sort(gates)
	for _, k := range slices.Compact(gates) {
		gate := p.net.gates[k]
		there := make([]float64, len(gate.Open))
		for c, open := range gate.Open {
			if open {
				there[c] = 1
			}
		}
		out = append(out, linear{dims: []int{gate.dim}, kept: [][]float64{there}})
	}
	return out
}

// faults collects what keeps a metric from pricing a space.
type faults struct {
	metric  string
	errs    []error
	missing []Missing
	seen    map[string]bool // texts of errs
	at      map[string]int  // signature → index of missing
}

// add notes an error once. Of a missing price it keeps the first piece that asks for it
// and the last of that piece's subnets.
func (f *faults) add(x *Piece, choice []int, err error) {
	var key noPrice
	if !errors.As(err, &key) {
		err = fmt.Errorf("space: metric %q: %s: %w", f.metric, x.name(), err)
		if !f.seen[err.Error()] {
			f.seen[err.Error()] = true
			f.errs = append(f.errs, err)
		}
		return
	}
	i, again := f.at[string(key)]
	if !again {
		i = len(f.missing)
		f.at[string(key)] = i
		f.missing = append(f.missing, Missing{Signature: string(key), Nodes: x.Nodes})
	}
	if slices.Equal(f.missing[i].Nodes, x.Nodes) {
		f.missing[i].Choice = slices.Clone(choice)
	}
}

func (f *faults) err() error {
	if len(f.missing) > 0 {
		f.errs = append(f.errs, &MissingError{f.metric, f.missing})
	}
	return errors.Join(f.errs...)
}

// linears gives the sizes of the axes of a value that dims own positions of.
func (p *pricing) linears(value string) []linear {
	byAxis := map[int]*linear{}
	var order []int
	for _, t := range p.touches[value] {
		l := byAxis[t.axis]
		if l == nil {
			l = &linear{base: float64(p.net.An.Facts.Values[value].Shape()[t.axis])}
			byAxis[t.axis] = l
			order = append(order, t.axis)
		}
		kept := make([]float64, p.sizes[t.dim])
		for k := range t.ax.Own {
			for c := range kept {
				if t.ax.keeps(k, c) {
					kept[c]++
				}
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

func (l linear) at(choice func(d int) int) float64 {
	v := l.base
	for k, d := range l.dims {
		v += l.kept[k][choice(d)]
	}
	return v
}

// At returns the price of one subnet, by choice index per dim.
func (c *CostModel) At(choice []int) float64 {
	if len(c.sums) == 1 { // saves a slice
		v := c.sums[0].fixed
		for _, i := range c.sums[0].terms {
			v += c.terms[i].price(choice)
		}
		return v
	}
	at := make([]float64, len(c.terms))
	for i := range c.terms {
		at[i] = c.terms[i].price(choice)
	}
	_, v := c.largest(at)
	return v
}

// largest returns the first of the largest sums and its value, given the value of every term.
func (c *CostModel) largest(terms []float64) (which int, value float64) {
	for k, s := range c.sums {
		v := s.fixed
		for _, i := range s.terms {
			v += terms[i]
		}
		if k == 0 || v > value {
			which, value = k, v
		}
	}
	return which, value
}

// Idle reports whether no choice of dim d, the others as given, changes the cost. Of
// bytes that is so when everything the dim cuts went with skipped branches.
func (c *CostModel) Idle(choice []int, d int) bool {
	low, high := slices.Clone(choice), slices.Clone(choice)
	low[d], high[d] = 0, c.dims[d]-1
	return c.At(low) == c.At(high)
}

// Expect returns the price to expect when choices are drawn independently with
// probabilities coef, and its gradient. Of a metric of one sum it is the expectation. Of
// several it is the largest of the sums' expectations: the price itself when every dim
// has one choice left, else at most the expectation (Jensen's inequality); the gradient
// is that of the first of the largest sums.
//
// A sum's expectation is exact but for its terms in product form: one that has dims of
// several axes with more combinations than a table holds takes the product of its axes'
// expectations, and one that several alternatives of open branches need is taken to be
// there.
func (c *CostModel) Expect(coef [][]float64) (float64, [][]float64) {
	grad := make([][]float64, len(c.dims))
	for d := range grad {
		grad[d] = make([]float64, c.dims[d])
	}
	if len(c.sums) == 1 {
		total := c.sums[0].fixed
		for _, i := range c.sums[0].terms {
			total += c.terms[i].mean(coef, grad)
		}
		return total, grad
	}
	terms := make([]float64, len(c.terms))
	spare := make([][]float64, len(grad))
	for d := range spare {
		spare[d] = make([]float64, len(grad[d]))
	}
	for i := range c.terms {
		terms[i] = c.terms[i].mean(coef, spare)
	}
	k, total := c.largest(terms)
	if len(c.sums) > 0 {
		for _, i := range c.sums[k].terms {
			c.terms[i].mean(coef, grad)
		}
	}
	return total, grad
}

func (t *term) price(choice []int) float64 {
	if t.table == nil {
		return t.at(choice)
	}
	i := 0
	for k, d := range t.dims {
		i = i*t.sizes[k] + choice[d]
	}
	return t.table[i]
}

// mean returns the term's expectation and adds its gradient to grad.
func (t *term) mean(coef, grad [][]float64) float64 {
	if t.table == nil {
		return t.product(coef, grad)
	}
	return t.expect(coef, grad)
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
func sharedDims(axes []linear, sizes []int) []int {
	count := map[int]int{}
	for _, l := range axes {
		for _, d := range l.dims {
			count[d]++
		}
	}
	var out []int
	n := 1
	for d, size := range sizes {
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
