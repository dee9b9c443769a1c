package enginetest

import (
	"fmt"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// upload copies a tensor to the backend.
func upload(t *testing.T, b engine.Backend, x *prim.Tensor) engine.Buffer {
	t.Helper()
	buf, err := b.Upload(x)
	if err != nil {
		t.Fatal(err)
	}
	return buf
}

// reads fails the test unless buf holds want exactly.
func reads(t *testing.T, what string, buf engine.Buffer, want *prim.Tensor) {
	t.Helper()
	got, err := buf.Read()
	if err == nil {
		err = Check(got, want, Tolerance{})
	}
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func ramp(n int) *prim.Tensor {
	x := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{n}})
	for i := range x.F32 {
		x.F32[i] = float32(i)
	}
	return x
}

// scaled returns k·x.
func scaled(x *prim.Tensor, k float32) *prim.Tensor {
	y := prim.NewTensor(x.Type)
	for i, v := range x.F32 {
		y.F32[i] = k * v
	}
	return y
}

func runBuffers(t *testing.T, b engine.Backend) {
	const n = 3000
	typ := prim.Type{DType: prim.F32, Shape: []int{n}}
	compile := func(t *testing.T, make func(bld *prim.Builder)) engine.Executable {
		t.Helper()
		bld := prim.NewBuilder()
		make(bld)
		p, err := bld.Program()
		if err != nil {
			t.Fatal(err)
		}
		exe, err := b.Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		if exe.Memory() < 0 {
			t.Errorf("memory: want ≥ 0, got %d", exe.Memory())
		}
		return exe
	}
	double := func(bld *prim.Builder) { bld.Output("y", bld.Scale(bld.Input("x", typ), 2)) }
	t.Run("upload_copies", func(t *testing.T) {
		x := ramp(n)
		buf := upload(t, b, x)
		x.F32[5] = 99
		reads(t, "buffer", buf, ramp(n))
		got, err := buf.Read()
		if err != nil {
			t.Fatal(err)
		}
		got.F32[5] = 99
		reads(t, "buffer after the read copy changed", buf, ramp(n))
	})
	t.Run("write", func(t *testing.T) {
		buf := upload(t, b, ramp(n))
		if err := buf.Write(scaled(ramp(n), 3)); err != nil {
			t.Fatal(err)
		}
		reads(t, "buffer", buf, scaled(ramp(n), 3))
		if err := buf.Write(ramp(n + 1)); err == nil {
			t.Error("write of another shape: want an error")
		}
	})
	t.Run("rerun", func(t *testing.T) {
		exe := compile(t, double)
		x := upload(t, b, ramp(n))
		first, err := exe.Run([]engine.Buffer{x})
		if err != nil {
			t.Fatal(err)
		}
		second, err := exe.Run(first)
		if err != nil {
			t.Fatal(err)
		}
		reads(t, "input", x, ramp(n))
		reads(t, "first result", first[0], scaled(ramp(n), 2))
		reads(t, "second result", second[0], scaled(ramp(n), 4))
	})
	t.Run("donation", func(t *testing.T) {
		exe := compile(t, func(bld *prim.Builder) {
			x, g := bld.Input("x", typ), bld.Input("g", typ)
			bld.Donate("x")
			bld.Output("y", bld.Plus(x, g))
			bld.Output("x2", bld.Scale(x, 2))
		})
		x, g := upload(t, b, ramp(n)), upload(t, b, ramp(n))
		for i := range 3 {
			out, err := exe.Run([]engine.Buffer{x, g})
			if err != nil {
				t.Fatal(err)
			}
			reads(t, fmt.Sprint("x2 of run ", i), out[1], scaled(ramp(n), float32(2*(i+1))))
			x = out[0]
			reads(t, fmt.Sprint("y of run ", i), x, scaled(ramp(n), float32(i+2)))
		}
		reads(t, "the input that was not donated", g, ramp(n))
	})
	t.Run("donated_swap", func(t *testing.T) {
		exe := compile(t, func(bld *prim.Builder) {
			x, y := bld.Input("x", typ), bld.Input("y", typ)
			bld.Donate("x")
			bld.Donate("y")
			bld.Output("a", y)
			bld.Output("b", bld.Scale(x, 5))
		})
		out, err := exe.Run([]engine.Buffer{upload(t, b, ramp(n)), upload(t, b, scaled(ramp(n), 7))})
		if err != nil {
			t.Fatal(err)
		}
		reads(t, "a", out[0], scaled(ramp(n), 7))
		reads(t, "b", out[1], scaled(ramp(n), 5))
	})
	t.Run("outputs_are_fresh", func(t *testing.T) {
		exe := compile(t, func(bld *prim.Builder) {
			x := bld.Input("x", typ)
			y := bld.Scale(x, 2)
			bld.Output("same", x)
			bld.Output("y", y)
			bld.Output("y_again", y)
			bld.Output("const", bld.Const(ramp(4)))
		})
		x := upload(t, b, ramp(n))
		out, err := exe.Run([]engine.Buffer{x})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if err := out[i].Write(scaled(ramp(n), 9)); err != nil {
				t.Fatal(err)
			}
		}
		if err := out[3].Write(scaled(ramp(4), 9)); err != nil {
			t.Fatal(err)
		}
		reads(t, "input after its copy changed", x, ramp(n))
		reads(t, "second of two equal outputs", out[2], scaled(ramp(n), 2))
		if out, err = exe.Run([]engine.Buffer{x}); err != nil {
			t.Fatal(err)
		}
		reads(t, "constant after its copy changed", out[3], ramp(4))
	})
	t.Run("unused_input", func(t *testing.T) {
		exe := compile(t, func(bld *prim.Builder) {
			bld.Input("unused", typ)
			double(bld)
		})
		out, err := exe.Run([]engine.Buffer{upload(t, b, ramp(n)), upload(t, b, ramp(n))})
		if err != nil {
			t.Fatal(err)
		}
		reads(t, "result", out[0], scaled(ramp(n), 2))
	})
}

