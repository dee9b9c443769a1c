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
// merged or split, one axis of the input and one of the output carry the units, and
// the others are pinned: positions that hold an element in common are tied. Which two
// they are is said by Site.Units, else chosen by elasticAxis.
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
		if len(g.x) == 1 && len(g.y) == 1 {
			a.Tie(Carried, In(0, g.x[0]), Out(0, g.y[0]))
			continue
		}
		why := "regrouped with other axes by a reshape"
		switch {
		case len(g.y) == 1:
			why = "merged with other axes by a reshape"
		case len(g.x) == 1:
			why = "split off another axis by a reshape"
		}
		tieSegment(s, a, g, why)
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

// tieSegment ties the two axes that carry the units of a segment and pins the others.
// An element that stays has, in both shapes, only positions that stay: every tie
// is sound, whichever axes are chosen.
func tieSegment(s *Site, a *Axes, g segment, why string) {
	x, y := s.In[0].Type.Shape, s.Out[0].Type.Shape
	i, j := -1, -1
	for _, u := range s.Units {
		if slices.Contains(g.x, u.In) && slices.Contains(g.y, u.Out) {
			i, j = u.In, u.Out
		}
	}
	switch {
	case i >= 0:
	case len(g.y) == 1:
		i, j = g.x[elasticAxis(x, g.x, true)], g.y[0]
	case len(g.x) == 1:
		i, j = g.x[0], g.y[elasticAxis(y, g.y, false)]
	}
	size := 1
	for _, k := range g.x {
		size *= max(1, x[k].Size)
	}
	if size > maxTied && i >= 0 {
		if len(g.y) == 1 {
			a.Fix(Out(0, g.y[0]), "it has too many positions to tie one by one")
		}
		if len(g.x) == 1 {
			a.Fix(In(0, g.x[0]), "it has too many positions to tie one by one")
		}
		i, j = -1, -1
	}
	if i >= 0 {
		var px, py []int
		at, below := stride(x, g.x, i), stride(y, g.y, j)
		step := gcd(at, below)
		for n := 0; n < size; n += step {
			p, q := n/at%x[i].Size, n/below%y[j].Size
			if k := len(px) - 1; k < 0 || px[k] != p || py[k] != q {
				px, py = append(px, p), append(py, q)
			}
		}
		a.TiePairs(Carried, In(0, i), Out(0, j), px, py)
	}
	for _, k := range g.x {
		if k != i {
			a.Fix(In(0, k), why)
		}
	}
	for _, k := range g.y {
		if k != j {
			a.Fix(Out(0, k), why)
		}
	}
}

// stride returns the number of elements between neighbours along an axis of a segment.
func stride(d []ir.Dim, axes []int, axis int) int {
	n := 1
	for _, k := range axes {
		if k > axis {
			n *= d[k].Size
		}
	}
	return n
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

// cutReshape keeps a target that gives the smaller shape. It writes constant targets
// anew; a computed one becomes a constant where no size that must stay dynamic is lost,
// else the sizes that go are subtracted from it.
func cutReshape(c *Cut) error {
	keepO := c.KeepO[0]
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
	if now, ok := c.now(1); ok {
		target = now
	}
	r := reshapeCut{Cut: c, keepO: keepO, y: y, cutX: cutX, cutY: cutY}
	if r.holds(target, true) {
		return nil
	}
	if c.In[1].Weight {
		for j := range target {
			if keepO.kept(j) != nil && target[j].Value != -1 {
				target[j].Value = cutY[j].Size
			}
		}
		if !r.holds(target, false) {
			if fixed, _ := symbolicTarget(c, x, y, cutY); r.holds(fixed, false) {
				target = fixed
			}
		}
	} else {
		fixed, whole := symbolicTarget(c, x, y, cutY)
		if (!whole || !r.holds(fixed, false)) && r.follow(target) {
			return nil
		}
		target = fixed
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

// reshapeCut is a Reshape whose input and output are cut.
type reshapeCut struct {
	*Cut
	keepO         Positions
	y, cutX, cutY []ir.Dim
}

// holds reports whether a target gives the cut shape, also at other sizes of the dynamic
// dimensions; computed says that there it is what the graph computes after the cut.
func (r reshapeCut) holds(target []Elem, computed bool) bool {
	if !reads(r.Site, r.cutX, target, r.cutY) {
		return false
	}
	for _, p := range r.At {
		if computed {
			at := *r.Site
			at.In = p.Now
			var ok bool
			if target, ok = at.elems(1); !ok {
				return false
			}
		}
		if !reads(r.Site, sizesAt(r.Keep[0], r.In[0].Type.Shape, p.In[0].Type.Shape), target, sizesAt(r.keepO, r.y, p.Out[0].Type.Shape)) {
			return false
		}
	}
	return true
}

// follow computes the target from the sizes that the graph computes.
func (r reshapeCut) follow(target []Elem) bool {
	if !allKnown(target) {
		return false
	}
	now := make([]int, len(target))
	for j, e := range target {
		now[j] = e.Value
	}
	var at [][2][]int
	for _, p := range r.At {
		then, ok := integersOf(r.Site, p.Now, 1)
		if !ok || len(then) != len(now) {
			return false
		}
		at = append(at, [2][]int{then, sizesOf(sizesAt(r.keepO, r.y, p.Out[0].Type.Shape))})
	}
	return r.Cut.follow(1, now, sizesOf(r.cutY), at)
}

// symbolicTarget writes a target that copies or infers as many of the sizes that
// stay as it can, so that dynamic dimensions stay dynamic; whole says that all of them do.
func symbolicTarget(c *Cut, x, y, cutY []ir.Dim) (out []Elem, whole bool) {
	out = make([]Elem, len(y))
	carried := make([]bool, len(y))
	zero := c.Node.Int("allowzero", 0) == 0
	segs, _ := segments(x, y)
	for _, g := range segs {
		if len(g.x) == 1 && len(g.y) == 1 && g.x[0] == g.y[0] {
			carried[g.y[0]] = zero && c.carried(g.y[0])
		}
	}
	for j := range out {
		out[j] = Elem{Value: cutY[j].Size, Known: true}
		if carried[j] || zero && j == 0 && len(x) > 0 && x[0].Size == 1 && y[0].Size == 1 && c.carried(0) {
			carried[j], out[j].Value = true, 0
		}
	}
	rest := -1 // the size to infer: a dynamic one, else the first that is not cut
	count := 0
	for j := range out {
		if !carried[j] && c.dynamic(j) {
			if count++; rest < 0 || !c.dynamic(rest) {
				rest = j
			}
		} else if !carried[j] && rest < 0 && cutY[j].Size == y[j].Size {
			rest = j
		}
	}
	if rest >= 0 {
		out[rest].Value = -1
	}
	return out, count <= 1
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
