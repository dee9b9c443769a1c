package ops

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// classes partitions the positions of a site's axes by its links.
type classes struct {
	start  map[AxisRef]int
	refs   []AxisRef
	sizes  []int
	parent []int
	pinned map[int]bool // by class root, after settle
	pins   map[AxisRef]string
}

func axisClasses(s *Site, a *Axes) *classes {
	c := &classes{start: map[AxisRef]int{}, pinned: map[int]bool{}, pins: map[AxisRef]string{}}
	add := func(f Fact, ref func(int) AxisRef) {
		for n, size := range f.Shape() {
			c.start[ref(n)] = len(c.parent)
			c.refs, c.sizes = append(c.refs, ref(n)), append(c.sizes, size)
			for range size {
				c.parent = append(c.parent, len(c.parent))
			}
		}
	}
	for i, f := range s.In {
		add(f, inRef(i))
	}
	for k, f := range s.Out {
		add(f, outRef(k))
	}
	spoken := map[AxisRef]bool{}
	for _, p := range a.Pins {
		c.pins[p.Ref] = p.Reason
		spoken[p.Ref] = true
	}
	for _, l := range a.Links {
		spoken[l.A], spoken[l.B] = true, true
		if l.PairsA == nil {
			for i := range c.size(l.A) {
				c.union(c.start[l.A]+i, c.start[l.B]+i)
			}
		}
		for k := range l.PairsA {
			c.union(c.start[l.A]+l.PairsA[k], c.start[l.B]+l.PairsB[k])
		}
	}
	for i, ref := range c.refs {
		if !spoken[ref] && c.sizes[i] != 1 {
			c.pins[ref] = "no rule"
		}
		if c.pins[ref] != "" {
			for p := range c.sizes[i] {
				c.pinned[c.find(c.start[ref]+p)] = true
			}
		}
	}
	return c
}

func (c *classes) size(ref AxisRef) int { return c.sizes[slices.Index(c.refs, ref)] }

func (c *classes) find(i int) int {
	for c.parent[i] != i {
		i = c.parent[i]
	}
	return i
}

func (c *classes) union(i, j int) { c.parent[c.find(i)] = c.find(j) }

// keep returns the positions of every axis that are not in the given class.
func (c *classes) keep(s *Site, root int) (in, out []Positions) {
	of := func(f Fact, ref func(int) AxisRef) Positions {
		p := make(Positions, len(f.Type.Shape))
		for n, size := range f.Shape() {
			left := []int{}
			for i := range size {
				if c.find(c.start[ref(n)]+i) != root {
					left = append(left, i)
				}
			}
			if len(left) != size {
				p[n] = left
			}
		}
		return p
	}
	for i, f := range s.In {
		in = append(in, of(f, inRef(i)))
	}
	for k, f := range s.Out {
		out = append(out, of(f, outRef(k)))
	}
	return in, out
}

// erase returns t with zeros at the positions that keep drops.
func erase(t *ir.Tensor, keep Positions) *ir.Tensor {
	v, err := t.Float64s()
	if err != nil {
		panic(err)
	}
	for k := range v {
		rest := k
		for n := len(t.Dims) - 1; n >= 0; n-- {
			i := rest % t.Dims[n]
			rest /= t.Dims[n]
			if keep[n] != nil && !slices.Contains(keep[n], i) {
				v[k] = 0
			}
		}
	}
	out, err := ir.NewFloats(t.Name, t.DType, t.Dims, v)
	if err != nil {
		panic(err)
	}
	return out
}

