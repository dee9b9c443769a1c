package workloads

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
)

// TestPrograms: every program is valid and trains the numbers that the networks have.
func TestPrograms(t *testing.T) {
	want := map[string][2]int{
		"resnet20": {272474, 0}, "mobilenet": {195434, 0}, "vit_tiny": {5362762, 0},
		"resnet20_super": {272474, 9*4 + 18*2}, "vit_tiny_super": {5362762, 25 * 3},
		"decoder": {5296128, 0}, "decoder_super": {5296128, 6*(4+3) + 3},
		"matmul_1024": {0, 0}, "matmul_4096x192x768": {0, 0},
	}
	for _, w := range All() {
		t.Run(w.Name, func(t *testing.T) {
			batch, order := 2, "weights"
			if w.Super {
				order = "alpha weights"
			}
			if w.Product {
				batch, order = 1, "product"
			}
			s, err := w.Build(batch)
			if err != nil {
				t.Fatal(err)
			}
			var phases []string
			for _, ph := range s.Phases {
				phases = append(phases, ph.Name)
				if err := ph.Program.Validate(); err != nil {
					t.Errorf("%s: %v", ph.Name, err)
				}
			}
			if got := strings.Join(phases, " "); got != order {
				t.Errorf("phases: want %q, got %q", order, got)
			}
			if got := [2]int{s.Weights, s.Alphas}; got != want[w.Name] {
				t.Errorf("weights and alphas: want %v, got %v", want[w.Name], got)
			}
			if w.Doc == "" || w.Batch < 1 {
				t.Error("want a description and a batch")
			}
		})
	}
	for _, w := range append(All(), Large()...) {
		if _, err := w.Build(0); err == nil {
			t.Errorf("%s: batch 0: want an error", w.Name)
		}
	}
	if w, err := ByName("vit_tiny"); err != nil || w.Name != "vit_tiny" {
		t.Errorf("vit_tiny: got %q, %v", w.Name, err)
	}
	if _, err := ByName("lenet"); err == nil || !strings.Contains(err.Error(), strings.Join(Names(), ", ")) {
		t.Errorf("want an error that lists the names, got %v", err)
	}
}

// TestStepsAgree: a step at batch 2 on engine/cpu equals the one on engine/ref, in
// the losses and in everything that it updates. Networks are shortened unless
// ENTANGLE_LONG is set. The seeds keep the operands of rectifiers away from zero by
// more than rounding: where one is nearer, the two gradients may part.
func TestStepsAgree(t *testing.T) {
	short := vitTiny
	short.depth = 3
	little := decoderSmall
	little.depth, little.vocab, little.tokens = 3, 50, 9
	for _, c := range []struct {
		name  string
		super bool
		short objective
	}{
		{"resnet20", false, cifar.objective(resnet(8, 1, 0))},
		{"mobilenet", false, cifar.objective(mobilenet)},
		{"vit_tiny", false, cifar.objective(short.forward(false))},
		{"resnet20_super", true, cifar.objective(resnet(8, 1, 4))},
		{"vit_tiny_super", true, cifar.objective(short.forward(true))},
		{"decoder", false, little.objective(false)},
		{"decoder_super", true, little.objective(true)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := train(2, c.super, c.short)
			if os.Getenv("ENTANGLE_LONG") != "" {
				w, werr := ByName(c.name)
				if werr != nil {
					t.Fatal(werr)
				}
				s, err = w.Build(2)
			}
			if err != nil {
				t.Fatal(err)
			}
			want, got := after(t, ref.New(), s), after(t, cpu.New(cpu.Options{}), s)
			if !slices.Equal(want.names, got.names) || len(want.names) < 20 {
				t.Fatalf("want the same names, got %v and %v", want.names, got.names)
			}
			for i, name := range want.names {
				if d := apart(want.values[i], got.values[i]); !(d <= 2e-3) {
					t.Errorf("%s: want equal values, got a difference of %g of the largest", name, d)
				}
			}
			for i := range want.losses {
				if d := math.Abs(want.losses[i] - got.losses[i]); !(d <= 1e-4) {
					t.Errorf("%s phase: want loss %g, got %g", s.Phases[i].Name, want.losses[i], got.losses[i])
				}
			}
			if moved := apart(want.values[0], s.Init[want.names[0]]); moved == 0 {
				t.Errorf("%s: want it to move", want.names[0])
			}
		})
	}
}

