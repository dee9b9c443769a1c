package space_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// owner is one dim as the literal sum sees a weight: for each of its axes, the
// positions that it rules and, per choice, those that it keeps.
type owner struct {
	dim  int
	axes []int
	rule []map[int]bool   // per axis
	keep [][]map[int]bool // per axis, choice
}

// literalOwners reads the dims of a weight off groups, orders and choices alone.
func literalOwners(an *space.Analysis, s *space.Space, w *ir.Tensor, sp space.Superposition) []owner {
	var out []owner
	for i, d := range s.Dims {
		o := owner{dim: i}
		switch d.Kind {
		case "width":
			g := an.Groups[slices.IndexFunc(an.Groups, func(g *space.Group) bool { return g.Name == d.Node })]
			for _, mb := range g.Members {
				if mb.Value != w.Name || !mb.Weight || (sp == space.Reader && !mb.Contracted) {
					continue
				}
				rule := map[int]bool{}
				for _, ps := range mb.Units {
					for _, p := range ps {
						rule[p] = true
					}
				}
				var keep []map[int]bool
				for _, c := range d.Choices {
					k := map[int]bool{}
					for r := range c {
						u := r
						if d.Order != nil {
							u = d.Order[r]
						}
						for _, p := range mb.Units[u] {
							k[p] = true
						}
					}
					keep = append(keep, k)
				}
				o.axes, o.rule, o.keep = append(o.axes, mb.Axis), append(o.rule, rule), append(o.keep, keep)
			}
		case "kernel":
			n := an.Model.Graph.Nodes[slices.IndexFunc(an.Model.Graph.Nodes, func(n *ir.Node) bool { return n.Label() == d.Node })]
			if n.Input(1) != w.Name {
				break
			}
			for a := 2; a < len(w.Dims); a++ {
				full := w.Dims[a]
				rule := map[int]bool{}
				for p := range full {
					rule[p] = true
				}
				var keep []map[int]bool
				for _, c := range d.Choices {
					k := map[int]bool{}
					for p := (full - c) / 2; p < (full+c)/2; p++ {
						k[p] = true
					}
					keep = append(keep, k)
				}
				o.axes, o.rule, o.keep = append(o.axes, a), append(o.rule, rule), append(o.keep, keep)
			}
		}
		if o.axes != nil {
			out = append(out, o)
		}
	}
	return out
}

// literalSum appends Σ over combinations of choices Π coefficients · pad(W[block]).
func literalSum(b *prim.Builder, s *space.Space, w prim.ID, coefs []prim.ID, owners []owner) prim.ID {
	dims := b.Shape(w)
	total := prim.Invalid
	choice := make([]int, len(owners))
	for {
		block := make([]float64, ir.Prod(dims))
		for i := range block {
			block[i] = 1
			for k, o := range owners {
				for a, axis := range o.axes {
					p := i / ir.Prod(dims[axis+1:]) % dims[axis]
					if o.rule[a][p] && !o.keep[a][choice[k]][p] {
						block[i] = 0
					}
				}
			}
		}
		part := b.Times(w, b.Const(prim.F64Tensor(block, dims...)))
		for k, o := range owners {
			c := b.Slice(coefs[o.dim], []int{choice[k]}, []int{1}, []int{1})
			part = b.Times(part, b.Reshape(c, slices.Repeat([]int{1}, len(dims))...))
		}
		if total == prim.Invalid {
			total = part
		} else {
			total = b.Plus(total, part)
		}
		k := len(owners) - 1
		for ; k >= 0; k-- {
			if choice[k]++; choice[k] < len(s.Dims[owners[k].dim].Choices) {
				break
			}
			choice[k] = 0
		}
		if k < 0 {
			return total
		}
	}
}

// kindsOf names what is special about a weight, for the coverage of the test.
func kindsOf(owners []owner, w *ir.Tensor, s *space.Space, an *space.Analysis) []string {
	var out []string
	axisOwners := map[int]int{}
	lengths := map[int]bool{}
	for _, o := range owners {
		d := s.Dims[o.dim]
		lengths[len(d.Choices)] = true
		for _, a := range o.axes {
			axisOwners[a]++
		}
		if d.Kind != "width" {
			continue
		}
		if len(o.axes) > 1 {
			out = append(out, "one dim on two axes")
		}
		for _, g := range an.Groups {
			for _, mb := range g.Members {
				if g.Name == d.Node && mb.Value == w.Name && len(mb.Units[0]) > 1 {
					out = append(out, "blocks of positions")
				}
			}
		}
	}
	for _, n := range axisOwners {
		if n > 1 {
			out = append(out, "an axis with several owners")
		}
	}
	if len(owners) >= 3 {
		out = append(out, "three dims")
	}
	if len(lengths) >= 3 {
		out = append(out, "lists of three lengths")
	}
	if len(w.Dims) == 4 && w.Dims[1] == 1 && w.Dims[0] > 1 && w.Dims[2] > 1 && len(owners) > 0 {
		out = append(out, "depthwise")
	}
	return out
}

// tangent removes the mean: on the simplex the rest of a gradient says nothing.
func tangent(g []float64) []float64 {
	mean := 0.0
	for _, v := range g {
		mean += v / float64(len(g))
	}
	out := make([]float64, len(g))
	for i, v := range g {
		out[i] = v - mean
	}
	return out
}