// TestComputeCuts checks, for every class of positions that the axes leave free, that
// cutting it from zeroed inputs gives the remaining positions of the outputs unchanged.
func TestComputeCuts(t *testing.T) {
	s := rng.New(1, "ops/cuts")
	x := func(dims ...int) *ir.Tensor { return noise(s, dims...) }
	ints, num := ir.IntsAttr, ir.IntAttr
	positive := func(dims ...int) *ir.Tensor {
		v, _ := noise(s, dims...).Float64s()
		for i := range v {
			v[i] = 1 + v[i]*v[i]
		}
		return floats(dims, v...)
	}
	for _, c := range []struct {
		name  string
		op    string
		opset int
		attrs []ir.Attr
		in    []*ir.Tensor
		free  int // classes that can be cut
	}{
		{"dense", "Conv", 13, []ir.Attr{ints("pads", 1, 1, 1, 1), ints("kernel_shape", 3, 3)}, []*ir.Tensor{x(2, 3, 4, 4), x(5, 3, 3, 3), x(5)}, 2 + 3 + 5},
		{"1×1 carries the plane", "Conv", 13, nil, []*ir.Tensor{x(1, 2, 2, 3), x(2, 2, 1, 1)}, 2 + 2 + 2 + 3},
		{"depthwise", "Conv", 13, []ir.Attr{num("group", 3)}, []*ir.Tensor{x(1, 3, 3, 3), x(3, 1, 3, 3), x(3)}, 3},
		{"depthwise with multiplier", "Conv", 13, []ir.Attr{num("group", 3)}, []*ir.Tensor{x(1, 3, 4), x(6, 1, 2), x(6)}, 3},
		{"two groups", "Conv", 13, []ir.Attr{num("group", 2)}, []*ir.Tensor{x(1, 6, 4), x(4, 3, 2), x(4)}, 3 + 2},
		{"transposed", "ConvTranspose", 13, nil, []*ir.Tensor{x(1, 3, 4), x(3, 2, 2), x(2)}, 3 + 2},
		{"transposed depthwise", "ConvTranspose", 13, []ir.Attr{num("group", 3)}, []*ir.Tensor{x(1, 3, 4), x(3, 1, 2), x(3)}, 3},
		{"transposed depthwise with multiplier", "ConvTranspose", 13, []ir.Attr{num("group", 3)}, []*ir.Tensor{x(1, 3, 4), x(3, 2, 2), x(6)}, 3},
		{"transposed groups", "ConvTranspose", 13, []ir.Attr{num("group", 2)}, []*ir.Tensor{x(1, 4, 4), x(4, 3, 2), x(6)}, 2 + 3},
		{"plain", "MatMul", 13, nil, []*ir.Tensor{x(2, 3), x(3, 4)}, 2 + 3 + 4},
		{"batched", "MatMul", 13, nil, []*ir.Tensor{x(2, 2, 3), x(2, 3, 4)}, 2 + 2 + 3 + 4},
		{"vector", "MatMul", 13, nil, []*ir.Tensor{x(3), x(2, 3, 4)}, 2 + 3 + 4},
		{"transposed", "Gemm", 13, []ir.Attr{num("transB", 1)}, []*ir.Tensor{x(2, 3), x(4, 3), x(4)}, 2 + 3 + 4},
		{"column bias", "Gemm", 13, []ir.Attr{num("transA", 1)}, []*ir.Tensor{x(3, 2), x(3, 4), x(2, 1)}, 2 + 3 + 4},
		{"inference", "BatchNormalization", 13, nil, []*ir.Tensor{x(2, 3, 2), x(3), x(3), x(3), positive(3)}, 2 + 3 + 2},
		{"spatial", "InstanceNormalization", 13, nil, []*ir.Tensor{x(2, 3, 2), x(3), x(3)}, 2 + 3 + 2},
		{"one channel each", "GroupNormalization", 21, []ir.Attr{num("num_groups", 3)}, []*ir.Tensor{x(2, 3, 2), x(3), x(3)}, 2 + 3 + 2},
		{"groups", "GroupNormalization", 21, []ir.Attr{num("num_groups", 2)}, []*ir.Tensor{x(2, 4, 2), x(4), x(4)}, 2 + 2 + 2},
		{"groups, two spatial axes", "GroupNormalization", 21, []ir.Attr{num("num_groups", 2)}, []*ir.Tensor{x(2, 6, 3, 2), x(6), x(6)}, 2 + 3 + 3 + 2},
		{"parameters per group", "GroupNormalization", 18, []ir.Attr{num("num_groups", 2)}, []*ir.Tensor{x(2, 6, 2), x(2), x(2)}, 2 + 3 + 2},
		{"last axis", "LayerNormalization", 17, nil, []*ir.Tensor{x(2, 3, 4), x(4), x(4)}, 2 + 3 + 4},
		{"two axes", "LayerNormalization", 17, []ir.Attr{num("axis", 1)}, []*ir.Tensor{x(2, 3, 4), x(3, 4), x(3, 4)}, 2 + 3 + 4},
		{"last axis", "RMSNormalization", 23, nil, []*ir.Tensor{x(2, 4), x(4)}, 2 + 4},
		{"channels", "LRN", 13, []ir.Attr{num("size", 3)}, []*ir.Tensor{x(2, 4, 2)}, 2 + 2},
		{"window", "MaxPool", 12, []ir.Attr{ints("kernel_shape", 2, 1)}, []*ir.Tensor{x(2, 3, 4, 2)}, 2 + 3 + 2},
		{"window", "AveragePool", 11, []ir.Attr{ints("kernel_shape", 2), ints("pads", 1, 0)}, []*ir.Tensor{x(2, 3, 4)}, 2 + 3},
		{"plane", "GlobalAveragePool", 7, nil, []*ir.Tensor{x(2, 3, 4)}, 2 + 3},
		{"broadcast channel", "Add", 14, nil, []*ir.Tensor{x(2, 3, 4), x(3, 1)}, 2 + 3 + 4},
		{"scalar", "Mul", 14, nil, []*ir.Tensor{x(2, 3), x()}, 2 + 3},
		{"slope", "PRelu", 16, nil, []*ir.Tensor{x(2, 3, 4), x(3, 1)}, 2 + 3 + 4},
		{"rows", "Softmax", 13, nil, []*ir.Tensor{x(2, 3)}, 2},
		{"matrix", "Softmax", 11, []ir.Attr{num("axis", 1)}, []*ir.Tensor{x(2, 3, 2)}, 2},
		{"dropped axis", "ReduceMean", 13, []ir.Attr{ints("axes", 1), num("keepdims", 0)}, []*ir.Tensor{x(2, 3, 4)}, 2 + 3 + 4},
		{"all axes", "ReduceSumSquare", 13, nil, []*ir.Tensor{x(2, 3)}, 2 + 3},
		{"kept axes", "ReduceL2", 13, []ir.Attr{ints("axes", -1, 0)}, []*ir.Tensor{x(2, 3)}, 2 + 3},
		{"largest", "ReduceMax", 13, []ir.Attr{ints("axes", 1)}, []*ir.Tensor{x(2, 3)}, 2 + 3},
		{"smallest", "ReduceMin", 13, []ir.Attr{ints("axes", 1)}, []*ir.Tensor{x(2, 3)}, 2 + 3},
		{"product", "ReduceProd", 13, []ir.Attr{ints("axes", 1)}, []*ir.Tensor{x(2, 3)}, 2 + 3},
		{"norm of absolutes", "ReduceL1", 13, []ir.Attr{ints("axes", 1)}, []*ir.Tensor{x(2, 3)}, 2 + 3},
		{"logarithm of exponentials", "ReduceLogSumExp", 13, []ir.Attr{ints("axes", 1)}, []*ir.Tensor{x(2, 3)}, 2 + 3},
		{"norm", "LpNormalization", 1, []ir.Attr{num("axis", 1), num("p", 1)}, []*ir.Tensor{x(2, 3)}, 2 + 3},
		{"channels", "MeanVarianceNormalization", 13, []ir.Attr{ints("axes", 1, 2)}, []*ir.Tensor{x(2, 3, 2)}, 2 + 3 + 2},
		{"kept axis", "ArgMax", 13, []ir.Attr{num("axis", 1)}, []*ir.Tensor{x(2, 3, 4)}, 2 + 4},
		{"pointwise", "Relu", 14, nil, []*ir.Tensor{x(2, 3)}, 2 + 3},
	} {
		t.Run(c.op+" "+c.name, func(t *testing.T) {
			whole, err := siteFor(c.op, c.opset, 1, c.attrs, constFacts(c.in)...)
			if err != nil {
				t.Fatal(err)
			}
			var axes Axes
			op := Lookup("", c.op)
			op.Axes(whole, &axes)
			cl := axisClasses(whole, &axes)
			free := map[int]bool{}
			for p := range cl.parent {
				if r := cl.find(p); !cl.pinned[r] && !single(cl, p) {
					free[r] = true
				}
			}
			if len(free) != c.free {
				t.Errorf("free classes: want %d, got %d (pins %v)", c.free, len(free), cl.pins)
			}
			for root := range free {
				if err := cutClass(op, whole, cl, root); err != nil {
					t.Errorf("class of position %d: %v", root, err)
				}
			}
		})
	}
}

