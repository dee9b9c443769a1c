package ops

import (
	"math"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opSlice() *Op {
	return &Op{
		Name: "Slice", Since: 1, Moves: 1,
		Doc: "y = x[starts:ends:steps] along axes; attributes before opset 10, inputs from then on. Versions 1, 10, 11, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			sel, err := selections(s)
			if err != nil {
				return nil, err
			}
			d := s.dimsOf(0)
			for i := range d {
				switch {
				case sel == nil:
					d[i] = ir.Dim{Size: -1}
				case sel[i].whole:
				case sel[i].unknown:
					d[i] = ir.Dim{Size: -1}
				default:
					d[i] = ir.Dim{Size: sel[i].n}
				}
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, d)}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			sel, err := selections(l.Site)
			if err != nil {
				return nil, err
			}
			if sel == nil {
				return nil, l.Errorf("lower", "starts, ends, axes, steps: want constants")
			}
			r := len(sel)
			p := prim.Slice{Start: make([]int, r), Size: make([]int, r), Step: ones(r)}
			var reverse []int
			for i, e := range sel {
				if e.n < 0 {
					return nil, l.Errorf("lower", "axis %d: want a known size", i)
				}
				p.Start[i], p.Size[i] = e.start, e.n
				if e.step > 0 {
					p.Step[i] = e.step
					continue
				}
				p.Step[i] = -e.step
				if e.n > 0 {
					p.Start[i] = e.start + (e.n-1)*e.step
				}
				reverse = append(reverse, i)
			}
			for i := range sel {
				if p.Size[i] == 0 {
					p.Start[i], p.Step[i] = 0, 1
				}
			}
			y := l.B.Add(p, l.In[0])
			if reverse != nil {
				y = l.B.Add(prim.Reverse{Axes: reverse}, y)
			}
			return []prim.ID{y}, nil
		},
		Axes: func(s *Site, a *Axes) {
			sel, err := selections(s)
			for i := range s.In[0].Type.Shape {
				switch {
				case err != nil || sel == nil || sel[i].unknown:
					a.Fix(In(0, i), "slice bounds are not known")
					a.Fix(Out(0, i), "slice bounds are not known")
				case sel[i].whole:
					a.Tie(Carried, In(0, i), Out(0, i))
				case sel[i].step != 1 && sel[i].step != -1:
					a.Fix(In(0, i), "slice takes every "+itoa(sel[i].step)+"th position")
					a.Fix(Out(0, i), "slice takes every "+itoa(sel[i].step)+"th position")
				default:
					pa, pb := make([]int, sel[i].n), make([]int, sel[i].n)
					for k := range pa {
						pa[k], pb[k] = sel[i].start+k*sel[i].step, k
					}
					a.TiePairs(Carried, In(0, i), Out(0, i), pa, pb)
				}
			}
			for i := 1; i < len(s.Node.Inputs); i++ {
				a.fixAll(s.Input(i), inRef(i), "slice bounds, one per axis")
			}
		},
		Cut: cutSlice,
	}
}

// selection is what Slice takes along one axis: n positions from start on, step apart.
type selection struct {
	start, step, n int
	whole, unknown bool // all positions in order; a size or bound that is not known
}

