package prim

import (
	"errors"
	"fmt"
	"slices"
)

// Builder appends nodes to a program. It keeps the first error.
type Builder struct {
	p   Program
	err error
}

// NewBuilder returns an empty builder.
func NewBuilder() *Builder { return &Builder{} }

// Extend returns a builder that continues a copy of p.
func Extend(p *Program) *Builder {
	return &Builder{p: Program{slices.Clone(p.Nodes), slices.Clone(p.Inputs), slices.Clone(p.Outputs)}}
}

// Err returns the first error.
func (b *Builder) Err() error { return b.err }

// Fail records err unless an earlier one is kept, and returns Invalid.
func (b *Builder) Fail(err error) ID {
	if b.err == nil {
		b.err = err
	}
	return Invalid
}

// Program returns the program built so far, or the first error.
func (b *Builder) Program() (*Program, error) {
	if b.err != nil {
		return nil, b.err
	}
	p := b.p
	return &p, nil
}

// Node returns a node; its slices must not be written.
func (b *Builder) Node(id ID) Node {
	if id < 0 || int(id) >= len(b.p.Nodes) {
		return Node{}
	}
	return b.p.Nodes[id]
}

// Type returns the type of a value.
func (b *Builder) Type(id ID) Type { return b.Node(id).Type }

// Shape returns the shape of a value; it must not be written.
func (b *Builder) Shape(id ID) []int { return b.Node(id).Type.Shape }

// Len returns the number of nodes.
func (b *Builder) Len() int { return len(b.p.Nodes) }

// Input declares a program input; names are unique.
func (b *Builder) Input(name string, t Type) ID {
	if b.p.Input(name) >= 0 {
		return b.Fail(fmt.Errorf("prim: input %q: declared twice", name))
	}
	if err := t.Check(); err != nil {
		return b.Fail(fmt.Errorf("prim: input %q: %w", name, err))
	}
	id := b.append(Node{Type: t})
	b.p.Inputs = append(b.p.Inputs, Input{Name: name, ID: id})
	return id
}

// Donate marks a declared input as given up by the caller.
func (b *Builder) Donate(name string) {
	if in := b.declared("donate", name); in != nil {
		in.Donate = true
	}
}

// Batch marks a declared input whose first axis runs over the examples of a batch.
func (b *Builder) Batch(name string) {
	in := b.declared("batch", name)
	switch {
	case in == nil:
	case len(b.Shape(in.ID)) == 0:
		b.Fail(fmt.Errorf("prim: batch %q: want rank 1 or more, got %s", name, b.Type(in.ID)))
	default:
		in.Batch = true
	}
}

func (b *Builder) declared(what, name string) *Input {
	i := b.p.Input(name)
	if i < 0 {
		b.Fail(fmt.Errorf("prim: %s %q: no such input", what, name))
		return nil
	}
	return &b.p.Inputs[i]
}

// Output names a result; names are unique.
func (b *Builder) Output(name string, id ID) {
	if b.err == nil && (id < 0 || int(id) >= len(b.p.Nodes)) {
		b.Fail(fmt.Errorf("prim: output %q: want a node, got %d", name, id))
	}
	if b.p.Output(name) >= 0 {
		b.Fail(fmt.Errorf("prim: output %q: declared twice", name))
	}
	b.p.Outputs = append(b.p.Outputs, Output{name, id})
}

// Add applies a primitive.
func (b *Builder) Add(p Prim, in ...ID) ID {
	if b.err != nil {
		return Invalid
	}
	types := make([]Type, len(in))
	for i, id := range in {
		if id < 0 || int(id) >= len(b.p.Nodes) {
			return b.Fail(fmt.Errorf("prim: %s: operand %d: want an earlier node, got %d", p.Name(), i, id))
		}
		types[i] = b.p.Nodes[id].Type
	}
	t, err := infer(p, types)
	if err != nil {
		return b.Fail(fmt.Errorf("prim: %w", err))
	}
	return b.append(Node{Prim: p, In: slices.Clone(in), Type: t})
}

