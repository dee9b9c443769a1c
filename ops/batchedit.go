package ops

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// edit makes the sizes follow that a node has for the batch of the file.
func (w *batchWalk) edit(n *ir.Node) error {
	if at, ok := w.at[n.Input(0)]; ok {
		for _, x := range each[n.Domain+"."+n.OpType] {
			if v := n.Input(x.input); v != "" && len(w.dims(v)) >= x.rank {
				w.repeat(n, x.input, 0, n.Inputs[0], at.Axis)
			}
		}
	}
	if n.Domain != "" {
		return nil
	}
	if slices.Contains(arithmetics, n.OpType) {
		w.operands(n)
		return nil
	}
	switch n.OpType {
	case "Reshape":
		return w.reshape(n)
	case "Concat":
		return w.concat(n)
	case "Resize":
		return w.resize(n)
	case "Slice":
		return w.slice(n)
	case "Expand":
		return w.expand(n)
	}
	return nil
}

// written returns the elements of integer input i when they are the same at every batch.
func (w *batchWalk) written(n *ir.Node, i int) ([]int, bool) {
	if n.Input(i) == "" {
		return nil, false
	}
	one, many := w.one.facts.Values[n.Inputs[i]].Const, w.many.facts.Values[n.Inputs[i]].Const
	if one == nil || many == nil {
		return nil, false
	}
	a, err := one.Int64s()
	b, err2 := many.Int64s()
	if err != nil || err2 != nil || !slices.Equal(a, b) {
		return nil, false
	}
	out := make([]int, len(a))
	for k, v := range a {
		out[k] = int(v)
	}
	return out, true
}

func (w *batchWalk) dims(name string) []ir.Dim { return w.one.facts.Values[name].Type.Shape }

func (w *batchWalk) reshape(n *ir.Node) error {
	at, ok := w.at[n.Input(0)]
	target, fixed := w.written(n, 1)
	if !ok || !fixed {
		return nil
	}
	x, y := w.dims(n.Inputs[0]), w.one.facts.Sites[n].Out[0].Type.Shape
	before, ok := outside(x, at)
	if !ok || len(y) != len(target) {
		return nil
	}
	j, own := w.place(x, y, at, before)
	many := *w.one.facts.Sites[n]
	many.In = []Fact{w.many.facts.Values[n.Inputs[0]], w.many.facts.Values[n.Inputs[1]]}
	if got, err := reshaped(&many, many.In[0].Type.Shape, elements(target)); err == nil {
		k, err := w.scaled(ir.Type{Kind: ir.KindTensor, Ranked: true, Shape: y}, ir.Type{Kind: ir.KindTensor, Ranked: true, Shape: got})
		if err == nil && k >= 0 && (k == j || !own) {
			if _, ok := w.factor(y, k, before); ok {
				return nil
			}
		}
	}
	if j < 0 {
		return fmt.Errorf("samples have no place in a value of sizes %v", y)
	}
	want := slices.Clone(y)
	want[j].Size *= w.times
	zero := n.Int("allowzero", 0) == 0
	try := func(edit func(t []int) bool) bool {
		t := slices.Clone(target)
		if !edit(t) || !reads(&many, many.In[0].Type.Shape, elements(t), want) {
			return false
		}
		n.Inputs[1] = w.constant(n.Inputs[1], ir.Int64, t...)
		return true
	}
	for _, edit := range []func(t []int) bool{
		func(t []int) bool { t[j] = 0; return zero && j == at.Axis && own },
		func(t []int) bool { t[j] = -1; return !slices.Contains(target, -1) },
		func(t []int) bool {
			for k := range t {
				if t[k] == -1 {
					t[k] = y[k].Size
				}
			}
			t[j] = -1
			return true
		},
		func(t []int) bool {
			for k := range t {
				if t[k] == -1 && zero {
					t[k] = 0
				}
			}
			t[j] = -1
			return true
		},
	} {
		if try(edit) {
			return nil
		}
	}
	return fmt.Errorf("target %v: it does not hold a number of samples left open", target)
}

func elements(v []int) []Elem {
	out := make([]Elem, len(v))
	for i, x := range v {
		out[i] = Elem{Value: x, Known: true}
	}
	return out
}

