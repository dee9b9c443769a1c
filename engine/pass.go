package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Pass turns a program into an equivalent one with the same inputs and outputs. It is
// one of two kinds: Run rewrites a whole program, a rule rewrites one node at a time in
// terms of the nodes before it. Rules come from Passes only.
type Pass struct {
	Name string
	Doc  string // one line
	Run  func(*prim.Program) (*prim.Program, error)
	rule rule
}

// rule returns a node that gives the same value as n, or, unless done is prim.Invalid,
// a node of r that holds the value. single says that n has one reader.
type rule func(r *rewriter, n prim.Node, single bool) (out prim.Node, done prim.ID, err error)

// Passes lists the rules of Simplify in the order in which they are tried on a node.
//
// Grad and Remat are not among them: they make another program, not an equivalent one
// of the same cost. What a backend does on the way is in its own list, cpu.Passes.
func Passes() []Pass {
	return []Pass{
		{Name: "merge", Doc: "elementwise chains, equal constants and layout pairs merge into the node that reads them", rule: mergeRule},
		{Name: "hoist", Doc: "factors that do not vary along the axes of a sum leave it", rule: hoistRule},
		{Name: "join-pads", Doc: "a sum of parts that zeros pad to disjoint places becomes their concatenation", rule: joinPadsRule},
		{Name: "outline", Doc: "what an expression computes of small operands alone is computed once, before it", rule: outlineRule},
		{Name: "identity", Doc: "nodes that change nothing go", rule: identityRule},
		{Name: "fold", Doc: "what is computed of constants is a constant, where that stays small", rule: foldRule},
		{Name: "share", Doc: "equal nodes are one", rule: shareRule},
	}
}

// RunPasses applies passes in their order; a part of a list, such as its first n, is a
// list too, so a wrong pass is found by bisection. Rules that stand next to each other
// work together, node by node and until nothing changes, since each makes work for the
// others; nodes that no output needs go with them. p must be valid and stays as it is.
func RunPasses(p *prim.Program, passes []Pass) (*prim.Program, error) {
	return runPasses(p, passes, func(*prim.Program) error { return nil })
}

// RunVerified does the same, validates the program before and after every pass, and
// checks that its inputs and outputs are still those of p. It is for tests.
func RunVerified(p *prim.Program, passes []Pass) (*prim.Program, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("engine: before the passes: %w", err)
	}
	return runPasses(p, passes, func(q *prim.Program) error { return errors.Join(q.Validate(), sameFace(p, q)) })
}

func runPasses(p *prim.Program, passes []Pass, check func(*prim.Program) error) (*prim.Program, error) {
	for len(passes) > 0 {
		n := 0
		for n < len(passes) && passes[n].rule != nil {
			n++
		}
		name, run := "simplify", func(p *prim.Program) (*prim.Program, error) { return applyRules(p, passes[:n]) }
		if n == 0 {
			name, run, n = passes[0].Name, passes[0].Run, 1
		}
		var err error
		if p, err = run(p); err == nil {
			err = check(p)
		}
		if err != nil {
			return nil, fmt.Errorf("engine: pass %s: %w", name, err)
		}
		passes = passes[n:]
	}
	return p, nil
}

// sameFace reports inputs and outputs of q that differ from those of p.
func sameFace(p, q *prim.Program) error {
	var errs []error
	if len(p.Inputs) != len(q.Inputs) || len(p.Outputs) != len(q.Outputs) {
		return fmt.Errorf("want %d inputs and %d outputs, got %d and %d", len(p.Inputs), len(p.Outputs), len(q.Inputs), len(q.Outputs))
	}
	typ := func(p *prim.Program, id prim.ID) prim.Type {
		if id < 0 || int(id) >= len(p.Nodes) {
			return prim.Type{}
		}
		return p.Nodes[id].Type
	}
	for i, a := range p.Inputs {
		b := q.Inputs[i]
		ta, tb := typ(p, a.ID), typ(q, b.ID)
		if a.ID, b.ID = 0, 0; a != b || !ta.Equal(tb) {
			errs = append(errs, fmt.Errorf("input %d: want %+v of %s, got %+v of %s", i, a, ta, b, tb))
		}
	}
	for i, a := range p.Outputs {
		b := q.Outputs[i]
		if ta, tb := typ(p, a.ID), typ(q, b.ID); a.Name != b.Name || !ta.Equal(tb) {
			errs = append(errs, fmt.Errorf("output %d: want %q of %s, got %q of %s", i, a.Name, ta, b.Name, tb))
		}
	}
	return errors.Join(errs...)
}

// ValidatePasses reports every pass without a name, a doc line or something to do, and
// every name that is listed twice.
func ValidatePasses(list []Pass) error {
	var errs []error
	for i, p := range list {
		if p.Name == "" || p.Doc == "" || (p.Run == nil) == (p.rule == nil) {
			errs = append(errs, fmt.Errorf("engine: pass %d (%q): want Name, Doc and Run", i, p.Name))
		}
		if slices.ContainsFunc(list[:i], func(q Pass) bool { return q.Name == p.Name }) {
			errs = append(errs, fmt.Errorf("engine: pass %q: listed twice", p.Name))
		}
	}
	return errors.Join(errs...)
}