// selections returns one entry per axis of the data, nil when the axes are not known.
func selections(s *Site) ([]selection, error) {
	if err := s.inputs("ops", 1, 5); err != nil {
		return nil, err
	}
	d := s.In[0].Type.Shape
	out := make([]selection, len(d))
	for i := range d {
		out[i] = selection{step: 1, n: d[i].Size, whole: true}
	}
	starts, ends, axes, steps, ok := sliceBounds(s)
	if !ok {
		return nil, nil
	}
	if axes == nil {
		for i := range starts {
			axes = append(axes, Elem{Value: i, Known: true})
		}
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || steps != nil && len(steps) != len(starts) {
		return nil, s.Errorf("ops", "slice: want as many ends, axes and steps as starts (%d), got %d, %d, %d", len(starts), len(ends), len(axes), len(steps))
	}
	seen := map[int]bool{}
	for k := range starts {
		if !axes[k].Known {
			return nil, nil
		}
		i, err := s.normAxis("ops", axes[k].Value, len(d))
		if err != nil {
			return nil, err
		}
		if seen[i] {
			return nil, s.Errorf("ops", "axes: want every axis once, got %d twice", i)
		}
		seen[i] = true
		step := Elem{Value: 1, Known: true}
		if steps != nil {
			step = steps[k]
		}
		if step.Known && (step.Value == 0 || step.Value == math.MinInt) {
			return nil, s.Errorf("ops", "steps: want a step other than 0, got %d", step.Value)
		}
		out[i] = selectRange(d[i].Size, starts[k], ends[k], step)
	}
	return out, nil
}

func selectRange(n int, start, end, step Elem) selection {
	if step.Known && step.Value == 1 && start.Known && start.Value == 0 && end.Known && end.Value >= math.MaxInt32 {
		return selection{step: 1, n: n, whole: true}
	}
	if n < 0 || !start.Known || !end.Known || !step.Known {
		return selection{step: 1, n: -1, unknown: true}
	}
	lo, hi := 0, n
	if step.Value < 0 {
		lo, hi = -1, n-1
	}
	bound := func(v int) int {
		if v < 0 && v >= -n {
			v += n
		} else if v < 0 {
			v = lo
		}
		return min(max(v, lo), hi)
	}
	b, e := bound(start.Value), bound(end.Value)
	count := 0
	if step.Value > 0 && e > b {
		count = (e-b-1)/step.Value + 1
	}
	if step.Value < 0 && e < b {
		count = (b-e-1)/-step.Value + 1
	}
	return selection{start: b, step: step.Value, n: count, whole: b == 0 && count == n && step.Value == 1}
}

// sliceBounds reads starts, ends, axes (nil: the leading ones) and steps (nil: 1).
func sliceBounds(s *Site) (starts, ends, axes, steps []Elem, ok bool) {
	if s.Opset < 10 {
		list := func(name string) []Elem {
			var out []Elem
			for _, v := range s.Node.Ints(name, nil) {
				out = append(out, Elem{Value: v, Known: true})
			}
			return out
		}
		return list("starts"), list("ends"), list("axes"), nil, true
	}
	var lists [4][]Elem
	for k := range lists {
		if !s.Input(k + 1).Present() {
			if k < 2 {
				return nil, nil, nil, nil, false
			}
			continue
		}
		e, known := s.elems(k + 1)
		if !known {
			sh := s.Input(k + 1).Shape()
			if len(sh) != 1 || sh[0] < 0 || sh[0] > 64 || k == 2 {
				return nil, nil, nil, nil, false
			}
			e = make([]Elem, sh[0])
		}
		if e == nil {
			e = []Elem{}
		}
		lists[k] = e
	}
	return lists[0], lists[1], lists[2], lists[3], true
}

func cutSlice(c *Cut) error {
	sel, err := selections(c.Site)
	if err != nil || sel == nil {
		return err
	}
	starts, ends, axes, _, _ := sliceBounds(c.Site)
	edited := false
	for k := range starts {
		i := k
		if axes != nil {
			i, _ = c.normAxis("cut", axes[k].Value, len(sel))
		}
		keep := c.Keep[0].kept(i)
		if keep == nil {
			continue
		}
		lo, hi := sel[i].start, sel[i].start+sel[i].n
		if sel[i].step < 0 {
			lo, hi = sel[i].start-sel[i].n+1, sel[i].start+1
		}
		before, inside := 0, 0
		for _, p := range keep {
			if p < lo {
				before++
			} else if p < hi {
				inside++
			}
		}
		b, e := before, before+inside
		if sel[i].step < 0 {
			b, e = e-1, b-1
			if e < 0 {
				e = -len(keep) - 1
			}
		}
		starts[k], ends[k] = Elem{Value: b, Known: true}, Elem{Value: e, Known: true}
		edited = true
	}
	values := func(e []Elem) []int {
		v := make([]int, len(e))
		for i := range e {
			v[i] = e[i].Value
		}
		return v
	}
	if c.Opset < 10 {
		if edited {
			c.Node.SetAttr(ir.IntsAttr("starts", values(starts)...))
			c.Node.SetAttr(ir.IntsAttr("ends", values(ends)...))
		}
		return nil
	}
	for i, list := range [][]Elem{starts, ends} {
		if slices.ContainsFunc(list, func(e Elem) bool { return !e.Known }) {
			if edited {
				return c.Errorf("cut", "slice bounds: want constants, got computed values")
			}
			continue
		}
		want := values(list)
		now, ok := c.now(i + 1)
		if ok && len(now) == len(want) && allKnown(now) {
			if slices.Equal(want, values(now)) {
				continue
			}
		} else if !edited {
			continue
		}
		if c.In[i+1].Weight || !ok || c.AddConst == nil {
			c.setInput(i+1, int64Tensor(c.Input(i+1).Type.Elem, want))
			continue
		}
		for k := range want {
			want[k] -= now[k].Value
		}
		c.AddConst(i+1, int64Tensor(c.Input(i+1).Type.Elem, want))
	}
	return nil
}
