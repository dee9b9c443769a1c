package stablehlo_test

import (
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine/xla/internal/hloeval"
	"github.com/entangle-nas/entangle/engine/xla/stablehlo"
)

// TestConstants: what is written is read back to the bit, in every form of a constant.
func TestConstants(t *testing.T) {
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, -1, 0.1, 1e-45, 1e-300, math.MaxFloat32, math.MaxFloat64, math.Pi}
	long := make([]float64, 100)
	for i := range long {
		long[i] = odd[i%len(odd)]
	}
	ints := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 42}
	manyInts := slices.Repeat(ints, 20)
	small := []int64{0, -1, math.MaxInt32, math.MinInt32}
	manySmall := slices.Repeat(small, 20)
	flags := []bool{true, false, true}
	f := stablehlo.NewFunc()
	var out []stablehlo.Value
	typ := func(e stablehlo.Elem, shape ...int) stablehlo.Type { return stablehlo.Type{Elem: e, Shape: shape} }
	type check struct {
		floats []float64
		ints   []int64
	}
	var want []check
	for _, e := range []stablehlo.Elem{stablehlo.F32, stablehlo.F64} {
		for _, v := range [][]float64{odd, long, {7, 7, 7}, {0, math.Copysign(0, -1)}, {}} {
			out = append(out, f.Floats(typ(e, len(v)), v))
			r := slices.Clone(v)
			for i := range r {
				if e == stablehlo.F32 {
					r[i] = float64(float32(r[i]))
				}
			}
			want = append(want, check{floats: r})
		}
	}
	for _, v := range [][]int64{ints, manyInts, {5, 5}} {
		out = append(out, f.Ints(typ(stablehlo.I64, len(v)), v))
		want = append(want, check{ints: v})
	}
	for _, v := range [][]int64{small, manySmall} {
		out = append(out, f.Ints(typ(stablehlo.I32, 2, len(v)/2), v))
		want = append(want, check{ints: v})
	}
	out = append(out, f.Bools(typ(stablehlo.I1, 3), flags), f.Scalar(stablehlo.BF16, math.Inf(-1)), f.Integer(stablehlo.I64, math.MinInt64), f.Splat(typ(stablehlo.I1, 2), 1))
	want = append(want, check{ints: []int64{1, 0, 1}}, check{floats: []float64{math.Inf(-1)}}, check{ints: []int64{math.MinInt64}}, check{ints: []int64{1, 1}})
	m, err := hloeval.Parse(stablehlo.Module{Name: "constants", Func: f}.Text(out))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		same := func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) || (x != x && y != y) }
		if !slices.EqualFunc(got[i].F, w.floats, same) || !slices.Equal(got[i].I, w.ints) {
			t.Errorf("constant %d: want %v %v, got %v %v", i, w.floats, w.ints, got[i].F, got[i].I)
		}
	}
}

// TestOperandsMustFit: what does not fit is the caller's mistake, and panics.
func TestOperandsMustFit(t *testing.T) {
	f := stablehlo.NewFunc()
	x, y := f.Arg(stablehlo.Type{Elem: stablehlo.F32, Shape: []int{2}}), f.Arg(stablehlo.Type{Elem: stablehlo.F32, Shape: []int{3}})
	for name, call := range map[string]func(){
		"binary":  func() { f.Binary("add", x, y) },
		"compare": func() { f.Compare("LT", x, y) },
		"select":  func() { f.Select(x, x, x) },
		"nothing": func() { f.Unary("abs", stablehlo.Value{}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("want a panic")
				}
			}()
			call()
		})
	}
}
