package space_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/space"
)

// branches is one node, "add", that adds a 5×5 depthwise convolution ("wide", through a tanh, so
// that the branch is not linear in its weight) and what it reads.
func branches() *ir.Model {
	r := rand.New(rand.NewPCG(3, 1))
	g := &ir.Graph{Name: "branches", Inputs: []ir.Value{{Name: "x", Type: ir.TensorType(ir.Float32, 2, 3, 6, 6)}}, Outputs: []ir.Value{{Name: "y"}}}
	v := make([]float32, 3*25)
	for i := range v {
		v[i] = float32(r.NormFloat64() / 3)
	}
	g.Inits = []*ir.Tensor{ir.NewFloat32("w", []int{3, 1, 5, 5}, v)}
	g.Nodes = []*ir.Node{
		{Name: "wide", OpType: "Conv", Inputs: []string{"x", "w"}, Outputs: []string{"a"}, Attrs: []ir.Attr{ir.IntsAttr("pads", 2, 2, 2, 2), ir.IntAttr("group", 3)}},
		{Name: "tanh", OpType: "Tanh", Inputs: []string{"a"}, Outputs: []string{"b"}},
		{Name: "around", OpType: "Sigmoid", Inputs: []string{"x"}, Outputs: []string{"c"}},
		{Name: "add", OpType: "Add", Inputs: []string{"b", "c"}, Outputs: []string{"y"}},
	}
	return &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: g}
}

// mixture gives the sum of squares of the output at coefficients, and its gradients.
type mixture struct {
	t    *testing.T
	prog *prim.Program
	x    *prim.Tensor
	name string
}

func newMixture(t *testing.T, choices ...int) *mixture {
	t.Helper()
	m := branches()
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(m, f)
	if err != nil {
		t.Fatal(err)
	}
	d := space.Dim{Name: "d", Kind: "operations", Node: "add", Choices: choices, Candidates: []string{"tanh", "around", "tanh", "tanh"}, Kernels: []int{3, 0, 5, 1}}
	net, err := space.Entangle(an, &space.Space{Dims: []space.Dim{d}}, space.Every)
	if err != nil {
		t.Fatal(err)
	}
	b := prim.NewBuilder()
	coefs := net.Coefficients(b, prim.F64)
	w := b.Input("w", prim.Type{DType: prim.F64, Shape: []int{3, 1, 5, 5}})
	h := net.Hooks(ops.Hooks{Float: prim.F64, Seed: prim.Invalid, Init: func(*prim.Builder, *ir.Tensor) prim.ID { return w }}, coefs)
	vals, err := ops.Lower(b, m, f, h)
	if err != nil {
		t.Fatal(err)
	}
	y := vals["y"]
	loss := b.Reshape(b.Sum(b.Reshape(b.Times(y, b.Times(y, y)), prim.Prod(b.Shape(y))), 0))
	grads, err := engine.Grad(b, loss, []prim.ID{coefs[0], w})
	if err != nil {
		t.Fatal(err)
	}
	b.Output("loss", loss)
	b.Output("dcoef", grads[0])
	b.Output("dw", grads[1])
	b.Output("y", y)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 1))
	x := prim.NewTensor(prim.Type{DType: prim.F64, Shape: []int{2, 3, 6, 6}})
	for i := range x.F64 {
		x.F64[i] = r.NormFloat64()
	}
	return &mixture{t, p, x, "coef/d"}
}

func (m *mixture) at(coef []float64, w []float64) (loss float64, dcoef, dw, y []float64) {
	m.t.Helper()
	out, err := engine.RunHost(ref.New(), m.prog, map[string]*prim.Tensor{"x": m.x, m.name: prim.F64Tensor(slices.Clone(coef), len(coef)), "w": prim.F64Tensor(slices.Clone(w), 3, 1, 5, 5)})
	if err != nil {
		m.t.Fatal(err)
	}
	return out["loss"].F64[0], out["dcoef"].F64, out["dw"].F64, out["y"].F64
}

