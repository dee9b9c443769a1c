package models_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// entangled builds a supernet and entangles the space that its file declares.
func entangled(t *testing.T, s models.Supernet, o models.Options, batch int) *space.Supernet {
	t.Helper()
	raw, err := s.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := importer.Normal(raw)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ops.InferModel(m, map[string]int{"batch": batch})
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(m, f)
	if err != nil {
		t.Fatal(err)
	}
	sp, err := space.New(an, space.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := s.Space(o); fmt.Sprint(sp.Dims) != fmt.Sprint(want.Dims) {
		t.Fatalf("%s: want the declared dims %v, got %v", s.Name, want.Dims, sp.Dims)
	}
	net, err := space.Entangle(an, sp, space.Every)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// drawn are random choices, the smallest and the largest among them.
func drawn(s *space.Space, count int) [][]int {
	out := [][]int{s.Smallest(), s.Largest()}
	r := rand.New(rand.NewPCG(6, 3))
	for range count {
		c := make([]int, len(s.Dims))
		for d := range c {
			c[d] = r.IntN(len(s.Dims[d].Choices))
		}
		out = append(out, c)
	}
	return out
}

// inherited is a model in normal form, with the weights of a larger one.
func inherited(t *testing.T, small, large *ir.Model) *ir.Model {
	t.Helper()
	m, err := models.Inherit(small, large)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = importer.Normal(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// sameNetwork holds a cut supernet to an architecture with inherited weights: the same weights
// under names that rename gives, as many nodes, and the same outputs. Where part is set, the
// architecture computes more, of which nothing is left.
func sameNetwork(t *testing.T, what string, cut, built *ir.Model, part bool, rename func(string) string) {
	t.Helper()
	if !part && len(cut.Graph.Nodes) != len(built.Graph.Nodes) {
		t.Errorf("%s: want %d nodes, got %d", what, len(built.Graph.Nodes), len(cut.Graph.Nodes))
	}
	if slices.ContainsFunc(cut.Meta, func(p ir.Prop) bool { return p.Key == space.DeclaredKey }) {
		t.Errorf("%s: want no declared space in a subnet", what)
	}
	weights := 0
	for _, w := range cut.Graph.Inits {
		if !w.DType.IsFloat() {
			continue
		}
		weights++
		if x := built.Graph.Init(rename(w.Name)); x == nil || !slices.Equal(x.Dims, w.Dims) || !slices.Equal(x.Raw, w.Raw) {
			t.Fatalf("%s: initialiser %q%v: want that of the architecture, got another", what, w.Name, w.Dims)
		}
	}
	for _, w := range built.Graph.Inits {
		if w.DType.IsFloat() {
			weights--
		}
	}
	if weights != 0 && !part {
		t.Errorf("%s: %d initialisers more than the architecture", what, weights)
	}
	in := batch(built)
	if d := apart(t, run(t, ref.New(), prim.F64, built, in)["logits"], run(t, ref.New(), prim.F64, cut, in)["logits"]); d > 1e-12 {
		t.Errorf("%s: want the architecture's logits, got a difference of %g", what, d)
	}
}

// TestCellSpaceIsGenotypes: subnets of the toy cell's supernets are the architectures, with the
// weights that they inherit.
func TestCellSpaceIsGenotypes(t *testing.T) {
	o := models.Options{Classes: 5, Size: 16, Width: 8, Seed: 3, Scatter: true}
	for _, s := range []models.Supernet{models.CellSpace(), models.SeparateCellSpace()} {
		net := entangled(t, s, o, 2)
		if n := net.Space.Size(); n != 4096 {
			t.Errorf("%s: want 4096 architectures, got %g", s.Name, n)
		}
		macs, err := net.Cost(space.MACs)
		if err != nil {
			t.Fatal(err)
		}
		params, err := net.Cost(space.Params)
		if err != nil {
			t.Fatal(err)
		}
		for _, choice := range drawn(net.Space, 40) {
			g, err := models.CellGenotype(choice)
			if err != nil {
				t.Fatal(err)
			}
			small, err := g.Build(o)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := s.Build(o)
			if err != nil {
				t.Fatal(err)
			}
			whole, rename := raw, func(name string) string { return name }
			if s.Name == "cell-space-separate" {
				rename = func(name string) string {
					return strings.NewReplacer(".sep3.", ".sep.", ".sep5.", ".sep.", ".dil3.", ".dil.", ".dil5.", ".dil.").Replace(name)
				}
				for _, x := range whole.Graph.Inits {
					for k, edge := range []string{"cell1.edge01", "cell1.edge02", "cell1.edge12", "cell0.edge01", "cell0.edge02", "cell0.edge12", "cell2.edge01", "cell2.edge02", "cell2.edge12"} {
						if at := k; strings.HasPrefix(x.Name, edge+"."+models.CellOp(choice[min(at, 3+at%3)]).String()+".") {
							x.Name = rename(x.Name)
						}
					}
				}
			}
			small = inherited(t, small, whole)
			cut, err := subnet.Cut(net, choice, nil)
			if err != nil {
				t.Fatal(err)
			}
			sameNetwork(t, fmt.Sprintf("%s %v", s.Name, g), cut, small, false, rename)
			f, err := ops.InferModel(small, map[string]int{"batch": 2})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := macs.At(choice), ops.ModelCost(small, f).MACs/2; got != want {
				t.Errorf("%s %v: want %g MACs, got %g", s.Name, g, want, got)
			}
			if got := int(params.At(choice)); got != models.Params(small) {
				t.Errorf("%s %v: want %d parameters, got %d", s.Name, g, models.Params(small), got)
			}
		}
	}
}

// TestCellSpaceParams: at the paper's sizes the architectures have 176,938 to 211,114 parameters
// besides those of norms, which training leaves as they are.
func TestCellSpaceParams(t *testing.T) {
	net := entangled(t, models.CellSpace(), models.Options{}, 2)
	params, err := net.Cost(space.Params)
	if err != nil {
		t.Fatal(err)
	}
	roles := ops.TrainingRoles(net.An.Model, net.An.Facts)
	norms := func(m *ir.Model) (n int) {
		for _, x := range m.Graph.Inits {
			if strings.Contains(x.Name, ".bn.") && !strings.Contains(x.Name, ".running_") {
				n += x.Len()
				if roles[x.Name] != ops.Constant {
					t.Errorf("%s: want a constant, got role %d", x.Name, roles[x.Name])
				}
			}
		}
		return n
	}
	for _, c := range []struct{ op, params int }{{int(models.Dil3), 176938}, {int(models.Sep5), 211114}} {
		choice := slices.Repeat([]int{c.op}, 6)
		cut, err := subnet.Cut(net, choice, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(params.At(choice)) - norms(cut); got != c.params {
			t.Errorf("%v: want %d parameters, got %d", models.CellOp(c.op), c.params, got)
		}
	}
}

// TestMacroSpaceIsMacros: subnets of the conv-macro supernet are the architectures, with the
// weights that they inherit.
func TestMacroSpaceIsMacros(t *testing.T) {
	o := models.Options{Size: 16, Width: 16, Seed: 3, Scatter: true}
	net := entangled(t, models.MacroSpace(), o, 1)
	if n := net.Space.Size(); n != 6561 {
		t.Errorf("want 6561 architectures, got %g", n)
	}
	whole, err := models.MacroSpace().Build(o)
	if err != nil {
		t.Fatal(err)
	}
	for k, choice := range drawn(net.Space, 8) {
		a, err := models.MacroOf(choice)
		if err != nil {
			t.Fatal(err)
		}
		small, err := a.Build(o)
		if err != nil {
			t.Fatal(err)
		}
		small = inherited(t, small, whole)
		cut, err := subnet.Cut(net, choice, nil)
		if err != nil {
			t.Fatal(err)
		}
		if k == 1 && testing.Short() {
			continue
		}
		sameNetwork(t, fmt.Sprint(a), cut, small, false, func(name string) string { return name })
	}
}

// TestSupernetChoices: choices that are none of a space are errors.
func TestSupernetChoices(t *testing.T) {
	for _, c := range [][]int{nil, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 4}, {0, 0, -1, 0, 0, 0}} {
		if _, err := models.CellGenotype(c); err == nil {
			t.Errorf("cell %v: want an error", c)
		}
	}
	for _, c := range [][]int{nil, {0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 3}} {
		if _, err := models.MacroOf(c); err == nil {
			t.Errorf("macro %v: want an error", c)
		}
	}
}

// TestNB201SpaceIsArchitectures: subnets of the NAS-Bench-201 supernets are the architectures, with
// the weights that they inherit; prices are those of the subnets, and of the architectures where no
// edge is none.
func TestNB201SpaceIsArchitectures(t *testing.T) {
	o := models.Options{Classes: 5, Size: 8, Width: 4, Depth: 2, Seed: 3, Scatter: true}
	for _, s := range []models.Supernet{models.NB201Space(), models.SeparateNB201Space()} {
		net := entangled(t, s, o, 2)
		if n := net.Space.Size(); n != 15625 {
			t.Errorf("%s: want 15625 architectures, got %g", s.Name, n)
		}
		costs, err := net.Costs()
		if err != nil {
			t.Fatal(err)
		}
		list := append(drawn(net.Space, 60), []int{1, 1, 1, 1, 1, 1}, []int{0, 1, 2, 3, 4, 0}, []int{2, 0, 3, 0, 3, 0}, []int{0, 3, 4, 1, 0, 2})
		for _, choice := range list {
			a, err := models.NB201Of(choice)
			if err != nil {
				t.Fatal(err)
			}
			small, err := a.Build(o)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := s.Build(o)
			if err != nil {
				t.Fatal(err)
			}
			rename := func(name string) string {
				return strings.NewReplacer(".conv1.", ".conv.", ".conv3.", ".conv.").Replace(name)
			}
			for k, e := range models.NB201Edges {
				for _, x := range whole.Graph.Inits {
					if op := map[models.NB201Op]string{models.NB201Conv1: ".conv1.", models.NB201Conv3: ".conv3."}[a[k]]; op != "" && strings.Contains(x.Name, fmt.Sprintf(".edge%d%d%s", e[0], e[1], op)) {
						x.Name = rename(x.Name)
					}
				}
			}
			small = inherited(t, small, whole)
			cut, err := subnet.Cut(net, choice, nil)
			if err != nil {
				t.Fatal(err)
			}
			none := slices.Contains(choice, 0)
			sameNetwork(t, fmt.Sprintf("%s %v", s.Name, a), cut, small, none, rename)
			if !none {
				cut = small
			}
			f, err := ops.InferModel(cut, map[string]int{"batch": 2})
			if err != nil {
				t.Fatal(err)
			}
			price := ops.ModelCost(cut, f)
			if got, want := costs[space.MACs].At(choice), price.MACs/2; got != want {
				t.Errorf("%s %v: want %g MACs, got %g", s.Name, a, want, got)
			}
			if got, want := costs[space.Params].At(choice), float64(price.Params); got != want {
				t.Errorf("%s %v: want %g parameters, got %g", s.Name, a, want, got)
			}
		}
	}
}

// TestNB201Genotypes: the benchmark's count, order and spelling, and parameters at its sizes, beside
// those of norms in cells: the trained benchmark networks of these two have 0.073 M without, and 1.53 M with, 3×3
// convolutions everywhere.
func TestNB201Genotypes(t *testing.T) {
	seen := map[string]bool{}
	for a := range models.NB201s() {
		seen[a.String()] = true
	}
	if len(seen) != 15625 || !seen["|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"] {
		t.Errorf("want 15625 architectures, got %d", len(seen))
	}
	for op, want := range map[models.NB201Op]float64{models.NB201Skip: 0.073306, models.NB201Conv3: 1.531546} {
		m, err := (models.NB201{op, op, op, op, op, op}).Build(models.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(models.Params(m)) / 1e6; got != want {
			t.Errorf("%v: want %g million parameters, got %g", op, want, got)
		}
	}
}

// TestLargerSpaces: the larger spaces bind to their networks; how many choices they have, and parameters
// of some of their architectures, in millions. Positions of the language model stand aside, as in the paper.
func TestLargerSpaces(t *testing.T) {
	for _, c := range []struct {
		space  models.Supernet
		o      models.Options
		size   float64
		choice func(s *space.Space) []int
		params float64
	}{
		{models.SeparateDARTSSpace(), models.Options{Depth: 8}, math.Pow(8, 28), nil, 0},
		{models.AutoFormerT.Supernet("autoformer-t"), models.Options{Classes: 10, Size: 224}, 3 * 3 * math.Pow(4, 14), (*space.Space).Largest, 10.28},
		{models.MobileNetV3Space(), models.Options{Size: 64}, math.Pow(math.Pow(9, 4)*3, 5), func(s *space.Space) []int {
			choice, at := s.Largest(), 0
			found := []int{7, 5, 5, 7, 5, 5, 7, 7, 5, 7, 7, 7, 5, 7, 7, 5, 5, 7, 7, 5}
			for i, d := range s.Dims {
				if d.Kind == "kernel" {
					choice[i] = slices.Index(d.Choices, found[at])
					at++
				}
			}
			return choice
		}, 7.58},
		{models.LMTinyStories.Supernet("lm-tinystories"), models.Options{Size: 8, Vocab: 64}, 3 * 3 * math.Pow(9, 7), func(s *space.Space) []int {
			choice := s.Largest()
			choice[slices.IndexFunc(s.Dims, func(d space.Dim) bool { return d.Node == "h0.mlp.up" })] = 1
			return choice
		}, 87.0106 - (50304-64)*768e-6 + 8*768e-6},
	} {
		if testing.Short() && c.space.Name != "mobilenetv3-space" {
			continue
		}
		net := entangled(t, c.space, c.o, 1)
		if got := net.Space.Size(); math.Abs(got/c.size-1) > 1e-9 {
			t.Errorf("%s: want %g choices, got %g", c.space.Name, c.size, got)
		}
		if c.choice == nil {
			continue
		}
		params, err := net.Cost(space.Params)
		if err != nil {
			t.Fatal(err)
		}
		if got := params.At(c.choice(net.Space)) / 1e6; math.Abs(got-c.params) > 0.002*c.params {
			t.Errorf("%s: want %g million parameters, got %g", c.space.Name, c.params, got)
		}
		cut, err := subnet.Cut(net, net.Space.Smallest(), nil)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ops.InferModel(cut, map[string]int{"batch": 1})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := params.At(net.Space.Smallest()), float64(ops.ModelCost(cut, f).Params); got != want {
			t.Errorf("%s: smallest: want %g parameters, got %g", c.space.Name, want, got)
		}
	}
}

// TestDARTSNetwork: trained parameters of the search network with a branch per candidate are those of the DARTS
// code, 1.930618 million; two edges per node remain, the ones with the largest coefficients.
func TestDARTSNetwork(t *testing.T) {
	s := models.SeparateDARTSSpace()
	m, err := s.Entry.Build(models.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := models.Params(m)
	for _, x := range m.Graph.Inits {
		if slices.ContainsFunc(x.Meta, func(p ir.Prop) bool { return p.Key == ops.ConstantKey }) {
			got -= x.Len()
		}
	}
	if got != 1930618 {
		t.Errorf("want 1930618 trained parameters, got %d", got)
	}
	coef := make([][]float64, 28)
	for d := range coef {
		coef[d] = []float64{0.9, 0, 0, 0, 0, 0, 0, 0}
		coef[d][1+d%7] = 0.01 * float64(d%14)
	}
	choice, err := models.DARTSCells(coef)
	if err != nil {
		t.Fatal(err)
	}
	want := []int{1, 2, 0, 4, 5, 0, 0, 1, 2, 0, 0, 0, 6, 7, 1, 2, 0, 4, 5, 0, 0, 1, 2, 0, 0, 0, 6, 7}
	if !slices.Equal(choice, want) {
		t.Errorf("want %v, got %v", want, choice)
	}
	for _, bad := range [][][]float64{nil, append(slices.Clone(coef[:27]), []float64{1})} {
		if _, err := models.DARTSCells(bad); err == nil {
			t.Error("want an error")
		}
	}
}

// TestSubnetsOnORT: cut architectures of the cell spaces, edges of none among them, give on ONNX Runtime what
// the engine gives.
func TestSubnetsOnORT(t *testing.T) {
	rt := orttest.Open(t)
	for _, s := range []models.Supernet{models.CellSpace(), models.NB201Space(), models.DARTSSpace()} {
		net := entangled(t, s, models.Options{Classes: 5, Size: 8, Width: 4, Depth: 3, Seed: 3, Scatter: true}, 2)
		for _, choice := range drawn(net.Space, 4) {
			m, err := subnet.Cut(net, choice, nil)
			if err != nil {
				t.Fatal(err)
			}
			in := batch(m)
			want, got := run(t, ref.New(), prim.F64, m, in)["logits"], orttest.Run(t, rt, m, in)["logits"]
			if d := apart(t, want, got); d > 1e-5 {
				t.Errorf("%s %v: ONNX Runtime and the engine differ by %g", s.Name, choice, d)
			}
		}
	}
}
