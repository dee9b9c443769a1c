package prim

import (
	"fmt"
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
	unfinished
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
	unfinished
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
