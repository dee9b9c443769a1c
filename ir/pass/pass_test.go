package pass_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

func model(t *testing.T) *ir.Model {
	t.Helper()
	m, err := ir.Parse(`model { ir 8 opset _ 17 } graph g { input x none output y none
		node a: (a) = Neg(x) node b: (b) = Neg(a) node c: (c) = Neg(b) node d: (y) = Neg(c) }`)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// retype changes one node of operator from to operator to per patch.
func retype(name, from, to string) pass.Pass {
	return pass.Pass{Name: name, Doc: "for the test", Next: func(m *ir.Model) (*ir.Patch, error) {
		for _, n := range m.Graph.Nodes {
			if n.OpType == from {
				c := n.Clone()
				c.OpType = to
				p := ir.NewPatch(m.Graph, n.Name)
				p.Replace(n, c)
				return p, nil
			}
		}
		return nil, nil
	}}
}

func ops(m *ir.Model) string {
	var list []string
	for _, n := range m.Graph.Nodes {
		list = append(list, n.OpType)
	}
	return strings.Join(list, " ")
}

// A later pass may give an earlier one new work.
func TestRunRepeatsUntilNothingIsLeft(t *testing.T) {
	m := model(t)
	var log []string
	steps, err := pass.Run(m, []pass.Pass{retype("second", "Abs", "Exp"), retype("first", "Neg", "Abs")}, pass.Options{
		Verify: true, Log: func(s pass.Step) { log = append(log, fmt.Sprintf("%d %s %s", s.N, s.Pass, s.Title)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := ops(m); got != "Exp Exp Exp Exp" || len(steps) != 8 {
		t.Errorf("want four Exp in 8 steps, got %s in %d", got, len(steps))
	}
	if len(log) != 8 || log[0] != "1 first a" || log[7] != "8 second d" {
		t.Errorf("log: got %v", log)
	}
}

func TestRunStopsAtMaxPatches(t *testing.T) {
	m := model(t)
	steps, err := pass.Run(m, []pass.Pass{retype("p", "Neg", "Abs")}, pass.Options{MaxPatches: 2})
	if err != nil || len(steps) != 2 || ops(m) != "Abs Abs Neg Neg" {
		t.Errorf("want two steps, got %d: %s, %v", len(steps), ops(m), err)
	}
}

func TestRunNamesPassAndPatch(t *testing.T) {
	bad := pass.Pass{Name: "bad", Doc: "for the test", Next: func(m *ir.Model) (*ir.Patch, error) {
		p := ir.NewPatch(m.Graph, "oops")
		p.Remove(m.Graph.Nodes[0])
		return p, nil
	}}
	m := model(t)
	steps, err := pass.Run(m, []pass.Pass{retype("p", "Neg", "Abs"), bad}, pass.Options{})
	if err == nil || !strings.Contains(err.Error(), `pass bad: patch 5: ir: patch "oops"`) || len(steps) != 4 {
		t.Errorf("got %d steps and %v", len(steps), err)
	}
	broken := retype("broken", "Neg", "")
	if _, err := pass.Run(model(t), []pass.Pass{broken}, pass.Options{Verify: true}); err == nil || !strings.Contains(err.Error(), "pass broken: patch 1 (a): the model is broken") {
		t.Errorf("got %v", err)
	}
	boom := errors.New("boom")
	failing := pass.Pass{Name: "failing", Doc: "for the test", Next: func(*ir.Model) (*ir.Patch, error) { return nil, boom }}
	if _, err := pass.Run(model(t), []pass.Pass{failing}, pass.Options{}); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

func TestRunRefusesEndlessPass(t *testing.T) {
	m := model(t)
	flip := pass.Pass{Name: "flip", Doc: "for the test", Next: func(m *ir.Model) (*ir.Patch, error) {
		p := ir.NewPatch(m.Graph, "flip")
		p.SetType("a", ir.TensorType(ir.Float32))
		return p, nil
	}}
	if _, err := pass.Run(m, []pass.Pass{flip}, pass.Options{}); err == nil || !strings.Contains(err.Error(), "pass flip: 10000 patches and no end") {
		t.Errorf("got %v", err)
	}
}

func TestValidate(t *testing.T) {
	ok := retype("p", "A", "B")
	if err := pass.Validate([]pass.Pass{ok}); err != nil {
		t.Error(err)
	}
	for _, list := range [][]pass.Pass{{ok, ok}, {{Name: "x", Next: ok.Next}}, {{Doc: "x", Next: ok.Next}}, {{Name: "x", Doc: "x"}}} {
		if pass.Validate(list) == nil {
			t.Errorf("want an error for %v", list)
		}
	}
}
