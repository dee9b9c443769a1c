package cpu

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// fused is a convolution or a matrix product and a Map over its result, which, in the
// Map's shape, is operand 0 of the Map. Operands are the product's two, then the Map's others.
type fused struct {
	prim.Prim
	then prim.Map
}

// Name names both.
func (f fused) Name() string { return f.Prim.Name() + " then " + label(f.then.Expr) }

// Infer checks the Map on the product's result and returns the product's type.
func (f fused) Infer(in []prim.Type) (prim.Type, error) {
	if len(in) < 2 {
		return prim.Type{}, fmt.Errorf("%s: want at least 2 operands, got %d", f.Prim.Name(), len(in))
	}
	y, err := f.Prim.Infer(in[:2])
	if err != nil {
		return y, err
	}
	mapped := prim.Type{DType: y.DType, Shape: f.then.Shape}
	t, err := f.then.Infer(append([]prim.Type{mapped}, in[2:]...))
	if err == nil && (!t.Equal(mapped) || t.Len() != y.Len()) {
		err = fmt.Errorf("%s: want the map to keep the type %s, got %s", f.Prim.Name(), y, t)
	}
	return y, err
}

// Eval runs one after the other.
func (f fused) Eval(in []*prim.Tensor, out prim.Type) (*prim.Tensor, error) {
	y, err := f.Prim.Eval(in[:2], out)
	if err != nil {
		return nil, err
	}
	y.Shape = f.then.Shape
	y, err = f.then.Eval(append([]*prim.Tensor{y}, in[2:]...), y.Type)
	if err != nil {
		return nil, err
	}
	y.Shape = out.Shape
	return y, nil
}

// VJP is never asked for: programs are differentiated before they are compiled.
func (f fused) VJP(*prim.Builder, []prim.ID, prim.ID, prim.ID) ([]prim.ID, error) {
	panic("BUG: cpu: gradient of a fused product")
}

// fuseRow is the shortest row of a Map that is worth evaluating behind a product.
const fuseRow = 32

// fuse joins products with the Maps that are their only readers. A Map runs where its
// product was, so its other operands must be there by then, or be small.
func fuse(p *prim.Program) *prim.Program {
	then := map[int]int{}              // product → its Map
	behind := map[int]int{}            // Map → its product
	read := map[int]prim.ID{}          // product → the operand of its Map that it is, or that is an alias of it
	gone := make([]bool, len(p.Nodes)) // aliases between
	users := make([]int, len(p.Nodes))
	output := make([]bool, len(p.Nodes))
	for _, n := range p.Nodes {
		for k, id := range n.In {
			if !slices.Contains(n.In[:k], id) {
				users[id]++
			}
		}
	}
	for _, o := range p.Outputs {
		output[o.ID] = true
	}
	for i, n := range p.Nodes {
		m, ok := n.Prim.(prim.Map)
		if !ok || m.Compute != prim.F32 || m.Out != prim.F32 || output[i] {
			continue
		}
		product, operand := prim.Invalid, prim.Invalid
		for _, in := range n.In {
			id, only := in, true
			for only = users[id] == 1 && !output[id]; only && isAlias(p.Nodes[id].Prim); only = users[id] == 1 && !output[id] {
				id = p.Nodes[id].In[0]
			}
			if only && id > product && isProduct(p.Nodes[id].Prim) && p.Nodes[in].Type.Equal(n.Type) {
				product, operand = id, in
			}
		}
		if product != prim.Invalid && fusable(p, i, operand, product) {
			then[int(product)], behind[i] = i, int(product)
			for id := operand; id != product; id = p.Nodes[id].In[0] {
				gone[id] = true
			}
			read[int(product)] = operand
		}
	}
	if len(then) == 0 {
		return p
	}
	q := &prim.Program{Inputs: slices.Clone(p.Inputs), Outputs: slices.Clone(p.Outputs)}
	to := make([]prim.ID, len(p.Nodes))
	for i := range to {
		to[i] = prim.Invalid
	}
	var add func(i int)
	add = func(i int) {
		if to[i] != prim.Invalid || gone[i] {
			return
		}
		if product, ok := behind[i]; ok {
			add(product)
			return
		}
		n := p.Nodes[i]
		last, fuses := then[i]
		if fuses {
			n = join(p, i, last, read[i])
		}
		in := make([]prim.ID, len(n.In))
		for k, id := range n.In {
			add(int(id))
			in[k] = to[id]
		}
		n.In = in
		to[i] = prim.ID(len(q.Nodes))
		q.Nodes = append(q.Nodes, n)
		if fuses {
			if to[last] = to[i]; read[i] != prim.ID(i) {
				t := p.Nodes[last].Type
				to[last] = prim.ID(len(q.Nodes))
				q.Nodes = append(q.Nodes, prim.Node{Prim: prim.Reshape{Shape: t.Shape}, In: []prim.ID{to[i]}, Type: t})
			}
		}
	}
	for i := range p.Nodes {
		add(i)
	}
	q.Rename(to)
	return q
}

// isProduct reports whether a Map can be evaluated on the parts of p's result.
func isProduct(p prim.Prim) bool {
	switch p.(type) {
	case prim.Conv, prim.ConvInputGrad, prim.MatMul, viewed:
		return true
	}
	return false
}

