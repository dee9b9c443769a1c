package net

import (
	"cmp"
	"context"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

const (
	// obsSteps is about how often, while units go, what is left is looked at anew.
	obsSteps = 32
	// obsNumbers bounds what a pass over the samples sums up, so that a device need not hold that of
	// all layers.
	obsNumbers = 1 << 26
)

// readerScores scores the units of every width that layers read through their weights, as rank
// does; nil for the others.
func readerScores(ctx context.Context, be engine.Backend, n *Network, an *space.Analysis, s *space.Space, view data.View, batches int, seed uint64, tell Tell) (space.Scores, error) {
	batches = min(batches, (view.Len()+n.Batch-1)/n.Batch)
	of := func(d space.Dim) (members []space.Member, units int) {
		for _, g := range an.Groups {
			if slices.Contains(d.Nodes(), g.Name) {
				members, units = append(members, g.Members...), g.Size
			}
		}
		return members, units
	}
	some := n.portions()
	done, total := 0, len(some)*batches
	for _, d := range s.Dims {
		if d.CountsUnits() {
			_, units := of(d)
			total += obsRounds(units)
		}
	}
	one := func() {
		done++
		tell.done(done, total)
	}
	layers, sums, err := n.featureSums(ctx, be, some, view, batches, seed, one)
	if err != nil {
		return nil, err
	}
	scores := make(space.Scores, len(s.Dims))
	for i, d := range s.Dims {
		if !d.CountsUnits() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		members, units := of(d)
		var readers []*consumer
		for _, m := range members {
			l := layers[m.Value]
			if l == nil || !m.Weight || m.Axis == l.linear.WeightAxis {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c, err := newConsumer(n, l, sums[m.Value], m)
			if err != nil {
				return nil, err
			}
			if c != nil {
				readers = append(readers, c)
			}
		}
		if readers == nil {
			for range obsRounds(units) {
				one()
			}
			continue
		}
		if scores[i], err = rank(ctx, readers, units, one); err != nil {
			return nil, err
		}
	}
	return scores, nil
}

// portions divides the layers of one group into those whose products a pass over the samples sums
// up.
func (n *Network) portions() (out [][]*layer) {
	numbers := obsNumbers
	for _, l := range n.layers() {
		if l.linear.Groups != 1 {
			continue
		}
		if numbers >= obsNumbers {
			out, numbers = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], l)
		numbers += l.features() * l.features()
	}
	return out
}

// featureSums returns the layers of portions by their weight's name, and what they read on
// batches of a view: features × features. One hears of every batch of a portion.
func (n *Network) featureSums(ctx context.Context, be engine.Backend, portions [][]*layer, view data.View, batches int, seed uint64, one func()) (map[string]*layer, map[string][]float32, error) {
	own, err := newFeeding(be, n, view)
	if err != nil {
		return nil, nil, err
	}
	layers, sums := map[string]*layer{}, map[string][]float32{}
	for _, some := range portions {
		g, err := n.Lower(false)
		if err != nil {
			return nil, nil, err
		}
		some = slices.DeleteFunc(slices.Clone(some), func(l *layer) bool {
			_, ok := g.values[l.node.Inputs[0]]
			return !ok
		})
		for _, l := range some {
			g.Builder.Output(featuresName(l), l.products(g.Builder, g.values[l.node.Inputs[0]]))
			layers[l.weight], sums[l.weight] = l, make([]float32, l.features()*l.features())
		}
		if len(some) == 0 {
			continue
		}
		st, err := Compile(be, "features", g.Builder)
		if err != nil {
			return nil, nil, err
		}
		err = n.sample(ctx, view, batches, seed, "readers", func(_ int, b *data.Batch) error {
			out, err := own.run(st, b)
			if err != nil {
				return err
			}
			defer out.Free()
			for _, l := range some {
				s := sums[l.weight]
				if _, err := addTo([][]float32{s}, 1, len(s), out[featuresName(l)]); err != nil {
					return err
				}
			}
			one()
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	for _, l := range layers {
		l.positions *= batches
	}
	return layers, sums, nil
}

// obsRounds is how often what is left of so many units is looked at.
func obsRounds(units int) int {
	step := (units + obsSteps - 1) / obsSteps
	return (units + step - 1) / step
}

// rank scores units by when they go. Those go first of which the layers that read them lose the
// least once their other features are fitted to what goes (optimal brain surgeon, block by
// block: Frantar and Alistarh, "Optimal Brain Compression", 2022; Kurtic et al., "ZipLM",
// 2023). A layer's loss counts as a share of its output's square.
// One hears of every obsRounds.
func rank(ctx context.Context, readers []*consumer, units int, one func()) ([]float64, error) {
	score, left := make([]float64, units), make([]int, units)
	for u := range left {
		left[u] = u
	}
	step, gone := (units+obsSteps-1)/obsSteps, 0
	for len(left) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		loss := make([]float64, units)
		for _, u := range left {
			for _, r := range readers {
				loss[u] += r.loss(r.of[u]) / r.power
			}
		}
		slices.SortStableFunc(left, func(a, b int) int { return cmp.Compare(loss[a], loss[b]) })
		next := left[:min(step, len(left))]
		left = left[len(next):]
		for _, u := range next {
			score[u] = float64(gone)
			gone++
		}
		for _, r := range readers {
			var f []int
			for _, u := range next {
				f = append(f, r.of[u]...)
			}
			r.remove(f)
		}
		one()
	}
	return score, nil
}

// consumer is a layer that reads a width's units.
type consumer struct {
	of      [][]int       // its features, by unit
	inverse *mat.SymDense // of the products of its features that are left, ridged
	w       *mat.Dense    // those features × units of its own, as fitted so far
	power   float64       // square of its output
}

// newConsumer returns nil for a layer that reads zeros alone.
func newConsumer(n *Network, l *layer, sums []float32, m space.Member) (*consumer, error) {
	f := l.features()
	g := symmetric(f, func(i, k int) float64 { return float64(sums[i*f+k]) })
	w, bias, err := l.own(n)
	if err != nil {
		return nil, err
	}
	c := &consumer{of: make([][]int, len(m.Units)), w: l.matrix(0, w, bias)}
	c.power = excess(g, mat.NewDense(f, l.linear.Units, nil), c.w)
	chol, ok := factor(g, l.positions)
	var inverse mat.SymDense
	if !ok || !(c.power > 0) || chol.InverseTo(&inverse) != nil {
		return nil, nil
	}
	c.inverse = &inverse
	unit := map[int]int{}
	for u, positions := range m.Units {
		for _, p := range positions {
			unit[p] = u
		}
	}
	dims := n.Model.Graph.Init(l.weight).Dims
	stride := ir.Prod(dims[m.Axis+1:])
	for k := range l.linear.Features {
		if u, ok := unit[l.linear.Index(0, 0, k)/stride%dims[m.Axis]]; ok {
			c.of[u] = append(c.of[u], k)
		}
	}
	return c, nil
}

// loss is the square that the output loses without features f, the others fitted.
func (c *consumer) loss(f []int) float64 {
	x := c.solved(f, c.rows(f))
	if x == nil {
		return 0
	}
	sum := 0.0
	for i, a := range f {
		row := c.w.RawRowView(a)
		for u, v := range x.RawRowView(i) {
			sum += v * row[u]
		}
	}
	return sum
}

// rows returns the weights of features.
func (c *consumer) rows(f []int) *mat.Dense {
	_, units := c.w.Dims()
	out := mat.NewDense(max(len(f), 1), units, nil)
	for i, a := range f {
		out.SetRow(i, c.w.RawRowView(a))
	}
	return out
}

// solved returns inverse[f, f]⁻¹ right; nil where there is none.
func (c *consumer) solved(f []int, right mat.Matrix) *mat.Dense {
	if len(f) == 0 {
		return nil
	}
	square := symmetric(len(f), func(i, k int) float64 { return c.inverse.At(f[i], f[k]) })
	var chol mat.Cholesky
	var out mat.Dense
	if !chol.Factorize(square) || chol.SolveTo(&out, right) != nil {
		return nil
	}
	return &out
}

// remove leaves features out and fits the others to what they gave.
func (c *consumer) remove(f []int) {
	if len(f) == 0 {
		return
	}
	size := c.inverse.SymmetricDim()
	across := mat.NewDense(size, len(f), nil)
	for k, a := range f {
		for i := range size {
			across.Set(i, k, c.inverse.At(i, a))
		}
	}
	if x := c.solved(f, c.rows(f)); x != nil {
		var d mat.Dense
		d.Mul(across, x)
		c.w.Sub(c.w, &d)
	}
	if root := c.root(f); root != nil {
		var x mat.Dense
		x.Mul(across, root.T())
		c.inverse.SymRankK(c.inverse, -1, &x)
	}
	c.keep(f)
}

// root is r of r'r = inverse[f, f]⁻¹; nil where it has none.
func (c *consumer) root(f []int) *mat.TriDense {
	var chol mat.Cholesky
	if !chol.Factorize(symmetric(len(f), func(i, k int) float64 { return c.inverse.At(f[i], f[k]) })) {
		return nil
	}
	var lower, out mat.TriDense
	chol.LTo(&lower)
	if out.InverseTri(&lower) != nil {
		return nil
	}
	return &out
}

// keep drops the rows and columns of features: what is left is smaller each time.
func (c *consumer) keep(gone []int) {
	size := c.inverse.SymmetricDim()
	place := make([]int, size)
	for _, a := range gone {
		place[a] = -1
	}
	left := 0
	for i := range place {
		if place[i] == 0 {
			place[i] = left
			left++
		}
	}
	_, units := c.w.Dims()
	if left == 0 {
		c.inverse, c.w = mat.NewSymDense(1, []float64{1}), mat.NewDense(1, units, nil)
		c.of = make([][]int, len(c.of))
		return
	}
	inverse, w := mat.NewSymDense(left, nil), mat.NewDense(left, units, nil)
	for i, a := range place {
		if a < 0 {
			continue
		}
		w.SetRow(a, c.w.RawRowView(i))
		for k := i; k < size; k++ {
			if b := place[k]; b >= 0 {
				inverse.SetSym(a, b, c.inverse.At(i, k))
			}
		}
	}
	c.inverse, c.w = inverse, w
	for u, list := range c.of {
		var now []int
		for _, a := range list {
			if place[a] >= 0 {
				now = append(now, place[a])
			}
		}
		c.of[u] = now
	}
}
