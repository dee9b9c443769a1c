package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// softmaxAxes returns the axes that are normalised together: one since opset 13,
// all from axis on before (the operator then sees a matrix).
func softmaxAxes(s *Site) ([]int, error) {
	rank := s.In[0].Type.Rank()
	if s.Opset >= 13 {
		a, err := s.normAxis("infer", s.Node.Int("axis", -1), rank)
		return []int{a}, err
	}
	axis := s.Node.Int("axis", 1)
	if axis == rank {
		return nil, nil
	}
	a, err := s.normAxis("infer", axis, rank)
	if err != nil {
		return nil, err
	}
	return axesFrom(a, rank), nil
}

// softmaxLike is an operator that keeps the shape and works over softmaxAxes.
func softmaxLike(name, doc, reason string, lower func(l *Lowering, axes []int) prim.ID) *Op {
	return &Op{
		Name: name, Since: 1, Doc: doc,
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			if _, err := softmaxAxes(s); err != nil {
				return nil, err
			}
			return sameInfer(s)
		},
		Axes: func(s *Site, a *Axes) {
			axes, err := softmaxAxes(s)
			if err != nil {
				return
			}
			normaliseAxes(s, a, axes, reason)
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axes, err := softmaxAxes(l.Site)
			if err != nil {
				return nil, err
			}
			return one(lower(l, axes)), nil
		},
	}
}

// normaliseAxes carries input 0 to output 0 except the given axes, which are pinned at both.
func normaliseAxes(s *Site, a *Axes, axes []int, reason string) {
	for n := range s.In[0].Type.Shape {
		a.Tie(Carried, In(0, n), Out(0, n))
		if slices.Contains(axes, n) {
			a.Normalise(In(0, n), reason)
			a.Normalise(Out(0, n), reason)
		}
	}
}

// probability marks an operator that turns logits into probabilities.
func probability(op *Op) *Op {
	op.Probability = softmaxAxes
	return op
}

// softmaxes lists Softmax, LogSoftmax and Hardmax.
func softmaxes() []*Op {
	return []*Op{
		probability(softmaxLike("Softmax", "exp(x-max)/Σexp(x-max) along axis, along all axes from it on before opset 13; versions 1, 11, 13", "softmax over the axis",
			func(l *Lowering, axes []int) prim.ID {
				b, x := l.B, l.In[0]
				m := b.Add(prim.StopGrad{}, b.Reduce(prim.ReduceMax, axes, prim.A(0), x))
				e := prim.Op(prim.Exp, prim.Op(prim.Sub, prim.A(0), prim.A(1)))
				sum := b.Reduce(prim.ReduceSum, axes, e, x, m)
				return b.Map(prim.Op(prim.Div, e, prim.A(2)), x, m, sum)
			})),
		softmaxLike("LogSoftmax", "x-max-lnΣexp(x-max) along axis, along all axes from it on before opset 13; versions 1, 11, 13", "softmax over the axis",
			func(l *Lowering, axes []int) prim.ID {
				b, x := l.B, l.In[0]
				m := b.Add(prim.StopGrad{}, b.Reduce(prim.ReduceMax, axes, prim.A(0), x))
				d := prim.Op(prim.Sub, prim.A(0), prim.A(1))
				sum := b.Reduce(prim.ReduceSum, axes, prim.Op(prim.Exp, d), x, m)
				return b.Map(prim.Op(prim.Sub, d, prim.Op(prim.Log, prim.A(2))), x, m, sum)
			}),
		softmaxLike("Hardmax", "1 at the first largest element along axis, else 0; versions 1, 11, 13", "maximum over the axis", lowerHardmax),
	}
}

func lowerHardmax(l *Lowering, axes []int) prim.ID {
	b, x := l.B, l.In[0]
	shape := b.Shape(x)
	if len(axes) == 0 {
		return b.Map(prim.L(1), x)
	}
	first, n := axes[0], extent(shape, axes)
	flat := append(slices.Clone(shape[:first]), n)
	flat = append(flat, shape[axes[len(axes)-1]+1:]...)
	x = b.Reshape(x, flat...)
	at := b.Add(prim.ArgReduce{Axis: first}, x)
	along := slices.Repeat([]int{1}, len(flat))
	along[first] = n
	positions := prim.NewTensor(prim.Type{DType: prim.I64, Shape: along})
	for i := range positions.I64 {
		positions.I64[i] = int64(i)
	}
	y := b.MapAs(prim.I64, b.Type(x).DType, prim.Op(prim.Eq, prim.A(0), prim.A(1)), at, b.Const(positions))
	return b.Reshape(y, shape...)
}
