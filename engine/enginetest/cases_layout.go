package enginetest

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

func layoutCases(r *rng.Stream) []Case {
	var cases []Case
	for range 10 {
		shape := sizes(r, 1+r.IntN(4), 1, 6)
		rank := len(shape)
		flat := []int{prim.Prod(shape)}
		start, size, step := make([]int, rank), make([]int, rank), make([]int, rank)
		for a, n := range shape {
			start[a] = r.IntN(n)
			step[a] = between(r, 1, 3)
			size[a] = 1 + r.IntN((n-1-start[a])/step[a]+1)
		}
		axis := r.IntN(rank)
		other := append([]int{}, shape...)
		other[axis] = between(r, 1, 5)
		var axes []int
		for a := range shape {
			if r.IntN(2) == 0 {
				axes = append(axes, a)
			}
		}
		one := []struct {
			name string
			p    prim.Prim
		}{
			{"reshape", prim.Reshape{Shape: flat}},
			{"transpose", prim.Transpose{Perm: r.Perm(rank)}},
			{"slice", prim.Slice{Start: start, Size: size, Step: step}},
			{"pad", prim.Pad{Lo: sizes(r, rank, 0, 2), Hi: sizes(r, rank, 0, 2), Interior: sizes(r, rank, 0, 2), Value: 1.5}},
			{"reverse", prim.Reverse{Axes: axes}},
		}
		for _, c := range one {
			cases = append(cases,
				Case{Name: c.name, In: []*prim.Tensor{normal(r, shape...)}, Make: apply(c.p), Smooth: true},
				Case{Name: c.name + "/int", In: []*prim.Tensor{integers(r, -9, 9, shape...)}, Make: apply(c.p)},
				Case{Name: c.name + "/bool", In: []*prim.Tensor{integers(r, 0, 2, shape...).Cast(prim.Bool)}, Make: apply(c.p)})
		}
		cases = append(cases,
			Case{Name: "concat", In: []*prim.Tensor{normal(r, shape...), normal(r, other...), normal(r, shape...)}, Make: apply(prim.Concat{Axis: axis}), Smooth: true},
			Case{Name: "concat/int", In: []*prim.Tensor{integers(r, -9, 9, other...), integers(r, -9, 9, shape...)}, Make: apply(prim.Concat{Axis: axis})})
	}
	cases = append(cases,
		Case{Name: "transpose/large", In: []*prim.Tensor{normal(r, 37, 65, 19)}, Make: apply(prim.Transpose{Perm: []int{2, 0, 1}})},
		Case{Name: "transpose/nhwc", In: []*prim.Tensor{normal(r, 3, 33, 14, 15)}, Make: apply(prim.Transpose{Perm: []int{0, 2, 3, 1}})},
		Case{Name: "slice/nothing", In: []*prim.Tensor{normal(r, 4, 3)}, Make: apply(prim.Slice{Start: []int{1, 0}, Size: []int{0, 3}, Step: []int{2, 1}})},
		Case{Name: "random", In: []*prim.Tensor{integers(r, -1<<40, 1<<40, 2)}, Make: apply(prim.Random{Shape: []int{1000}, Out: prim.F32})},
		Case{Name: "random/f64", In: []*prim.Tensor{integers(r, -1<<40, 1<<40, 2)}, Make: apply(prim.Random{Shape: []int{3, 11}, Out: prim.F64})},
		Case{Name: "const", In: []*prim.Tensor{normal(r, 3)}, Make: func(b *prim.Builder, in []prim.ID) prim.ID {
			return b.Const(prim.F64Tensor([]float64{1, 2, 3}, 3).Cast(b.Type(in[0]).DType))
		}},
		Case{Name: "stop_grad", In: []*prim.Tensor{normal(r, 3)}, Make: apply(prim.StopGrad{})},
		Case{Name: "barrier", In: []*prim.Tensor{normal(r, 4, 5), normal(r, 2)}, Smooth: true, Make: func(b *prim.Builder, in []prim.ID) prim.ID {
			sum := b.Map(prim.Op(prim.Exp, prim.A(0)), in[0])
			again := b.Map(prim.Op(prim.Exp, prim.A(0)), b.Add(prim.Barrier{}, in[0], b.Sum(in[1], 0)))
			return b.Times(sum, again)
		}},
	)
	return cases
}

func gatherCases(r *rng.Stream) []Case {
	var cases []Case
	for range 10 {
		shape := sizes(r, between(r, 1, 4), 1, 5)
		axis := r.IntN(len(shape))
		size := shape[axis]
		index := integers(r, 0, size, sizes(r, r.IntN(3), 1, 4)...)
		updates := append(append(append([]int{}, shape[:axis]...), index.Shape...), shape[axis+1:]...)
		gather, scatter := prim.Gather{Axis: axis}, prim.ScatterAdd{Axis: axis, Size: size}
		cases = append(cases,
			Case{Name: "gather", In: []*prim.Tensor{normal(r, shape...), index}, Make: apply(gather), Smooth: true},
			Case{Name: "gather/int", In: []*prim.Tensor{integers(r, -9, 9, shape...), index}, Make: apply(gather)},
			Case{Name: "scatter_add", In: []*prim.Tensor{index, normal(r, updates...)}, Make: apply(scatter), Smooth: true, Terms: index.Len()},
			Case{Name: "scatter_add/int", In: []*prim.Tensor{index, integers(r, -9, 9, updates...)}, Make: apply(scatter)})
	}
	return cases
}

// normalCases are the norms and softmaxes as the builder makes them.
func normalCases(r *rng.Stream) []Case {
	return []Case{
		{Name: "softmax", In: []*prim.Tensor{normal(r, 4, 7)}, Smooth: true, Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Softmax(in[0], 1) }},
		{Name: "softmax/channels", In: []*prim.Tensor{normal(r, 2, 5, 3)}, Smooth: true, Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Softmax(in[0], 1) }},
		{Name: "logsoftmax", In: []*prim.Tensor{normal(r, 4, 7)}, Smooth: true, Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.LogSoftmax(in[0], 1) }},
		{Name: "batchnorm", In: []*prim.Tensor{normal(r, 3, 4, 5, 2), normal(r, 1, 4, 1, 1), normal(r, 1, 4, 1, 1)}, Smooth: true,
			Make: func(b *prim.Builder, in []prim.ID) prim.ID { return standardise(b, in[0], in[1], in[2], 0, 2, 3) }},
		{Name: "layernorm", In: []*prim.Tensor{normal(r, 3, 11), normal(r, 1, 11), normal(r, 1, 11)}, Smooth: true,
			Make: func(b *prim.Builder, in []prim.ID) prim.ID { return standardise(b, in[0], in[1], in[2], 1) }},
	}
}

// standardise returns scale · (x - mean) / √(variance + 1e-5) + bias, statistics over axes.
func standardise(b *prim.Builder, x, scale, bias prim.ID, axes ...int) prim.ID {
	op, a := prim.Op, prim.A
	mean := b.Mean(x, axes...)
	n := prim.Prod(b.Shape(x)) / max(1, prim.Prod(b.Shape(mean)))
	d := op(prim.Sub, a(0), a(1))
	sq := b.Reduce(prim.ReduceSum, axes, op(prim.Mul, d, d), x, mean)
	inv := b.Map(op(prim.Rsqrt, op(prim.Add, op(prim.Mul, a(0), prim.L(1/float64(n))), prim.L(1e-5))), sq)
	return b.Map(op(prim.Add, op(prim.Mul, op(prim.Mul, d, a(2)), a(3)), a(4)), x, mean, inv, scale, bias)
}