// infer is p.Infer with the result checked.
func infer(p Prim, in []Type) (Type, error) {
	t, err := p.Infer(in)
	if err == nil {
		if t.DType > BF16 {
			err = fmt.Errorf("result: want a dtype, got %s", t)
		} else if err = t.Check(); err == nil {
			err = checkHalves(p, in, t)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", p.Name(), err)
		}
	}
	return t, err
}

// checkHalves reports 16-bit values where p does not take them.
func checkHalves(p Prim, in []Type, out Type) error {
	switch p.(type) {
	case Map, Reduce, Const, Reshape, StopGrad, Barrier:
		return nil
	}
	for i, t := range in {
		if t.DType.Half() {
			return fmt.Errorf("operand %d: want a value cast to f32, got %s", i, t)
		}
	}
	if out.DType.Half() {
		return fmt.Errorf("result: want f32 and a cast, got %s", out)
	}
	return nil
}

func (b *Builder) append(n Node) ID {
	b.p.Nodes = append(b.p.Nodes, n)
	return ID(len(b.p.Nodes) - 1)
}

// Const adds a constant.
func (b *Builder) Const(t *Tensor) ID { return b.Add(Const{Value: t}) }

// Scalar adds a constant of rank 0.
func (b *Builder) Scalar(d DType, v float64) ID {
	return b.Const(F64Tensor([]float64{v}).Cast(d))
}

// Reshape reshapes x; it returns x itself when nothing changes.
func (b *Builder) Reshape(x ID, shape ...int) ID {
	if slices.Equal(b.Shape(x), shape) {
		return x
	}
	return b.Add(Reshape{Shape: slices.Clone(shape)}, x)
}

// Transpose permutes axes; it returns x itself for the identity.
func (b *Builder) Transpose(x ID, perm ...int) ID {
	for i, p := range perm {
		if i != p {
			return b.Add(Transpose{Perm: slices.Clone(perm)}, x)
		}
	}
	return x
}

// BroadcastShapes returns the multidirectional (NumPy) broadcast of shapes.
func BroadcastShapes(shapes ...[]int) ([]int, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]int, rank)
	for i := range out {
		out[i] = 1
	}
	for _, s := range shapes {
		for i, n := range s {
			k := rank - len(s) + i
			if n == 1 || n == out[k] {
				continue
			}
			if out[k] != 1 {
				return nil, fmt.Errorf("shapes %v do not broadcast", shapes)
			}
			out[k] = n
		}
	}
	return out, nil
}

// align reshapes every operand to the rank of shape with leading ones.
func (b *Builder) align(shape []int, in []ID) []ID {
	out := make([]ID, len(in))
	for i, x := range in {
		s := b.Shape(x)
		full := slices.Repeat([]int{1}, max(len(shape)-len(s), 0))
		out[i] = b.Reshape(x, append(full, s...)...)
	}
	return out
}

func (b *Builder) shapes(in []ID) [][]int {
	out := make([][]int, len(in))
	for i, x := range in {
		out[i] = b.Shape(x)
	}
	return out
}

// MapAs evaluates e over NumPy-broadcast operands in compute type c and stores it as out.
func (b *Builder) MapAs(c, out DType, e *X, in ...ID) ID {
	if b.err != nil {
		return Invalid
	}
	shape, err := BroadcastShapes(b.shapes(in)...)
	if err != nil {
		return b.Fail(fmt.Errorf("prim: map: %w", err))
	}
	return b.Add(Map{Expr: E(e), Compute: c, Out: out, Shape: shape}, b.align(shape, in)...)
}

