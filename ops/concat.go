package ops

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opConcat() *Op {
	return &Op{
		Name: "Concat", Since: 4, Moves: -1,
		Doc: "y = the inputs joined along axis. Versions 4, 11, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, -1); err != nil {
				return nil, err
			}
			out := s.dimsOf(0)
			axis, err := concatAxis(s)
			if err != nil {
				return nil, err
			}
			for i := range s.Node.Inputs[1:] {
				d := s.Input(i + 1).Type.Shape
				if len(d) != len(out) {
					return nil, s.Errorf("infer", "input %d: want rank %d, got %d", i+1, len(out), len(d))
				}
				if s.In[i+1].Type.Elem != s.In[0].Type.Elem {
					return nil, s.Errorf("infer", "input %d: want element type %s, got %s", i+1, s.In[0].Type.Elem, s.In[i+1].Type.Elem)
				}
				for k := range d {
					switch {
					case k == axis && out[k].Known() && d[k].Known():
						out[k].Size += d[k].Size
					case k == axis:
						out[k] = ir.Dim{Size: -1}
					case !out[k].Known():
						out[k] = d[k]
					case d[k].Known() && d[k].Size != out[k].Size:
						return nil, s.Errorf("infer", "input %d: want size %d along axis %d, got %d", i+1, out[k].Size, k, d[k].Size)
					}
				}
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, out)}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axis, err := concatAxis(l.Site)
			if err != nil {
				return nil, err
			}
			return []prim.ID{l.B.Add(prim.Concat{Axis: axis}, l.In...)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			axis, err := concatAxis(s)
			off := 0
			for i := range s.Node.Inputs {
				for k, d := range s.Input(i).Type.Shape {
					switch {
					case k != axis:
						a.Tie(Carried, In(i, k), Out(0, k))
					case err != nil || off < 0 || !d.Known():
						a.Fix(In(i, k), "sizes along the joined axis are not known")
						off = -1
					default:
						a.TieOffset(Carried, In(i, k), Out(0, k), d.Size, off)
						off += d.Size
					}
				}
			}
			if off < 0 {
				a.Fix(Out(0, axis), "sizes along the joined axis are not known")
			}
		},
	}
}

func concatAxis(s *Site) (int, error) {
	at := s.Node.Attr("axis")
	if at == nil {
		return 0, s.Errorf("ops", "attribute \"axis\": want one, got none")
	}
	return s.normAxis("ops", int(at.I), len(s.Input(0).Type.Shape))
}

func opSplit() *Op {
	return &Op{
		Name: "Split", Since: 2, Moves: 1,
		Doc: "y_k = consecutive parts of x along axis; lengths from split (attribute before opset 13, input from then on), num_outputs, or equal. Versions 2, 11, 13, 18.",
		Infer: func(s *Site) ([]Fact, error) {
			axis, lens, err := splitLengths(s)
			if err != nil {
				return nil, err
			}
			out := make([]Fact, len(s.Node.Outputs))
			for k := range out {
				d := s.dimsOf(0)
				if d[axis] = (ir.Dim{Size: -1}); lens != nil {
					d[axis].Size = lens[k]
				}
				out[k] = tensorFact(s.In[0].Type.Elem, d)
			}
			return out, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axis, lens, err := splitLengths(l.Site)
			if err != nil {
				return nil, err
			}
			if lens == nil {
				return nil, l.Errorf("lower", "split: want constant lengths")
			}
			out := make([]prim.ID, len(lens))
			off := 0
			for k, n := range lens {
				out[k] = sliceAxis(l.B, l.In[0], axis, off, n)
				off += n
			}
			return out, nil
		},
		Axes: func(s *Site, a *Axes) {
			axis, lens, err := splitLengths(s)
			for k := range s.Node.Outputs {
				if s.Node.Outputs[k] == "" {
					continue
				}
				for d := range s.In[0].Type.Shape {
					if d != axis {
						a.Tie(Carried, In(0, d), Out(k, d))
					}
				}
			}
			if err != nil || lens == nil {
				a.Fix(In(0, axis), "split lengths are not known")
				for k := range s.Node.Outputs {
					a.Fix(Out(k, axis), "split lengths are not known")
				}
				return
			}
			off := 0
			for k, n := range lens {
				a.TieOffset(Carried, Out(k, axis), In(0, axis), n, off)
				off += n
			}
		},
		Cut: func(c *Cut) error {
			axis, lens, err := splitLengths(c.Site)
			if err != nil || lens == nil {
				return err
			}
			if c.Keep[0].kept(axis) == nil {
				return nil
			}
			off := 0
			for k, n := range lens {
				lens[k] = 0
				for _, p := range c.Keep[0].kept(axis) {
					if p >= off && p < off+n {
						lens[k]++
					}
				}
				off += n
			}
			if c.Opset < 13 {
				c.Node.SetAttr(ir.IntsAttr("split", lens...))
				return nil
			}
			removeAttr(c.Node, "num_outputs")
			c.setInput(1, int64Tensor(ir.Int64, lens))
			return nil
		},
	}
}

// splitLengths returns the axis and the lengths of the parts; nil lengths when they are not known.
func splitLengths(s *Site) (int, []int, error) {
	if err := s.inputs("ops", 1, 2); err != nil {
		return 0, nil, err
	}
	d := s.In[0].Type.Shape
	axis, err := s.normAxis("ops", s.Node.Int("axis", 0), len(d))
	if err != nil {
		return 0, nil, err
	}
	parts, n := len(s.Node.Outputs), d[axis].Size
	lens := s.Node.Ints("split", nil)
	switch {
	case s.Input(1).Present():
		if s.Input(1).Const == nil {
			return axis, nil, nil
		}
		if lens, err = s.ConstInts(1); err != nil {
			return 0, nil, err
		}
	case lens != nil:
	case n < 0:
		return axis, nil, nil
	default:
		each := n / max(parts, 1)
		if n%max(parts, 1) != 0 {
			if s.Opset < 18 {
				return 0, nil, s.Errorf("ops", "split: want a size that divides into %d equal parts, got %d", parts, n)
			}
			each++
		}
		rest := n
		for range parts {
			lens = append(lens, min(each, rest))
			rest -= min(each, rest)
		}
	}
	sum, bad := 0, false
	for _, l := range lens {
		sum += l
		bad = bad || l < 0 || l > 1<<40
	}
	if len(lens) != parts || bad || n >= 0 && sum != n {
		return 0, nil, s.Errorf("ops", "split: want %d lengths that add up to %s, got %v", parts, fmt.Sprint(d[axis]), lens)
	}
	return axis, append([]int{}, lens...), nil
}

// sliceAxis takes n elements from start on along one axis.
func sliceAxis(b *prim.Builder, x prim.ID, axis, start, n int) prim.ID {
	shape := b.Shape(x)
	if b.Err() != nil || axis >= len(shape) || start == 0 && n == shape[axis] {
		return x
	}
	p := prim.Slice{Start: make([]int, len(shape)), Size: append([]int{}, shape...), Step: ones(len(shape))}
	p.Start[axis], p.Size[axis] = start, n
	return b.Add(p, x)
}

// ones returns n ones.
func ones(n int) []int {
	o := make([]int, n)
	for i := range o {
		o[i] = 1
	}
	return o
}