// single reports whether a position is on an axis of size 1, which is never cut.
func single(c *classes, p int) bool {
	for i, ref := range c.refs {
		if c.start[ref] <= p && p < c.start[ref]+c.sizes[i] {
			return c.sizes[i] == 1
		}
	}
	return false
}

func cutClass(op *Op, whole *Site, cl *classes, root int) error {
	keepIn, keepOut := cl.keep(whole, root)
	erased := *whole
	erased.In = slices.Clone(whole.In)
	var small []Fact
	for i, f := range whole.In {
		zeroed := erase(f.Const, keepIn[i])
		erased.In[i] = constFact(zeroed, f.Weight)
		t, err := Take(zeroed, keepIn[i])
		if err != nil {
			return err
		}
		small = append(small, constFact(t, f.Weight))
	}
	want, err := perform(&erased, func(l *Lowering) {
		l.AxisMask = func(i, axis int) prim.ID { return keptMask(l.B, keepIn[i], axis, whole.In[i].Shape()[axis]) }
	})
	if err != nil {
		return err
	}
	node := whole.Node.Clone()
	if op.Cut != nil {
		if err := op.Cut(&Cut{Site: &Site{Node: node, Opset: whole.Opset, In: whole.In, Out: whole.Out}, Keep: keepIn, KeepO: keepOut}); err != nil {
			return err
		}
	}
	cut := &Site{Node: node, Opset: whole.Opset, In: small}
	if cut.Out, err = op.Infer(cut); err != nil {
		return err
	}
	got, err := perform(cut, nil)
	if err != nil {
		return err
	}
	full, err := ModelTensor("", ir.Float64, want[0])
	if err != nil {
		return err
	}
	rest, err := Take(full, keepOut[0])
	if err != nil {
		return err
	}
	if !slices.Equal(rest.Dims, got[0].Shape) {
		return fmt.Errorf("want shape %v, got %v", rest.Dims, got[0].Shape)
	}
	v, err := rest.Float64s()
	if err != nil {
		return err
	}
	return near(got[0], v, 1e-9)
}

