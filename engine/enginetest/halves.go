package enginetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// runHalves judges 16-bit storage: conversions of every number, exactly; expressions and
// folds that read it, products behind a cast, gradients, constants and donated inputs.
func runHalves(t *testing.T, b engine.Backend) {
	for _, d := range []prim.DType{prim.F16, prim.BF16} {
		if limited, ok := b.(Limited); ok {
			if why := limited.Lacks(prim.Map{}, d); why != "" {
				t.Run(d.String(), func(t *testing.T) { t.Skipf("backend %s lacks storage as %s: %s", b.Name(), d, why) })
				continue
			}
		}
		t.Run(d.String()+"/conversions", func(t *testing.T) { halfConversions(t, b, d) })
		t.Run(d.String()+"/casts", func(t *testing.T) { halfCasts(t, b, d) })
		for _, shape := range [][]int{{1, 3}, {5, 7}, {4, 33}, {2, 640}} {
			t.Run(fmt.Sprintf("%s/program/%v", d, shape), func(t *testing.T) { halfProgram(t, b, d, shape) })
		}
		t.Run(d.String()+"/refused", func(t *testing.T) {
			bld := prim.NewBuilder()
			x := bld.Input("x", prim.Type{DType: d, Shape: []int{4, 4}})
			bld.MatMul(x, x, false, false)
			if bld.Err() == nil {
				t.Errorf("product of %s values: want an error", d)
			}
		})
	}
}

// halfConversions widens all 65536 patterns, and rounds them, the middles between neighbours and what lies beside.
func halfConversions(t *testing.T, b engine.Backend, d prim.DType) {
	bits := prim.NewTensor(prim.Type{DType: d, Shape: []int{1 << 16}})
	for i := range bits.U16 {
		bits.U16[i] = uint16(i)
	}
	wide := bits.Cast(prim.F32)
	values := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{3<<16 + 5}})
	for i, v := range wide.F32 {
		mid := float32((float64(v) + float64(wide.F32[min(i+1, 1<<16-1)])) / 2)
		values.F32[3*i], values.F32[3*i+1], values.F32[3*i+2] = v, mid, math.Nextafter32(mid, 0)
	}
	bld := prim.NewBuilder()
	bld.Output("wide", bld.Cast(bld.Input("bits", bits.Type), prim.F32))
	x := bld.Input("values", values.Type)
	bld.Output("narrow", bld.Cast(x, d))
	p, err := bld.Program()
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]*prim.Tensor{"bits": bits, "values": values}
	compare(t, b, p, in, Tolerance{})
	got, err := engine.RunHost(b, p, in)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(got["wide"], wide, Tolerance{}); err != nil {
		t.Errorf("widened: %v", err)
	}
	if err := Check(got["narrow"], values.Cast(d), Tolerance{}); err != nil {
		t.Errorf("rounded: %v", err)
	}
}

// halfCasts converts numbers that 16 bits hold exactly from every dtype and to every dtype.
func halfCasts(t *testing.T, b engine.Backend, d prim.DType) {
	x := integers(rng.New(1, "enginetest/halves/casts"), -40, 40, 7, 33).Cast(prim.F64)
	for i := range x.F64 {
		x.F64[i] /= 8
	}
	for _, other := range []prim.DType{prim.F32, prim.F64, prim.I64, prim.Bool, prim.F16, prim.BF16} {
		bld := prim.NewBuilder()
		bld.Output("stored", bld.Cast(bld.Input("x", prim.Type{DType: other, Shape: x.Shape}), d))
		bld.Output("read", bld.Cast(bld.Input("y", prim.Type{DType: d, Shape: x.Shape}), other))
		p, err := bld.Program()
		if err != nil {
			t.Fatal(err)
		}
		in := map[string]*prim.Tensor{"x": x.Cast(other), "y": x.Cast(d)}
		got, err := engine.RunHost(b, p, in)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(got["stored"], in["x"].Cast(d), Tolerance{}); err != nil {
			t.Errorf("%s as %s: %v", other, d, err)
		}
		if err := Check(got["read"], in["y"].Cast(other), Tolerance{}); err != nil {
			t.Errorf("%s as %s: %v", d, other, err)
		}
	}
}

// halfProgram stores weights, an activation and its gradient in 16 bits.
func halfProgram(t *testing.T, b engine.Backend, d prim.DType, shape []int) {
	r := rng.New(1, "enginetest/halves")
	x, w := normal(r, shape...).Cast(prim.F32), normal(r, shape[1], 6).Cast(d)
	row := normal(r, shape[1]).Cast(d)
	bld := prim.NewBuilder()
	xi, wi := bld.Input("x", x.Type), bld.Input("w", w.Type)
	scale := bld.Const(row)
	h := bld.Cast(bld.Map(prim.Op(prim.Mul, prim.Op(prim.Tanh, prim.A(0)), prim.A(1)), xi, scale), d)
	y := bld.MatMul(bld.Cast(h, prim.F32), bld.Cast(wi, prim.F32), false, false)
	squares := bld.Reduce(prim.ReduceSum, []int{1}, prim.Op(prim.Mul, prim.A(0), prim.A(0)), h)
	loss := bld.Plus(bld.Sum(y, 0, 1), bld.Sum(squares, 0, 1))
	grads, err := engine.Grad(bld, loss, []prim.ID{xi, wi, h})
	if err != nil {
		t.Fatal(err)
	}
	bld.Output("h", h)
	bld.Output("y", y)
	bld.Output("squares", squares)
	for i, g := range grads {
		bld.Output(fmt.Sprint("grad", i), g)
	}
	bld.Donate("w")
	bld.Output("w", bld.Map(prim.Op(prim.Sub, prim.A(0), prim.Op(prim.Mul, prim.L(0.125), prim.A(1))), wi, grads[1]))
	p, err := bld.Program()
	if err != nil {
		t.Fatal(err)
	}
	eps := map[prim.DType]float64{prim.F16: 1.0 / (1 << 10), prim.BF16: 1.0 / (1 << 7)}[d]
	compare(t, b, p, map[string]*prim.Tensor{"x": x, "w": w}, Tolerance{Abs: eps * math.Sqrt(float64(x.Len())), Rel: 2 * eps})
}