func weights(t *testing.T) []float64 {
	t.Helper()
	v, err := branches().Graph.Init("w").Float32s()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// TestEntangledGradients: at the coefficients that every relaxation draws, gradients with respect
// to coefficients and to the shared weight are those of finite differences, and all are finite.
// Of a branch that has no coefficient at all the loss has a kink: there the gradient of a
// candidate is that of the branch at equal shares of its candidates.
func TestEntangledGradients(t *testing.T) {
	m := newMixture(t, 1, 2, 3, 4, 5)
	w := weights(t)
	const h = 1e-6
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-5*max(1, math.Abs(want)) || math.IsNaN(got) {
			t.Errorf("%s: want %g, got %g", what, want, got)
		}
	}
	for _, rx := range relax.All() {
		r := rng.New(7, "test/"+rx.Name)
		for trial := range 6 {
			alpha := relax.Init(5, r)
			for i := range alpha {
				alpha[i] *= 1500
			}
			coef, back := rx.Sample(alpha, r, 0.5)
			_, dcoef, dw, _ := m.at(coef, w)
			branch := coef[0] + coef[2] + coef[3] + coef[4]
			for i := range coef {
				up, down := slices.Clone(coef), slices.Clone(coef)
				up[i] += h
				down[i] -= h
				if down[i] < 0 { // one-sided
					if branch == 0 && i != 1 {
						open := slices.Clone(coef)
						for _, k := range []int{0, 2, 3, 4} {
							open[k] = h * 10
						}
						a, _, _, _ := m.at(open, w)
						b, _, _, _ := m.at(coef, w)
						got := (dcoef[0] + dcoef[2] + dcoef[3] + dcoef[4]) / 4
						if want := (a - b) / (4 * h * 10); math.Abs(got-want) > 1e-3*max(1, math.Abs(want)) || dcoef[0] != dcoef[2] || dcoef[0] != dcoef[3] {
							t.Errorf("%s %d: candidates of a branch without a coefficient: want %g in the mean and all alone alike, got %g of %v", rx.Name, trial, want, got, dcoef)
						}
						continue
					}
					up2 := slices.Clone(coef)
					up2[i] += 2 * h
					f0, _, _, _ := m.at(coef, w)
					f1, _, _, _ := m.at(up, w)
					f2, _, _, _ := m.at(up2, w)
					near(fmt.Sprintf("%s %d: coefficient %d", rx.Name, trial, i), dcoef[i], (4*f1-f2-3*f0)/(2*h))
					continue
				}
				a, _, _, _ := m.at(up, w)
				b, _, _, _ := m.at(down, w)
				near(fmt.Sprintf("%s %d: coefficient %d", rx.Name, trial, i), dcoef[i], (a-b)/(2*h))
			}
			for _, i := range []int{0, 6, 12, 24, 37, 51} {
				up, down := slices.Clone(w), slices.Clone(w)
				up[i] += h
				down[i] -= h
				a, _, _, _ := m.at(coef, up)
				b, _, _, _ := m.at(coef, down)
				near(fmt.Sprintf("%s %d: weight %d", rx.Name, trial, i), dw[i], (a-b)/(2*h))
			}
			if rx.Gradient != relax.Pathwise || rx.Name == "drnas" { // whose noise is drawn anew: see package relax
				for i, g := range back(dcoef) {
					if math.IsNaN(g) || math.IsInf(g, 0) {
						t.Errorf("%s %d: α %d: gradient %g", rx.Name, trial, i, g)
					}
				}
				continue
			}
			for i, g := range back(dcoef) {
				up, down := slices.Clone(alpha), slices.Clone(alpha)
				up[i] += h
				down[i] -= h
				cu, _ := rx.Sample(up, r, 0.5)
				cd, _ := rx.Sample(down, r, 0.5)
				a, _, _, _ := m.at(cu, w)
				b, _, _, _ := m.at(cd, w)
				near(fmt.Sprintf("%s %d: α %d", rx.Name, trial, i), g, (a-b)/(2*h))
			}
		}
	}
}

// TestEntangledForm: the branch is scaled by the coefficients that keep it, and what is outside a
// kernel by the share of the candidates that keep it. Of a branch that is linear in its weight
// that is the superposition Σ aᵢ·pad(S_i(W)).
func TestEntangledForm(t *testing.T) {
	m := newMixture(t, 1, 2, 3, 4)
	w := weights(t)
	coef := []float64{0.2, 0.3, 0.4, 0.1} // 3×3, around, 5×5, 1×1
	mixed := slices.Clone(w)
	for i := range mixed {
		y, x := i/5%5, i%5
		switch off := max(y-2, 2-y, x-2, 2-x); off {
		case 2:
			mixed[i] *= 0.4 / 0.7
		case 1:
			mixed[i] *= 0.6 / 0.7
		}
	}
	_, _, _, got := m.at(coef, w)
	_, _, _, branch := m.at([]float64{0, 0, 1, 0}, mixed)
	_, _, _, around := m.at([]float64{0, 1, 0, 0}, w)
	for i := range got {
		if want := 0.7*branch[i] + 0.3*around[i]; math.Abs(got[i]-want) > 1e-12 {
			t.Fatalf("element %d: want %g, got %g", i, want, got[i])
		}
	}
}