// keptMask is 1 at the positions of an axis that stay and 0 elsewhere; none when all stay.
func keptMask(b *prim.Builder, keep Positions, axis, n int) prim.ID {
	if keep.kept(axis) == nil {
		return prim.Invalid
	}
	mask := prim.NewTensor(prim.Type{DType: prim.F64, Shape: []int{n}})
	for _, p := range keep[axis] {
		mask.F64[p] = 1
	}
	return b.Const(mask)
}

func TestConvKernelCut(t *testing.T) {
	s := rng.New(2, "ops/kernel")
	x, w := noise(s, 1, 2, 7, 7), noise(s, 3, 2, 5, 5)
	centre := Positions{nil, nil, {1, 2, 3}, {1, 2, 3}}
	for _, c := range []struct {
		name  string
		attrs []ir.Attr
		fault string
	}{
		{"pads", []ir.Attr{ir.IntsAttr("pads", 2, 2, 2, 2), ir.IntsAttr("kernel_shape", 5, 5), ir.IntsAttr("strides", 2, 2)}, ""},
		{"dilated", []ir.Attr{ir.IntsAttr("pads", 4, 4, 4, 4), ir.IntsAttr("dilations", 2, 2)}, ""},
		{"same", []ir.Attr{ir.StringAttr("auto_pad", "SAME_UPPER")}, ""},
		{"no padding", nil, "want padding of at least 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole, err := siteFor("Conv", 13, 1, c.attrs, constFact(x, false), constFact(erase(w, centre), true))
			if err != nil {
				t.Fatal(err)
			}
			_, _, ok := Lookup("", "Conv").Kernel(whole)
			if ok != (c.fault == "") {
				t.Errorf("kernel can shrink: want %t, got %t", c.fault == "", ok)
			}
			node := whole.Node.Clone()
			err = Lookup("", "Conv").Cut(&Cut{Site: &Site{Node: node, Opset: 13, In: whole.In, Out: whole.Out}, Keep: []Positions{nil, centre}})
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Fatalf("want an error about %q, got %v", c.fault, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			small, err := Take(w, centre)
			if err != nil {
				t.Fatal(err)
			}
			cut := &Site{Node: node, Opset: 13, In: []Fact{whole.In[0], constFact(small, true)}}
			if cut.Out, err = Lookup("", "Conv").Infer(cut); err != nil {
				t.Fatal(err)
			}
			want, err := perform(whole, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := perform(cut, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := near(got[0], want[0].F64, 1e-9); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConvCutErrors(t *testing.T) {
	f := func(dims ...int) Fact { return Fact{Type: ir.TensorType(ir.Float32, dims...)} }
	s, err := siteFor("Conv", 13, 1, []ir.Attr{ir.IntAttr("group", 2)}, f(1, 4, 3), f(4, 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		keep  []Positions
		fault string
	}{
		{"uneven groups", []Positions{{nil, {0, 1}}, {nil, {0}, nil}}, "group 0: want 1 positions"},
		{"filters no multiple", []Positions{nil, {{0, 1, 2}}}, "want a multiple of 2 groups, got 3"},
		{"weight differs", []Positions{{nil, {0, 2}}, nil}, "want 2 groups × 2, got 2"},
		{"nothing left", []Positions{{nil, {}}, {nil, {}}}, "at least one channel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Lookup("", "Conv").Cut(&Cut{Site: &Site{Node: s.Node.Clone(), Opset: 13, In: s.In, Out: s.Out}, Keep: c.keep})
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("want an error about %q, got %v", c.fault, err)
			}
		})
	}
}

func TestComputeCosts(t *testing.T) {
	f := func(dims ...int) Fact { return Fact{Type: ir.TensorType(ir.Float32, dims...)} }
	for _, c := range []struct {
		op    string
		attrs []ir.Attr
		in    []Fact
		want  float64
	}{
		{"Conv", []ir.Attr{ir.IntAttr("group", 2)}, []Fact{f(2, 4, 5, 5), f(6, 2, 3, 3)}, 2 * 6 * 2 * 9 * 9},
		{"ConvTranspose", nil, []Fact{f(2, 4, 5, 5), f(4, 3, 3, 3)}, 2 * 4 * 25 * 3 * 9},
		{"MatMul", nil, []Fact{f(7, 2, 3), f(3, 4)}, 7 * 2 * 3 * 4},
		{"Gemm", []ir.Attr{ir.IntAttr("transA", 1)}, []Fact{f(3, 2), f(3, 4)}, 2 * 3 * 4},
	} {
		s, err := siteFor(c.op, 13, 1, c.attrs, c.in...)
		if err != nil {
			t.Fatal(err)
		}
		if got := Lookup("", c.op).Cost(s).MACs; got != c.want {
			t.Errorf("%s: want %g MACs, got %g", c.op, c.want, got)
		}
	}
}
