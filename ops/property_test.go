package ops_test

import (
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// cutClass is a set of positions that an operator's Axes rule says are cut together.
type cutClass map[string]ops.Positions // by value: positions that go, per axis

type axisOf struct {
	value string
	axis  int
}

// classes returns the classes of positions of a model that no pin and no missing
// rule holds, in a fixed order.
func classes(m *ir.Model, f *ops.Facts) []cutClass {
	start, size := map[axisOf]int{}, map[axisOf]int{}
	var owner []axisOf
	add := func(name string, fact ops.Fact) {
		for k, d := range fact.Shape() {
			x := axisOf{name, k}
			if _, ok := start[x]; name == "" || ok {
				continue
			}
			start[x], size[x] = len(owner), d
			for range d {
				owner = append(owner, x)
			}
		}
	}
	for _, n := range m.Graph.Nodes {
		s := f.Sites[n]
		for i, name := range n.Inputs {
			add(name, s.In[i])
		}
		for k, name := range n.Outputs {
			add(name, s.Out[k])
		}
	}
	parent := make([]int, len(owner))
	for i := range parent {
		parent[i] = i
	}
	var find func(int) int
	find = func(i int) int {
		if parent[i] != i {
			parent[i] = find(parent[i])
		}
		return parent[i]
	}
	pinned := map[axisOf]bool{}
	for _, n := range m.Graph.Nodes {
		s := f.Sites[n]
		at := func(r ops.AxisRef) axisOf {
			if r.Out {
				return axisOf{n.Output(r.Index), r.Axis}
			}
			return axisOf{n.Input(r.Index), r.Axis}
		}
		mentioned := map[axisOf]bool{}
		var a ops.Axes
		if op := ops.Lookup(n.Domain, n.OpType); op != nil && op.Axes != nil {
			op.Axes(s, &a)
		}
		for _, l := range a.Links {
			x, y := at(l.A), at(l.B)
			mentioned[x], mentioned[y] = true, true
			pa, pb := l.PairsA, l.PairsB
			if pa == nil {
				for i := range size[x] {
					pa, pb = append(pa, i), append(pb, i)
				}
			}
			for k := range pa {
				parent[find(start[x]+pa[k])] = find(start[y] + pb[k])
			}
		}
		for _, p := range a.Pins {
			pinned[at(p.Ref)] = true
		}
		for i, name := range n.Inputs {
			for k := range s.In[i].Shape() {
				pinned[axisOf{name, k}] = pinned[axisOf{name, k}] || !mentioned[axisOf{name, k}]
			}
		}
		for o, name := range n.Outputs {
			for k := range s.Out[o].Shape() {
				pinned[axisOf{name, k}] = pinned[axisOf{name, k}] || !mentioned[axisOf{name, k}]
			}
		}
	}
	bad := map[int]bool{}
	for i, x := range owner {
		if pinned[x] && size[x] != 1 {
			bad[find(i)] = true
		}
	}
	var out []cutClass
	index := map[int]int{}
	for i, x := range owner {
		root := find(i)
		if bad[root] {
			continue
		}
		k, ok := index[root]
		if !ok {
			k = len(out)
			index[root] = k
			out = append(out, cutClass{})
		}
		c := out[k]
		if c[x.value] == nil {
			c[x.value] = make(ops.Positions, len(f.Values[x.value].Shape()))
		}
		c[x.value][x.axis] = append(c[x.value][x.axis], i-start[x])
	}
	return out
}

// keep turns positions that go into positions that stay; false when an axis would become empty.
func (c cutClass) keep(f *ops.Facts) (map[string]ops.Positions, bool) {
	out := map[string]ops.Positions{}
	for name, gone := range c {
		p := make(ops.Positions, len(gone))
		for k, g := range gone {
			if g == nil {
				continue
			}
			p[k] = []int{}
			for i := range f.Values[name].Shape()[k] {
				if !slices.Contains(g, i) {
					p[k] = append(p[k], i)
				}
			}
			if len(p[k]) == 0 {
				return nil, false
			}
		}
		out[name] = p
	}
	return out, true
}

// zeroed returns a copy of t that is 0 wherever a position goes.
func zeroed(t *ir.Tensor, gone ops.Positions) *ir.Tensor {
	c := t.Clone()
	w := t.DType.Bits() / 8
	for i := range t.Len() {
		rest := i
		for k := len(t.Dims) - 1; k >= 0; k-- {
			p := rest % t.Dims[k]
			rest /= t.Dims[k]
			if k < len(gone) && slices.Contains(gone[k], p) {
				for b := range w {
					c.Raw[i*w+b] = 0
				}
			}
		}
	}
	return c
}

// readsSizes names the operators whose result is a size, which a cut is meant to change.
var readsSizes = map[string]bool{"Shape": true, "Size": true}

// TestAxes cuts, for the operators of the corpus, classes of positions that the
// Axes rule declares to go together. The full node with those positions zeroed and
// of coefficient 0 must agree, on the positions that stay, with the node cut by its Cut rule.
func TestAxes(t *testing.T) {
	backend := ref.New()
	tried := map[string]int{}
	for _, c := range corpus(t) {
		if c.suite != "node" || strings.Contains(c.name, "_expanded") {
			continue
		}
		m, sets, reason, err := c.load()
		if err != nil || reason != "" || len(m.Graph.Nodes) != 1 || len(sets[0].in) != len(DataInputs(m.Graph)) {
			continue
		}
		n := m.Graph.Nodes[0]
		if op := ops.Lookup(n.Domain, n.OpType); op == nil || tried[n.OpType] >= 40 || readsSizes[n.OpType] {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			tried[n.OpType] += checkCuts(t, backend, m, sets[0].in)
		})
	}
	if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return
	}
	for _, o := range []string{"Concat", "Split", "Slice", "Pad", "Reshape", "Transpose", "Gather", "Tile", "Expand", "Add", "MatMul", "Gemm", "BatchNormalization"} {
		if tried[o] == 0 {
			t.Errorf("%s: want at least one cut to be tried, got none", o)
		}
	}
}

