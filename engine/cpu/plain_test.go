package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
)

// checkPlain compares one primitive with its plain kernel.
func checkPlain(t *testing.T, p prim.Prim, in ...*prim.Tensor) {
	t.Helper()
	types, wide := make([]prim.Type, len(in)), make([]*prim.Tensor, len(in))
	for i, x := range in {
		types[i], wide[i] = x.Type, x
		if x.DType == prim.F32 {
			wide[i] = x.Cast(prim.F64)
		}
	}
	out, err := p.Infer(types)
	if err != nil {
		t.Fatal(err)
	}
	want, err := p.Eval(wide, prim.Storage(out))
	if err != nil {
		t.Fatal(err)
	}
	backends(func(name string, b *Backend) {
		got := runOne(t, b, p, in...)
		if !got.Type.Equal(out) {
			t.Fatalf("%s: want %s, got %s", name, out, got.Type)
		}
		for i := range want.Len() {
			if w, g := want.Float(i), got.Float(i); w != g && !(w-g < 1e-4 && g-w < 1e-4) {
				t.Fatalf("%s: %s %+v: element %d: want %g, got %g", name, p.Name(), p, i, w, g)
			}
		}
	})
}

func TestLayoutAgainstPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	big := randomTensor(r, 12, 33, 40, 18)
	for _, x := range []*prim.Tensor{big, big.Cast(prim.I64), big.Cast(prim.Bool), big.Cast(prim.F64)} {
		for _, perm := range [][]int{{0, 2, 3, 1}, {3, 2, 1, 0}, {1, 0, 2, 3}, {0, 1, 3, 2}, {2, 3, 0, 1}, {0, 2, 1, 3}} {
			t.Run(fmt.Sprint(x.DType, perm), func(t *testing.T) { checkPlain(t, prim.Transpose{Perm: perm}, x) })
		}
		checkPlain(t, prim.Slice{Start: []int{1, 3, 2, 1}, Size: []int{5, 10, 38, 8}, Step: []int{2, 3, 1, 2}}, x)
		checkPlain(t, prim.Slice{Start: []int{0, 0, 0, 0}, Size: []int{12, 0, 40, 18}, Step: []int{1, 1, 1, 1}}, x)
		checkPlain(t, prim.Reverse{Axes: []int{1, 3}}, x)
		checkPlain(t, prim.Pad{Lo: []int{0, 1, 2, 3}, Hi: []int{0, 0, 1, 5}, Interior: []int{0, 1, 0, 2}, Value: 1}, x)
		checkPlain(t, prim.Concat{Axis: 2}, x, x, x)
		checkPlain(t, prim.Concat{Axis: 0}, x, x)
		index := prim.I64Tensor([]int64{3, 0, 11, 11, 5, 2}, 2, 3)
		checkPlain(t, prim.Gather{Axis: 2}, x, index)
		checkPlain(t, prim.Gather{Axis: 0}, x, index)
		checkPlain(t, prim.Gather{Axis: 3}, x, index)
	}
	for _, min := range []bool{false, true} {
		for axis := range 4 {
			checkPlain(t, prim.ArgReduce{Axis: axis, Min: min}, big)
			checkPlain(t, prim.ArgReduce{Axis: axis, Last: true}, big)
		}
	}
	index := prim.I64Tensor([]int64{3, 0, 11, 11, 5, 2}, 6)
	checkPlain(t, prim.ScatterAdd{Axis: 1, Size: 14}, index, randomTensor(r, 9, 6, 500))
	checkPlain(t, prim.ScatterAdd{Axis: 0, Size: 14}, index, randomTensor(r, 6, 5003))
	checkPlain(t, prim.ScatterAdd{Axis: 2, Size: 14}, index, randomTensor(r, 70, 80, 6))
	checkPlain(t, prim.Random{Shape: []int{7, 9001}, Out: prim.F32}, prim.I64Tensor([]int64{5, 6}, 2))
}

func TestPoolAgainstPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	x := randomTensor(r, 5, 40, 23, 19)
	two := func(v int) []int { return []int{v, v} }
	for _, p := range []prim.Pool{
		{Window: prim.Window{Strides: two(2), Dilations: two(1), PadLo: two(1), PadHi: two(1)}, Kernel: two(3)},
		{Window: prim.Window{Strides: two(1), Dilations: two(2), PadLo: two(0), PadHi: two(3)}, Kernel: []int{3, 2}},
		{Window: prim.Window{Strides: two(3), Dilations: two(1), PadLo: two(4), PadHi: two(4)}, Kernel: two(2)},
		{Window: prim.Window{Strides: two(1), Dilations: two(1), PadLo: two(0), PadHi: two(0)}, Kernel: []int{23, 19}},
	} {
		g := randomTensor(r, 5, 40, p.OutSize(0, 23, p.Kernel[0]), p.OutSize(1, 19, p.Kernel[1]))
		checkPlain(t, prim.MaxPool{Pool: p}, x)
		checkPlain(t, prim.MaxPoolIndex{Pool: p}, x)
		checkPlain(t, prim.MaxPoolGrad{Pool: p}, x, g)
		checkPlain(t, prim.SumPool{Pool: p}, x)
		checkPlain(t, prim.SumPoolGrad{Pool: p, In: []int{23, 19}}, g)
	}
}
