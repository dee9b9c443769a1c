package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opReshape() *Op {
	return &Op{
		Name: "Reshape", Since: 5, Moves: 1,
		Doc: "y = x read in row-major order with the target sizes; 0 copies a size (unless allowzero), -1 is inferred. Versions 5, 13, 14, 19, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 2); err != nil {
				return nil, err
			}
			elem := s.In[0].Type.Elem
			target, ok := s.elems(1)
			if !ok {
				sh := s.In[1].Shape()
				if len(sh) != 1 || sh[0] < 0 || sh[0] > 64 {
					return []Fact{unrankedFact(elem)}, nil
				}
				return []Fact{tensorFact(elem, unknownDims(sh[0]))}, nil
			}
			d, err := reshaped(s, s.In[0].Type.Shape, target)
			if err != nil {
				return nil, err
			}
			return []Fact{tensorFact(elem, d)}, nil
		},
		Lower: lowerReshape,
		Axes: func(s *Site, a *Axes) {
			axesReshape(s, a)
			a.fixAll(s.Input(1), inRef(1), "target sizes, one per axis")
		},
		Cut: cutReshape,
	}
}

// lowerReshape reads input 0 as the inferred shape of output 0.
func lowerReshape(l *Lowering) ([]prim.ID, error) {
	return []prim.ID{l.B.Reshape(l.In[0], l.Out[0].Shape()...)}, nil
}

// reshaped returns the dimensions of x read with a Reshape target.
func reshaped(s *Site, x []ir.Dim, target []Elem) ([]ir.Dim, error) {
	out := make([]ir.Dim, len(target))
	zero := s.Node.Int("allowzero", 0) == 0
	infer := -1
	for i, e := range target {
		out[i] = e.dim()
		switch {
		case !e.Known:
		case e.Value == 0 && zero:
			if i >= len(x) {
				return nil, s.Errorf("infer", "target entry %d: want a size to copy from axis %d, got a value of rank %d", i, i, len(x))
			}
			out[i] = x[i]
		case e.Value == -1:
			if infer >= 0 {
				return nil, s.Errorf("infer", "target: want at most one -1, got entries %d and %d", infer, i)
			}
			infer = i
		case e.Value < -1:
			return nil, s.Errorf("infer", "target entry %d: want a size, 0 or -1, got %d", i, e.Value)
		}
	}
	total, names := factors(x)
	for i, d := range out {
		if i == infer {
			continue
		}
		switch {
		case d.Known():
			if d.Size == 0 && total == 0 {
				continue
			}
			if d.Size == 0 || total%d.Size != 0 {
				if names == nil {
					return nil, s.Errorf("infer", "target: want sizes that hold %d elements, got %v", total, out)
				}
				total = -1
			} else {
				total /= d.Size
			}
		default:
			k := slices.Index(names, d.Param)
			if k < 0 || d.Param == "" {
				total = -1
			} else {
				names = slices.Delete(names, k, k+1)
			}
		}
		if total < 0 {
			break
		}
	}
	rest := ir.Dim{Size: -1}
	switch {
	case total < 0:
	case len(names) == 0:
		rest.Size = total
	case len(names) == 1 && total == 1:
		rest.Param = names[0]
	}
	if infer >= 0 {
		out[infer] = rest
		if rest.Known() && hasZero(out, infer) {
			return nil, s.Errorf("infer", "target: want no -1 beside a size of 0, got %v", out)
		}
	} else if rest.Known() && rest.Size != 1 && !(rest.Size == 0 && hasZero(out, -1)) {
		return nil, s.Errorf("infer", "target: want sizes that hold the elements of %v, got %v", x, out)
	}
	return out, nil
}

func hasZero(d []ir.Dim, but int) bool {
	for i := range d {
		if i != but && d[i].Size == 0 {
			return true
		}
	}
	return false
}

// factors returns the product of the known sizes and the names of the others.
func factors(d []ir.Dim) (int, []string) {
	n := 1
	var names []string
	for _, x := range d {
		if x.Known() {
			n *= x.Size
		} else {
			names = append(names, x.Param)
		}
	}
	return n, names
}

// segment is a run of axes of x and of y that hold the same elements.
type segment struct{ x, y []int }

