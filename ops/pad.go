package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opPad() *Op {
	return &Op{
		Name: "Pad", Since: 2,
		Doc: "y = x with pads[i] positions before and pads[i+n] after axis i (negative: cropped); modes constant, edge, reflect, wrap. Versions 2, 11, 13, 18, 19.",
		Infer: func(s *Site) ([]Fact, error) {
			lo, hi, err := padAmounts(s)
			if err != nil {
				return nil, err
			}
			d := s.dimsOf(0)
			for i := range d {
				switch {
				case lo == nil:
					d[i] = ir.Dim{Size: -1}
				case lo[i] == 0 && hi[i] == 0:
				case !d[i].Known():
					d[i] = ir.Dim{Size: -1}
				default:
					n := d[i].Size + lo[i] + hi[i]
					if n < 0 {
						return nil, s.Errorf("infer", "pads: axis %d of size %d: want a result of size ≥ 0, got %d", i, d[i].Size, n)
					}
					d[i] = ir.Dim{Size: n}
				}
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, d)}, nil
		},
		Lower: lowerPad,
		Axes: func(s *Site, a *Axes) {
			lo, hi, err := padAmounts(s)
			constant := s.Node.Str("mode", "constant") == "constant"
			for i, d := range s.In[0].Type.Shape {
				switch {
				case err != nil || lo == nil:
					a.Fix(In(0, i), "padding is not known")
					a.Fix(Out(0, i), "padding is not known")
				case lo[i] == 0 && hi[i] == 0:
					a.Tie(Carried, In(0, i), Out(0, i))
				case !constant || !d.Known():
					a.Fix(In(0, i), "padded by copies of its own positions")
					a.Fix(Out(0, i), "padded by copies of its own positions")
				default:
					var pa, pb []int
					for p := max(0, -lo[i]); p < d.Size+min(0, hi[i]); p++ {
						pa, pb = append(pa, p), append(pb, p+lo[i])
					}
					a.TiePairs(Carried, In(0, i), Out(0, i), pa, pb)
				}
			}
			for i := 1; i < len(s.Node.Inputs); i++ {
				a.fixAll(s.Input(i), inRef(i), "padding amounts, value or axes")
			}
		},
		Cut: cutPad,
	}
}

// padAmounts returns the positions added before and after every axis; nil when they are not known.
func padAmounts(s *Site) (lo, hi []int, err error) {
	if err := s.inputs("ops", 1, 4); err != nil {
		return nil, nil, err
	}
	r := len(s.In[0].Type.Shape)
	pads := s.Node.Ints("pads", nil)
	if s.Opset >= 11 {
		if !s.Input(1).Present() {
			return nil, nil, s.Errorf("ops", "input 1 (pads): want a value, got none")
		}
		if s.Input(1).Const == nil {
			return nil, nil, nil
		}
		if pads, err = s.ConstInts(1); err != nil {
			return nil, nil, err
		}
	}
	axes := make([]int, r)
	for i := range axes {
		axes[i] = i
	}
	if s.Input(3).Present() {
		if s.Input(3).Const == nil {
			return nil, nil, nil
		}
		if axes, err = s.ConstInts(3); err != nil {
			return nil, nil, err
		}
	}
	if len(pads) != 2*len(axes) {
		return nil, nil, s.Errorf("ops", "pads: want %d numbers for %d axes, got %d", 2*len(axes), len(axes), len(pads))
	}
	lo, hi = make([]int, r), make([]int, r)
	for k, x := range axes {
		i, err := s.normAxis("ops", x, r)
		if err != nil {
			return nil, nil, err
		}
		lo[i], hi[i] = pads[k], pads[k+len(axes)]
		if max(lo[i], -lo[i], hi[i], -hi[i]) > 1<<32 {
			return nil, nil, s.Errorf("ops", "pads: axis %d: want at most 2³² positions, got %d and %d", i, lo[i], hi[i])
		}
	}
	return lo, hi, nil
}