// TestLarge: the networks for GPUs have the published numbers of weights, and valid programs.
func TestLarge(t *testing.T) {
	want := map[string][2]int{"resnet50": {25557032, 0}, "vit_s": {22050664, 0}, "resnet50_super": {25557032, 16 * (4 + 2)}, "vit_s_super": {22050664, 12*(6+3) + 3}}
	for _, w := range Large() {
		s, err := w.Build(1)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]int{s.Weights, s.Alphas}; got != want[w.Name] {
			t.Errorf("%s: weights and alphas: want %v, got %v", w.Name, want[w.Name], got)
		}
		for _, ph := range s.Phases {
			if err := ph.Program.Validate(); err != nil {
				t.Errorf("%s: %s phase: %v", w.Name, ph.Name, err)
			}
		}
		if got, err := ByName(w.Name); err != nil || got.Name != w.Name {
			t.Errorf("%s: got %q, %v", w.Name, got.Name, err)
		}
	}
}

type outcome struct {
	names  []string
	values []*prim.Tensor
	losses []float64
}

// after runs one step and reads the state that it leaves, by name in program order.
func after(t *testing.T, be engine.Backend, s *Step) outcome {
	t.Helper()
	r, err := NewRunner(be, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Losses(); err == nil {
		t.Error("losses before a step: want an error")
	}
	if err := r.Step(); err != nil {
		t.Fatal(err)
	}
	var o outcome
	if o.losses, err = r.Losses(); err != nil {
		t.Fatal(err)
	}
	for _, ph := range s.Phases {
		for _, out := range ph.Program.Outputs {
			if ph.Program.Input(out.Name) < 0 || slices.Contains(o.names, out.Name) {
				continue
			}
			v, err := r.state[out.Name].Read()
			if err != nil {
				t.Fatal(err)
			}
			o.names, o.values = append(o.names, out.Name), append(o.values, v)
		}
	}
	return o
}

// apart returns the largest difference as a share of the largest number of want,
// or of 0.01: gradients that normalisation cancels are rounding errors.
func apart(want, got *prim.Tensor) float64 {
	scale, d := 0.0, 0.0
	for i := range want.Len() {
		scale = max(scale, math.Abs(want.Float(i)))
		d = max(d, math.Abs(want.Float(i)-got.Float(i)))
		if math.IsNaN(got.Float(i)) {
			return math.NaN()
		}
	}
	return d / max(scale, 0.01)
}

// TestLossesFall: some steps on one batch lower the loss.
func TestLossesFall(t *testing.T) {
	s, err := build(4, true, resnet(4, 1, 4))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRunner(cpu.New(cpu.Options{}), s)
	if err != nil {
		t.Fatal(err)
	}
	var first, last []float64
	for i := range 20 {
		if err := r.Step(); err != nil {
			t.Fatal(err)
		}
		if last, err = r.Losses(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = last
		}
	}
	if !(last[1] < first[1]) {
		t.Errorf("want the loss of the weight phase to fall, got %g after %g", last[1], first[1])
	}
}

// TestProduct: the product of the inputs replaces what was there.
func TestProduct(t *testing.T) {
	const m, n, k = 5, 7, 3
	w := product("matmul_small", m, n, k)
	s, err := w.Build(1)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(Training(), "matmul_1024") {
		t.Error("want no product among the training steps")
	}
	r, err := NewRunner(cpu.New(cpu.Options{}), s)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Step(); err != nil {
			t.Fatal(err)
		}
	}
	if l, err := r.Losses(); err != nil || len(l) != 0 {
		t.Errorf("want no loss, got %v, %v", l, err)
	}
	c, err := r.state["c"].Read()
	if err != nil {
		t.Fatal(err)
	}
	a, b := s.Phases[0].Data["a"], s.Phases[0].Data["b"]
	for i := range m {
		for j := range n {
			want := 0.0
			for q := range k {
				want += a.Float(i*k+q) * b.Float(q*n+j)
			}
			if got := c.Float(i*n + j); !(math.Abs(got-want) <= 1e-5) {
				t.Errorf("element %d, %d: want %g, got %g", i, j, want, got)
			}
		}
	}
}
