package net

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// ridge is the share of a feature's square by which least squares hold on to the weights that are
// there; factor has the others.
const ridge, leastSquare, enough = 1e-3, 1e-3, 4

// mostFeatures bounds those of a layer, whose products with each other are held: their square in
// numbers.
const mostFeatures = 4096

// layer is a node whose weights least squares can fit: one with ops.Op.Linear and no more than
// mostFeatures, whose weight no other node reads.
type layer struct {
	node   *ir.Node
	linear *ops.Linear
	weight string
	bias   string // initialiser that takes a constant; "" where there is none
	shift  bool   // the bias is added behind the node, not by it
	depth  int    // layers before it, on the longest way
	few    int    // samples of a batch, the first, that are looked at; 0: all
	// positions counts those of a batch that are looked at, once a program is built.
	positions int
}

// layers lists those of a network, in graph order.
func (n *Network) layers() []*layer {
	index := ir.NewIndex(n.Model.Graph)
	alone := func(v string) bool {
		return n.roles[v] == ops.Parameter && len(index.Consumers(v)) == 1
	}
	depth := map[string]int{}
	var out []*layer
	for _, x := range n.Model.Graph.Nodes {
		before := 0
		for _, v := range x.Inputs {
			before = max(before, depth[v])
		}
		l := n.layer(index, x, alone)
		if l != nil {
			l.depth = before
			before++
			out = append(out, l)
		}
		for _, v := range x.Outputs {
			depth[v] = before
		}
	}
	return out
}

func (n *Network) layer(index *ir.Index, x *ir.Node, alone func(string) bool) *layer {
	site := n.Facts.Sites[x]
	if site == nil {
		return nil
	}
	p := site.Linear()
	if p == nil || p.Features > mostFeatures || !alone(x.Input(p.Weight)) {
		return nil
	}
	l := &layer{node: x, linear: p, weight: x.Input(p.Weight)}
	if out := n.Facts.Values[x.Output(0)].Shape(); len(out) > 2 && out[0] == n.Batch && n.Facts.Values[x.Input(0)].Shape()[0] == n.Batch {
		each := max(ir.Prod(out[1:])/(p.Groups*p.Units), 1)
		if few := (spread*positionsPerFeature*p.Features + each - 1) / each; few < n.Batch {
			l.few = few
		}
	}
	if p.Bias >= 0 {
		l.bias = x.Input(p.Bias)
		if !alone(l.bias) {
			return nil
		}
		return l
	}
	l.bias = n.addedBias(index, x, p, alone)
	l.shift = l.bias != ""
	return l
}

// addedBias returns the vector that the only reader of a node adds to it along the last axis, where
// units lie; "" where there is none.
func (n *Network) addedBias(index *ir.Index, x *ir.Node, p *ops.Linear, alone func(string) bool) string {
	readers := index.Consumers(x.Output(0))
	if p.Axis != len(n.Facts.Values[x.Output(0)].Shape())-1 || len(readers) != 1 {
		return ""
	}
	if op := ops.Lookup(readers[0].Domain, readers[0].OpType); op == nil || !op.Residual {
		return ""
	}
	for _, v := range readers[0].Inputs {
		if t := n.Model.Graph.Init(v); t != nil && alone(v) && t.Len() == p.Units && len(t.Dims) > 0 && t.Dims[len(t.Dims)-1] == p.Units {
			return v
		}
	}
	return ""
}

// features counts those of a group, with the constant of a bias behind them.
func (l *layer) features() int {
	if l.bias != "" {
		return l.linear.Features + 1
	}
	return l.linear.Features
}

// Of a batch so many positions, for each of its features, tell what a layer reads. Where there
// are more an even selection is taken of spread times as many, from the first samples.
const positionsPerFeature, spread = 16, 4

// first takes the samples that are looked at.
func (l *layer) first(b *prim.Builder, x prim.ID) prim.ID {
	if l.few == 0 {
		return x
	}
	return b.SliceAxis(x, 0, 0, l.few)
}

// thin takes an even selection of positions, the last axis of x: one in an odd number, which does
// not fall on the same column of every row of an image.
func (l *layer) thin(b *prim.Builder, x prim.ID) prim.ID {
	shape := b.Shape(x)
	last := len(shape) - 1
	step := (shape[last]/(positionsPerFeature*l.features()) - 1) | 1
	if step < 3 {
		return x
	}
	start, size, steps := make([]int, last+1), slices.Clone(shape), slices.Repeat([]int{1}, last+1)
	size[last], steps[last] = (shape[last]-1)/step+1, step
	return b.Slice(x, start, size, steps)
}

// products is the sum over positions of what the layer reads times itself, features × features
// of each group.
func (l *layer) products(b *prim.Builder, x prim.ID) prim.ID {
	x = l.columns(b, x)
	return b.MatMul(x, x, false, true)
}

