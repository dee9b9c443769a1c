package ops

import (
	"github.com/entangle-nas/entangle/ir"
)

func opFlatten() *Op {
	return &Op{
		Name: "Flatten", Since: 1,
		Doc: "y = x as a matrix: the axes before axis make its rows, the others its columns. Versions 1, 9, 11, 13, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			d := s.In[0].Type.Shape
			axis := s.Node.Int("axis", 1)
			if axis < -len(d) || axis > len(d) {
				return nil, s.Errorf("infer", "axis: want one of a value of rank %d, got %d", len(d), axis)
			}
			if axis < 0 {
				axis += len(d)
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, []ir.Dim{productDim(d[:axis]), productDim(d[axis:])})}, nil
		},
		Lower: lowerReshape,
		Axes:  axesReshape,
	}
}

// productDim returns the product of dimensions; a single name survives factors of 1.
func productDim(d []ir.Dim) ir.Dim {
	n, names := factors(d)
	switch {
	case len(names) == 0:
		return ir.Dim{Size: n}
	case n == 0:
		return ir.Dim{Size: 0}
	case len(names) == 1 && n == 1:
		return ir.Dim{Size: -1, Param: names[0]}
	}
	return ir.Dim{Size: -1}
}

func opSqueeze() *Op {
	return &Op{
		Name: "Squeeze", Since: 1, Moves: 1,
		Doc: "y = x without the axes of size 1 in axes (attribute before opset 13, input from then on), or without all such. Versions 1, 11, 13, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 2); err != nil {
				return nil, err
			}
			d := s.In[0].Type.Shape
			drop := make([]bool, len(d))
			axes, given, err := axesOf(s, 13)
			if err != nil {
				return nil, err
			}
			if given && axes == nil {
				return []Fact{unrankedFact(s.In[0].Type.Elem)}, nil
			}
			for _, x := range axes {
				i, err := s.normAxis("infer", x, len(d))
				if err != nil {
					return nil, err
				}
				if d[i].Known() && d[i].Size != 1 {
					return nil, s.Errorf("infer", "axis %d: want size 1, got %d", i, d[i].Size)
				}
				drop[i] = true
			}
			out := []ir.Dim{}
			for i := range d {
				if !given {
					if !d[i].Known() {
						return []Fact{unrankedFact(s.In[0].Type.Elem)}, nil
					}
					drop[i] = d[i].Size == 1
				}
				if !drop[i] {
					out = append(out, d[i])
				}
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, out)}, nil
		},
		Lower: lowerReshape,
		Axes: func(s *Site, a *Axes) {
			axesReshape(s, a)
			a.fixAll(s.Input(1), inRef(1), "axis numbers")
		},
	}
}

func opUnsqueeze() *Op {
	return &Op{
		Name: "Unsqueeze", Since: 1, Moves: 1,
		Doc: "y = x with axes of size 1 put in so that y has them at axes (attribute before opset 13, input from then on). Versions 1, 11, 13, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 2); err != nil {
				return nil, err
			}
			axes, given, err := axesOf(s, 13)
			if err != nil {
				return nil, err
			}
			if !given {
				return nil, s.Errorf("infer", "axes: want numbers, got none")
			}
			if axes == nil {
				return []Fact{unrankedFact(s.In[0].Type.Elem)}, nil
			}
			d := s.In[0].Type.Shape
			out := make([]ir.Dim, len(d)+len(axes))
			for _, x := range axes {
				i, err := s.normAxis("infer", x, len(out))
				if err != nil {
					return nil, err
				}
				if out[i].Size == 1 {
					return nil, s.Errorf("infer", "axes: want every axis once, got %d twice", i)
				}
				out[i].Size = 1
			}
			k := 0
			for i := range out {
				if out[i].Size != 1 {
					out[i] = d[k]
					k++
				}
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, out)}, nil
		},
		Lower: lowerReshape,
		Axes: func(s *Site, a *Axes) {
			axesReshape(s, a)
			a.fixAll(s.Input(1), inRef(1), "axis numbers")
		},
	}
}

// axesOf reads the axes of an operator that has them as attribute before opset
// since and as input 1 from then on. given says that there are some; nil axes
// beside it, that they are not known.
func axesOf(s *Site, since int) (axes []int, given bool, err error) {
	if s.Opset >= since {
		f := s.Input(1)
		if !f.Present() {
			return nil, false, nil
		}
		if f.Const == nil {
			return nil, true, nil
		}
		axes, err = s.ConstInts(1)
		return append([]int{}, axes...), true, err
	}
	a := s.Node.Attr("axes")
	return s.Node.Ints("axes", nil), a != nil, nil
}
