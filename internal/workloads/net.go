package workloads

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// leaf is a program input that a step updates.
type leaf struct {
	name string
	id   prim.ID
}

// net builds a network in training mode. Every input has a name of its own, and
// its initial values come from the random stream of that name.
type net struct {
	*prim.Builder
	weights, alphas []leaf
	stats           []leaf // running statistics, with their new values
	init            map[string]*prim.Tensor
}

func newNet() *net { return &net{Builder: prim.NewBuilder(), init: map[string]*prim.Tensor{}} }

// given declares an input that holds t at first.
func (n *net) given(name string, t *prim.Tensor) prim.ID {
	n.init[name] = t
	return n.Input(name, t.Type)
}

// normal returns independent normal numbers of the stream of that name.
func normal(name string, std float64, shape ...int) *prim.Tensor {
	r := rng.New(0, "workloads/"+name)
	t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: shape})
	for i := range t.F32 {
		t.F32[i] = float32(std * r.NormFloat64())
	}
	return t
}

func full(v float32, shape ...int) *prim.Tensor {
	t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: shape})
	for i := range t.F32 {
		t.F32[i] = v
	}
	return t
}

func (n *net) weight(name string, t *prim.Tensor) prim.ID {
	id := n.given(name, t)
	n.weights = append(n.weights, leaf{name, id})
	return id
}

// mixture declares the architecture parameters of a dimension with k choices, all
// zero, and returns their softmax, [k].
func (n *net) mixture(name string, k int) prim.ID {
	id := n.given(name, full(0, k))
	n.alphas = append(n.alphas, leaf{name, id})
	return n.Softmax(id, 0)
}

// kernel declares the weight [out, in, k, k] of a convolution without bias.
func (n *net) kernel(name string, out, in, k int) prim.ID {
	return n.weight(name+".weight", normal(name+".weight", math.Sqrt(2/float64(in*k*k)), out, in, k, k))
}

// conv applies a square kernel with padding pad on both sides.
func (n *net) conv(x, w prim.ID, stride, pad, groups int) prim.ID {
	two := func(v int) []int { return []int{v, v} }
	return n.Add(prim.Conv{Window: prim.Window{Strides: two(stride), Dilations: two(1), PadLo: two(pad), PadHi: two(pad)}, Groups: groups}, x, w)
}

// linear declares a weight [out, in] and a bias [out].
func (n *net) linear(name string, out, in int) (w, b prim.ID) {
	w = n.weight(name+".weight", normal(name+".weight", math.Sqrt(1/float64(in)), out, in))
	return w, n.weight(name+".bias", full(0, out))
}

// dense returns x·wᵀ + b for x [rows, in], w [out, in] and b [out].
func (n *net) dense(x, w, b prim.ID) prim.ID { return n.Plus(n.MatMul(x, w, false, true), b) }

// batchNorm normalises axis 1 of x by the batch's statistics.
func (n *net) batchNorm(name string, x prim.ID) prim.ID {
	s := n.Shape(x)
	c, count := s[1], float64(s[0]*s[2]*s[3])
	scale, bias := n.weight(name+".scale", full(1, 1, c, 1, 1)), n.weight(name+".bias", full(0, 1, c, 1, 1))
	y, mean, variance := n.standardise(x, scale, bias, 0, 2, 3)
	move := func(stat string, start float32, now prim.ID, k float64) {
		old := n.given(name+"."+stat, full(start, 1, c, 1, 1))
		e := prim.Op(prim.Add, prim.Op(prim.Mul, prim.A(0), prim.L(0.9)), prim.Op(prim.Mul, prim.A(1), prim.L(0.1*k)))
		n.stats = append(n.stats, leaf{name + "." + stat, n.Map(e, old, now)})
	}
	move("mean", 0, mean, 1)
	move("variance", 1, variance, count/max(count-1, 1))
	return y
}

// layerNorm normalises the last axis of x [rows, features].
func (n *net) layerNorm(name string, x prim.ID) prim.ID {
	e := n.Shape(x)[1]
	scale, bias := n.weight(name+".scale", full(1, 1, e)), n.weight(name+".bias", full(0, 1, e))
	y, _, _ := n.standardise(x, scale, bias, 1)
	return y
}

// standardise returns (x-mean)/√(variance+1e-5)·scale + bias over axes, with the
// mean and the population's variance. The centre carries no gradient; drift, which
// is zero, carries the mean's, so that the reverse pass needs two reductions.
func (n *net) standardise(x, scale, bias prim.ID, axes ...int) (y, mean, variance prim.ID) {
	d := prim.Op(prim.Sub, prim.A(0), prim.A(1))
	mean = n.Mean(x, axes...)
	centre := n.StopGrad(mean)
	count := float64(prim.Prod(n.Shape(x))) / float64(prim.Prod(n.Shape(mean)))
	variance = n.Scale(n.Reduce(prim.ReduceSum, axes, prim.Op(prim.Mul, d, d), x, centre), 1/count)
	rate := n.Map(prim.Op(prim.Rsqrt, prim.Op(prim.Add, prim.A(0), prim.L(1e-5))), variance)
	drift := n.Map(prim.Op(prim.Mul, d, prim.A(2)), mean, centre, rate)
	shift := n.Map(prim.Op(prim.Sub, prim.A(0), prim.Op(prim.Mul, prim.A(1), prim.A(2))), bias, drift, scale)
	y = n.Map(prim.Op(prim.Add, prim.Op(prim.Mul, d, prim.A(2)), prim.A(3)), x, centre, n.Times(rate, scale), shift)
	return y, mean, variance
}

// masked returns w times Σ coef[i]·rows[i], the mask of a mixture of choices. A row
// has one number per position of w along axes; other axes share the mask.
func (n *net) masked(w, coef prim.ID, rows [][]float64, axes ...int) prim.ID {
	k, size := len(rows), len(rows[0])
	m := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{k, size}})
	for i, row := range rows {
		if len(row) != size {
			return n.Fail(fmt.Errorf("workloads: mask: row %d: want %d numbers, got %d", i, size, len(row)))
		}
		for j, v := range row {
			m.F32[i*size+j] = float32(v)
		}
	}
	mask := n.Reduce(prim.ReduceSum, []int{0}, prim.Op(prim.Mul, prim.A(0), prim.A(1)), n.Reshape(coef, k, 1), n.Const(m))
	shape := make([]int, len(n.Shape(w)))
	for i := range shape {
		shape[i] = 1
	}
	for _, a := range axes {
		shape[a] = n.Shape(w)[a]
	}
	return n.Times(w, n.Reshape(mask, shape...))
}

// prefixes are the mask rows of choices that keep the first so many of size positions.
func prefixes(size int, keep ...int) [][]float64 {
	rows := make([][]float64, len(keep))
	for i, s := range keep {
		rows[i] = make([]float64, size)
		for j := range s {
			rows[i][j] = 1
		}
	}
	return rows
}
