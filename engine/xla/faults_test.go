package xla

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/xla/lower"
)

// TestFaults: an index out of range does not hold up the runs behind it. Whoever first reads
// what was made then or later is told; the run's own results stay errors, and others can be
// read, earlier ones without a look at the runs behind them.
func TestFaults(t *testing.T) {
	be := newBackend(interpreter{}, lower.Options{})
	b := prim.NewBuilder()
	b.Output("y", b.Gather(b.Input("x", prim.Type{DType: prim.F32, Shape: []int{8}}), b.Input("i", prim.Type{DType: prim.I64, Shape: []int{1}}), 0))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := be.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	x, err := be.Upload(prim.F32Tensor([]float32{0, 1, 2, 3, 4, 5, 6, 7}, 8))
	if err != nil {
		t.Fatal(err)
	}
	run := func(i int64) (engine.Buffer, error) {
		index, err := be.Upload(prim.I64Tensor([]int64{i}, 1))
		if err != nil {
			t.Fatal(err)
		}
		out, err := exe.Run([]engine.Buffer{x, index})
		if err != nil {
			return nil, err
		}
		return out[0], nil
	}
	started := func(i int64) engine.Buffer {
		t.Helper()
		y, err := run(i)
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	isFault := func(err error) bool { return err != nil && strings.Contains(err.Error(), "want 0 ≤ index < 8") }
	before, bad, good := started(2), started(9), started(3)
	if y, err := before.Read(); err != nil || y.F32[0] != 2 {
		t.Errorf("before the fault: want 2, got %v, %v", y, err)
	}
	if y, err := x.Read(); err != nil || y.F32[7] != 7 {
		t.Errorf("what was uploaded: got %v, %v", y, err)
	}
	if open := len(be.ledger.open); open != 2 {
		t.Errorf("outcomes that have not been read: want 2, got %d", open)
	}
	if _, err := good.Read(); !isFault(err) {
		t.Errorf("the first read behind a fault: got %v", err)
	}
	if y, err := good.Read(); err != nil || y.F32[0] != 3 {
		t.Errorf("the second read: want 3, got %v, %v", y, err)
	}
	for range 2 {
		if _, err := bad.Read(); !isFault(err) {
			t.Errorf("a result of the run itself: got %v", err)
		}
	}
	// Without any read the runs themselves tell, when there are many.
	started(-1)
	for n := 1; ; n++ {
		if _, err := run(0); isFault(err) {
			break
		} else if err != nil || n > openOutcomes {
			t.Fatalf("want a fault within %d runs, got %v after %d", openOutcomes, err, n)
		}
	}
	if y, err := started(5).Read(); err != nil || y.F32[0] != 5 {
		t.Errorf("after the fault: want 5, got %v, %v", y, err)
	}
}
