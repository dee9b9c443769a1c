package cpu

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// access is how a value is read from another one's storage: element i… is at off + Σ i·stride.
type access struct {
	shape, stride []int
	off           int
}

// viewed is a matrix product that reads its operands through views of the node's operands.
type viewed struct {
	prim.MatMul
	views [2]access
}

// Infer checks that the views lie within the operands and returns the product's type.
func (v viewed) Infer(in []prim.Type) (prim.Type, error) {
	if len(in) != 2 {
		return prim.Type{}, fmt.Errorf("matmul: want 2 operands, got %d", len(in))
	}
	seen := make([]prim.Type, 2)
	for k, a := range v.views {
		last := a.off
		for i, n := range a.shape {
			last += (n - 1) * a.stride[i]
		}
		if a.off < 0 || last >= in[k].Len() || slices.ContainsFunc(a.stride, func(s int) bool { return s < 0 }) {
			return prim.Type{}, fmt.Errorf("matmul: operand %d: want a view within %s, got %+v", k, in[k], a)
		}
		seen[k] = prim.Type{DType: in[k].DType, Shape: a.shape}
	}
	return v.MatMul.Infer(seen)
}

// Eval copies the operands and multiplies them.
func (v viewed) Eval(in []*prim.Tensor, out prim.Type) (*prim.Tensor, error) {
	operands := make([]*prim.Tensor, 2)
	for k, a := range v.views {
		t := prim.NewTensor(prim.Type{DType: prim.F64, Shape: a.shape})
		axes := collapseStrides(a.shape, [][]int{a.stride}, nil)
		off := []int{0}
		for i := range t.F64 {
			walk(axes, i, off)
			t.F64[i] = in[k].F64[a.off+off[0]]
		}
		operands[k] = t
	}
	return v.MatMul.Eval(operands, out)
}

// absorb lets matrix products read transposed, sliced and reshaped values from where
// those come from, if rows or columns stay consecutive and nothing but products
// reads the value. Node numbers stay.
func absorb(p *prim.Program) *prim.Program {
	products := make([]bool, len(p.Nodes)) // read by matrix products only
	for i := range products {
		products[i] = true
	}
	for _, o := range p.Outputs {
		products[o.ID] = false
	}
	live := p.Live()
	for i := len(p.Nodes) - 1; i >= 0; i-- {
		n := p.Nodes[i]
		if !live[i] || n.Prim == nil {
			continue
		}
		_, product := n.Prim.(prim.MatMul)
		for _, in := range n.In {
			if !product && !(isAlias(n.Prim) && products[i]) {
				products[in] = false
			}
		}
	}
	q := &prim.Program{Nodes: slices.Clone(p.Nodes), Inputs: p.Inputs, Outputs: p.Outputs}
	for i, n := range p.Nodes {
		m, ok := n.Prim.(prim.MatMul)
		if !ok || n.Type.DType != prim.F32 || n.Type.Len() == 0 {
			continue
		}
		v := viewed{MatMul: m}
		in := slices.Clone(n.In)
		for k, id := range n.In {
			t := p.Nodes[id].Type
			v.views[k] = access{t.Shape, rowMajor(t.Shape), 0}
			if !products[id] || t.Len() == 0 {
				continue
			}
			if root, a := accessOf(p, id); rootOf(p, root) != rootOf(p, id) && (a.step(1) == 1 || a.step(2) == 1) {
				in[k], v.views[k] = root, a
			}
		}
		if !slices.Equal(in, n.In) {
			q.Nodes[i] = prim.Node{Prim: v, In: in, Type: n.Type}
		}
	}
	return q
}

// step returns the stride of the k-th axis from the end.
func (a access) step(k int) int { return a.stride[len(a.stride)-k] }

// accessOf returns the value farthest back from which id can be read, and how.
func accessOf(p *prim.Program, id prim.ID) (prim.ID, access) {
	n := p.Nodes[id]
	own := access{n.Type.Shape, rowMajor(n.Type.Shape), 0}
	switch q := n.Prim.(type) {
	case prim.StopGrad:
		return accessOf(p, n.In[0])
	case prim.Transpose:
		root, a := accessOf(p, n.In[0])
		t := access{shape: n.Type.Shape, off: a.off}
		for _, k := range q.Perm {
			t.stride = append(t.stride, a.stride[k])
		}
		return root, t
	case prim.Slice:
		root, a := accessOf(p, n.In[0])
		t := access{shape: n.Type.Shape, off: a.off}
		for k, s := range a.stride {
			t.off += q.Start[k] * s
			t.stride = append(t.stride, q.Step[k]*s)
		}
		return root, t
	case prim.Reshape:
		root, a := accessOf(p, n.In[0])
		if s, ok := a.reshape(n.Type.Shape); ok {
			return root, access{n.Type.Shape, s, a.off}
		}
	}
	return id, own
}

// reshape returns the strides of a under another shape of as many elements, false when
// there are none. Sizes are not zero.
func (a access) reshape(shape []int) ([]int, bool) {
	out := make([]int, len(shape))
	k := len(a.shape) - 1
	size, step := 1, 0 // left of the run of axes that end before k, and its stride
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] == 1 {
			continue
		}
		for size == 1 {
			for a.shape[k] == 1 {
				k--
			}
			size, step = a.shape[k], a.stride[k]
			for k--; k >= 0 && (a.shape[k] == 1 || a.stride[k] == step*size); k-- {
				size *= a.shape[k]
			}
		}
		if size%shape[i] != 0 {
			return nil, false
		}
		out[i] = step
		step *= shape[i]
		size /= shape[i]
	}
	return out, true
}
