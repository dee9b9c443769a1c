package prim

import "fmt"

// Const is a tensor known when the program is built.
type Const struct {
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
type StopGrad struct{}

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

// Eval returns a copy of the value.
func (c Const) Eval(_ []*Tensor, out Type) (*Tensor, error) {
	return c.Value.Cast(Storage(out).DType), nil
}

// VJP has no operands to serve.
func (Const) VJP(*Builder, []ID, ID, ID) ([]ID, error) { return nil, nil }

// Eval copies the operand.
func (StopGrad) Eval(in []*Tensor, out Type) (*Tensor, error) { return copyTensor(in[0], out), nil }

// VJP gives no gradient.
func (StopGrad) VJP(*Builder, []ID, ID, ID) ([]ID, error) { return invalid(1), nil }

// Eval draws the numbers.
func (r Random) Eval(in []*Tensor, out Type) (*Tensor, error) {
	t := NewTensor(Storage(out))
	for i := range t.F64 {
		t.F64[i] = Uniform(in[0].I64[0], in[0].I64[1], i)
	}
	return t, nil
}

// VJP gives no gradient.
func (Random) VJP(*Builder, []ID, ID, ID) ([]ID, error) { return invalid(1), nil }

// Uniform returns element i of Random under the seed.
func Uniform(seed0, seed1 int64, i int) float64 {
	v := mix64(mix64(uint64(seed0)+uint64(i)*0x9E3779B97F4A7C15) ^ uint64(seed1))
	return float64(v>>40) / (1 << 24)
}

func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
