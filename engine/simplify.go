package engine

import (
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Limits of Simplify.
const (
	maxFused     = 12   // operands of a merged expression
	maxInstrs    = 64   // instructions of a merged expression
	maxFold      = 4096 // elements of a result that constant folding may always make
	maxFoldInput = 1 << 22
	maxRounds    = 32
	maxSplatScan = 1 << 22
)

// Simplify validates p and returns an equivalent, cheaper program with the same inputs
// and outputs: all of Passes, applied. An elementwise producer is merged only if it has
// one consumer and that consumer's domain, or if it merely copies, casts or
// broadcasts; never across a change of precision.
//
// The result must not be differentiated: StopGrad is gone.
func Simplify(p *prim.Program) (*prim.Program, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("engine: simplify: %w", err)
	}
	return RunPasses(p, Passes())
}

// applyRules rewrites p node by node until nothing changes.
func applyRules(p *prim.Program, rules []Pass) (*prim.Program, error) {
	before := ""
	for range maxRounds {
		r := rewriter{old: p, rules: rules, uses: useCounts(p), seen: map[string]prim.ID{}, splats: map[*prim.Tensor]splat{}}
		next, err := r.rewrite()
		if err != nil {
			return nil, err
		}
		p = sweep(next)
		after := shape(p)
		if after == before {
			break
		}
		before = after
	}
	return p, nil
}

// shape is a print of the program that tells whether a round changed anything.
func shape(p *prim.Program) string {
	n, in := 0, 0
	for _, node := range p.Nodes {
		in += len(node.In)
		n += len(expression(node.Prim))
	}
	return fmt.Sprint(len(p.Nodes), in, n)
}

func expression(p prim.Prim) prim.Expr {
	switch p := p.(type) {
	case prim.Map:
		return p.Expr
	case prim.Reduce:
		return p.Expr
	}
	return nil
}

// useCounts counts, per node, the nodes and outputs that read it.
func useCounts(p *prim.Program) []int {
	uses := make([]int, len(p.Nodes))
	for _, n := range p.Nodes {
		for k, id := range n.In {
			if !slices.Contains(n.In[:k], id) {
				uses[id]++
			}
		}
	}
	for _, o := range p.Outputs {
		uses[o.ID]++
	}
	return uses
}

// sweep drops the nodes that no output needs; inputs stay.
func sweep(p *prim.Program) *prim.Program {
	live := p.Live()
	at := make([]prim.ID, len(p.Nodes))
	q := &prim.Program{Inputs: slices.Clone(p.Inputs), Outputs: slices.Clone(p.Outputs)}
	for i, n := range p.Nodes {
		if !live[i] {
			continue
		}
		at[i] = prim.ID(len(q.Nodes))
		in := make([]prim.ID, len(n.In))
		for k, id := range n.In {
			in[k] = at[id]
		}
		q.Nodes = append(q.Nodes, prim.Node{Prim: n.Prim, In: in, Type: n.Type})
	}
	q.Rename(at)
	return q
}

// rewriter copies one program node by node and applies rules.
type rewriter struct {
	old    *prim.Program
	rules  []Pass
	uses   []int // of old nodes
	out    prim.Program
	single []bool // per new node: the old node had one use, so it may be merged
	seen   map[string]prim.ID
	splats map[*prim.Tensor]splat
}

type splat struct {
	value float64
	ok    bool
}

func (r *rewriter) rewrite() (*prim.Program, error) {
	at := make([]prim.ID, len(r.old.Nodes))
	for i, n := range r.old.Nodes {
		if n.Prim == nil {
			at[i] = r.append(n, false)
			continue
		}
		in := make([]prim.ID, len(n.In))
		for k, id := range n.In {
			in[k] = at[id]
		}
		id, err := r.add(n.Prim, in, n.Type, r.uses[i] == 1)
		if err != nil {
			return nil, fmt.Errorf("node %d (%s): %w", i, n.Prim.Name(), err)
		}
		at[i] = id
	}
	for _, in := range r.old.Inputs {
		in.ID = at[in.ID]
		r.out.Inputs = append(r.out.Inputs, in)
	}
	for _, o := range r.old.Outputs {
		o.ID = at[o.ID]
		r.out.Outputs = append(r.out.Outputs, o)
	}
	return &r.out, nil
}

func (r *rewriter) append(n prim.Node, single bool) prim.ID {
	r.out.Nodes = append(r.out.Nodes, n)
	r.single = append(r.single, single)
	return prim.ID(len(r.out.Nodes) - 1)
}

func (r *rewriter) typ(id prim.ID) prim.Type { return r.out.Nodes[id].Type }

