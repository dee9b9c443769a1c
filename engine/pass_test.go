package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

func TestPassesAreListed(t *testing.T) {
	if err := engine.ValidatePasses(engine.Passes()); err != nil {
		t.Error(err)
	}
	run := func(p *prim.Program) (*prim.Program, error) { return p, nil }
	for _, c := range []struct {
		list []engine.Pass
		want string
	}{
		{[]engine.Pass{{Name: "a", Doc: "does a", Run: run}, {Name: "a", Doc: "does a", Run: run}}, `engine: pass "a": listed twice`},
		{[]engine.Pass{{Doc: "x", Run: run}, {Name: "b", Run: run}, {Name: "c", Doc: "x"}}, "engine: pass 0 (\"\"): want Name, Doc and Run\nengine: pass 1 (\"b\"): want Name, Doc and Run\nengine: pass 2 (\"c\"): want Name, Doc and Run"},
	} {
		if err := engine.ValidatePasses(c.list); err == nil || err.Error() != c.want {
			t.Errorf("want %s, got %v", c.want, err)
		}
	}
}

// everyRule is a program on which every pass of the engine has something to do.
func everyRule(t *testing.T) *prim.Program {
	t.Helper()
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{64, 64, 4}})
	r := b.Input("r", prim.Type{DType: prim.F32, Shape: []int{1, 64, 4}})
	k := b.Times(b.Const(prim.F32Tensor([]float32{1, 2, 3, 4}, 1, 1, 4)), b.Scalar(prim.F32, 2))
	e := b.Unary(prim.Exp, b.Plus(x, k))
	half := func(lo int) prim.ID {
		return b.Pad(b.SliceAxis(e, 0, lo, lo+32), []int{lo, 0, 0}, []int{32 - lo, 0, 0}, 0)
	}
	b.Output("parts", b.Plus(half(0), half(32)))
	b.Output("sum", b.Reduce(prim.ReduceSum, []int{0}, prim.Op(prim.Mul, prim.A(0), prim.A(1)), x, r))
	b.Output("small", b.Map(prim.Op(prim.Mul, prim.A(0), prim.Op(prim.Exp, prim.A(1))), x, r))
	b.Output("same", b.Unary(prim.Sin, b.StopGrad(r)))
	b.Output("again", b.Unary(prim.Sin, r))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func dump(t *testing.T, p *prim.Program) string {
	t.Helper()
	var text strings.Builder
	if err := engine.Dump(&text, p); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// No pass is listed in vain, and none but those of the list work.
func TestPassesWork(t *testing.T) {
	p := everyRule(t)
	before := dump(t, p)
	all := engine.Passes()
	full, err := engine.RunVerified(p, all)
	if err != nil {
		t.Fatal(err)
	}
	last := before
	for i, pass := range all {
		q, err := engine.RunVerified(p, all[:i+1])
		if err != nil {
			t.Fatal(err)
		}
		if text := dump(t, q); text == last {
			t.Errorf("the first %d passes: want the program changed by %s", i+1, pass.Name)
		} else {
			last = text
		}
		if q, err = engine.RunVerified(p, slices.Delete(slices.Clone(all), i, i+1)); err != nil {
			t.Fatal(err)
		}
		if dump(t, q) == dump(t, full) {
			t.Errorf("all passes but %s: want another program than all", pass.Name)
		}
	}
	if q, err := engine.RunPasses(p, nil); err != nil || dump(t, q) != before {
		t.Errorf("no passes: want the program as it was, got %v", err)
	}
	if dump(t, p) != before {
		t.Error("want the program that was given to stay as it was")
	}
}

// RunVerified names the pass that breaks a program, with all faults; RunPasses lets it be.
func TestRunVerifiedNamesThePass(t *testing.T) {
	boom := errors.New("boom")
	edit := func(f func(q *prim.Program)) engine.Pass {
		return engine.Pass{Name: "bad", Doc: "for the test", Run: func(p *prim.Program) (*prim.Program, error) {
			q := &prim.Program{Nodes: slices.Clone(p.Nodes), Inputs: slices.Clone(p.Inputs), Outputs: slices.Clone(p.Outputs)}
			f(q)
			return q, nil
		}}
	}
	p := everyRule(t)
	for _, c := range []struct {
		name string
		pass engine.Pass
		want []string
	}{
		{"types", edit(func(q *prim.Program) { q.Nodes[1].Type.DType, q.Nodes[0].In = prim.I64, []prim.ID{0} }), []string{"engine: pass bad: ", "node 0: want an input without operands", "input 1: want "}},
		{"donation", edit(func(q *prim.Program) { q.Inputs[0].Donate = true }), []string{"engine: pass bad: input 0: want {Name:x "}},
		{"output", edit(func(q *prim.Program) { q.Outputs[3].Name = "other" }), []string{`engine: pass bad: output 3: want "same" of f32[1 64 4], got "other"`}},
		{"outputs", edit(func(q *prim.Program) { q.Outputs = q.Outputs[1:] }), []string{"engine: pass bad: want 2 inputs and 5 outputs, got 2 and 4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			passes := append(engine.Passes(), c.pass)
			_, err := engine.RunVerified(p, passes)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("want %q, got %v", want, err)
				}
			}
			if _, err := engine.RunPasses(p, passes); err != nil {
				t.Error(err)
			}
		})
	}
	failing := engine.Pass{Name: "failing", Doc: "for the test", Run: func(*prim.Program) (*prim.Program, error) { return nil, boom }}
	if _, err := engine.RunPasses(p, []engine.Pass{failing}); !errors.Is(err, boom) || !strings.Contains(err.Error(), "engine: pass failing: ") {
		t.Errorf("want the error of the pass, got %v", err)
	}
	if _, err := engine.RunVerified(&prim.Program{Outputs: []prim.Output{{Name: "y", ID: 3}}}, nil); err == nil || !strings.Contains(err.Error(), `engine: before the passes: prim: output "y": want a node, got 3`) {
		t.Errorf("want the program refused, got %v", err)
	}
}
