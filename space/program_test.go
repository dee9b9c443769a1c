package space_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/space"
)

// tally counts a program's work on data: products and convolutions that read
// something computed from the graph's inputs, bytes of all values so computed,
// program inputs that are weights, and bytes of everything else.
type tally struct {
	products, activations, params, rest int
}

func tallied(p *prim.Program, data []string) tally {
	var out tally
	live := make([]bool, len(p.Nodes))
	for _, in := range p.Inputs {
		if slices.Contains(data, in.Name) {
			live[in.ID] = true
		} else if in.Name[:2] == "w/" {
			out.params += p.Nodes[in.ID].Type.Len()
		}
	}
	for i, n := range p.Nodes {
		live[i] = live[i] || slices.ContainsFunc(n.In, func(id prim.ID) bool { return live[id] })
		if !live[i] {
			out.rest += n.Type.Len() * 8
			continue
		}
		out.activations += n.Type.Len() * 8
		switch n.Prim.(type) {
		case prim.Conv, prim.MatMul:
			out.products++
		}
	}
	return out
}

// TestOneForwardPerOperator: whatever the number of choices, the supernet runs each
// operator once, keeps the activations and the parameters of the plain network,
// and grows by the masks' indicator rows alone.
func TestOneForwardPerOperator(t *testing.T) {
	an := analysed(t, "vgg-small-tiny", models.Options{Width: 16})
	data := []string{an.Model.Graph.Inputs[0].Name}
	count := func(net *space.Supernet) tally {
		l := lower(t, an, net, rand.New(rand.NewPCG(1, 1)))
		for _, o := range an.Model.Graph.Outputs {
			l.b.Output(o.Name, l.values[o.Name])
		}
		return tallied(program(t, l.b), data)
	}
	plain := count(nil)
	if plain.products == 0 || plain.params == 0 {
		t.Fatalf("plain network: %+v", plain)
	}
	var rest []int
	numbers := []int{2, 4, 8, 16}
	for _, n := range numbers {
		s := offered(t, an, space.Options{Divisor: 1, MinRatio: 0.01, MaxChoices: n, Kinds: []string{"width"}})
		positions := 0
		for i, d := range s.Dims {
			if len(d.Choices) != n {
				t.Fatalf("%s: want %d choices, got %v", d.Name, n, d.Choices)
			}
			g := an.Groups[i]
			for _, mb := range g.Members {
				if mb.Weight {
					positions += an.Facts.Values[mb.Value].Shape()[mb.Axis] + 2
				}
			}
		}
		got := count(entangled(t, an, s, space.Every))
		if got.products != plain.products || got.activations != plain.activations || got.params != plain.params {
			t.Errorf("%d choices: want the plain network's %+v, got %+v", n, plain, got)
		}
		rest = append(rest, got.rest)
		if grown, most := got.rest-rest[0], 8*(n-numbers[0])*positions; grown > most {
			t.Errorf("%d choices: want at most %d bytes more than with %d, got %d", n, most, numbers[0], grown)
		}
	}
}

// gated is the loss of a supernet, and its gradients, as functions of coefficients.
type gated struct {
	s    *space.Space
	p    *prim.Program
	in   map[string]*prim.Tensor
	loss func(coef [][]float64) (float64, [][]float64)
}

func lossOf(t *testing.T, an *space.Analysis, s *space.Space, seed uint64) *gated {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	l := lower(t, an, entangled(t, an, s, space.Every), r)
	y := weightedSum(l.b, l.b.Unary(prim.Tanh, l.values[an.Model.Graph.Outputs[0].Name]), r)
	grads, err := engine.Grad(l.b, y, l.coefs)
	if err != nil {
		t.Fatal(err)
	}
	l.b.Output("loss", y)
	for i, d := range s.Dims {
		l.b.Output("grad/"+d.Name, grads[i])
	}
	g := &gated{s: s, p: program(t, l.b), in: l.in}
	g.loss = func(coef [][]float64) (float64, [][]float64) {
		out := run(t, g.p, with(g.in, s, coef))
		var grad [][]float64
		for _, d := range s.Dims {
			grad = append(grad, out["grad/"+d.Name].F64)
		}
		return out["loss"].F64[0], grad
	}
	return g
}

// checkSlope compares a gradient with central differences in every entry of alpha.
func checkSlope(t *testing.T, name string, alpha, grad [][]float64, f func() float64) {
	t.Helper()
	for i, row := range alpha {
		for k, a := range row {
			const step = 1e-5
			row[k] = a + step
			high := f()
			row[k] = a - step
			low := f()
			row[k] = a
			if want := (high - low) / (2 * step); math.Abs(want-grad[i][k]) > 1e-6*(1+math.Abs(want)) {
				t.Errorf("%s: α[%d][%d]: want slope %.9g, got %.9g", name, i, k, want, grad[i][k])
			}
		}
	}
}

// TestAlphaGradient: the supernet's loss as a function of α, through the mean
// coefficients of every relaxation and through the samples of those that do not
// draw, has the gradient that the backward functions give; widths, a kernel and a
// gate are among the dims.
func TestAlphaGradient(t *testing.T) {
	an := analysed(t, "knot", models.Options{})
	s := offered(t, an, space.Options{Divisor: 1})
	kinds := map[string]bool{}
	for _, d := range s.Dims {
		kinds[d.Kind] = true
	}
	for _, k := range space.Kinds {
		if k.Name != "operations" && kinds[k.Name] == k.OnRequest() { // those are declared: see TestOperations of package subnet
			t.Fatalf("kinds of dims: %v", kinds)
		}
	}
	g := lossOf(t, an, s, 5)
	r := rng.New(9, "test/alpha")
	for _, rx := range relax.All() {
		alpha := make([][]float64, len(s.Dims))
		for i, d := range s.Dims {
			alpha[i] = relax.Init(len(d.Choices), r)
			for k := range alpha[i] {
				alpha[i][k] *= 300
			}
		}
		mean := func() [][]float64 {
			out := make([][]float64, len(alpha))
			for i, a := range alpha {
				out[i] = rx.Mean(a)
			}
			return out
		}
		_, dcoef := g.loss(mean())
		grad := make([][]float64, len(alpha))
		for i := range alpha {
			grad[i] = rx.MeanBackward(alpha[i], dcoef[i])
		}
		checkSlope(t, rx.Name+" mean", alpha, grad, func() float64 { v, _ := g.loss(mean()); return v })
		if rx.Name != "darts" && rx.Name != "sparsemax" {
			continue
		}
		sample := func() (coef [][]float64, back []relax.Backward) {
			stream := rng.New(4, "test/sample")
			for _, a := range alpha {
				c, b := rx.Sample(a, stream, 0.5)
				coef, back = append(coef, c), append(back, b)
			}
			return coef, back
		}
		coef, back := sample()
		_, dcoef = g.loss(coef)
		for i := range alpha {
			grad[i] = back[i](dcoef[i])
		}
		checkSlope(t, rx.Name+" sample", alpha, grad, func() float64 { c, _ := sample(); v, _ := g.loss(c); return v })
	}
}