// add appends what the rules make of a node, or finds a value that equals it.
func (r *rewriter) add(p prim.Prim, in []prim.ID, t prim.Type, single bool) (prim.ID, error) {
	n := prim.Node{Prim: p, In: in, Type: t}
	for _, rule := range r.rules {
		out, done, err := rule.rule(r, n, single)
		if err != nil || done != prim.Invalid {
			return done, err
		}
		n = out
	}
	return r.append(n, single), nil
}

// shareRule is the last that a node meets: it appends the node.
func shareRule(r *rewriter, n prim.Node, single bool) (prim.Node, prim.ID, error) {
	key := fmt.Sprintf("%T%+v%v%s", n.Prim, n.Prim, n.In, n.Type)
	if k, ok := n.Prim.(prim.Const); ok {
		key = constKey(k.Value)
	}
	id, ok := r.seen[key]
	if ok {
		r.single[id] = false
	} else {
		id = r.append(n, single)
		r.seen[key] = id
	}
	return n, id, nil
}

// constKey identifies a constant by its contents when small, else by its storage.
func constKey(t *prim.Tensor) string {
	if t.Len() > 64 {
		return fmt.Sprintf("const %p", t)
	}
	key := "const " + t.Type.String()
	for i := range t.Len() {
		if t.DType.Float() {
			key += fmt.Sprintf(" %x", math.Float64bits(t.Float(i)))
		} else {
			key += fmt.Sprintf(" %d", t.Int(i))
		}
	}
	return key
}

func foldRule(r *rewriter, n prim.Node, _ bool) (prim.Node, prim.ID, error) {
	c, err := r.fold(n.Prim, n.In, n.Type)
	if c != nil {
		n.Prim, n.In = prim.Const{Value: c}, nil
	}
	return n, prim.Invalid, err
}

// fold computes the node when all operands are constants and the result is
// small, or is a constant under another shape.
func (r *rewriter) fold(p prim.Prim, in []prim.ID, t prim.Type) (*prim.Tensor, error) {
	if _, ok := p.(prim.Const); ok {
		return nil, nil
	}
	args := make([]*prim.Tensor, len(in))
	for k, id := range in {
		c, ok := r.out.Nodes[id].Prim.(prim.Const)
		if !ok {
			return nil, nil
		}
		args[k] = c.Value
	}
	if _, ok := p.(prim.Reshape); ok {
		v := *args[0]
		v.Type = prim.Type{DType: t.DType, Shape: slices.Clone(t.Shape)}
		return &v, nil
	}
	size := 0
	for _, a := range args {
		size += a.Len()
	}
	if len(in) == 0 || t.Len() > foldLimit(p, size) || size > maxFoldInput {
		return nil, nil
	}
	for k, a := range args {
		args[k] = a.Cast(prim.Storage(a.Type).DType)
	}
	v, err := p.Eval(args, t)
	if err != nil {
		return nil, err
	}
	return v.Cast(t.DType), nil
}

// foldLimit returns the largest result that folding p may make of operands with
// that many elements: work linear in the operands may make as many.
func foldLimit(p prim.Prim, operands int) int {
	switch p.(type) {
	case prim.MatMul, prim.Conv, prim.ConvInputGrad, prim.ConvWeightGrad:
		return maxFold
	}
	return max(maxFold, operands)
}

func identityRule(r *rewriter, n prim.Node, _ bool) (prim.Node, prim.ID, error) {
	id := r.trivial(n.Prim, n.In, n.Type)
	if id != prim.Invalid {
		r.single[id] = false
	}
	return n, id, nil
}

// trivial returns an existing value equal to the node, Invalid when there is none.
func (r *rewriter) trivial(p prim.Prim, in []prim.ID, t prim.Type) prim.ID {
	if len(in) != 1 || !r.typ(in[0]).Equal(t) {
		return prim.Invalid
	}
	same := false
	switch p := p.(type) {
	case prim.Map:
		e := p.Expr
		same = len(e) == 1 && e[0].Code == prim.Arg && (p.Compute == t.DType || t.DType == prim.Bool || t.DType.Half() && p.Compute.Float() || p.Compute == prim.F64 && t.DType == prim.F32)
	case prim.Reduce:
		e := p.Expr
		same = len(e) == 1 && e[0].Code == prim.Arg
		for _, a := range p.Axes {
			same = same && p.Shape[a] == 1
		}
	case prim.StopGrad, prim.Reshape, prim.Slice, prim.Pad, prim.Concat:
		same = true
	case prim.Reverse:
		same = true
		for _, a := range p.Axes {
			same = same && t.Shape[a] == 1
		}
	case prim.Transpose:
		same = slices.IsSorted(p.Perm)
	}
	if !same {
		return prim.Invalid
	}
	return in[0]
}