// checkCuts tries some classes of a one-node model and returns how many.
func checkCuts(t *testing.T, backend engine.Backend, m *ir.Model, in []*ir.Tensor) int {
	t.Helper()
	full := freeze(m, in, func(i int, t *ir.Tensor) bool { return i > 0 })
	f, err := ops.InferModel(full, nil)
	if err != nil {
		return 0
	}
	n := full.Graph.Nodes[0]
	if _, _, err := ops.Program(full, nil, prim.F64); err != nil {
		return 0
	}
	for _, o := range n.Outputs {
		if o != "" && !f.Values[o].Type.Static() {
			return 0
		}
	}
	all := classes(full, f)
	stream := rng.New(1, "ops/axes/"+n.OpType)
	stream.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	tried := 0
	for _, c := range all {
		keep, ok := c.keep(f)
		if !ok {
			continue
		}
		if tried++; tried > 4 {
			break
		}
		if err := checkCut(backend, full, in, f, c, keep); err != nil {
			t.Errorf("%s: cutting %v: %v", n.OpType, c, err)
		}
	}
	return tried
}

func checkCut(backend engine.Backend, full *ir.Model, in []*ir.Tensor, f *ops.Facts, gone cutClass, keep map[string]ops.Positions) error {
	cut, err := ops.CutModel(full, f, keep)
	if err != nil {
		return err
	}
	zero := full.Clone()
	for i, t := range zero.Graph.Inits {
		if keep[t.Name].Changed() {
			zero.Graph.Inits[i] = zeroed(t, gone[t.Name])
		}
	}
	whole, part := map[string]*ir.Tensor{}, map[string]*ir.Tensor{}
	for i, v := range DataInputs(full.Graph) {
		whole[v.Name] = zeroed(in[i], gone[v.Name])
		if part[v.Name], err = ops.Take(whole[v.Name], keep[v.Name]); err != nil {
			return err
		}
	}
	want, err := runMasked(backend, zero, whole, gone)
	if err != nil {
		return fmt.Errorf("full: %w", err)
	}
	got, err := runModel(backend, cut, part)
	if err != nil {
		return fmt.Errorf("cut: %w", err)
	}
	for _, o := range full.Graph.Outputs {
		w, err := ops.Take(want[o.Name], keep[o.Name])
		if err != nil {
			return err
		}
		x, err := w.Float64s()
		if err != nil {
			return err
		}
		y, err := got[o.Name].Float64s()
		if err != nil {
			return err
		}
		if !slices.Equal(w.Dims, got[o.Name].Dims) {
			return fmt.Errorf("output %q: want sizes %v, got %v", o.Name, w.Dims, got[o.Name].Dims)
		}
		for i := range x {
			if x[i] != y[i] && !(math.Abs(x[i]-y[i]) <= 1e-5*(1+math.Abs(x[i]))) && !(math.IsNaN(x[i]) && math.IsNaN(y[i])) {
				return fmt.Errorf("output %q, element %d: want %v, got %v", o.Name, i, x[i], y[i])
			}
		}
	}
	return nil
}

func runModel(backend engine.Backend, m *ir.Model, in map[string]*ir.Tensor) (map[string]*ir.Tensor, error) {
	return runMasked(backend, m, in, nil)
}

// runMasked runs a model whose positions that go have coefficient 0.
func runMasked(backend engine.Backend, m *ir.Model, in map[string]*ir.Tensor, gone cutClass) (map[string]*ir.Tensor, error) {
	f, err := ops.InferModel(m, nil)
	if err != nil {
		return nil, err
	}
	h := ops.Hooks{Float: prim.F64, Seed: prim.Invalid, AxisMask: func(b *prim.Builder, value string, axis int) prim.ID {
		g := gone[value]
		if axis >= len(g) || g[axis] == nil {
			return prim.Invalid
		}
		mask := prim.NewTensor(prim.Type{DType: prim.F64, Shape: []int{f.Values[value].Shape()[axis]}})
		for i := range mask.F64 {
			if mask.F64[i] = 1; slices.Contains(g[axis], i) {
				mask.F64[i] = 0
			}
		}
		return b.Const(mask)
	}}
	b := prim.NewBuilder()
	vals, err := ops.Lower(b, m, f, h)
	if err != nil {
		return nil, err
	}
	for _, o := range m.Graph.Outputs {
		b.Output(o.Name, vals[o.Name])
	}
	p, err := b.Program()
	if err != nil {
		return nil, err
	}
	host := map[string]*prim.Tensor{}
	for _, i := range p.Inputs {
		if host[i.Name], err = ops.HostTensor(in[i.Name], prim.F64); err != nil {
			return nil, err
		}
	}
	out, err := engine.RunHost(backend, p, host)
	if err != nil {
		return nil, err
	}
	res := map[string]*ir.Tensor{}
	for name, v := range out {
		if res[name], err = ops.ModelTensor(name, f.Values[name].Type.Elem, v); err != nil {
			return nil, err
		}
	}
	return res, nil
}
