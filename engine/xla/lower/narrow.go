package lower

import (
	"github.com/entangle-nas/entangle/engine/prim"
)

// smallProduct is the number of multiplications below which a product stays in
// float32 whatever the precision: coefficients of choices, costs, heads.
const smallProduct = 1 << 18

// smallValue is the number of elements below which a value that no large product reads
// stays in float32: it costs next to nothing there.
const smallValue = 1 << 16

// narrowValues tells which F32 values of a BF16 program are held in bfloat16, so that
// what reads them moves half of the bytes. They are
//
//   - results of large products, and what those read;
//   - large values made by Map from such values alone, and from what does not depend on
//     any such value: parameters. A value that also reads a statistic, or a sum, is not;
//   - rearrangements of such values, also together with parameters, and the gradients of
//     a MaxPool of one.
//
// Inputs, outputs and constants are never narrow: parameters, statistics and optimiser
// states keep float32.
func narrowValues(p *prim.Program) []bool {
	read := readByProducts(p)
	fixed := make([]bool, len(p.Nodes))
	for _, o := range p.Outputs {
		fixed[o.ID] = true
	}
	narrow := make([]bool, len(p.Nodes))
	depends := make([]bool, len(p.Nodes)) // on a narrow value
	for i, n := range p.Nodes {
		for _, id := range n.In {
			depends[i] = depends[i] || depends[id]
		}
		if n.Prim == nil || n.Type.DType != prim.F32 || fixed[i] {
			continue
		}
		switch n.Prim.(type) {
		case prim.Const:
		case prim.Map:
			narrow[i] = read[i] || n.Type.Len() >= smallValue && fromNarrow(p, n.In, n.Type.Len(), narrow, depends)
		case prim.MatMul, prim.Conv, prim.ConvInputGrad, prim.ConvWeightGrad:
			narrow[i] = read[i] || largeProduct(p, n)
		case prim.MaxPoolGrad:
			narrow[i] = read[i] || allOf(n.In, narrow)
		default:
			narrow[i] = read[i] || fromNarrow(p, movedOperands(n), 0, narrow, depends)
		}
		depends[i] = depends[i] || narrow[i]
	}
	return narrow
}

// fromNarrow reports operands among which is a narrow value of that size (0: any), and
// none that depends on a narrow value without being one.
func fromNarrow(p *prim.Program, in []prim.ID, size int, narrow, depends []bool) bool {
	found := false
	for _, id := range in {
		if depends[id] && !narrow[id] && p.Nodes[id].Type.DType == prim.F32 {
			return false
		}
		found = found || narrow[id] && (size == 0 || p.Nodes[id].Type.Len() == size)
	}
	return found
}

// readByProducts tells which values a large product reads, directly or rearranged.
func readByProducts(p *prim.Program) []bool {
	read := make([]bool, len(p.Nodes))
	for i := len(p.Nodes) - 1; i >= 0; i-- {
		n := p.Nodes[i]
		in := movedOperands(n)
		if !read[i] {
			in = nil
		}
		if largeProduct(p, n) {
			in = n.In
		}
		for _, id := range in {
			read[id] = true
		}
	}
	return read
}

// movedOperands lists the operands whose elements a node only rearranges: none for
// nodes that compute.
func movedOperands(n prim.Node) []prim.ID {
	switch n.Prim.(type) {
	case prim.Reshape, prim.Transpose, prim.Slice, prim.Pad, prim.Concat, prim.Reverse, prim.StopGrad, prim.MaxPool:
		return n.In
	case prim.Barrier, prim.Gather:
		return n.In[:1]
	}
	return nil
}

func allOf(ids []prim.ID, set []bool) bool {
	for _, id := range ids {
		if !set[id] {
			return false
		}
	}
	return true
}

// largeProduct reports an F32 product that follows the precision.
func largeProduct(p *prim.Program, n prim.Node) bool {
	if n.Type.DType != prim.F32 {
		return false
	}
	shape := func(k int) []int { return p.Nodes[n.In[k]].Type.Shape }
	count := 0
	switch c := n.Prim.(type) {
	case prim.MatMul:
		x := shape(0)
		inner := x[len(x)-1]
		if c.TransA {
			inner = x[len(x)-2]
		}
		count = n.Type.Len() * inner
	case prim.Conv:
		count = n.Type.Len() * prim.Prod(shape(1)[1:])
	case prim.ConvInputGrad:
		count = prim.Prod(shape(0)) * prim.Prod(shape(1)[1:])
	case prim.ConvWeightGrad:
		count = prim.Prod(shape(1)) * prim.Prod(n.Type.Shape[1:])
	}
	return count >= smallProduct
}