// foreign is a buffer of no backend.
type foreign struct{ engine.Buffer }

func runErrors(t *testing.T, b engine.Backend) {
	typ := prim.Type{DType: prim.F32, Shape: []int{8}}
	bld := prim.NewBuilder()
	x := bld.Input("x", typ)
	bld.Output("y", bld.Scale(x, 2))
	p, err := bld.Program()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := b.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	freed := upload(t, b, ramp(8))
	freed.Free()
	run := func(in ...engine.Buffer) func() error {
		return func() error { _, err := exe.Run(in); return err }
	}
	cases := []struct {
		name string
		f    func() error
	}{
		{"no_inputs", run()},
		{"too_many_inputs", run(upload(t, b, ramp(8)), upload(t, b, ramp(8)))},
		{"nil_input", run(nil)},
		{"foreign_input", run(foreign{})},
		{"wrong_shape", run(upload(t, b, ramp(9)))},
		{"wrong_dtype", run(upload(t, b, ramp(8).Cast(prim.I64)))},
		{"freed_input", run(freed)},
		{"read_freed", func() error { _, err := freed.Read(); return err }},
		{"write_freed", func() error { return freed.Write(ramp(8)) }},
		{"upload_nothing", func() error { _, err := b.Upload(nil); return err }},
		{"upload_short", func() error { _, err := b.Upload(prim.F32Tensor(make([]float32, 3), 4)); return err }},
		{"bad_type", func() error { _, err := b.Compile(retyped(p)); return err }},
		{"bad_operand", func() error { _, err := b.Compile(reordered(p)); return err }},
		{"donated_twice", func() error { return useDonated(b) }},
		{"gather_range", func() error { return outOfRange(b, 8) }},
		{"gather_negative", func() error { return outOfRange(b, -1) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := c.f(); err == nil {
				t.Error("want an error, got none")
			}
		})
	}
}

// retyped returns p with a wrong type on its last node.
func retyped(p *prim.Program) *prim.Program {
	q := prim.Program{Nodes: append([]prim.Node{}, p.Nodes...), Inputs: p.Inputs, Outputs: p.Outputs}
	q.Nodes[len(q.Nodes)-1].Type = prim.Type{DType: prim.F32, Shape: []int{9}}
	return &q
}

// reordered returns p with a node that reads itself.
func reordered(p *prim.Program) *prim.Program {
	q := prim.Program{Nodes: append([]prim.Node{}, p.Nodes...), Inputs: p.Inputs, Outputs: p.Outputs}
	last := len(q.Nodes) - 1
	q.Nodes[last].In = []prim.ID{prim.ID(last)}
	return &q
}

// useDonated runs twice with one donated buffer and returns the second error.
func useDonated(b engine.Backend) error {
	bld := prim.NewBuilder()
	x := bld.Input("x", prim.Type{DType: prim.F32, Shape: []int{8}})
	bld.Donate("x")
	bld.Output("y", bld.Scale(x, 2))
	p, err := bld.Program()
	if err != nil {
		return nil
	}
	exe, err := b.Compile(p)
	if err != nil {
		return nil
	}
	buf, err := b.Upload(ramp(8))
	if err != nil {
		return nil
	}
	if _, err := exe.Run([]engine.Buffer{buf}); err != nil {
		return nil
	}
	_, err = exe.Run([]engine.Buffer{buf})
	return err
}

// outOfRange gathers row i of eight.
func outOfRange(b engine.Backend, i int64) error {
	bld := prim.NewBuilder()
	x, k := bld.Input("x", prim.Type{DType: prim.F32, Shape: []int{8}}), bld.Input("i", prim.Type{DType: prim.I64, Shape: []int{2}})
	bld.Output("y", bld.Gather(x, k, 0))
	p, err := bld.Program()
	if err != nil {
		return nil
	}
	_, err = engine.RunHost(b, p, map[string]*prim.Tensor{"x": ramp(8), "i": prim.I64Tensor([]int64{0, i}, 2)})
	return err
}
