package ref_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
)

// TestRoundsOnce shows that F32 programs compute in float64 and round at the end.
func TestRoundsOnce(t *testing.T) {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{1}})
	y := b.Plus(x, b.Scalar(prim.F32, 1))
	b.Output("y", y)
	b.Output("z", b.Minus(y, b.Scalar(prim.F32, 1)))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": prim.F32Tensor([]float32{1e-9}, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if y, z := out["y"].F32[0], out["z"].F32[0]; y != 1 || z < 0.999e-9 || z > 1.001e-9 {
		t.Errorf("want 1 and about 1e-9, got %v and %v", y, z)
	}
}

func TestErrorsHaveAddresses(t *testing.T) {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{4}})
	b.Output("y", b.Gather(x, b.Const(prim.I64Tensor([]int64{0, 9}, 2)), 0))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	_, err = engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": prim.F32Tensor(make([]float32, 4), 4)})
	if want := "ref: node 2: gather: index 1: want 0 ≤ index < 4, got 9"; err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
	_, err = engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": prim.F32Tensor(make([]float32, 3), 3)})
	if want := `input "x": want f32[4], got f32[3]`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want an error with %q, got %v", want, err)
	}
}

func TestMemory(t *testing.T) {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{100}})
	for range 5 {
		x = b.Unary(prim.Exp, x)
	}
	b.Output("y", x)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := ref.New().Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := 2 * 100 * 8; exe.Memory() != want {
		t.Errorf("want two live vectors of float64, %d bytes, got %d", want, exe.Memory())
	}
}
