package net

import (
	"fmt"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/measure"
)

// elements returns a label for every element of the target's value: f32 of its shape. Of
// Sigmoid the class of a sample is a yes in its column; mixed samples have mixed labels.
func (n *Network) elements(b *data.Batch) (*prim.Tensor, error) {
	x, _ := n.Target()
	shape := n.Facts.Values[x.value].Shape()
	if b.Labels == nil {
		return nil, fmt.Errorf("search: the batch has no labels")
	}
	rows := len(b.Index)
	out := prim.NewTensor(prim.Type{DType: prim.F32, Shape: append([]int{rows}, shape[1:]...)})
	size := out.Len() / rows
	own := make([]float32, b.Labels.Len())
	for i := range own {
		own[i] = float32(b.Labels.Float(i))
	}
	spread, err := measure.Spread(x.Kind, own, rows, size)
	if err != nil {
		return nil, fmt.Errorf("search: labels: output %q, batch of samples %v: %w", x.Output, b.Index[:min(rows, 4)], err)
	}
	out.F32 = spread
	if b.Lambda == nil {
		return out, nil
	}
	mixed := prim.NewTensor(prim.Type{DType: prim.F32, Shape: out.Shape})
	for i := range rows {
		w, other := b.Lambda[i], b.Partner[i]
		for k := range size {
			u, v := out.F32[i*size+k], out.F32[other*size+k]
			switch {
			case u < 0 || v < 0 && x.Kind == measure.Sigmoid:
				mixed.F32[i*size+k] = u
			default:
				mixed.F32[i*size+k] = w*u + (1-w)*v
			}
		}
	}
	return mixed, nil
}