// place finds the axis of y, which holds the elements of x, that the samples are on, -1 when
// there is none; own says that it holds nothing else.
func (w *batchWalk) place(x, y []ir.Dim, at BatchAxis, before int) (axis int, own bool) {
	axis = -1
	n := 1 // elements before axis j
	for j, d := range y {
		if n == before && d.Size == w.size && (axis < 0 || j == at.Axis) {
			axis, own = j, true
		}
		if !d.Known() || d.Size == 0 {
			break
		}
		n *= d.Size
	}
	if own {
		return axis, own
	}
	n = 1
	for j, d := range y {
		if !d.Known() || d.Size == 0 {
			if n == before {
				return j, false
			}
			return -1, false
		}
		inside := before >= n && before < n*d.Size && before%n == 0
		if inside && d.Size%(before/n*w.size) == 0 {
			if w.size == 1 && n == before && j > 0 && (slices.EqualFunc(x[at.Axis+1:], y[j:], sameDim) || j == len(y)-1 && at.Axis < len(x)-1) {
				return j - 1, false
			}
			return j, false
		}
		if n *= d.Size; n == before && j == len(y)-1 && w.size == 1 {
			return j, false
		}
	}
	return -1, false
}

// concat gives an operand that has one row for all samples, or equal ones, one for each.
func (w *batchWalk) concat(n *ir.Node) error {
	ref := slices.IndexFunc(n.Inputs, func(v string) bool { _, ok := w.at[v]; return ok })
	if ref < 0 {
		return nil
	}
	at := w.at[n.Inputs[ref]]
	d := w.dims(n.Inputs[ref])
	joined := n.Int("axis", 0)
	if joined < 0 {
		joined += len(d)
	}
	if joined == at.Axis || d[at.Axis].Size != w.size {
		return nil
	}
	for i, v := range n.Inputs {
		if len(w.dims(v)) == len(d) {
			w.repeat(n, i, at.Axis, n.Inputs[ref], at.Axis)
		}
	}
	return nil
}

// each lists, by operator, the inputs beside the data that have a row per sample on axis 0
// and the rank from which on they do.
var each = map[string][]struct{ input, rank int }{
	".RotaryEmbedding":                  {{1, 3}, {2, 3}, {3, 2}},
	"com.microsoft.RotaryEmbedding":     {{1, 2}},
	"com.microsoft.GroupQueryAttention": {{5, 1}},
}

// repeat expands input i, which has one row for all samples along axis, or equal ones, to as
// many as the value like has along another. What samples reach, and other sizes, stay.
func (w *batchWalk) repeat(n *ir.Node, i, axis int, like string, along int) {
	v := n.Inputs[i]
	if _, ok := w.at[v]; ok || w.dims(v)[axis].Size != w.size {
		return
	}
	if w.size > 1 {
		var ok bool
		if v, ok = w.row(v, axis); !ok {
			return
		}
	}
	shape := w.insert("Shape", like+".shape", []string{like})
	count := w.insert("Gather", like+".samples", []string{shape, w.constant(like+".axis", ir.Int64, along)})
	ones := func(k int) []string {
		if k == 0 {
			return nil
		}
		return []string{w.constant(v+".ones", ir.Int64, slices.Repeat([]int{1}, k)...)}
	}
	sizes := w.insert("Concat", v+".sizes", slices.Concat(ones(axis), []string{count}, ones(len(w.dims(v))-axis-1)), ir.IntAttr("axis", 0))
	n.Inputs[i] = w.insert("Expand", v, []string{v, sizes})
	w.at[n.Inputs[i]] = BatchAxis{axis, 1}
}

// row returns a constant that is one of the equal rows of v along axis.
func (w *batchWalk) row(v string, axis int) (string, bool) {
	row, ok := firstOfEqual(w.one.facts.Values[v].Const, axis)
	if !ok {
		return "", false
	}
	row.Name = w.name(v)
	w.out.Graph.Inits = append(w.out.Graph.Inits, row)
	w.one.initialiser(row)
	w.many.initialiser(row)
	return row.Name, true
}

// operands broadcasts constants that have equal rows for the samples of the file.
func (w *batchWalk) operands(n *ir.Node) {
	ref := slices.IndexFunc(n.Inputs, func(v string) bool { _, ok := w.at[v]; return ok })
	if ref < 0 || w.size == 1 {
		return
	}
	at := w.at[n.Inputs[ref]]
	for i, v := range n.Inputs {
		axis := at.Axis + len(w.dims(v)) - len(w.dims(n.Inputs[ref]))
		if _, ok := w.at[v]; !ok && axis >= 0 && axis < len(w.dims(v)) && w.dims(v)[axis].Size == w.size {
			if row, ok := w.row(v, axis); ok {
				n.Inputs[i] = row
			}
		}
	}
}

