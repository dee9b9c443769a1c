package ops

import (
	"bytes"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opResize() *Op {
	return &Op{
		Name: "Resize", Since: 10,
		Doc:   "y = x sampled on a grid of other sizes: nearest, linear or cubic, every coordinate mode, antialias; separable, one axis at a time. Versions 10, 11, 13, 18, 19.",
		Infer: inferResize,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			g, err := resizeGeometry(l.Site)
			if err != nil {
				return nil, err
			}
			return lowerResize(l, g)
		},
		Axes: axesResize,
		Cut:  cutResize,
	}
}

func opUpsample() *Op {
	return &Op{
		Name: "Upsample", Since: 7,
		Doc:   "y = x sampled on a finer grid: Resize with asymmetric coordinates and nearest by floor, or linear. Versions 7, 9; replaced by Resize in opset 10.",
		Infer: inferResize,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			g, err := resizeGeometry(l.Site)
			if err != nil {
				return nil, err
			}
			return lowerResize(l, g)
		},
		Axes: axesResize,
		Cut:  cutResize,
	}
}

// geometry is what a Resize does along every axis.
type geometry struct {
	in, out []int     // sizes, -1 when not known
	scale   []float64 // out per in
	roi     []float64 // starts then ends, relative; nil when not used
	grid    sampling
}

func inferResize(s *Site) ([]Fact, error) {
	g, err := resizeGeometry(s)
	if err != nil {
		return nil, err
	}
	d := s.dimsOf(0)
	for i := range d {
		if g == nil {
			d[i] = ir.Dim{Size: -1}
		} else if g.scale[i] != 1 || g.out[i] >= 0 {
			d[i] = ir.Dim{Size: g.out[i]}
		}
	}
	return []Fact{tensorFact(s.In[0].Type.Elem, d)}, nil
}

// resizeGeometry reads scales or sizes; nil when they are not known.
func resizeGeometry(s *Site) (*geometry, error) {
	if err := s.inputs("ops", 1, 4); err != nil {
		return nil, err
	}
	n := s.Node
	g := &geometry{in: s.In[0].Shape()}
	r := len(g.in)
	g.out = append([]int{}, g.in...)
	g.scale = make([]float64, r)
	for i := range g.scale {
		g.scale[i] = 1
	}
	g.grid = sampling{
		mode: n.Str("mode", "nearest"), coordinates: n.Str("coordinate_transformation_mode", "half_pixel"),
		nearest: n.Str("nearest_mode", "round_prefer_floor"), cubic: n.Float("cubic_coeff_a", -0.75),
		exclude: n.Int("exclude_outside", 0) != 0, antialias: n.Int("antialias", 0) != 0,
		outside: n.Float("extrapolation_value", 0),
	}
	if s.Node.OpType == "Upsample" || s.Opset < 11 {
		g.grid.coordinates, g.grid.nearest = "asymmetric", "floor"
	}
	switch g.grid.mode {
	case "bilinear", "trilinear":
		g.grid.mode = "linear"
	case "nearest", "linear", "cubic":
	default:
		return nil, s.Errorf("ops", "attribute \"mode\": want nearest, linear or cubic, got %q", g.grid.mode)
	}
	axes := n.Ints("axes", nil)
	if axes == nil {
		for i := range r {
			axes = append(axes, i)
		}
	}
	for k, x := range axes {
		i, err := s.normAxis("ops", x, r)
		if err != nil {
			return nil, err
		}
		axes[k] = i
	}
	scaleInput, roiInput, sizeInput := 2, 1, 3
	if s.Opset < 11 {
		scaleInput, roiInput, sizeInput = 1, -1, -1
	}
	empty := func(i int) bool {
		if i < 0 || !s.Input(i).Present() {
			return true
		}
		sh := s.Input(i).Shape()
		return len(sh) == 1 && sh[0] == 0
	}
	if g.grid.coordinates == "tf_crop_and_resize" {
		roi, known, err := s.constFloats(roiInput)
		if err != nil || !known {
			return nil, err
		}
		if len(roi) != 2*len(axes) {
			return nil, s.Errorf("ops", "roi: want %d numbers, got %d", 2*len(axes), len(roi))
		}
		g.roi = make([]float64, 2*r)
		for i := range r {
			g.roi[r+i] = 1
		}
		for k, i := range axes {
			g.roi[i], g.roi[r+i] = roi[k], roi[k+len(axes)]
		}
	}
	if !empty(sizeInput) {
		return g, g.fromSizes(s, sizeInput, axes)
	}
	var scales []float64
	if a := n.Attr("scales"); a != nil && s.Opset < 9 {
		for _, v := range a.Floats {
			scales = append(scales, float64(v))
		}
	} else {
		if empty(scaleInput) {
			return nil, s.Errorf("ops", "want scales or sizes, got neither")
		}
		var known bool
		var err error
		if scales, known, err = s.constFloats(scaleInput); err != nil || !known {
			return nil, err
		}
	}
	if len(scales) != len(axes) {
		return nil, s.Errorf("ops", "scales: want %d numbers, got %d", len(axes), len(scales))
	}
	for k, i := range axes {
		if !(scales[k] > 0 && scales[k] < 1<<20) {
			return nil, s.Errorf("ops", "scales: axis %d: want a number in (0, 2²⁰), got %v", i, scales[k])
		}
		g.scale[i] = scales[k]
		if g.in[i] >= 0 && scales[k] != 1 {
			span := 1.0
			if g.roi != nil {
				span = g.roi[r+i] - g.roi[i]
			}
			g.out[i] = int(float64(g.in[i]) * span * scales[k])
		}
	}
	return g, nil
}