// join returns the node of a product and its Map, which reads it as operand.
func join(p *prim.Program, product, last int, operand prim.ID) prim.Node {
	n, m := p.Nodes[product], p.Nodes[last]
	in := slices.Clone(n.In)
	args := make([]*prim.X, len(m.In))
	for k, id := range m.In {
		if args[k] = prim.A(0); id != operand {
			args[k] = prim.A(len(in) - 1)
			in = append(in, id)
		}
	}
	then := m.Prim.(prim.Map)
	then.Expr = prim.E(then.Expr.X(args...))
	return prim.Node{Prim: fused{n.Prim, then}, In: in, Type: n.Type}
}

// fusable reports whether Map i may be evaluated where product is, its operand: other
// operands are float32 and come before, or are small like all that they need
// from behind product. Rows must be long enough.
func fusable(p *prim.Program, i int, operand, product prim.ID) bool {
	n := p.Nodes[i]
	types := []prim.Type{n.Type}
	for _, id := range n.In {
		if p.Nodes[id].Type.DType != prim.F32 || id != operand && !comesEarly(p, id, product) {
			return false
		}
		types = append(types, p.Nodes[id].Type)
	}
	axes := collapse(n.Type.Shape, types, nil)
	return axes[len(axes)-1].size >= fuseRow
}

// smallOperand is how many times smaller than a product a value must be to be computed before it.
const smallOperand = 16

// comesEarly reports whether value id is computed before product or may be.
func comesEarly(p *prim.Program, id, product prim.ID) bool {
	n := p.Nodes[id]
	if id < product {
		return true
	}
	if _, ok := n.Prim.(prim.Const); ok || n.Prim == nil {
		return true
	}
	if id == product || n.Type.Len()*smallOperand > p.Nodes[product].Type.Len() {
		return false
	}
	for _, in := range n.In {
		if !comesEarly(p, in, product) {
			return false
		}
	}
	return true
}

// epilogue is the Map behind a product, nil for none.
type epilogue = mapping

// epilogueOf splits a fused primitive.
func epilogueOf(p prim.Prim, in []prim.Type, out prim.Type) (prim.Prim, []prim.Type, *epilogue) {
	f, ok := p.(fused)
	if !ok {
		return p, in, nil
	}
	args := append([]prim.Type{{DType: out.DType, Shape: f.then.Shape}}, in[2:]...)
	return f.Prim, in[:2], &epilogue{axes: collapse(f.then.Shape, args, nil), expr: f.then.Expr, args: len(args)}
}

// finisher evaluates an epilogue in place on parts of one result. A nil one does nothing.
type finisher struct {
	g    *epilogue
	k    *kernels
	src  []source
	out  []float32
	tile int
}

// on binds g to a result and the Map's other operands.
func (g *epilogue) on(x *executable, out view, others []view) *finisher {
	if g == nil {
		return nil
	}
	if g.of != x.k {
		g.vm, g.of = x.k.compileMap(g.expr), x.k
	}
	f := &finisher{g: g, k: x.k, out: out.f32(), tile: g.vm.tileFor(g.args)}
	f.src = append(f.src, sourceOf(out))
	for _, v := range others {
		f.src = append(f.src, sourceOf(v))
	}
	return f
}

// finish is a finisher at work on one worker.
type finish struct {
	*finisher
	m         *machine
	buf       []float32
	off, held []int // held: offset of the element that buf repeats, -1 for none
}

// whole evaluates the Map on the whole result.
func (f *finisher) whole(x *executable) {
	if f == nil {
		return
	}
	pieces := x.team.pieces(len(f.out), mapGrain, len(f.out))
	x.team.run(pieces, func(w *worker, piece int) {
		lo, hi := split(len(f.out), 1, pieces, piece)
		f.start(w).apply(lo, hi-lo)
	})
}

// start prepares worker w; nil for a nil finisher.
func (f *finisher) start(w *worker) *finish {
	if f == nil {
		return nil
	}
	n := len(f.src)
	t := &finish{finisher: f, m: f.g.vm.machine(w, f.tile, n), buf: w.scratch(scratchArgs, 8*n), off: make([]int, n), held: make([]int, n)}
	for i := range t.held {
		t.held[i] = -1
	}
	return t
}

// fetch asks for the operands of elements [at, at+n) ahead of their use.
func (t *finish) fetch(at, n int) {
	if t == nil {
		return
	}
	for i := range t.src[1:] {
		if f := t.src[i+1].f; len(f) == len(t.out) {
			t.k.fetch(4*n, &f[at])
		}
	}
}

// apply evaluates the Map on elements [at, at+n) of the result.
func (t *finish) apply(at, n int) {
	if t == nil {
		return
	}
	axes := t.g.axes
	outer, inner := axes[:len(axes)-1], axes[len(axes)-1]
	for n > 0 {
		from := at % inner.size
		part := min(n, inner.size-from, t.tile)
		walk(outer, at/inner.size, t.off)
		for i := range t.src {
			s := &t.src[i]
			if inner.stride[i] != 0 {
				t.m.args[i] = operand{&s.f[t.off[i]+from], 32}
				continue
			}
			b := t.buf[8*i : 8*i+8]
			if t.held[i] != t.off[i] {
				fillSlice(b, s.f[t.off[i]])
				t.held[i] = t.off[i]
			}
			t.m.args[i] = operand{&b[0], 0}
		}
		t.m.run(part, &t.out[at])
		at += part
		n -= part
	}
}