// segments matches the axes of two shapes of one row-major value, from the left, as
// finely as sizes allow. Axes of size 1 belong to no segment. It reports false when sizes
// are zero or cannot be compared.
func segments(x, y []ir.Dim) ([]segment, bool) {
	sig := func(d []ir.Dim) []int {
		var out []int
		for i := range d {
			if d[i].Size != 1 {
				out = append(out, i)
			}
		}
		return out
	}
	xs, ys := sig(x), sig(y)
	var out []segment
	for len(xs) > 0 || len(ys) > 0 {
		if len(xs) == 0 || len(ys) == 0 {
			return out, false
		}
		seg := segment{xs[:1:1], ys[:1:1]}
		xs, ys = xs[1:], ys[1:]
		if !sameDim(x[seg.x[0]], y[seg.y[0]]) {
			px, py := x[seg.x[0]].Size, y[seg.y[0]].Size
			for px != py || px < 0 {
				switch {
				case px <= 0 || py <= 0:
					return out, false
				case px < py && len(xs) > 0:
					if !x[xs[0]].Known() {
						return out, false
					}
					px, seg.x, xs = px*x[xs[0]].Size, append(seg.x, xs[0]), xs[1:]
				case px > py && len(ys) > 0:
					if !y[ys[0]].Known() {
						return out, false
					}
					py, seg.y, ys = py*y[ys[0]].Size, append(seg.y, ys[0]), ys[1:]
				default:
					return out, false
				}
			}
		}
		out = append(out, seg)
	}
	return out, true
}

// axesReshape declares the axes of operators that keep the row-major order of
// input 0 in output 0. An axis that passes through whole is tied. Where axes are
// merged or one axis is split, one of the finer axes stays elastic: positions of
// the coarse axis are tied to it in blocks or with a period, and the other finer
// axes are pinned.
func axesReshape(s *Site, a *Axes) {
	x, y := s.In[0].Type.Shape, s.Out[0].Type.Shape
	segs, ok := segments(x, y)
	seenX, seenY := make([]bool, len(x)), make([]bool, len(y))
	for _, g := range segs {
		for _, i := range g.x {
			seenX[i] = true
		}
		for _, j := range g.y {
			seenY[j] = true
		}
		switch {
		case len(g.x) == 1 && len(g.y) == 1:
			a.Tie(Carried, In(0, g.x[0]), Out(0, g.y[0]))
		case len(g.y) == 1:
			tieFine(a, x, g.x, inRef(0), Out(0, g.y[0]), "merged with other axes by a reshape")
		case len(g.x) == 1:
			tieFine(a, y, g.y, outRef(0), In(0, g.x[0]), "split off another axis by a reshape")
		default:
			for _, i := range g.x {
				a.Fix(In(0, i), "regrouped with other axes by a reshape")
			}
			for _, j := range g.y {
				a.Fix(Out(0, j), "regrouped with other axes by a reshape")
			}
		}
	}
	if ok {
		return
	}
	for i := range x {
		if !seenX[i] && x[i].Size != 1 {
			a.Fix(In(0, i), "sizes around the reshape are not known")
		}
	}
	for j := range y {
		if !seenY[j] && y[j].Size != 1 {
			a.Fix(Out(0, j), "sizes around the reshape are not known")
		}
	}
}

// maxTied bounds the positions of a merged axis that are tied one by one.
const maxTied = 1 << 20

// tieFine ties the elastic one of the finer axes to the coarse axis and pins the others.
func tieFine(a *Axes, d []ir.Dim, fine []int, ref func(int) AxisRef, coarse AxisRef, reason string) {
	size := 1
	for _, i := range fine {
		size *= max(1, d[i].Size)
	}
	if size > maxTied {
		a.Fix(coarse, "it has too many positions to tie one by one")
		for _, i := range fine {
			a.Fix(ref(i), reason)
		}
		return
	}
	k := elasticAxis(d, fine, coarse.Out)
	inner := 1
	for _, i := range fine[k+1:] {
		inner *= d[i].Size
	}
	outer := 1
	for _, i := range fine[:k] {
		outer *= d[i].Size
	}
	n := d[fine[k]].Size
	var pf, pc []int
	for o := range outer {
		for p := range n {
			for q := range inner {
				pf, pc = append(pf, p), append(pc, (o*n+p)*inner+q)
			}
		}
	}
	a.TiePairs(Carried, ref(fine[k]), coarse, pf, pc)
	for j, i := range fine {
		if j != k {
			a.Fix(ref(i), reason)
		}
	}
}