// fromSizes sets sizes and scales from the sizes in input k; sizes that are not known stay -1.
func (g *geometry) fromSizes(s *Site, k int, axes []int) error {
	e, known := s.elems(k)
	if !known {
		e = make([]Elem, len(axes))
	}
	if len(e) != len(axes) {
		return s.Errorf("ops", "sizes: want %d numbers, got %d", len(axes), len(e))
	}
	best := 0.0
	policy := s.Node.Str("keep_aspect_ratio_policy", "stretch")
	for j, i := range axes {
		if !e[j].Known {
			if d := s.In[0].Type.Shape[i]; !sameDim(d, e[j].dim()) {
				g.out[i], g.scale[i] = -1, 0
			}
			continue
		}
		if e[j].Value < 1 && g.in[i] != 0 || e[j].Value > 1<<31 {
			return s.Errorf("ops", "sizes: axis %d: want a size in [1, 2³¹], got %d", i, e[j].Value)
		}
		g.out[i] = e[j].Value
		if g.in[i] <= 0 {
			g.scale[i] = 0
			continue
		}
		g.scale[i] = float64(g.out[i]) / float64(g.in[i])
		if best == 0 || policy == "not_larger" && g.scale[i] < best || policy == "not_smaller" && g.scale[i] > best {
			best = g.scale[i]
		}
	}
	if policy == "stretch" {
		return nil
	}
	for _, i := range axes {
		if g.in[i] > 0 && g.out[i] >= 0 {
			g.scale[i] = best
			g.out[i] = int(best*float64(g.in[i]) + 0.5)
		}
	}
	return nil
}

// constFloats returns constant input i; false when it is not known.
func (s *Site) constFloats(i int) ([]float64, bool, error) {
	c := s.Input(i).Const
	if c == nil {
		return nil, false, nil
	}
	v, err := c.Float64s()
	if err != nil {
		return nil, false, s.Errorf("ops", "input %d: %w", i, err)
	}
	return v, true, nil
}

