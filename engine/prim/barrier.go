package prim

import "fmt"

// Barrier passes its first operand. The others, of any types, are computed before
// anything that reads the result. No rewriting looks through it: values computed
// from the result are not shared with equal ones computed from the operand, so they
// are computed again, and not before the other operands are there.
type Barrier struct{}

// Name returns "barrier".
func (Barrier) Name() string { return "barrier" }

// Infer keeps the first type.
func (Barrier) Infer(in []Type) (Type, error) {
	if len(in) == 0 {
		return Type{}, fmt.Errorf("barrier: want an operand, got none")
	}
	return in[0], nil
}

// Eval copies the first operand.
func (Barrier) Eval(in []*Tensor, out Type) (*Tensor, error) { return copyTensor(in[0], out), nil }

// VJP passes the gradient to the first operand.
func (Barrier) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	d := invalid(len(in))
	if b.Type(in[0]).DType.Float() {
		d[0] = grad
	}
	return d, nil
}