// elasticAxis chooses which of several axes that make up one stays elastic.
// Channels come first when axes are merged (C·H·W to features), last when the
// leading ones are equal and differ from it (H·W·C). When an axis is split
// (groups × channels, heads × width) the last one is the units; the first, when
// the trailing ones are equal and differ from it (C·r·r of a pixel shuffle).
func elasticAxis(d []ir.Dim, fine []int, merged bool) int {
	last := len(fine) - 1
	size := func(k int) int { return d[fine[k]].Size }
	if merged {
		if last >= 2 && size(0) == size(1) && size(last) != size(0) {
			return last
		}
		return 0
	}
	if last >= 2 && size(last) == size(last-1) && size(0) != size(last) {
		return 0
	}
	return last
}

func cutReshape(c *Cut) error {
	keepO := c.KeepO[0]
	if !c.Keep[0].Changed() && !keepO.Changed() {
		return nil
	}
	target, ok := c.elems(1)
	if !ok {
		return c.Errorf("cut", "target: want a constant, got a computed value")
	}
	x, y := c.In[0].Type.Shape, c.Out[0].Type.Shape
	if len(target) != len(y) {
		return c.Errorf("cut", "target: want %d sizes, got %d", len(y), len(target))
	}
	cutX, cutY := slices.Clone(x), slices.Clone(y)
	for i := range cutX {
		cutX[i].Size = c.Keep[0].Len(i, x[i].Size)
	}
	for j := range cutY {
		cutY[j].Size = keepO.Len(j, y[j].Size)
	}
	if c.In[1].Weight && reads(c.Site, cutX, target, cutY) {
		return nil
	}
	if !c.In[1].Weight {
		target = symbolicTarget(c.Site, x, y, cutY)
	} else {
		for j := range target {
			if keepO.kept(j) != nil && target[j].Value != -1 {
				target[j].Value = cutY[j].Size
			}
		}
	}
	if !reads(c.Site, cutX, target, cutY) {
		for j := range target {
			if cutY[j].Known() {
				target[j] = Elem{Value: cutY[j].Size, Known: true}
			}
		}
		if !reads(c.Site, cutX, target, cutY) {
			return c.Errorf("cut", "reshape from %v to %v: want one number of elements", cutX, cutY)
		}
	}
	v := make([]int, len(target))
	for j, e := range target {
		v[j] = e.Value
	}
	c.setInput(1, int64Tensor(ir.Int64, v))
	return nil
}

// symbolicTarget writes a target that copies or infers as many of the sizes that
// stay as it can, so that dynamic dimensions stay dynamic.
func symbolicTarget(s *Site, x, y, cutY []ir.Dim) []Elem {
	out := make([]Elem, len(y))
	carried := make([]bool, len(y))
	zero := s.Node.Int("allowzero", 0) == 0
	segs, _ := segments(x, y)
	for _, g := range segs {
		if len(g.x) == 1 && len(g.y) == 1 && g.x[0] == g.y[0] {
			carried[g.y[0]] = zero
		}
	}
	inferred := false
	for j := range out {
		out[j] = Elem{Value: cutY[j].Size, Known: true}
		switch {
		case carried[j] || zero && j == 0 && len(x) > 0 && x[0].Size == 1 && y[0].Size == 1:
			out[j].Value = 0
		case !inferred && cutY[j].Size == y[j].Size:
			out[j].Value = -1
			inferred = true
		}
	}
	return out
}

// reads reports whether x read with the target gives want.
func reads(s *Site, x []ir.Dim, target []Elem, want []ir.Dim) bool {
	got, err := reshaped(s, x, target)
	if err != nil || len(got) != len(want) {
		return false
	}
	for j := range got {
		if got[j].Size != want[j].Size {
			return false
		}
	}
	return true
}
