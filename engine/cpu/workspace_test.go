package cpu

import (
	"runtime"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// chain compiles the sum of the squares of a matrix product, which needs an arena.
func chain(t *testing.T, b *Backend, n int) (*executable, []engine.Buffer) {
	t.Helper()
	pb := prim.NewBuilder()
	x := pb.Input("x", prim.Type{DType: prim.F32, Shape: []int{n, n}})
	y := pb.MatMul(x, x, false, false)
	pb.Output("y", pb.MatMul(y, pb.MatMul(y, y, true, false), false, false))
	p, err := pb.Program()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := b.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	in, err := b.Upload(prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{n, n}}))
	if err != nil {
		t.Fatal(err)
	}
	return exe.(*executable), []engine.Buffer{in}
}

func run(t *testing.T, x *executable, in []engine.Buffer) {
	t.Helper()
	if _, err := x.Run(in); err != nil {
		t.Fatal(err)
	}
}

func TestExecutablesShareOneArena(t *testing.T) {
	b := New(Options{Threads: 1})
	small, inSmall := chain(t, b, 8)
	large, inLarge := chain(t, b, 80)
	run(t, small, inSmall)
	first := small.space
	run(t, large, inLarge)
	if large.space != first || len(first.arena) != large.plan.arena {
		t.Errorf("want one arena of %d bytes, made for the larger at once, got %d of another", large.plan.arena, len(large.space.arena))
	}
	busy := b.spaces.take(first, 0, 1)
	run(t, small, inSmall)
	if busy != first || small.space == first {
		t.Error("want another workspace while one is in use")
	}
	b.spaces.give(busy)
	run(t, large, inLarge)
	if large.space != first {
		t.Error("want the workspace of the last run again")
	}
	for _, v := range large.views {
		if v.mem != nil {
			t.Fatal("want no view kept between runs")
		}
	}
	runtime.KeepAlive(large)
	large, inLarge, small, first, busy = nil, nil, nil, nil, nil
	runtime.GC()
	runtime.GC()
	if w := b.spaces.pick(nil); w != nil {
		t.Error("want no workspace left when no executable is")
	}
	if n := b.spaces.largest(); n != 0 {
		t.Errorf("want no need left, got %d bytes", n)
	}
}
