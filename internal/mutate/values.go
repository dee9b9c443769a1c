package mutate

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// declared returns a typed name of the graph, nil when there is none.
func (s *state) declared() *ir.Value {
	g := s.graph
	lists := [][]ir.Value{g.Inputs, g.Inputs, g.Outputs, g.Info}
	if list := pick(s, lists); len(list) > 0 {
		return &list[s.IntN(len(list))]
	}
	return nil
}

func declaredSize(s *state) bool {
	v := s.declared()
	if v == nil || len(v.Type.Shape) == 0 {
		return false
	}
	v.Type.Shape[s.IntN(len(v.Type.Shape))] = s.size()
	return true
}

func declaredRank(s *state) bool {
	v := s.declared()
	if v == nil {
		return false
	}
	switch t := &v.Type; s.IntN(4) {
	case 0:
		t.Ranked, t.Shape = false, nil
	case 1:
		t.Ranked, t.Shape = true, []ir.Dim{}
	case 2:
		t.Ranked, t.Shape = true, append(slices.Clone(t.Shape), s.size())
	default:
		if len(t.Shape) == 0 {
			return false
		}
		at := s.IntN(len(t.Shape))
		t.Shape = slices.Delete(t.Shape, at, at+1)
	}
	return true
}

// elems are element types, the common ones more than once.
var elems = []ir.DType{ir.Float32, ir.Float32, ir.Int64, ir.Int64, ir.Float16, ir.BFloat16, ir.Float64, ir.Int32, ir.Int8, ir.Uint8, ir.Bool, ir.String, ir.Complex64, ir.Uint4, ir.Undefined}

func declaredType(s *state) bool {
	v := s.declared()
	if v == nil {
		return false
	}
	switch s.IntN(8) {
	case 0:
		v.Type = ir.Type{}
	case 1:
		inner := v.Type.Clone()
		v.Type = ir.Type{Kind: pick(s, []ir.Kind{ir.KindSequence, ir.KindOptional}), Inner: &inner}
	default:
		v.Type.Elem = pick(s, elems)
	}
	return true
}

func declarationGone(s *state) bool {
	g := s.graph
	if len(g.Info) == 0 || s.IntN(3) == 0 {
		if len(g.Info) == 0 {
			return false
		}
		g.Info = nil
		return true
	}
	at := s.IntN(len(g.Info))
	g.Info = slices.Delete(g.Info, at, at+1)
	return true
}

func declarationAdded(s *state) bool {
	n := s.node()
	if n == nil || n.Output(0) == "" {
		return false
	}
	t := ir.TensorType(pick(s, elems))
	for range s.IntN(5) {
		t.Shape = append(t.Shape, s.size())
	}
	s.graph.Info = append(s.graph.Info, ir.Value{Name: n.Output(0), Type: t})
	return true
}

func (s *state) changeInit(change func(*ir.Tensor) *ir.Tensor) bool {
	g := s.graph
	if len(g.Inits) == 0 {
		return false
	}
	at := s.IntN(len(g.Inits))
	t := change(g.Inits[at])
	if t != nil {
		g.Inits[at] = t
	}
	return t != nil
}

func (s *state) damaged(t *ir.Tensor) *ir.Tensor {
	return pick(s, []func(*state, *ir.Tensor) *ir.Tensor{reshaped, resized, retyped, renumbered})(s, t)
}

func initialiserShape(s *state) bool {
	return s.changeInit(func(t *ir.Tensor) *ir.Tensor { return reshaped(s, t) })
}

func initialiserSize(s *state) bool {
	return s.changeInit(func(t *ir.Tensor) *ir.Tensor { return resized(s, t) })
}

func initialiserType(s *state) bool {
	return s.changeInit(func(t *ir.Tensor) *ir.Tensor { return retyped(s, t) })
}

func initialiserNumber(s *state) bool {
	return s.changeInit(func(t *ir.Tensor) *ir.Tensor { return renumbered(s, t) })
}

