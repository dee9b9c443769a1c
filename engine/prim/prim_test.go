package prim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
)

func TestList(t *testing.T) {
	if err := Validate(); err != nil {
		t.Error(err)
	}
	if n := len(All()); n != 24 {
		t.Errorf("want 24 primitives, got %d", n)
	}
}

// eval runs one primitive on F64, I64 or Bool operands.
func eval(t *testing.T, p Prim, in ...*Tensor) *Tensor {
	t.Helper()
	types := make([]Type, len(in))
	for i, x := range in {
		types[i] = x.Type
	}
	out, err := p.Infer(types)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Eval(in, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestKernels compares with values worked out by hand.
func TestKernels(t *testing.T) {
	f := func(v ...float64) []float64 { return v }
	inf := math.Inf(1)
	line := F64Tensor(f(1, 2, 3, 4, 5), 1, 1, 5)
	w := Window{Strides: []int{2}, Dilations: []int{1}, PadLo: []int{1}, PadHi: []int{1}}
	conv := Conv{Window: w, Groups: 1}
	pool := Pool{Window: w, Kernel: []int{3}}
	far := Pool{Window: Window{Strides: []int{1}, Dilations: []int{1}, PadLo: []int{2}, PadHi: []int{0}}, Kernel: []int{2}}
	grid := F64Tensor(f(1, 2, 3, 4, 5, 6), 2, 3)
	for _, c := range []struct {
		name string
		p    Prim
		in   []*Tensor
		want []float64
	}{
		{"conv", conv, []*Tensor{line, F64Tensor(f(1, 10, 100), 1, 1, 3)}, f(210, 432, 54)},
		{"conv_input_grad", ConvInputGrad{Conv: conv, In: []int{5}}, []*Tensor{F64Tensor(f(1, 2, 3), 1, 1, 3), F64Tensor(f(1, 10, 100), 1, 1, 3)}, f(10, 102, 20, 203, 30)},
		{"conv_weight_grad", ConvWeightGrad{Conv: conv, Kernel: []int{3}}, []*Tensor{line, F64Tensor(f(1, 2, 3), 1, 1, 3)}, f(16, 22, 10)},
		{"maxpool", MaxPool{pool}, []*Tensor{line}, f(2, 4, 5)},
		{"maxpool of padding", MaxPool{far}, []*Tensor{line}, f(-inf, 1, 2, 3, 4, 5)},
		{"maxpool_index", MaxPoolIndex{far}, []*Tensor{F64Tensor(f(7, 7, 1), 1, 1, 3)}, f(-1, 0, 0, 1)},
		{"maxpool_grad", MaxPoolGrad{pool}, []*Tensor{line, F64Tensor(f(10, 20, 30), 1, 1, 3)}, f(0, 10, 0, 20, 30)},
		{"sumpool", SumPool{pool}, []*Tensor{line}, f(3, 9, 9)},
		{"transpose", Transpose{[]int{1, 0}}, []*Tensor{grid}, f(1, 4, 2, 5, 3, 6)},
		{"reverse", Reverse{[]int{1}}, []*Tensor{grid}, f(3, 2, 1, 6, 5, 4)},
		{"slice", Slice{[]int{1, 0}, []int{1, 2}, []int{1, 2}}, []*Tensor{grid}, f(4, 6)},
		{"pad", Pad{Lo: []int{1}, Hi: []int{0}, Interior: []int{1}, Value: 9}, []*Tensor{F64Tensor(f(1, 2), 2)}, f(9, 1, 9, 2)},
		{"concat", Concat{1}, []*Tensor{F64Tensor(f(1, 2), 2, 1), grid}, f(1, 1, 2, 3, 2, 4, 5, 6)},
		{"gather", Gather{1}, []*Tensor{grid, I64Tensor([]int64{2, 0}, 2)}, f(3, 1, 6, 4)},
		{"scatter_add", ScatterAdd{0, 3}, []*Tensor{I64Tensor([]int64{2, 0, 2}, 3), F64Tensor(f(1, 2, 4), 3)}, f(2, 0, 5)},
		{"matmul", MatMul{TransB: true}, []*Tensor{grid, grid}, f(14, 32, 32, 77)},
		{"empty sum", Reduce{E(A(0)), ReduceSum, []int{0}, F64, []int{0}}, []*Tensor{F64Tensor(nil, 0)}, f(0)},
		{"empty product", Reduce{E(A(0)), ReduceProd, []int{0}, F64, []int{0}}, []*Tensor{F64Tensor(nil, 0)}, f(1)},
		{"empty maximum", Reduce{E(A(0)), ReduceMax, []int{0}, F64, []int{0}}, []*Tensor{F64Tensor(nil, 0)}, f(-inf)},
		{"empty minimum", Reduce{E(A(0)), ReduceMin, []int{0}, F64, []int{0}}, []*Tensor{F64Tensor(nil, 0)}, f(inf)},
		{"maximum with NaN", Reduce{E(A(0)), ReduceMax, []int{0}, F64, []int{3}}, []*Tensor{F64Tensor(f(1, math.NaN(), 2), 3)}, f(math.NaN())},
		{"argmax", ArgReduce{Axis: 1}, []*Tensor{F64Tensor(f(1, 3, 3, math.NaN(), 9, 9), 2, 3)}, f(1, 0)},
		{"last argmax", ArgReduce{Axis: 1, Last: true}, []*Tensor{F64Tensor(f(1, 3, 3, 7, 7, 2), 2, 3)}, f(2, 1)},
		{"argmin", ArgReduce{Axis: 0, Min: true}, []*Tensor{grid}, f(0, 0, 0)},
		{"division by zero", Map{E(Op(Div, A(0), L(0))), I64, I64, []int{2}}, []*Tensor{I64Tensor([]int64{4, -4}, 2)}, f(0, 0)},
		{"map of a scalar", Map{E(Op(Neg, A(0))), F64, F64, nil}, []*Tensor{F64Tensor(f(4))}, f(-4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := eval(t, c.p, c.in...)
			for i, w := range c.want {
				if len(c.want) != got.Len() || (got.Float(i) != w && !(w != w && got.Float(i) != got.Float(i))) {
					t.Fatalf("want %v, got %v", c.want, got.Cast(F64).F64)
				}
			}
		})
	}
}

func TestUniform(t *testing.T) {
	x := eval(t, Random{Shape: []int{40000}, Out: F32}, I64Tensor([]int64{7, -3}, 2))
	sum, square := 0.0, 0.0
	for _, v := range x.F64 {
		if v < 0 || v >= 1 || v != float64(float32(v)) {
			t.Fatalf("want a float32 in [0, 1), got %v", v)
		}
		sum += v
		square += v * v
	}
	n := float64(len(x.F64))
	if math.Abs(sum/n-0.5) > 0.01 || math.Abs(square/n-1.0/3) > 0.01 {
		t.Errorf("moments: want 1/2 and 1/3, got %g and %g", sum/n, square/n)
	}
	if Uniform(7, -3, 1) == Uniform(8, -3, 1) || Uniform(7, -3, 1) == Uniform(7, -2, 1) {
		t.Error("want both words of the seed to matter")
	}
}

// TestHostileAttributes feeds random attributes and shapes: an error or a
// valid type that the kernel fills, no panic.
func TestHostileAttributes(t *testing.T) {
	r := rng.New(1, "prim/hostile")
	number := func() int {
		return []int{0, 1, 2, 3, 5, -1, -7, 1 << 20, math.MaxInt, math.MinInt}[r.IntN(10)]
	}
	numbers := func() []int {
		s := make([]int, r.IntN(4))
		for i := range s {
			s[i] = number()
		}
		return s
	}
	for range 20000 {
		w := Window{numbers(), numbers(), numbers(), numbers()}
		c, pool := Conv{w, number()}, Pool{w, numbers()}
		e := E(Op(Add, A(r.IntN(3)), L(1)))
		prims := []Prim{Random{numbers(), DType(r.IntN(4))}, Map{e, F32, F32, numbers()}, Reduce{e, ReduceSum, numbers(), F32, numbers()},
			ArgReduce{Axis: number()}, MatMul{}, c, ConvInputGrad{c, numbers()}, ConvWeightGrad{c, numbers()}, MaxPool{pool}, MaxPoolIndex{pool},
			MaxPoolGrad{pool}, SumPool{pool}, SumPoolGrad{pool, numbers()}, Reshape{numbers()}, Transpose{numbers()},
			Slice{numbers(), numbers(), numbers()}, Pad{numbers(), numbers(), numbers(), 0}, Concat{number()}, Reverse{numbers()},
			Gather{number()}, ScatterAdd{number(), number()}, StopGrad{}, Const{}, Map{Shape: numbers()}}
		p := prims[r.IntN(len(prims))]
		b := NewBuilder()
		var in []ID
		for i := range r.IntN(4) {
			shape := numbers()
			for k, n := range shape {
				shape[k] = min(max(n, 0), 6)
			}
			in = append(in, b.Input(fmt.Sprint(i), Type{DType(r.IntN(4)), shape}))
		}
		id := b.Add(p, in...)
		if b.Err() == nil && b.Type(id).Check() != nil {
			t.Fatalf("%s %+v: bad type %v", p.Name(), p, b.Type(id))
		}
		if b.Err() == nil && b.Type(id).Len() < 1<<16 {
			args := make([]*Tensor, len(in))
			for i, x := range in {
				args[i] = NewTensor(Storage(b.Type(x)))
			}
			if y, err := p.Eval(args, b.Type(id)); err == nil && (y.Check() != nil || !y.Type.Equal(Storage(b.Type(id)))) {
				t.Fatalf("%s %+v: want %v, got %v", p.Name(), p, b.Type(id), y.Type)
			}
		}
	}
}

func TestBuilderKeepsFirstError(t *testing.T) {
	b := NewBuilder()
	x := b.Input("x", Type{F32, []int{2, 3}})
	y := b.Plus(b.MatMul(x, x, false, false), x)
	if y != Invalid || b.Err() == nil || !strings.Contains(b.Err().Error(), "matmul: inner sizes") {
		t.Errorf("want the product's error, got %v", b.Err())
	}
	if _, err := b.Program(); err != b.Err() {
		t.Errorf("want the first error, got %v", err)
	}
	b = NewBuilder()
	if b.Reduce(ReduceSum, nil, L(1)); b.Err() == nil {
		t.Error("reduce of nothing: want an error")
	}
}

func TestBuilderShapes(t *testing.T) {
	b := NewBuilder()
	x := b.Input("x", Type{F32, []int{4, 1, 3}})
	y := b.Input("y", Type{F32, []int{5, 1}})
	for _, c := range []struct {
		name string
		id   ID
		want []int
	}{
		{"plus", b.Plus(x, y), []int{4, 5, 3}},
		{"mean", b.Mean(x, 0, 2), []int{1, 1, 1}},
		{"softmax", b.Softmax(x, 2), []int{4, 1, 3}},
		{"slice", b.SliceAxis(x, 0, 1, 3), []int{2, 1, 3}},
		{"concat", b.Concat(1, x, x), []int{4, 2, 3}},
		{"pad", b.Pad(y, []int{0, 1}, []int{2, 0}, 0), []int{7, 2}},
		{"squeeze", b.Squeeze(x, 1), []int{4, 3}},
		{"where", b.Where(b.Compare(Lt, x, y), x, y), []int{4, 5, 3}},
		{"broadcast", b.Broadcast(y, 2, 5, 3), []int{2, 5, 3}},
	} {
		if b.Err() != nil || !slices.Equal(b.Shape(c.id), c.want) {
			t.Errorf("%s: want %v, got %v (%v)", c.name, c.want, b.Shape(c.id), b.Err())
		}
	}
}

func TestSpan(t *testing.T) {
	x := I64Tensor([]int64{0, 1, 2, 3, 4, 5}, 3, 2)
	if y := x.Span(1, 3); !slices.Equal(y.Shape, []int{2, 2}) || !slices.Equal(y.I64, []int64{2, 3, 4, 5}) || &y.I64[0] != &x.I64[2] || y.Check() != nil {
		t.Errorf("want the last two rows, in place, got %v %v", y.Type, y.I64)
	}
	for _, d := range []DType{F32, F64, Bool, F16, BF16} {
		if y := NewTensor(Type{d, []int{4, 3}}).Span(2, 4); y.Check() != nil || y.Len() != 6 {
			t.Errorf("%s: %v", d, y.Check())
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("positions beyond the end were taken")
		}
	}()
	x.Span(2, 4)
}