func lowerResize(l *Lowering, g *geometry) ([]prim.ID, error) {
	if g == nil {
		return nil, l.Errorf("lower", "scales, sizes and roi: want constants")
	}
	b, x := l.B, l.In[0]
	elem := b.Type(x).DType
	if g.grid.mode != "nearest" && !elem.Float() {
		x = b.Cast(x, l.Float)
	}
	var outside []prim.ID
	for i, n := range g.in {
		lo, hi := 0.0, 1.0
		if g.roi != nil {
			lo, hi = g.roi[i], g.roi[len(g.in)+i]
		}
		if g.scale[i] == 1 && g.out[i] == n && lo == 0 && hi == 1 {
			continue
		}
		if g.out[i] < 0 || g.scale[i] == 0 {
			return nil, l.Errorf("lower", "axis %d: want constant scales or sizes", i)
		}
		if n < 1 {
			return nil, l.Errorf("lower", "axis %d: want a size ≥ 1 to sample from, got %d", i, n)
		}
		if err := l.fits("sampling matrix", n, g.out[i]); err != nil {
			return nil, err
		}
		w, err := g.grid.weights(n, g.out[i], g.scale[i], lo, hi)
		if err != nil {
			return nil, l.Errorf("lower", "%w", err)
		}
		if w.index != nil {
			x = b.Add(prim.Gather{Axis: i}, x, b.Const(prim.I64Tensor(w.index, len(w.index))))
		} else {
			shape := b.Shape(x)
			outer, inner := prim.Prod(shape[:i]), prim.Prod(shape[i+1:])
			m := b.Const(prim.F64Tensor(w.matrix, 1, g.out[i], n).Cast(b.Type(x).DType))
			y := b.MatMul(m, b.Reshape(x, outer, n, inner), false, false)
			full := append([]int{}, shape...)
			full[i] = g.out[i]
			x = b.Reshape(y, full...)
		}
		if w.outside != nil {
			shape := ones(len(g.in))
			shape[i] = g.out[i]
			outside = append(outside, b.Const(prim.I64Tensor(w.outside, shape...)))
		}
	}
	for _, o := range outside {
		d := b.Type(x).DType
		x = b.MapAs(d, d, prim.Op(prim.Select, prim.A(0), prim.L(g.grid.outside), prim.A(1)), o, x)
	}
	return []prim.ID{b.Cast(x, elem)}, nil
}

func axesResize(s *Site, a *Axes) {
	g, err := resizeGeometry(s)
	for i := range s.In[0].Type.Shape {
		switch {
		case err != nil || g == nil:
			a.Fix(In(0, i), "scales and sizes are not known")
			a.Fix(Out(0, i), "scales and sizes are not known")
		case g.scale[i] == 1 && (g.roi == nil || g.roi[i] == 0 && g.roi[len(g.in)+i] == 1):
			a.Tie(Carried, In(0, i), Out(0, i))
		default:
			a.Fix(In(0, i), "resized")
			a.Fix(Out(0, i), "resized")
		}
	}
	for i := 1; i < len(s.Node.Inputs); i++ {
		a.fixAll(s.Input(i), inRef(i), "scales, sizes or region")
	}
}

// cutResize keeps the sizes, or the scales, of the axes that lose positions and are not
// resized: sizes become those of the smaller input, and scales that the graph computes stay 1.
func cutResize(c *Cut) error {
	axes := c.Node.Ints("axes", nil)
	axisOf := func(k int) int {
		if axes == nil {
			return k
		}
		i, _ := c.normAxis("cut", axes[k], len(c.In[0].Type.Shape)) // inferred, hence in range
		return i
	}
	scales, sizes := 2, 3
	if c.Node.OpType == "Upsample" || c.Opset < 11 {
		scales, sizes = 1, -1
	}
	if sizes > 0 {
		if f := c.Input(sizes); f.Present() && !slices.Equal(f.Shape(), []int{0}) {
			return cutSizes(c, sizes, axisOf)
		}
	}
	was, now := c.Input(scales), Fact{}
	if scales < len(c.Now) {
		now = c.Now[scales]
	}
	if was.Weight || was.Const == nil || now.Const == nil || bytes.Equal(was.Const.Raw, now.Const.Raw) {
		return nil
	}
	x, err := was.Const.Float64s()
	if err != nil {
		return c.Errorf("cut", "scales: %w", err)
	}
	y, err := now.Const.Float64s()
	if err != nil {
		return c.Errorf("cut", "scales: %w", err)
	}
	delta := make([]float32, len(x))
	for k := range x {
		delta[k] = float32(x[k]) - float32(y[k])
	}
	c.AddConst(scales, ir.NewFloat32("", was.Const.Dims, delta))
	return nil
}