// reshaped keeps the elements: axes are merged, swapped, added or all of them flattened.
func reshaped(s *state, old *ir.Tensor) *ir.Tensor {
	t := *old
	d := slices.Clone(t.Dims)
	switch s.IntN(5) {
	case 0:
		d = []int{t.Len()}
	case 1:
		d = append(d, 1)
	case 2:
		d = append([]int{1}, d...)
	case 3:
		if len(d) < 2 {
			return nil
		}
		i, j := s.IntN(len(d)), s.IntN(len(d))
		d[i], d[j] = d[j], d[i]
	default:
		if len(d) < 2 {
			return nil
		}
		d = append([]int{d[0] * d[1]}, d[2:]...)
	}
	t.Dims = d
	return &t
}

// resized changes the size of an axis, or makes a scalar; elements are the first, repeated where they do not suffice.
func resized(s *state, old *ir.Tensor) *ir.Tensor {
	width := old.DType.Bits() / 8
	if width == 0 || old.DType == ir.String || len(old.Raw) == 0 {
		return nil
	}
	t := *old
	t.Dims = slices.Clone(t.Dims)
	if len(t.Dims) == 0 || s.IntN(6) == 0 {
		t.Dims = [][]int{{}, {1}, {0}, {2}}[s.IntN(4)]
	} else {
		at := s.IntN(len(t.Dims))
		t.Dims[at] = pick(s, []int{0, 1, 2, 3, 4, 5, t.Dims[at] + 1, max(t.Dims[at]-1, 0), 2 * t.Dims[at]})
	}
	n := width * t.Len()
	t.Raw = append([]byte{}, old.Raw[:min(n, len(old.Raw))]...)
	for len(t.Raw) < n {
		t.Raw = append(t.Raw, old.Raw[:min(len(old.Raw), n-len(t.Raw))]...)
	}
	return &t
}

// retyped gives the elements another type: the numbers where both have them, else zeros.
func retyped(s *state, old *ir.Tensor) *ir.Tensor {
	d := pick(s, elems)
	if d == ir.Undefined || d == ir.String {
		return nil
	}
	t := &ir.Tensor{Name: old.Name, DType: d, Dims: old.Dims, Raw: make([]byte, (old.Len()*d.Bits()+7)/8)}
	if v, err := old.Float64s(); err == nil && (d.IsFloat() || d.IsInt()) {
		if x, err := ir.NewFloats(old.Name, d, old.Dims, v); err == nil {
			return x
		}
	}
	return t
}

// renumbered changes one element of an integer tensor, or all of a floating one.
func renumbered(s *state, old *ir.Tensor) *ir.Tensor {
	if v, err := old.Int64s(); err == nil && len(v) > 0 {
		v = slices.Clone(v)
		v[s.IntN(len(v))] = s.number()
		if t, err := ir.NewInts(old.Name, old.DType, old.Dims, v); err == nil {
			return t
		}
	}
	t := old.Clone()
	for i := range t.Raw {
		t.Raw[i] = 0xff // of floats: none is a number
	}
	return t
}

func initialiserFed(s *state) bool {
	g := s.graph
	if len(g.Inits) == 0 {
		return false
	}
	at := s.IntN(len(g.Inits))
	t := g.Inits[at]
	g.Inits = slices.Delete(g.Inits, at, at+1)
	if !slices.ContainsFunc(g.Inputs, func(v ir.Value) bool { return v.Name == t.Name }) {
		g.Inputs = append(g.Inputs, ir.Value{Name: t.Name, Type: t.Type()})
	}
	return true
}

func inputStored(s *state) bool {
	g := s.graph
	if len(g.Inputs) == 0 {
		return false
	}
	at := s.IntN(len(g.Inputs))
	v := g.Inputs[at]
	if g.Init(v.Name) != nil || v.Type.Elem.Bits()%8 != 0 || v.Type.Elem == ir.String || v.Type.Elem == ir.Undefined {
		return false
	}
	var dims []int
	for _, d := range v.Type.Shape {
		dims = append(dims, min(max(d.Size, 1), 32))
	}
	g.Inits = append(g.Inits, &ir.Tensor{Name: v.Name, DType: v.Type.Elem, Dims: dims, Raw: make([]byte, ir.Prod(dims)*v.Type.Elem.Bits()/8)})
	g.Inputs = slices.Delete(g.Inputs, at, at+1)
	return true
}