// Map is MapAs in the dtype of the first operand (I64 for Bool, F32 for F16 and BF16),
// with a result of the first operand's dtype.
func (b *Builder) Map(e *X, in ...ID) ID {
	if b.err != nil {
		return Invalid
	}
	if len(in) == 0 {
		return b.Fail(errors.New("prim: map: want an operand"))
	}
	d := b.Type(in[0]).DType
	if d == Bool {
		return b.MapAs(I64, Bool, e, in...)
	}
	return b.MapAs(wideOf(d), d, e, in...)
}

// wideOf is F32 for F16 and BF16, otherwise d.
func wideOf(d DType) DType {
	if d.Half() {
		return F32
	}
	return d
}

// Cast converts x to d; it returns x itself when nothing changes.
func (b *Builder) Cast(x ID, d DType) ID {
	from := b.Type(x).DType
	if from == d {
		return x
	}
	c := wideOf(from)
	switch {
	case from == Bool && d != Bool:
		c = wideOf(d)
	case from == Bool:
		c = I64
	}
	return b.MapAs(c, d, A(0), x)
}

// Broadcast materialises x as shape (NumPy rules).
func (b *Builder) Broadcast(x ID, shape ...int) ID {
	if b.err != nil || slices.Equal(b.Shape(x), shape) {
		return x
	}
	t := b.Type(x)
	c := wideOf(t.DType)
	if c == Bool {
		c = I64
	}
	return b.Add(Map{Expr: E(A(0)), Compute: c, Out: t.DType, Shape: slices.Clone(shape)}, b.align(shape, []ID{x})...)
}

// Reduce folds e over axes of the NumPy broadcast of the operands, keeping the
// axes with size 1. Compute type: the first operand's (I64 for Bool, F32 for F16 and BF16).
func (b *Builder) Reduce(op ReduceOp, axes []int, e *X, in ...ID) ID {
	if b.err != nil {
		return Invalid
	}
	if len(in) == 0 {
		return b.Fail(errors.New("prim: reduce: want an operand"))
	}
	shape, err := BroadcastShapes(b.shapes(in)...)
	if err != nil {
		return b.Fail(fmt.Errorf("prim: reduce: %w", err))
	}
	c := wideOf(b.Type(in[0]).DType)
	if c == Bool {
		c = I64
	}
	axes = slices.Clone(axes)
	slices.Sort(axes)
	return b.Add(Reduce{Expr: E(e), Op: op, Axes: axes, Compute: c, Shape: shape}, b.align(shape, in)...)
}

// Sum adds up x over axes, keeping them with size 1.
func (b *Builder) Sum(x ID, axes ...int) ID { return b.Reduce(ReduceSum, axes, A(0), x) }

// Squeeze drops the given axes, which have size 1.
func (b *Builder) Squeeze(x ID, axes ...int) ID {
	var out []int
	for i, n := range b.Shape(x) {
		if !slices.Contains(axes, i) {
			out = append(out, n)
		}
	}
	return b.Reshape(x, out...)
}

// MatMul multiplies the last two axes (see MatMul).
func (b *Builder) MatMul(x, y ID, transX, transY bool) ID {
	return b.Add(MatMul{TransA: transX, TransB: transY}, x, y)
}

// Plus returns x + y; Minus, Times and Over likewise, all with NumPy broadcasting.
func (b *Builder) Plus(x, y ID) ID { return b.Map(Op(Add, A(0), A(1)), x, y) }

// Minus returns x - y.
func (b *Builder) Minus(x, y ID) ID { return b.Map(Op(Sub, A(0), A(1)), x, y) }

// Times returns x · y.
func (b *Builder) Times(x, y ID) ID { return b.Map(Op(Mul, A(0), A(1)), x, y) }

// Over returns x / y.
func (b *Builder) Over(x, y ID) ID { return b.Map(Op(Div, A(0), A(1)), x, y) }

// Scale returns k · x.
func (b *Builder) Scale(x ID, k float64) ID { return b.Map(Op(Mul, A(0), L(k)), x) }

// Relu returns max(x, 0).
func (b *Builder) Relu(x ID) ID { return b.Map(Op(Max, A(0), L(0)), x) }
