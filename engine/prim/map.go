package prim

import (
	"fmt"
	"slices"
)

// Map applies Expr to its operands element by element. Every operand has the
// rank of the result and, along each axis, the result's size or 1 (broadcast).
// Operands are converted to Compute when read and the result to Out when
// written, so a cast is a Map of the identity. Shape is the result's shape; it
// may be larger than every operand's.
type Map struct {
	Expr         Expr
	Compute, Out DType // Compute is F32, F64 or I64
	Shape        []int
}

// Name returns "map".
func (Map) Name() string { return "map" }

// Infer checks the operands against Shape.
func (m Map) Infer(in []Type) (Type, error) {
	if err := checkDomain("map", m.Expr, m.Compute, in, m.Shape); err != nil {
		return Type{}, err
	}
	return Type{m.Out, m.Shape}, nil
}

func checkDomain(name string, e Expr, compute DType, in []Type, shape []int) error {
	if err := e.Check(len(in)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := (Type{Shape: shape}).Check(); err != nil {
		return fmt.Errorf("%s: domain: %w", name, err)
	}
	if compute >= Bool {
		return fmt.Errorf("%s: compute type: want f32, f64 or i64, got %s", name, compute)
	}
	for i, t := range in {
		if len(t.Shape) != len(shape) {
			return fmt.Errorf("%s: operand %d: want rank %d, got %v", name, i, len(shape), t.Shape)
		}
		for k, n := range t.Shape {
			if n != 1 && n != shape[k] {
				return fmt.Errorf("%s: operand %d: want sizes of %v or 1, got %v", name, i, shape, t.Shape)
			}
		}
	}
	return nil
}

// Eval evaluates the expression in float64 or int64.
func (m Map) Eval(in []*Tensor, out Type) (*Tensor, error) {
	r := NewTensor(Storage(out))
	if m.Compute == I64 {
		evalMap(intArith, m.Expr, in, m.Shape, r)
	} else {
		evalMap(floatArith, m.Expr, in, m.Shape, r)
	}
	if m.Out.Half() {
		r = r.Cast(m.Out).Cast(F64)
	}
	return r, nil
}

// VJP differentiates the expression; broadcast operands get the sum. Each
// operand's gradient is one Map or Reduce. The gradient reads the result where
// that saves work and no operand more is needed.
func (m Map) VJP(b *Builder, in []ID, out, grad ID) ([]ID, error) {
	n := len(in)
	if !m.Compute.Float() || !m.Out.Float() {
		return invalid(n), nil
	}
	d := make([]*X, n)
	for i := range d {
		if !b.Type(in[i]).DType.Float() {
			continue
		}
		d[i] = m.Expr.Diff(i)
		if d[i] == nil || m.Out != m.Compute {
			continue
		}
		if v := m.Expr.diff(i, A(n+1)); v != nil && operands(v) <= operands(d[i]) {
			d[i] = v
		}
	}
	return b.exprGrads(d, m.Compute, append(slices.Clone(in), grad, out), A(n), m.Shape), b.err
}

// operands counts the different operands of x.
func operands(x *X) int {
	seen := map[int]bool{}
	for _, in := range E(x) {
		if in.Code == Arg {
			seen[in.Index] = true
		}
	}
	return len(seen)
}
