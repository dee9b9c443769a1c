package net

import (
	"context"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Fit is what least squares made of one layer: the squared error of its output over the
// output's square, before and after.
type Fit struct {
	Node   string  `json:"node"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// copying is a layer that is fitted to the original's of the same name.
type copying struct {
	*layer
	units  []int       // of the original's output, that the network has; nil: all
	theirs []float32   // of those, what original adds behind the node; nil: nothing
	g, c   [][]float64 // per group: features × features, features × units
	square float64     // of what is wanted
	seen   int         // positions that they are sums over
}

// Reconstructed returns a plain network that was cut out of original with weights that reproduce original's outputs, layer by layer from the inputs on: each layer's
// weights and bias are those of least squares, from what the network itself now feeds it to
// what the original's layer gives (He et al., "Channel Pruning for Accelerating Very Deep
// Neural Networks", 2017), on so many batches of a view. Labels are not looked at. Keep lists the
// positions that the cut kept of original's initialisers. Layers are nodes with
// ops.Op.Linear whose weight no other node reads. Running statistics stay: recalibrate behind it.
// Tell, which may be nil, hears of every layer that is done.
func (n *Network) Reconstructed(ctx context.Context, be engine.Backend, original *Network, keep map[string]ops.Positions, view data.View, batches int, seed uint64, tell Tell) (*Network, []Fit, error) {
	own, err := newFeeding(be, n, view)
	if err != nil {
		return nil, nil, err
	}
	theirs, err := newFeeding(be, original, view)
	if err != nil {
		return nil, nil, err
	}
	batches = min(batches, (view.Len()+n.Batch-1)/n.Batch)
	layers := n.copying(original, keep)
	last := -1
	for _, l := range layers {
		last = max(last, l.depth)
	}
	var fits []Fit
	for depth := range last + 1 {
		list := slices.DeleteFunc(slices.Clone(layers), func(l *copying) bool { return l.depth != depth })
		if len(list) == 0 {
			continue
		}
		var wanted []string
		for _, l := range list {
			wanted = append(wanted, l.node.Output(0))
		}
		whole, err := original.Forward(be, wanted...)
		if err != nil {
			return nil, nil, err
		}
		moments, err := n.moments(be, original, list)
		if err != nil {
			return nil, nil, err
		}
		err = n.sample(ctx, view, batches, seed, "reconstruct", func(_ int, b *data.Batch) error {
			want, err := theirs.run(whole, b)
			if err != nil {
				return err
			}
			defer want.Free()
			out, err := own.run(moments, b, want)
			if err != nil {
				return err
			}
			defer out.Free()
			for _, l := range list {
				if err := l.add(out); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		for _, l := range list {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			fit, err := l.solve(be, own.env)
			if err != nil {
				return nil, nil, err
			}
			fits = append(fits, fit)
			tell.done(len(fits), len(layers))
		}
	}
	w, err := n.Weights(own.env)
	if err != nil {
		return nil, nil, err
	}
	_, out, err := n.With(w)
	return out, fits, err
}

// Depth counts the layers that Reconstructed fits one behind another.
func (n *Network) Depth() int {
	last := 0
	for _, l := range n.layers() {
		last = max(last, l.depth+1)
	}
	return last
}

// feeding runs programs of a network on batches.
type feeding struct {
	feed *Feed
	env  Env
}

func newFeeding(be engine.Backend, n *Network, view data.View) (*feeding, error) {
	f, err := NewFeed(be, n, nil, Objective{}, view.Set(), false)
	if err != nil {
		return nil, err
	}
	x := &feeding{f, Env{}}
	return x, n.Load(be, x.env)
}

func (f *feeding) run(st *Step, b *data.Batch, extra ...Env) (Env, error) {
	in, err := f.feed.inputs(b)
	if err != nil {
		return nil, err
	}
	defer in.Free()
	return st.Run(f.env, append(extra, in)...)
}

// copying lists the layers that original has as well, in graph order.
func (n *Network) copying(original *Network, keep map[string]ops.Positions) (out []*copying) {
	theirs := map[string]*ir.Node{}
	for _, x := range original.Model.Graph.Nodes {
		theirs[x.Label()] = x
	}
	for _, l := range n.layers() {
		v := l.node.Output(0)
		if x := theirs[l.node.Label()]; x == nil || x.OpType != l.node.OpType || x.Output(0) != v {
			continue
		}
		c := &copying{layer: l}
		if p := keep[l.weight]; p != nil {
			c.units = p[l.linear.WeightAxis]
		}
		if l.shift {
			b, err := original.Loaded(ParamName(l.bias))
			if b == nil || err != nil {
				continue
			}
			c.theirs = b.F32
			if c.units != nil {
				c.theirs = nil
				for _, u := range c.units {
					c.theirs = append(c.theirs, b.F32[u])
				}
			}
		}
		shape := slices.Clone(original.Facts.Values[v].Shape())
		if c.units != nil && l.linear.Axis < len(shape) {
			shape[l.linear.Axis] = len(c.units)
		}
		if slices.Equal(shape, n.Facts.Values[v].Shape()) {
			out = append(out, c)
		}
	}
	return out
}

func featuresName(l *layer) string { return "@features/" + l.node.Output(0) }
func crossName(l *layer) string    { return "@cross/" + l.node.Output(0) }
func squareName(l *layer) string   { return "@square/" + l.node.Output(0) }

// moments compiles the sums of products that least squares of some layers are made of; what the
// original's layers give are inputs under the names of Forward's outputs.
func (n *Network) moments(be engine.Backend, original *Network, list []*copying) (*Step, error) {
	g, err := n.Lower(false)
	if err != nil {
		return nil, err
	}
	b := g.Builder
	for _, l := range list {
		v := l.node.Output(0)
		want := batchInput(b, OutName(v), prim.Type{DType: prim.F32, Shape: original.Facts.Values[v].Shape()})
		if l.units != nil {
			at := make([]int64, len(l.units))
			for i, u := range l.units {
				at[i] = int64(u)
			}
			want = b.Gather(want, b.Const(prim.I64Tensor(at, len(at))), l.linear.Axis)
		}
		x, y := l.columns(b, g.values[l.node.Inputs[0]]), l.thin(b, l.linear.Rows(b, l.first(b, want)))
		b.Output(featuresName(l.layer), b.MatMul(x, x, false, true))
		b.Output(crossName(l.layer), b.MatMul(x, y, false, true))
		b.Output(squareName(l.layer), b.Reduce(prim.ReduceSum, []int{0, 1, 2}[:len(b.Shape(y))], prim.Op(prim.Mul, prim.A(0), prim.A(0)), y))
	}
	return Compile(be, "least squares", b)
}

// add adds a batch's sums.
func (l *copying) add(out Env) (err error) {
	f := l.features()
	if l.g, err = addTo(l.g, l.linear.Groups, f*f, out[featuresName(l.layer)]); err != nil {
		return err
	}
	if l.c, err = addTo(l.c, l.linear.Groups, f*l.linear.Units, out[crossName(l.layer)]); err != nil {
		return err
	}
	s, err := Scalar(out[squareName(l.layer)])
	l.square += s
	l.seen += l.positions
	return err
}

// addTo adds a result to sums, one of n numbers for each group, which begin at nil.
func addTo[F float32 | float64](sums [][]F, groups, n int, b engine.Buffer) ([][]F, error) {
	t, err := b.Read()
	if err != nil {
		return nil, err
	}
	for i := range groups {
		if i == len(sums) {
			sums = append(sums, make([]F, n))
		}
		for k, v := range t.F32[i*n : (i+1)*n] {
			sums[i][k] += F(v)
		}
	}
	return sums, nil
}

// solve replaces the layer's weights in env by those of least squares, if they are better.
func (l *copying) solve(be engine.Backend, env Env) (Fit, error) {
	fit := Fit{Node: l.node.Label()}
	w, bias, err := l.read(env)
	if err != nil {
		return fit, err
	}
	f := l.features()
	before, after := l.square, l.square
	for group := range l.linear.Groups {
		now := l.matrix(group, w, bias)
		for u, v := range l.theirs { // what is wanted is without it
			now.Set(l.linear.Features, u, float64(bias.F32[u]-v))
			bias.F32[u] = v
		}
		g, c := mat.NewSymDense(f, l.g[group]), mat.NewDense(f, l.linear.Units, l.c[group])
		before += excess(g, c, now)
		var left mat.Dense
		left.Mul(g, now)
		left.Sub(c, &left)
		if d, ok := ridged(g, l.seen, &left); ok {
			now.Add(now, d)
		}
		after += excess(g, c, now)
		l.write(group, now, w, bias)
	}
	l.g, l.c = nil, nil
	if !(after < before) {
		after = before
	} else if err := l.upload(be, env, w, bias); err != nil {
		return fit, err
	}
	if l.square > 0 {
		fit.Before, fit.After = max(before, 0)/l.square, max(after, 0)/l.square
	}
	return fit, nil
}

// excess is what a squared error has beside the square of what is wanted: tr(w'gw − 2w'c).
func excess(g mat.Symmetric, c, w *mat.Dense) float64 {
	var gw mat.Dense
	gw.Mul(g, w)
	sum := 0.0
	rows, cols := w.Dims()
	for i := range rows {
		for k := range cols {
			sum += w.At(i, k) * (gw.At(i, k) - 2*c.At(i, k))
		}
	}
	return sum
}
