package engine_test

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
)

const chainDepth = 24

// chain is a training step of a deep network with dropout and a skip over every third
// layer: gradients of chainDepth weights, beside the loss.
func chain(t *testing.T) (*prim.Program, map[string]*prim.Tensor) {
	t.Helper()
	const rows, width = 64, 8
	b := prim.NewBuilder()
	in := map[string]*prim.Tensor{}
	input := func(name string, shape ...int) prim.ID {
		x := prim.NewTensor(prim.Type{DType: prim.F64, Shape: shape})
		for i := range x.F64 {
			x.F64[i] = prim.Uniform(int64(len(in)), 7, i) - 0.5
		}
		in[name] = x
		return b.Input(name, x.Type)
	}
	x := input("x", rows, width)
	seed := b.Input("seed", prim.Type{DType: prim.I64, Shape: []int{2}})
	in["seed"] = prim.I64Tensor([]int64{3, 4}, 2)
	var weights []prim.ID
	skip := x
	for i := range chainDepth {
		w := input("w"+string(rune('a'+i)), width, width)
		weights = append(weights, w)
		x = b.Map(prim.Op(prim.Tanh, prim.A(0)), b.MatMul(x, w, false, false))
		drawn := b.Add(prim.Random{Shape: []int{rows, width}, Out: prim.F64}, seed)
		x = b.Map(prim.Op(prim.Select, prim.Op(prim.Lt, prim.A(1), prim.L(0.9)), prim.A(0), prim.L(0)), x, drawn)
		if i%3 == 2 {
			x = b.Plus(x, skip)
			skip = x
		}
	}
	loss := b.Reshape(b.Sum(b.Times(x, x), 0, 1))
	b.Output("loss", loss)
	grads, err := engine.Grad(b, loss, weights)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range grads {
		b.Output("g"+string(rune('a'+i)), g)
	}
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p, in
}

// TestRematerialise: with any number of segments the results are the same bits, more
// is computed, and less is live, also after what backends do to a program.
func TestRematerialise(t *testing.T) {
	p, in := chain(t)
	want, err := engine.RunHost(ref.New(), p, in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := engine.NewRemat(p, "loss")
	if err != nil {
		t.Fatal(err)
	}
	plain := engine.Peak(r.Plain())
	least := plain
	for _, k := range []int{1, 2, 3, 4, 6, 8, 100} {
		q := r.Program(k)
		if err := q.Validate(); err != nil {
			t.Fatalf("%d segments: %v", k, err)
		}
		s, err := engine.Simplify(q)
		if err != nil {
			t.Fatal(err)
		}
		peak := engine.Peak(s)
		least = min(least, peak)
		if k > 1 && (peak >= plain || len(s.Nodes) <= len(r.Plain().Nodes)) {
			t.Errorf("%d segments: %d bytes live of %d, %d nodes of %d", k, peak, plain, len(s.Nodes), len(r.Plain().Nodes))
		}
		got, err := engine.RunHost(ref.New(), q, in)
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range want {
			if !slices.Equal(got[name].F64, x.F64) {
				t.Errorf("%d segments: output %q differs", k, name)
			}
		}
	}
	if float64(least) > 0.5*float64(plain) {
		t.Errorf("least memory: %d bytes of %d", least, plain)
	}
	if got := engine.Peak(r.Least()); got >= plain/2 {
		t.Errorf("Least: %d bytes of %d", got, plain)
	}
	if _, err := engine.NewRemat(p, "absent"); err == nil {
		t.Error("an output that is not there was accepted")
	}
}

// TestRematerialiseForwardOnly: a program without a backward pass stays as it is.
func TestRematerialiseForwardOnly(t *testing.T) {
	b := prim.NewBuilder()
	x := b.Input("x", vector(3))
	b.Output("loss", b.Sum(b.Map(prim.Op(prim.Exp, prim.A(0)), x), 0))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	r, err := engine.NewRemat(p, "loss")
	if err != nil {
		t.Fatal(err)
	}
	if q := r.Least(); len(q.Nodes) != len(r.Plain().Nodes) {
		t.Errorf("want %d nodes, got %d", len(r.Plain().Nodes), len(q.Nodes))
	}
}

// TestPeak counts values between their making and their last reading, aliases with
// what they pass.
func TestPeak(t *testing.T) {
	b := prim.NewBuilder()
	x := b.Input("x", vector(4)) // 32 bytes, not counted
	y := b.Scale(x, 2)           // 32
	z := b.Sum(y, 0)             // 8, with y
	r := b.Reshape(y, 2, 2)      // keeps y
	w := b.Times(r, b.Scale(r, 3))
	b.Output("out", b.Plus(b.Sum(w, 0, 1), z))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := engine.Peak(p), 32+8+32+32; got != want {
		t.Errorf("want %d bytes, got %d", want, got)
	}
}