func far(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	worst := 0.0
	for i := range a {
		worst = max(worst, math.Abs(a[i]-b[i]))
	}
	return worst
}

// TestMaskIsLiteralSum: for every weight of every tiny network, the masked weight
// and its gradients are those of the literal sum of padded blocks, whatever the
// orders of units and the numbers of choices.
func TestMaskIsLiteralSum(t *testing.T) {
	seen := map[string]int{}
	for _, e := range networks() {
		an := analysed(t, e.Name, models.Options{})
		roles := ops.TrainingRoles(an.Model, an.Facts)
		for _, sp := range []space.Superposition{space.Every, space.Reader} {
			r := rand.New(rand.NewPCG(7, uint64(len(e.Name))))
			s := offered(t, an, space.Options{Divisor: 1})
			limit := 4
			if e.Name == "concat-tiny" || e.Name == "inception-tiny" {
				limit = 2
			}
			scramble(s, limit, r)
			net := entangled(t, an, s, sp)
			coef := simplex(s, r)
			for _, w := range an.Model.Graph.Inits {
				owners := literalOwners(an, s, w, sp)
				combos := 1
				for _, o := range owners {
					combos *= len(s.Dims[o.dim].Choices)
				}
				if roles[w.Name] != ops.Parameter || combos > 64 {
					continue
				}
				if net.Masked(w.Name) != (len(owners) > 0) {
					t.Errorf("%s: %s: masked is %v with %d dims", e.Name, w.Name, net.Masked(w.Name), len(owners))
					continue
				}
				if len(owners) == 0 {
					continue
				}
				for _, k := range kindsOf(owners, w, s, an) {
					seen[k]++
				}
				name := fmt.Sprintf("%s: %s: %s %v", e.Name, sp, w.Name, w.Dims)
				b := prim.NewBuilder()
				coefs := net.Coefficients(b, prim.F64)
				h, err := ops.HostTensor(w, prim.F64)
				if err != nil {
					t.Fatal(err)
				}
				x := b.Input("w", h.Type)
				wrt := append([]prim.ID{x}, coefs...)
				seed := r.Uint64()
				for k, v := range []prim.ID{net.Weight(b, w.Name, x, coefs), literalSum(b, s, x, coefs, owners)} {
					g, err := engine.Grad(b, weightedSum(b, v, rand.New(rand.NewPCG(seed, 1))), wrt)
					if err != nil {
						t.Fatal(err)
					}
					b.Output(fmt.Sprint("value/", k), v)
					for i, id := range g {
						b.Output(fmt.Sprintf("grad%d/%d", i, k), id)
					}
				}
				out := run(t, program(t, b), with(map[string]*prim.Tensor{"w": h}, s, coef))
				if d := far(out["value/0"].F64, out["value/1"].F64); d > 1e-12 {
					t.Errorf("%s: values differ by %g", name, d)
				}
				for i := range wrt {
					x, y := out[fmt.Sprintf("grad%d/0", i)].F64, out[fmt.Sprintf("grad%d/1", i)].F64
					if i > 0 {
						x, y = tangent(x), tangent(y)
					}
					if d := far(x, y); d > 1e-12 {
						t.Errorf("%s: gradient %d differs by %g", name, i, d)
					}
				}
			}
		}
	}
	for _, k := range []string{"one dim on two axes", "blocks of positions", "an axis with several owners", "three dims", "lists of three lengths", "depthwise"} {
		if seen[k] == 0 {
			t.Errorf("no weight with %s was seen", k)
		}
	}
}

// TestMaskByHand: 3 × 2 choices on a 3×2 weight, with the sum written out.
func TestMaskByHand(t *testing.T) {
	an := analysed(t, "flatten-tiny", models.Options{})
	s := offered(t, an, space.Options{Divisor: 1, Kinds: []string{"width"}})
	var out, in int
	var w *ir.Tensor
	for _, x := range an.Model.Graph.Inits {
		if o := literalOwners(an, s, x, space.Every); len(x.Dims) == 4 && len(o) == 2 {
			w, out, in = x, o[0].dim, o[1].dim
			if o[0].axes[0] != 0 {
				out, in = in, out
			}
			break
		}
	}
	if w == nil {
		t.Fatal("no convolution with two widths")
	}
	rows, cols := w.Dims[0], w.Dims[1]
	s.Dims[out].Choices, s.Dims[in].Choices = []int{1, 3, rows}, []int{2, cols}
	net := entangled(t, an, s, space.Every)
	b := prim.NewBuilder()
	coefs := net.Coefficients(b, prim.F64)
	h, err := ops.HostTensor(w, prim.F64)
	if err != nil {
		t.Fatal(err)
	}
	b.Output("w", net.Weight(b, w.Name, b.Const(h), coefs))
	coef := s.OneHot(s.Largest())
	coef[out], coef[in] = []float64{.2, .3, .5}, []float64{.6, .4}
	got := run(t, program(t, b), with(nil, s, coef))["w"].F64
	inner := ir.Prod(w.Dims[2:])
	for i, v := range h.F64 {
		o, c := i/inner/cols, i/inner%cols
		want := v
		switch {
		case o >= 3:
			want *= .5
		case o >= 1:
			want *= .8
		}
		if c >= 2 {
			want *= .4
		}
		if math.Abs(got[i]-want) > 1e-15 {
			t.Fatalf("output %d, input %d: want %g, got %g", o, c, want, got[i])
		}
	}
}
