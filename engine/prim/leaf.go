package prim

import "fmt"

// Const is a tensor known when the program is built.
type Const struct {
	unfinished
	Value *Tensor
}

// Name returns "const".
func (Const) Name() string { return "const" }

// Infer returns the tensor's type.
func (c Const) Infer(in []Type) (Type, error) {
	if len(in) != 0 || c.Value == nil {
		return Type{}, fmt.Errorf("const: want a value and no operands")
	}
	return c.Value.Type, c.Value.Check()
}

// StopGrad passes its operand and no gradient.
type StopGrad struct{ unfinished }

// Name returns "stop_grad".
func (StopGrad) Name() string { return "stop_grad" }

// Infer keeps the type.
func (StopGrad) Infer(in []Type) (Type, error) {
	if len(in) != 1 {
		return Type{}, fmt.Errorf("stop_grad: want 1 operand, got %d", len(in))
	}
	return in[0], nil
}

// Random fills Shape with uniform numbers in [0, 1). Operand: the seed, I64 [2].
// Element i is the top 24 bits of mix(mix(seed0 + i·0x9E3779B97F4A7C15) ^ seed1)
// times 2⁻²⁴, mix being splitmix64's finaliser: every backend gives the same bits.
type Random struct {
	unfinished
	Shape []int
	Out   DType // F32 or F64
}

// Name returns "random".
func (Random) Name() string { return "random" }

// Infer checks the seed.
func (r Random) Infer(in []Type) (Type, error) {
	if len(in) != 1 || !in[0].Equal(Type{I64, []int{2}}) || !r.Out.Float() {
		return Type{}, fmt.Errorf("random: want a float result and a seed i64[2], got %v", in)
	}
	return Type{r.Out, r.Shape}, nil
}