func lowerPad(l *Lowering) ([]prim.ID, error) {
	lo, hi, err := padAmounts(l.Site)
	if err != nil {
		return nil, err
	}
	if lo == nil {
		return nil, l.Errorf("lower", "pads and axes: want constants")
	}
	x := l.In[0]
	mode := l.Node.Str("mode", "constant")
	if mode != "constant" {
		for i := range lo {
			if lo[i] == 0 && hi[i] == 0 {
				continue
			}
			index, err := padIndex(l.Site, mode, l.B.Shape(x)[i], lo[i], hi[i])
			if err != nil {
				return nil, err
			}
			x = l.B.Add(prim.Gather{Axis: i}, x, l.B.Const(prim.I64Tensor(index, len(index))))
		}
		return []prim.ID{x}, nil
	}
	p := prim.Pad{Lo: make([]int, len(lo)), Hi: make([]int, len(lo)), Interior: make([]int, len(lo))}
	some := false
	for i, n := range l.B.Shape(x) {
		from := min(max(0, -lo[i]), n)
		to := max(min(n, n+hi[i]), from)
		x = sliceAxis(l.B, x, i, from, to-from)
		// More may be cropped than there is: what the other side adds is then less.
		added := n + lo[i] + hi[i] - (to - from)
		p.Lo[i] = min(max(0, lo[i]), added)
		p.Hi[i] = added - p.Lo[i]
		some = some || added > 0
	}
	if !some {
		return []prim.ID{x}, nil
	}
	value := prim.Invalid
	if l.Opset < 11 {
		p.Value = l.Node.Float("value", 0)
	} else if l.Input(2).Present() {
		if c := l.Input(2).Const; c != nil {
			v, err := c.Float64s()
			if err != nil || len(v) != 1 {
				return nil, l.Errorf("lower", "input 2 (constant_value): want one number, got %s", c.Type())
			}
			p.Value = v[0]
		} else {
			value = l.In[2]
		}
	}
	y := l.B.Add(p, x)
	if value == prim.Invalid {
		return []prim.ID{y}, nil
	}
	full := l.B.Broadcast(l.B.Scalar(prim.I64, 1), l.B.Shape(x)...)
	inside := l.B.Add(prim.Pad{Lo: p.Lo, Hi: p.Hi, Interior: p.Interior}, full)
	d := l.B.Type(y).DType
	e := prim.Op(prim.Select, prim.A(0), prim.A(1), prim.A(2))
	c := d
	if d == prim.Bool {
		c = prim.I64
	}
	return []prim.ID{l.B.MapAs(c, d, e, inside, y, l.B.Reshape(value, ones(len(lo))...))}, nil
}

// padIndex returns, for every position of a padded axis of size n, the position it copies.
func padIndex(s *Site, mode string, n, lo, hi int) ([]int64, error) {
	if n == 0 {
		return nil, s.Errorf("lower", "mode %q: want a non-empty axis to pad", mode)
	}
	if err := s.fits("padded axis", n+max(lo, 0)+max(hi, 0)); err != nil {
		return nil, err
	}
	index := make([]int64, max(0, n+lo+hi))
	for k := range index {
		p := k - lo
		switch mode {
		case "edge":
			p = min(max(p, 0), n-1)
		case "wrap":
			p = ((p % n) + n) % n
		case "reflect":
			if n == 1 {
				p = 0
				break
			}
			period := 2 * (n - 1)
			p = ((p % period) + period) % period
			if p >= n {
				p = period - p
			}
		default:
			return nil, s.Errorf("lower", "attribute \"mode\": want constant, edge, reflect or wrap, got %q", mode)
		}
		index[k] = int64(p)
	}
	return index, nil
}

func cutPad(c *Cut) error {
	lo, hi, err := padAmounts(c.Site)
	if err != nil || lo == nil {
		return err
	}
	edited := false
	for i, d := range c.In[0].Type.Shape {
		out := c.KeepO[0].kept(i)
		if out == nil && c.Keep[0].kept(i) == nil || lo[i] == 0 && hi[i] == 0 {
			continue
		}
		count := func(keep []int, n, from, to int) int {
			if keep == nil {
				return max(0, min(n, to)-max(0, from))
			}
			k := 0
			for _, p := range keep {
				if p >= from && p < to {
					k++
				}
			}
			return k
		}
		n, total := d.Size, d.Size+lo[i]+hi[i]
		in := c.Keep[0].kept(i)
		newLo, newHi := count(out, total, 0, lo[i]), count(out, total, total-hi[i], total)
		if lo[i] < 0 {
			newLo = -count(in, n, 0, -lo[i])
		}
		if hi[i] < 0 {
			newHi = -count(in, n, n+hi[i], n)
		}
		lo[i], hi[i] = newLo, newHi
		edited = true
	}
	if !edited {
		return nil
	}
	if c.Opset < 11 {
		c.Node.SetAttr(ir.IntsAttr("pads", append(lo, hi...)...))
		return nil
	}
	if c.Input(3).Present() {
		axes := make([]int, len(lo))
		for i := range axes {
			axes[i] = i
		}
		c.setInput(3, int64Tensor(c.Input(3).Type.Elem, axes))
	}
	c.setInput(1, int64Tensor(ir.Int64, append(lo, hi...)))
	return nil
}
