package net

import (
	"gonum.org/v1/gonum/mat"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ops"
)

// Refit moves what the units of a supernet's subnet that are about to go have given to the
// layers that read them onto those that stay, by least squares: each layer alone, for what it
// reads in the subnet as it stands. It needs no samples of its own beyond those of Add.
type Refit struct {
	be     engine.Backend
	net    *Network
	Step   *Step // that Add runs; nil: there is nothing to move
	layers []*layer
	sums   [][][]float32 // per layer and group: features × features
	seen   int           // batches
}

// NewRefit prepares it for a supernet. Where choices have weights of their own nothing moves.
func NewRefit(be engine.Backend, n *Network) (*Refit, error) {
	r := &Refit{be: be, net: n}
	g, err := n.Lower(true)
	if err != nil {
		return nil, err
	}
	for _, l := range n.layers() {
		v, ok := g.values[l.node.Inputs[0]]
		if !ok || !n.Super.Masked(l.weight) || n.separation != nil {
			continue
		}
		g.Builder.Output(featuresName(l), l.products(g.Builder, v))
		r.layers = append(r.layers, l)
	}
	r.sums = make([][][]float32, len(r.layers))
	if r.layers == nil {
		return r, nil
	}
	r.Step, err = Compile(be, "features", g.Builder)
	return r, err
}

// Forget begins anew: the subnet, or the weights, are others.
func (r *Refit) Forget() {
	clear(r.sums)
	r.seen = 0
}

// Run begins anew with a subnet, by index per dim, on batches.
func (r *Refit) Run(env Env, subnet []int, batches []Env) error {
	r.Forget()
	coef, err := UploadCoef(r.be, r.net.Super.Space.OneHot(subnet))
	if err != nil {
		return err
	}
	defer coef.Free()
	for _, in := range batches {
		if err := r.Add(env, coef, in); err != nil {
			return err
		}
	}
	return nil
}

// Add runs the subnet of env's coefficients on a batch.
func (r *Refit) Add(env Env, extra ...Env) error {
	if r.Step == nil {
		return nil
	}
	out, err := r.Step.Run(env, extra...)
	if err != nil {
		return err
	}
	defer out.Free()
	r.seen++
	for i, l := range r.layers {
		f := l.features()
		if r.sums[i], err = addTo(r.sums[i], l.linear.Groups, f*f, out[featuresName(l)]); err != nil {
			return err
		}
	}
	return nil
}

// To returns the weights of env that change on the way from the subnet that was run to
// another one, fitted, as buffers that are the caller's to free.
func (r *Refit) To(env Env, from, to []int) (Env, error) {
	was, _, err := r.net.Super.Cut(from)
	if err != nil {
		return nil, err
	}
	now, _, err := r.net.Super.Cut(to)
	if err != nil {
		return nil, err
	}
	out := Env{}
	for i, l := range r.layers {
		dims := r.net.Model.Graph.Init(l.weight).Dims
		stay, gone := split(l, was[l.weight], now[l.weight], dims)
		if len(gone) == 0 || len(stay) == 0 {
			continue
		}
		w, bias, err := l.read(env)
		if err != nil {
			return out, err
		}
		for group := range l.linear.Groups {
			l.move(r.sums[i][group], r.seen*l.positions, group, stay, gone, w, bias)
		}
		if err := l.upload(r.be, out, w, bias); err != nil {
			return out, err
		}
	}
	return out, nil
}

// split lists the features of a group that two cuts have in common, and those that only the
// first has.
func split(l *layer, was, now ops.Positions, dims []int) (stay, gone []int) {
	before, after := l.kept(was, dims), l.kept(now, dims)
	for k := range before {
		switch {
		case before[k] && after[k]:
			stay = append(stay, k)
		case before[k]:
			gone = append(gone, k)
		}
	}
	return stay, gone
}

// move fits the weights of the features that stay to what those that go have given, which have
// none then: should they come back, nothing counts twice.
func (l *layer) move(g []float32, positions, group int, stay, gone []int, w, bias *prim.Tensor) {
	all, f := l.matrix(group, w, bias), l.features()
	at := func(a, b int) float64 { return float64(g[a*f+b]) }
	square := symmetric(len(stay), func(i, k int) float64 { return at(stay[i], stay[k]) })
	cross, lost := mat.NewDense(len(stay), len(gone), nil), mat.NewDense(len(gone), l.linear.Units, nil)
	for k, b := range gone {
		for i, a := range stay {
			cross.Set(i, k, at(a, b))
		}
		lost.SetRow(k, all.RawRowView(b))
	}
	var right mat.Dense
	right.Mul(cross, lost)
	d, ok := ridged(square, positions, &right)
	if !ok {
		return
	}
	for i, a := range stay {
		row := all.RawRowView(a)
		for u := range row {
			row[u] += d.At(i, u)
		}
	}
	for _, b := range gone {
		clear(all.RawRowView(b))
	}
	l.write(group, all, w, bias)
}
