package ops

import (
	"github.com/entangle-nas/entangle/ir"
)

func opNonZero() *Op {
	return &Op{
		Name: "NonZero", Since: 9,
		Doc: "y = coordinates of the elements of x that are not 0, [rank, count]; runs on values known when the program is built. Versions 9, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			r := len(s.In[0].Type.Shape)
			f := tensorFact(ir.Int64, []ir.Dim{{Size: r}, {Size: -1}})
			c := s.In[0].Const
			if c == nil || c.Len() > maxFoldInts {
				return []Fact{f}, nil
			}
			v, err := c.Float64s()
			if err != nil {
				return nil, s.Errorf("infer", "input 0: %w", err)
			}
			var hits []int
			for i, x := range v {
				if x != 0 {
					hits = append(hits, i)
				}
			}
			data := make([]int64, r*len(hits))
			for k, i := range hits {
				for a := r - 1; a >= 0; a-- {
					data[a*len(hits)+k] = int64(i % c.Dims[a])
					i /= c.Dims[a]
				}
			}
			f.Type.Shape[1].Size = len(hits)
			f.Const = ir.NewInt64(s.Node.Output(0), []int{r, len(hits)}, data)
			return []Fact{f}, nil
		},
		Lower: lowerKnown,
		Axes: func(s *Site, a *Axes) {
			a.fixAll(s.In[0], inRef(0), "coordinates of its elements are taken")
			a.fixAll(s.Out[0], outRef(0), "coordinates")
		},
	}
}
