package cpu

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// runFunc runs a kernel. It may use the workers of x; it sees operands and result as
// views, and must not keep them.
type runFunc func(x *executable, out view, in []view) error

// kernel is a chosen way to run one node.
type kernel struct {
	name  string
	run   runFunc
	flops float64
	folds bool // a Reduce that may run together with others
	// host, when set, runs the kernel and folds over its result.
	host  func(x *executable, out view, in []view, folds *folding) error
	reuse []int // operand positions whose storage the result may overwrite, best first
	// pack, when set, lays operand packs out for the kernel, once, when that operand is
	// constant; the run that it returns does not read the operand.
	pack  func(x *executable, operand view) runFunc
	packs int
}

// step is a node to run.
type step struct {
	node int
	in   []int
	outs []int // of joined folds: the nodes it computes
	kernel
	bytes float64
}

// Compile checks p, picks kernels and plans storage.
func (b *Backend) Compile(p *prim.Program) (engine.Executable, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("cpu: compile: %w", err)
	}
	p, err := engine.RunPasses(p, b.opt.Passes)
	if err != nil {
		return nil, fmt.Errorf("cpu: compile: %w", err)
	}
	x := &executable{b: b, k: b.kernels}
	kernels := make([]kernel, len(p.Nodes))
	for i, n := range p.Nodes {
		if n.Prim == nil || isAlias(n.Prim) {
			continue
		}
		if _, ok := n.Prim.(prim.Const); ok {
			continue
		}
		in := make([]prim.Type, len(n.In))
		for k, id := range n.In {
			in[k] = p.Nodes[id].Type
		}
		kernels[i] = choose(n.Prim, in, n.Type)
	}
	live := p.Live()
	groups := siblings(p, live, kernels)
	runsAt := seq(len(p.Nodes))
	for last, nodes := range groups {
		for _, i := range nodes {
			runsAt[i] = last
		}
	}
	hosts, hosted := hostFolds(p, live, kernels, groups, runsAt)
	pl := planStorage(p, live, runsAt, func(i int) []int { return reusable(p, kernels[i], i) })
	x.plan = pl
	x.donate = make([]bool, len(p.Inputs))
	for k, in := range p.Inputs {
		x.inputs = append(x.inputs, p.Nodes[in.ID].Type)
		x.names = append(x.names, in.Name)
		x.donate[k] = in.Donate
	}
	for _, o := range p.Outputs {
		x.outputs = append(x.outputs, p.Nodes[o.ID].Type)
		x.results = append(x.results, int(o.ID))
	}
	var values []*prim.Tensor // of x.consts
	for i, n := range p.Nodes {
		host, isLast := hosts[i]
		x.types = append(x.types, n.Type)
		c, constant := n.Prim.(prim.Const)
		switch {
		case !pl.live[i] || n.Prim == nil || isAlias(n.Prim) || runsAt[i] != i:
		case constant:
			x.consts = append(x.consts, view{typ: n.Type})
			values = append(values, c.Value)
		case isLast:
			x.steps = append(x.steps, hostStep(p, host, hosted[host], kernels))
		case groups[i] != nil:
			x.steps = append(x.steps, joinFolds(p, groups[i], kernels))
		default:
			s := step{node: i, kernel: kernels[i], bytes: float64(n.Type.Bytes())}
			for _, id := range n.In {
				s.in = append(s.in, int(id))
				s.bytes += float64(p.Nodes[id].Type.Bytes())
			}
			x.steps = append(x.steps, s)
		}
	}
	x.packConstants(values)
	b.spaces.join(x)
	return x, nil
}

// packConstants lets kernels lay out their constant operands, and copies the constants that
// something else reads as they are: each alone, so that no more than one stands beside its layout.
func (x *executable) packConstants(values []*prim.Tensor) {
	x.space = x.b.spaces.take(nil, 0, x.b.opt.Threads)
	x.team = x.space.team
	defer x.leave()
	pl := x.plan
	fill := func(c int) {
		if x.consts[c].mem == nil {
			x.consts[c] = newView(x.consts[c].typ)
			x.consts[c].copyFrom(values[c])
		}
	}
	packed := make([]bool, len(x.consts))
	readers := make([]int, len(x.consts))
	constant := func(id int) int {
		if at := pl.place[pl.root[id]]; at.kind == inConst {
			return at.index
		}
		return -1
	}
	for _, s := range x.steps {
		for _, id := range s.in {
			if c := constant(id); c >= 0 {
				readers[c]++
			}
		}
	}
	for _, k := range pl.copies {
		if c := constant(x.results[k]); c >= 0 {
			readers[c]++
		}
	}
	for i := range x.steps {
		s := &x.steps[i]
		if s.pack == nil {
			continue
		}
		if c := constant(s.in[s.packs]); c >= 0 {
			fill(c)
			if run := s.pack(x, x.consts[c]); run != nil {
				s.run = run
				readers[c]--
				if packed[c] = readers[c] == 0; packed[c] {
					x.consts[c].mem = nil
				}
			}
		}
	}
	for c := range x.consts {
		if !packed[c] {
			fill(c)
		}
	}
}

// reusable lists the roots of node i's operands that k may overwrite: no operand
// that k must not overwrite reads the same storage.
func reusable(p *prim.Program, k kernel, i int) []int {
	var out []int
next:
	for _, pos := range k.reuse {
		r := rootOf(p, p.Nodes[i].In[pos])
		for other, id := range p.Nodes[i].In {
			if rootOf(p, id) == r && !slices.Contains(k.reuse, other) {
				continue next
			}
		}
		out = append(out, r)
	}
	return out
}

// choose picks the kernel of a primitive for its operand and result types.
func choose(p prim.Prim, in []prim.Type, out prim.Type) kernel {
	for _, try := range choosers {
		if k, ok := try(p, in, out); ok {
			return k
		}
	}
	return fallback(p)
}

// choosers are asked in order; the first that takes a primitive wins.
var choosers = []func(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool){
	chooseMatMul,
	chooseConv,
	chooseMap,
	chooseReduce,
	chooseSpread,
	chooseLayout,
	chooseGather,
	choosePool,
	chooseArgReduce,
	chooseRandom,
}

// fallback runs the plain kernel of p in float64.
func fallback(p prim.Prim) kernel {
	return kernel{name: "plain " + p.Name(), run: func(x *executable, out view, in []view) error {
		args := make([]*prim.Tensor, len(in))
		for i, v := range in {
			t := v.tensor()
			if d := prim.Storage(t.Type).DType; t.DType != d {
				t = t.Cast(d)
			}
			args[i] = t
		}
		res, err := p.Eval(args, prim.Storage(out.typ))
		if err != nil {
			return err
		}
		if res.DType != out.typ.DType {
			res = res.Cast(out.typ.DType)
		}
		out.copyFrom(res)
		return nil
	}}
}