// firstOfEqual returns the first position along an axis of a constant that has no others.
func firstOfEqual(t *ir.Tensor, axis int) (*ir.Tensor, bool) {
	if t == nil || axis >= len(t.Dims) {
		return nil, false
	}
	keep := make(Positions, axis+1)
	keep[axis] = []int{0}
	row, err := Take(t, keep)
	for k := 1; k < t.Dims[axis] && err == nil; k++ {
		keep[axis] = []int{k}
		var other *ir.Tensor
		if other, err = Take(t, keep); err == nil && !bytes.Equal(row.Raw, other.Raw) {
			return nil, false
		}
	}
	return row, err == nil
}

// resize reads the sizes before the first that it changes from its input.
func (w *batchWalk) resize(n *ir.Node) error {
	at, ok := w.at[n.Input(0)]
	sizes, fixed := w.written(n, 3)
	if !ok || !fixed || len(sizes) == 0 || n.Attr("axes") != nil {
		return nil
	}
	x := w.dims(n.Inputs[0])
	k := 0
	for k < len(x) && k < len(sizes) && x[k].Size == sizes[k] {
		k++
	}
	if k <= at.Axis {
		return fmt.Errorf("it samples along the axis of the samples")
	}
	base := n.Inputs[3]
	shape := w.insert("Shape", n.Inputs[0]+".shape", []string{n.Inputs[0]})
	lead := w.insert("Slice", base+".kept", []string{shape, w.constant(base+".from", ir.Int64, 0), w.constant(base+".to", ir.Int64, k)})
	n.Inputs[3] = lead
	if k < len(sizes) {
		n.Inputs[3] = w.insert("Concat", base, []string{lead, w.constant(base+".changed", ir.Int64, sizes[k:]...)}, ir.IntAttr("axis", 0))
	}
	return nil
}

// slice takes all samples where it takes all of the file's batch.
func (w *batchWalk) slice(n *ir.Node) error {
	at, ok := w.at[n.Input(0)]
	if !ok || w.dims(n.Inputs[0])[at.Axis].Size != w.size {
		return nil
	}
	old := w.one.facts.Sites[n].Opset < 10
	var starts, ends, axes []int
	fixed := true
	if old {
		starts, ends, axes = n.Ints("starts", nil), n.Ints("ends", nil), n.Ints("axes", nil)
	} else {
		starts, fixed = w.written(n, 1)
		var ok bool
		ends, ok = w.written(n, 2)
		fixed = fixed && ok
		if axes, ok = w.written(n, 3); !ok && n.Input(3) != "" {
			fixed = false
		}
		if steps, ok := w.written(n, 4); n.Input(4) != "" && (!ok || slices.ContainsFunc(steps, func(s int) bool { return s != 1 })) {
			fixed = false
		}
	}
	if !fixed || len(starts) != len(ends) {
		return nil
	}
	for k := range ends {
		axis := k
		if k < len(axes) {
			axis = axes[k]
		}
		if axis < 0 {
			axis += len(w.dims(n.Inputs[0]))
		}
		if axis != at.Axis || starts[k] != 0 && starts[k] > -w.size || ends[k] < w.size || ends[k] > math.MaxInt32/2 {
			continue
		}
		ends = slices.Clone(ends)
		ends[k] = math.MaxInt32
		starts = slices.Clone(starts)
		starts[k] = 0
		if old {
			n.SetAttr(ir.IntsAttr("starts", starts...))
			n.SetAttr(ir.IntsAttr("ends", ends...))
			continue
		}
		n.Inputs[1] = w.constant(n.Inputs[1], w.one.facts.Values[n.Inputs[1]].Type.Elem, starts...)
		n.Inputs[2] = w.constant(n.Inputs[2], w.one.facts.Values[n.Inputs[2]].Type.Elem, ends...)
	}
	return nil
}

// expand leaves the samples as they are: a size of 1 in the target does.
func (w *batchWalk) expand(n *ir.Node) error {
	at, ok := w.at[n.Input(0)]
	target, fixed := w.written(n, 1)
	if !ok || !fixed || w.size == 1 {
		return nil
	}
	k := at.Axis + len(target) - len(w.dims(n.Inputs[0]))
	if k < 0 || target[k] != w.dims(n.Inputs[0])[at.Axis].Size {
		return nil
	}
	t := slices.Clone(target)
	t[k] = 1
	n.Inputs[1] = w.constant(n.Inputs[1], ir.Int64, t...)
	return nil
}