// columns is what the layer reads at a selection of positions, [groups, features, positions] or
// without groups, with ones for a bias.
func (l *layer) columns(b *prim.Builder, x prim.ID) prim.ID {
	x = l.thin(b, l.linear.Columns(b, l.first(b, x)))
	l.positions = b.Shape(x)[len(b.Shape(x))-1]
	if l.bias == "" {
		return x
	}
	shape := slices.Clone(b.Shape(x))
	axis := len(shape) - 2
	shape[axis] = 1
	return b.Concat(axis, x, b.Full(prim.Type{DType: prim.F32, Shape: shape}, 1))
}

// kept says of the features of a group which are there when positions of the weight are kept.
// A bias's constant always is.
func (l *layer) kept(keep ops.Positions, dims []int) []bool {
	out := slices.Repeat([]bool{true}, l.features())
	for axis, list := range keep {
		if axis == l.linear.WeightAxis || list == nil {
			continue
		}
		in := make([]bool, dims[axis])
		for _, p := range list {
			in[p] = true
		}
		stride := ir.Prod(dims[axis+1:])
		for k := range l.linear.Features {
			if !in[l.linear.Index(0, 0, k)/stride%dims[axis]] {
				out[k] = false
			}
		}
	}
	return out
}

// matrix returns a group's weights, features × units; the constant's row is the bias where
// the node adds it, else 0.
func (l *layer) matrix(group int, w, bias *prim.Tensor) *mat.Dense {
	out := mat.NewDense(l.features(), l.linear.Units, nil)
	for u := range l.linear.Units {
		for k := range l.linear.Features {
			out.Set(k, u, float64(w.F32[l.linear.Index(group, u, k)]))
		}
		if bias != nil && !l.shift {
			out.Set(l.linear.Features, u, float64(bias.F32[group*l.linear.Units+u]))
		}
	}
	return out
}

// write puts a group's weights in place.
func (l *layer) write(group int, from mat.Matrix, w, bias *prim.Tensor) {
	for u := range l.linear.Units {
		for k := range l.linear.Features {
			w.F32[l.linear.Index(group, u, k)] = float32(from.At(k, u))
		}
		if bias == nil {
			continue
		}
		v := float32(from.At(l.linear.Features, u))
		if at := group*l.linear.Units + u; l.shift {
			bias.F32[at] += v
		} else {
			bias.F32[at] = v
		}
	}
}

// read returns copies of the layer's weight and bias, nil without one.
func (l *layer) read(env Env) (w, bias *prim.Tensor, err error) {
	if w, err = copied(env[ParamName(l.weight)]); err == nil && l.bias != "" {
		bias, err = copied(env[ParamName(l.bias)])
	}
	return w, bias, err
}

// own returns the network's own weight and bias of the layer, nil without one.
func (l *layer) own(n *Network) (w, bias *prim.Tensor, err error) {
	if w, err = n.Loaded(ParamName(l.weight)); err == nil && l.bias != "" {
		bias, err = n.Loaded(ParamName(l.bias))
	}
	return w, bias, err
}

// upload is the reverse of read.
func (l *layer) upload(be engine.Backend, env Env, w, bias *prim.Tensor) (err error) {
	if env[ParamName(l.weight)], err = be.Upload(w); err == nil && bias != nil {
		env[ParamName(l.bias)], err = be.Upload(bias)
	}
	return err
}

func copied(b engine.Buffer) (*prim.Tensor, error) {
	t, err := b.Read()
	if err != nil {
		return nil, err
	}
	out := prim.NewTensor(t.Type)
	copy(out.F32, t.F32)
	return out, nil
}

// symmetric fills a matrix of that size, whose upper half at tells.
func symmetric(n int, at func(i, k int) float64) *mat.SymDense {
	out := mat.NewSymDense(n, nil)
	for i := range n {
		for k := i; k < n; k++ {
			out.SetSym(i, k, at(i, k))
		}
	}
	return out
}

// ridged solves (g + ridge) x = right; false where it cannot.
func ridged(g *mat.SymDense, positions int, right *mat.Dense) (*mat.Dense, bool) {
	chol, ok := factor(g, positions)
	if !ok {
		return nil, false
	}
	var out mat.Dense
	return &out, chol.SolveTo(&out, right) == nil
}

// factor returns g's Cholesky decomposition with a ridge: a share of each feature's square, so that
// its scale does not matter, but of leastSquare times their mean at least. Below enough positions for each
// feature the share grows, by the square: what few samples say is not true of others. false where
// it has none.
func factor(g *mat.SymDense, positions int) (*mat.Cholesky, bool) {
	trace := mat.Trace(g)
	if !(trace > 0) {
		return nil, false
	}
	f, _ := g.Dims()
	hold := ridge * math.Pow(max(float64(enough*f)/float64(max(positions, 1)), 1), 2)
	sum := mat.NewSymDense(f, nil)
	sum.CopySym(g)
	for i := range f {
		sum.SetSym(i, i, g.At(i, i)+hold*max(g.At(i, i), leastSquare*trace/float64(f)))
	}
	var chol mat.Cholesky
	return &chol, chol.Factorize(sum)
}
