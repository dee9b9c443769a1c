package engine_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// TestSimplifyForms states what each rule makes of a small program over x
// f32[4 3], r f32[1 3] (a row), d f64[4 3] and w f32[64 64 4].
func TestSimplifyForms(t *testing.T) {
	op, a, l := prim.Op, prim.A, prim.L
	for _, c := range []struct {
		name string
		make func(b *prim.Builder, x, r, d, w prim.ID)
		want string
	}{
		{"chain", func(b *prim.Builder, x, r, d, w prim.ID) { b.Output("y", b.Relu(b.Plus(b.Times(x, r), x))) },
			`%4 f32[4 3] = map(%0, %1) Expr: a0 a1 mul(0,1) add(2,0) 0 max(3,4), Compute: f32, Out: f32, Shape: [4 3]
output "y" = %4`},
		{"chain into sum", func(b *prim.Builder, x, r, d, w prim.ID) { b.Output("y", b.Sum(b.Unary(prim.Exp, x), 1)) },
			`%4 f32[4 1] = reduce(%0) Expr: a0 exp(0), Op: sum, Axes: [1], Compute: f32, Shape: [4 3]
output "y" = %4`},
		{"two uses are not merged", func(b *prim.Builder, x, r, d, w prim.ID) {
			e := b.Unary(prim.Exp, x)
			b.Output("y", b.Unary(prim.Sin, e))
			b.Output("z", b.Unary(prim.Cos, e))
		}, `%4 f32[4 3] = map(%0) Expr: a0 exp(0), Compute: f32, Out: f32, Shape: [4 3]
%5 f32[4 3] = map(%4) Expr: a0 sin(0), Compute: f32, Out: f32, Shape: [4 3]
%6 f32[4 3] = map(%4) Expr: a0 cos(0), Compute: f32, Out: f32, Shape: [4 3]
output "y" = %5
output "z" = %6`},
		{"small producer is not repeated", func(b *prim.Builder, x, r, d, w prim.ID) { b.Output("y", b.Plus(x, b.Unary(prim.Exp, r))) },
			`%4 f32[1 3] = map(%1) Expr: a0 exp(0), Compute: f32, Out: f32, Shape: [1 3]
%5 f32[4 3] = map(%0, %4) Expr: a0 a1 add(0,1), Compute: f32, Out: f32, Shape: [4 3]
output "y" = %5`},
		{"broadcast is read through", func(b *prim.Builder, x, r, d, w prim.ID) {
			s := b.Broadcast(r, 4, 3)
			b.Output("y", b.Plus(x, s))
			b.Output("z", b.Times(x, s))
		}, `%4 f32[4 3] = map(%0, %1) Expr: a0 a1 add(0,1), Compute: f32, Out: f32, Shape: [4 3]
%5 f32[4 3] = map(%0, %1) Expr: a0 a1 mul(0,1), Compute: f32, Out: f32, Shape: [4 3]
output "y" = %4
output "z" = %5`},
		{"padded parts of a sum are joined", func(b *prim.Builder, x, r, d, w prim.ID) {
			part := func(lo, hi int) prim.ID {
				return b.Pad(b.SliceAxis(b.Unary(prim.Exp, x), 0, lo, hi), []int{lo, 0}, []int{4 - hi, 0}, 0)
			}
			b.Output("y", b.Plus(b.Plus(part(3, 4), x), b.Plus(part(0, 2), part(2, 3))))
		}, `%4 f32[4 3] = map(%0) Expr: a0 exp(0), Compute: f32, Out: f32, Shape: [4 3]
%5 f32[1 3] = slice(%4) Start: [3 0], Size: [1 3], Step: [1 1]
%6 f32[2 3] = slice(%4) Start: [0 0], Size: [2 3], Step: [1 1]
%7 f32[1 3] = slice(%4) Start: [2 0], Size: [1 3], Step: [1 1]
%8 f32[4 3] = concat(%6, %7, %5)
%9 f32[4 3] = map(%8, %0) Expr: a0 a1 add(0,1), Compute: f32, Out: f32, Shape: [4 3]
output "y" = %9`},
		{"parts that leave a gap, overlap or are not zero outside stay", func(b *prim.Builder, x, r, d, w prim.ID) {
			s := b.SliceAxis(x, 0, 0, 2)
			b.Output("gap", b.Plus(b.Pad(s, []int{0, 0}, []int{2, 0}, 0), b.Pad(b.SliceAxis(x, 0, 0, 1), []int{3, 0}, []int{0, 0}, 0)))
			b.Output("overlap", b.Plus(b.Pad(b.SliceAxis(x, 0, 0, 3), []int{0, 0}, []int{1, 0}, 0), b.Pad(s, []int{2, 0}, []int{0, 0}, 0)))
			b.Output("ones", b.Plus(b.Pad(s, []int{0, 0}, []int{2, 0}, 1), b.Pad(b.SliceAxis(x, 0, 2, 4), []int{2, 0}, []int{0, 0}, 1)))
		}, `%4 f32[2 3] = slice(%0) Start: [0 0], Size: [2 3], Step: [1 1]
%5 f32[4 3] = pad(%4) Lo: [0 0], Hi: [2 0], Interior: [0 0]
%6 f32[1 3] = slice(%0) Start: [0 0], Size: [1 3], Step: [1 1]
%7 f32[4 3] = pad(%6) Lo: [3 0], Hi: [0 0], Interior: [0 0]
%8 f32[4 3] = map(%5, %7) Expr: a0 a1 add(0,1), Compute: f32, Out: f32, Shape: [4 3]
%9 f32[3 3] = slice(%0) Start: [0 0], Size: [3 3], Step: [1 1]
%10 f32[4 3] = pad(%9) Lo: [0 0], Hi: [1 0], Interior: [0 0]
%11 f32[4 3] = pad(%4) Lo: [2 0], Hi: [0 0], Interior: [0 0]
%12 f32[4 3] = map(%10, %11) Expr: a0 a1 add(0,1), Compute: f32, Out: f32, Shape: [4 3]
%13 f32[4 3] = pad(%4) Lo: [0 0], Hi: [2 0], Interior: [0 0], Value: 1
%14 f32[2 3] = slice(%0) Start: [2 0], Size: [2 3], Step: [1 1]
%15 f32[4 3] = pad(%14) Lo: [2 0], Hi: [0 0], Interior: [0 0], Value: 1
%16 f32[4 3] = map(%13, %15) Expr: a0 a1 add(0,1), Compute: f32, Out: f32, Shape: [4 3]
output "gap" = %8
output "overlap" = %12
output "ones" = %16`},
		{"rounding stays", func(b *prim.Builder, x, r, d, w prim.ID) {
			b.Output("y", b.Cast(b.Cast(b.Unary(prim.Exp, d), prim.F32), prim.F64))
		}, `%4 f32[4 3] = map(%2) Expr: a0 exp(0), Compute: f64, Out: f32, Shape: [4 3]
%5 f64[4 3] = map(%4) Expr: a0, Compute: f32, Out: f64, Shape: [4 3]
output "y" = %5`},
		{"truncation stays", func(b *prim.Builder, x, r, d, w prim.ID) { b.Output("y", b.Cast(b.Cast(x, prim.I64), prim.F32)) },
			`%4 f32[4 3] = map(%0) Expr: a0, Compute: i64, Out: f32, Shape: [4 3]
output "y" = %4`},
		{"a narrow value stays between wide ones", func(b *prim.Builder, x, r, d, w prim.ID) {
			b.Output("y", b.MapAs(prim.F64, prim.F64, op(prim.Exp, a(0)), b.Cast(d, prim.F32)))
		}, `%4 f32[4 3] = map(%2) Expr: a0, Compute: f64, Out: f32, Shape: [4 3]
%5 f64[4 3] = map(%4) Expr: a0 exp(0), Compute: f64, Out: f64, Shape: [4 3]
output "y" = %5`},
		{"an integer stays between floats", func(b *prim.Builder, x, r, d, w prim.ID) {
			b.Output("y", b.MapAs(prim.F32, prim.F32, op(prim.Exp, a(0)), b.Cast(x, prim.I64)))
		}, `%4 i64[4 3] = map(%0) Expr: a0, Compute: f32, Out: i64, Shape: [4 3]
%5 f32[4 3] = map(%4) Expr: a0 exp(0), Compute: f32, Out: f32, Shape: [4 3]
output "y" = %5`},
		{"a sum of repeated rows stays", func(b *prim.Builder, x, r, d, w prim.ID) {
			b.Output("y", b.Add(prim.Reduce{Expr: prim.E(a(0)), Axes: []int{0}, Compute: prim.F32, Shape: []int{4, 3}}, r))
		}, `%4 f32[1 3] = reduce(%1) Expr: a0, Op: sum, Axes: [0], Compute: f32, Shape: [4 3]
output "y" = %4`},
		{"mask merges as zero or one", func(b *prim.Builder, x, r, d, w prim.ID) {
			b.Output("y", b.Where(b.Compare(prim.Lt, x, r), x, r))
		}, `%4 f32[4 3] = map(%0, %1) Expr: a0 a1 lt(0,1) select(2,0,1), Compute: f32, Out: f32, Shape: [4 3]
output "y" = %4`},
		{"equal nodes are one", func(b *prim.Builder, x, r, d, w prim.ID) {
			b.Output("y", b.MatMul(x, x, false, true))
			b.Output("z", b.MatMul(x, x, false, true))
		}, `%4 f32[4 4] = matmul(%0, %0) TransB: true
output "y" = %4
output "z" = %4`},
		{"constants fold", func(b *prim.Builder, x, r, d, w prim.ID) {
			k := b.Const(prim.F32Tensor([]float32{1, 2, 3}, 1, 3))
			b.Output("y", b.Plus(x, b.Times(k, b.Plus(b.Scalar(prim.F32, 2), b.Scalar(prim.F32, 2)))))
		}, `%4 f32[1 3] = const() 4 8 12
%5 f32[4 3] = map(%0, %4) Expr: a0 a1 add(0,1), Compute: f32, Out: f32, Shape: [4 3]
output "y" = %5`},
		{"layout pairs vanish", func(b *prim.Builder, x, r, d, w prim.ID) {
			y := b.Transpose(b.Transpose(b.Reshape(b.Reshape(x, 12), 4, 3), 1, 0), 1, 0)
			b.Output("y", b.StopGrad(y))
			b.Output("z", b.MatMul(b.Transpose(x, 1, 0), x, false, false))
		}, `%4 f32[3 3] = matmul(%0, %0) TransA: true
output "y" = %0
output "z" = %4`},
		{"factors leave a sum", func(b *prim.Builder, x, r, d, w prim.ID) {
			b.Output("y", b.Reduce(prim.ReduceSum, []int{0}, op(prim.Mul, op(prim.Mul, l(3), a(0)), a(1)), x, r))
			b.Output("z", b.Sum(x, 0))
		}, `%4 f32[1 3] = reduce(%0) Expr: a0, Op: sum, Axes: [0], Compute: f32, Shape: [4 3]
%5 f32[1 3] = map(%1, %4) Expr: 3 a0 mul(0,1) a1 mul(2,3), Compute: f32, Out: f32, Shape: [1 3]
output "y" = %5
output "z" = %4`},
		{"small parts leave a large map", func(b *prim.Builder, x, r, d, w prim.ID) {
			s := b.SliceAxis(w, 1, 0, 1)
			b.Output("y", b.Map(op(prim.Mul, a(0), op(prim.Exp, a(1))), w, s))
		}, `%4 f32[64 1 4] = slice(%3) Start: [0 0 0], Size: [64 1 4], Step: [1 1 1]
%5 f32[64 1 4] = map(%4) Expr: a0 exp(0), Compute: f32, Out: f32, Shape: [64 1 4]
%6 f32[64 64 4] = map(%3, %5) Expr: a0 a1 mul(0,1), Compute: f32, Out: f32, Shape: [64 64 4]
output "y" = %6`},
		{"dead nodes go", func(b *prim.Builder, x, r, d, w prim.ID) {
			b.Unary(prim.Exp, x)
			b.Output("y", x)
		}, `output "y" = %0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := prim.NewBuilder()
			x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{4, 3}})
			r := b.Input("r", prim.Type{DType: prim.F32, Shape: []int{1, 3}})
			d := b.Input("d", prim.Type{DType: prim.F64, Shape: []int{4, 3}})
			w := b.Input("w", prim.Type{DType: prim.F32, Shape: []int{64, 64, 4}})
			c.make(b, x, r, d, w)
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			q, err := engine.Simplify(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := q.Validate(); err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := engine.Dump(&text, q); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(text.String()), "\n")
			if got := strings.Join(lines[4:], "\n"); got != c.want {
				t.Errorf("want\n%s\ngot\n%s", c.want, got)
			}
		})
	}
}

// TestSimplifyLimits merges a long chain over many operands without exceeding the limits.
func TestSimplifyLimits(t *testing.T) {
	b := prim.NewBuilder()
	y := b.Input("x", vector(5))
	for i := range 40 {
		z := b.Input(strings.Repeat("z", i+1), vector(5))
		y = b.Plus(b.Unary(prim.Sin, b.Unary(prim.Exp, y)), z)
	}
	b.Output("y", y)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	q, err := engine.Simplify(p)
	if err != nil {
		t.Fatal(err)
	}
	maps := 0
	for _, n := range q.Nodes {
		m, ok := n.Prim.(prim.Map)
		if !ok {
			continue
		}
		maps++
		if len(n.In) > 12 || len(m.Expr) > 64 {
			t.Errorf("want at most 12 operands and 64 instructions, got %d and %d", len(n.In), len(m.Expr))
		}
	}
	if maps == 0 || maps > 6 {
		t.Errorf("want 120 maps merged into at most 6, got %d", maps)
	}
}

func TestLastUse(t *testing.T) {
	b := prim.NewBuilder()
	x := b.Input("x", vector(2))
	y := b.Scale(x, 2)
	z := b.Plus(x, y)
	b.Scale(z, 3)
	b.Output("z", z)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2, 2, 4, 3} {
		if got := engine.LastUse(p)[i]; got != want {
			t.Errorf("node %d: want last use %d, got %d", i, want, got)
		}
	}
}

func TestDump(t *testing.T) {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{1, 2, 5}})
	b.Donate("x")
	w := b.Const(prim.F32Tensor([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 2, 3))
	b.Output("y", b.Relu(b.Add(prim.Conv{Window: prim.UnitWindow(1), Groups: 1}, x, w)))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := engine.Dump(&text, p); err != nil {
		t.Fatal(err)
	}
	want := `%0 f32[1 2 5] = input "x" donated
%1 f32[2 2 3] = const() 1 2 3 4 5 6 7 8 …
%2 f32[1 2 5] = conv(%0, %1) Strides: [1], Dilations: [1], PadLo: [1], PadHi: [1], Groups: 1
%3 f32[1 2 5] = map(%2) Expr: a0 0 max(0,1), Compute: f32, Out: f32, Shape: [1 2 5]
output "y" = %3
`
	if text.String() != want {
		t.Errorf("want\n%s\ngot\n%s", want, text.String())
	}
}
