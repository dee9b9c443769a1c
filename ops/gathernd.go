package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
)

func opGatherND() *Op {
	return &Op{
		Name: "GatherND", Since: 11, Moves: 1,
		Doc: "y[b, i] = x[b, indices[b, i, :]] with batch_dims shared leading axes b. Versions 11, 12, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			batch, depth, err := gatherNDOf(s)
			if err != nil {
				return nil, err
			}
			if depth < 0 {
				return []Fact{unrankedFact(s.In[0].Type.Elem)}, nil
			}
			x, index := s.dimsOf(0), s.dimsOf(1)
			out := append(index[:len(index)-1:len(index)-1], x[batch+depth:]...)
			return []Fact{tensorFact(s.In[0].Type.Elem, out)}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			batch, depth, err := gatherNDOf(l.Site)
			if err != nil {
				return nil, err
			}
			b := l.B
			x, ix := b.Shape(l.In[0]), b.Shape(l.In[1])
			lead := ix[:len(ix)-1]
			rows := prim.Prod(lead)
			index := b.Reshape(l.In[1], rows, depth)
			stride := prim.Prod(x[batch : batch+depth])
			flat := flatCoordinates(b, index, x[batch:batch+depth])
			if err := l.fits("indices", rows); err != nil {
				return nil, err
			}
			base := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{rows, 1}})
			groups := prim.Prod(x[:batch])
			for i := range base.I64 {
				base.I64[i] = int64(i / max(1, rows/max(groups, 1)) * stride)
			}
			flat = b.Reshape(b.Plus(flat, b.Const(base)), rows)
			tail := prim.Prod(x[batch+depth:])
			y := b.Add(prim.Gather{Axis: 0}, b.Reshape(l.In[0], groups*stride, tail), flat)
			return []prim.ID{b.Reshape(y, l.Out[0].Shape()...)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			batch, depth, err := gatherNDOf(s)
			if err != nil || depth < 0 {
				return
			}
			q := len(s.In[1].Type.Shape)
			for k := range s.In[0].Type.Shape {
				switch {
				case k < batch:
					a.Tie(Carried, In(0, k), Out(0, k))
				case k < batch+depth:
					a.Fix(In(0, k), "positions are chosen by an index")
				default:
					a.Tie(Carried, In(0, k), Out(0, q-1+k-batch-depth))
				}
			}
			for k := range q - 1 {
				a.Tie(Carried, In(1, k), Out(0, k))
			}
			a.Fix(In(1, q-1), "coordinates of an index")
		},
	}
}

// gatherNDOf returns batch_dims and the number of indexed axes (-1 when not known).
func gatherNDOf(s *Site) (batch, depth int, err error) {
	if err := s.inputs("ops", 2, 2); err != nil {
		return 0, 0, err
	}
	r, q := len(s.In[0].Type.Shape), len(s.In[1].Type.Shape)
	batch = s.Node.Int("batch_dims", 0)
	if q < 1 || batch < 0 || batch >= min(q, r) {
		return 0, 0, s.Errorf("ops", "batch_dims: want a number in [0, %d), got %d", min(q, r), batch)
	}
	depth = s.In[1].Type.Shape[q-1].Size
	if depth == 0 || batch+depth > r {
		return 0, 0, s.Errorf("ops", "input 1: want a last axis of 1 to %d coordinates, got %d", r-batch, depth)
	}
	for k := range batch {
		if x, y := s.In[0].Type.Shape[k], s.In[1].Type.Shape[k]; x.Known() && y.Known() && x.Size != y.Size {
			return 0, 0, s.Errorf("ops", "input 1: batch axis %d: want size %d, got %d", k, x.Size, y.Size)
		}
	}
	return batch, depth, nil
}
