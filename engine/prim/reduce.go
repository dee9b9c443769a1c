package prim

import (
	"fmt"
	"math"
	"slices"
)

// ReduceOp is how Reduce folds.
type ReduceOp uint8

// Folds. The empty fold is 0, 1, -Inf and +Inf (in I64 the extreme values).
const (
	ReduceSum ReduceOp = iota
	ReduceProd
	ReduceMax
	ReduceMin
)

// String returns "sum", "prod", "max" or "min".
func (o ReduceOp) String() string { return [...]string{"sum", "prod", "max", "min"}[o] }

// Reduce evaluates Expr over the operands like Map, on the domain Shape, and
// folds the results over Axes, which keep size 1 in the result. Compute is the
// accumulation type (the CPU accumulates F32 sums in blocks).
type Reduce struct {
	Expr    Expr
	Op      ReduceOp
	Axes    []int // ascending
	Compute DType // F32, F64 or I64: also the result's dtype
	Shape   []int // of the domain
}

// Name returns "reduce".
func (Reduce) Name() string { return "reduce" }

// Infer checks the operands against Shape.
func (r Reduce) Infer(in []Type) (Type, error) {
	if err := checkDomain("reduce", r.Expr, r.Compute, in, r.Shape); err != nil {
		return Type{}, err
	}
	if r.Op > ReduceMin {
		return Type{}, fmt.Errorf("reduce: want sum, prod, max or min, got fold %d", r.Op)
	}
	out := slices.Clone(r.Shape)
	for i, a := range r.Axes {
		if a < 0 || a >= len(out) || (i > 0 && a <= r.Axes[i-1]) {
			return Type{}, fmt.Errorf("reduce: axes: want ascending axes of %v, got %v", r.Shape, r.Axes)
		}
		out[a] = 1
	}
	return Type{r.Compute, out}, nil
}

// ArgReduce returns, as I64, the position along Axis of the largest element (the
// smallest when Min), keeping the axis with size 1. Among equal ones it takes the
// first, or the last when Last.
type ArgReduce struct {
	Axis      int
	Min, Last bool
}

// Name returns "argreduce".
func (ArgReduce) Name() string { return "argreduce" }

// Infer keeps the axis with size 1.
func (r ArgReduce) Infer(in []Type) (Type, error) {
	if len(in) != 1 || r.Axis < 0 || r.Axis >= len(in[0].Shape) || in[0].Shape[r.Axis] == 0 {
		return Type{}, fmt.Errorf("argreduce: axis %d: want a non-empty axis of the one operand, got %v", r.Axis, in)
	}
	out := slices.Clone(in[0].Shape)
	out[r.Axis] = 1
	return Type{I64, out}, nil
}

// Eval evaluates and folds in float64 or int64, in row-major order.
func (r Reduce) Eval(in []*Tensor, out Type) (*Tensor, error) {
	t := NewTensor(Storage(out))
	if r.Compute == I64 {
		first := [...]int64{0, 1, math.MinInt64, math.MaxInt64}[r.Op]
		evalReduce(intArith, r.Expr, in, r.Shape, r.Axes, r.Op, first, t)
	} else {
		first := [...]float64{0, 1, math.Inf(-1), math.Inf(1)}[r.Op]
		evalReduce(floatArith, r.Expr, in, r.Shape, r.Axes, r.Op, first, t)
	}
	return t, nil
}

// VJP differentiates the fold and the expression. A product's gradient is exact
// with zeros among the factors; the gradient of a maximum or minimum is shared
// equally by all elements that reach it.
func (r Reduce) VJP(b *Builder, in []ID, out, grad ID) ([]ID, error) {
	n := len(in)
	if !r.Compute.Float() {
		return invalid(n), nil
	}
	all := append(slices.Clone(in), grad)
	g := A(n)
	fold := func(op ReduceOp, e *X) ID {
		expr, ops := compact(E(e), in)
		return b.Add(Reduce{Expr: expr, Op: op, Axes: r.Axes, Compute: r.Compute, Shape: r.Shape}, ops...)
	}
	v := r.Expr.X()
	switch r.Op {
	case ReduceProd:
		zero := Op(Eq, v, L(0))
		rest, zeros := fold(ReduceProd, Op(Select, zero, L(1), v)), fold(ReduceSum, zero)
		all = append(all, rest, zeros)
		others := Op(Select, zero,
			Op(Select, Op(Eq, A(n+2), L(1)), A(n+1), L(0)),
			Op(Select, Op(Eq, A(n+2), L(0)), Op(Div, A(n+1), v), L(0)))
		g = Op(Mul, g, others)
	case ReduceMax, ReduceMin:
		hit := Op(Eq, v, A(n+1))
		// The count compares with out as well, so it is folded over in and out.
		expr, ops := compact(E(Op(Eq, v, A(n))), append(slices.Clone(in), out))
		count := b.Add(Reduce{Expr: expr, Op: ReduceSum, Axes: r.Axes, Compute: r.Compute, Shape: r.Shape}, ops...)
		all = append(all, out, count)
		g = Op(Select, hit, Op(Div, g, A(n+2)), L(0))
	}
	d := make([]*X, n)
	for i := range d {
		if b.Type(in[i]).DType.Float() {
			d[i] = r.Expr.Diff(i)
		}
	}
	return b.exprGrads(d, r.Compute, all, g, r.Shape), b.err
}

// Eval scans along the axis; a NaN counts as the extreme.
func (r ArgReduce) Eval(in []*Tensor, out Type) (*Tensor, error) {
	t := NewTensor(out)
	x := in[0]
	n := x.Shape[r.Axis]
	inner := Prod(x.Shape[r.Axis+1:])
	for o := range out.Len() {
		at := o/inner*n*inner + o%inner
		best := 0
		for k := 1; k < n; k++ {
			if r.better(x, at+k*inner, at+best*inner) {
				best = k
			}
		}
		t.I64[o] = int64(best)
	}
	return t, nil
}

// better reports whether element i displaces the best so far, element j.
func (r ArgReduce) better(x *Tensor, i, j int) bool {
	if x.DType.Float() {
		a, b := x.Float(i), x.Float(j)
		switch {
		case b != b:
			return r.Last && a != a
		case a != a:
			return true
		case r.Min:
			a, b = -a, -b
		}
		return a > b || (r.Last && a == b)
	}
	a, b := x.Int(i), x.Int(j)
	if r.Min {
		a, b = b, a
	}
	return a > b || (r.Last && a == b)
}

// VJP gives no gradient.
func (ArgReduce) VJP(*Builder, []ID, ID, ID) ([]ID, error) { return invalid(1), nil }
