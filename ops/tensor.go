package ops

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// ProgramDType returns the dtype that an ONNX element type computes in; float is
// the one of floating values. Strings, complex, 8-bit float and sub-byte types have none.
func ProgramDType(d ir.DType, float prim.DType) (prim.DType, error) {
	switch {
	case d.IsFloat():
		return float, nil
	case d == ir.Bool:
		return prim.Bool, nil
	case d.IsInt():
		return prim.I64, nil
	}
	return 0, fmt.Errorf("element type: want a float of 16 bits or more, an integer of 8 bits or more or bool, got %s", d)
}

// HostTensor converts a model tensor to the dtype it computes in (see ProgramDType).
func HostTensor(t *ir.Tensor, float prim.DType) (*prim.Tensor, error) {
	d, err := ProgramDType(t.DType, float)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	out := &prim.Tensor{Type: prim.Type{DType: d, Shape: slices.Clone(t.Dims)}}
	switch d {
	case prim.F32:
		out.F32, err = t.Float32s()
	case prim.F64:
		out.F64, err = t.Float64s()
	default:
		if out.I64, err = t.Int64s(); d == prim.Bool && err == nil {
			out.DType = prim.I64
			out = out.Cast(prim.Bool)
		}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ModelTensor converts a host tensor to a model tensor of element type d: floats are
// rounded, integers wrapped.
func ModelTensor(name string, d ir.DType, v *prim.Tensor) (*ir.Tensor, error) {
	if d.IsFloat() {
		return ir.NewFloats(name, d, v.Shape, v.Cast(prim.F64).F64)
	}
	return ir.NewInts(name, d, v.Shape, v.Cast(prim.I64).I64)
}

// evaluate runs the nodes that vals depend on with the plain kernels; the
// builder must hold no inputs. Invalid IDs give nil.
func evaluate(b *prim.Builder, vals []prim.ID) ([]*prim.Tensor, error) {
	done := make([]*prim.Tensor, b.Len())
	need := make([]bool, b.Len())
	for _, id := range vals {
		if id != prim.Invalid {
			need[id] = true
		}
	}
	for i := b.Len() - 1; i >= 0; i-- {
		if need[i] {
			for _, k := range b.Node(prim.ID(i)).In {
				need[k] = true
			}
		}
	}
	for i := range done {
		if !need[i] {
			continue
		}
		n := b.Node(prim.ID(i))
		if n.Prim == nil {
			return nil, fmt.Errorf("node %d: want a constant, got a program input", i)
		}
		in := make([]*prim.Tensor, len(n.In))
		for k, id := range n.In {
			in[k] = done[id]
		}
		t := n.Type
		if t.DType == prim.F32 {
			t.DType = prim.F64
		}
		v, err := n.Prim.Eval(in, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Prim.Name(), err)
		}
		if v.DType == prim.F32 {
			v = v.Cast(prim.F64)
		}
		done[i] = v
	}
	out := make([]*prim.Tensor, len(vals))
	for k, id := range vals {
		if id != prim.Invalid {
			out[k] = done[id]
		}
	}
	return out, nil
}
