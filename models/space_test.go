package models

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func count(t *testing.T, e Entry, o Options) (params, macs int) {
	t.Helper()
	params, macs, err := e.Count(o)
	if err != nil {
		t.Fatal(err)
	}
	return params, macs
}

// TestLanguageModelSizes counts the paper's networks against its formula and the
// sizes that its tables print; position tables are not in them.
func TestLanguageModelSizes(t *testing.T) {
	layers := func(heads []int, ratios []int) (out []LMLayer) {
		for i := range heads {
			out = append(out, LMLayer{heads[i], ratios[i]})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		lm     LM
		seq    int
		params int
	}{
		{"TangleNAS", LM{768, layers(repeated(7, 12), []int{3, 4, 4, 4, 4, 4, 4})}, 224, 87010560},
		{"ES", LM{768, layers([]int{6, 8, 6, 6, 8, 6}, []int{4, 3, 3, 4, 4, 4})}, 224, 78751488},
		{"RS", LM{768, layers([]int{8, 12, 6, 6, 8, 8}, []int{4, 3, 4, 4, 2, 4})}, 224, 77571840},
		{"GPT-2", LMOpenWebText.Largest(), 1024, 123587328},
	} {
		formula := 50304*c.lm.Embed + (2*len(c.lm.Layers)+1)*c.lm.Embed
		for _, l := range c.lm.Layers {
			formula += (4 + 2*l.Ratio) * c.lm.Embed * c.lm.Embed
		}
		got, _ := count(t, c.lm.Entry(), Options{Size: c.seq})
		if got -= c.seq * c.lm.Embed; got != formula || got != c.params {
			t.Errorf("%s: want %d parameters as the formula's %d, got %d", c.name, c.params, formula, got)
		}
	}
	if s := LMTinyStories.Size(); math.Abs(s/16.1e6-1) > 0.01 {
		t.Errorf("TinyStories space: want 16.1 million architectures, got %g", s)
	}
}

func TestAutoFormerSizes(t *testing.T) {
	wide := AutoFormerT.Largest()
	narrow := wide
	narrow.Embed = 216
	found := narrow
	found.Ratios = repeated(14, 4.0)
	found.Ratios[8] = 3.5
	for _, c := range []struct {
		name            string
		a               AutoFormer
		classes, params int
	}{
		{"T", wide, 1000, 10517272},
		{"T, CIFAR-10", wide, 10, 10278682},
		{"T 216", narrow, 1000, 8896864},
		{"T 216, CIFAR-10", narrow, 10, 8682034},
		{"T found on CIFAR-100", found, 100, 8654800},
		{"S", AutoFormerS.Largest(), 1000, 34790440},
	} {
		if got, _ := count(t, c.a.Entry(), Options{Classes: c.classes}); got != c.params {
			t.Errorf("%s: want %d parameters, got %d", c.name, c.params, got)
		}
	}
	if s := AutoFormerT.Size(); math.Abs(s/1.06e9-1) > 0.01 {
		t.Errorf("T: want 1.06e9 architectures, got %g", s)
	}
	if s := AutoFormerS.Size(); math.Abs(s/7.7e13-1) > 0.01 {
		t.Errorf("S: want 7.7e13 architectures, got %g", s)
	}
}

func TestMobileNetV3Sizes(t *testing.T) {
	params, macs := count(t, LargestMobileNetV3().Entry(), Options{})
	t.Logf("%d parameters, %d MACs", params, macs)
	if math.Abs(float64(params)/7.66e6-1) > 0.002 || math.Abs(float64(macs)/566.17e6-1) > 0.002 {
		t.Errorf("largest: want 7.66 million parameters and 566.17 million MACs, got %d and %d", params, macs)
	}
	found := LargestMobileNetV3()
	for i, k := range []int{7, 5, 5, 7, 5, 5, 7, 7, 5, 7, 7, 7, 5, 7, 7, 5, 5, 7, 7, 5} {
		found.Kernels[i/4][i%4] = k
	}
	params, macs = count(t, found.Entry(), Options{})
	if math.Abs(float64(params)/7.58e6-1) > 0.002 || math.Abs(float64(macs)/528.8e6-1) > 0.002 {
		t.Errorf("found by TangleNAS: want 7.58 million parameters and 528.80 million MACs, got %d and %d", params, macs)
	}
	if math.Abs(MobileNetV3Size/2.2e19-1) > 0.02 {
		t.Errorf("want 2.2e19 architectures, got %g", MobileNetV3Size)
	}
	if _, err := tinyMobileNetV3.Build(Options{Classes: 5, Size: 32}); err != nil {
		t.Error(err)
	}
}

// TestCountIsBuild holds the counts without weights to the built networks.
func TestCountIsBuild(t *testing.T) {
	for _, e := range append(TinyTransformers(), Transformers()...) {
		n, err := e.net(Options{Depth: 2})
		if err != nil {
			t.Fatal(err)
		}
		params, macs := count(t, e, Options{Depth: 2})
		if Params(n.m) != params || n.MACs() != macs {
			t.Errorf("%s: want %d parameters and %d MACs as built, got %d and %d", e.Name, Params(n.m), n.MACs(), params, macs)
		}
	}
	for _, e := range TinyTransformers() {
		if params, _ := count(t, e, Options{}); params > 30000 {
			t.Errorf("%s: want at most 30000 parameters, got %d", e.Name, params)
		}
	}
	for _, e := range Spaces() {
		if params, macs := count(t, e, Options{}); params < 7e6 || macs < 5e8 {
			t.Errorf("%s: want a large network, got %d parameters and %d MACs", e.Name, params, macs)
		}
	}
}

// TestPatch holds a vision transformer's sizes to the formulas over tokens t and width d:
// per block 12·d² + 13·d parameters, 12·t·d² + 2·t²·d multiply-accumulates.
func TestPatch(t *testing.T) {
	e, _ := Lookup("vit")
	const d, depth = 96, 5
	for _, c := range []struct{ patch, tokens int }{{8, 17}, {4, 65}} {
		params, macs := count(t, e, Options{Width: d, Depth: depth, Heads: 6, Patch: c.patch})
		stem := 3 * c.patch * c.patch * d
		if want := stem + d + d + c.tokens*d + depth*(12*d*d+13*d) + 2*d + 10*d + 10; params != want {
			t.Errorf("patch %d: want %d parameters, got %d", c.patch, want, params)
		}
		if want := stem*(c.tokens-1) + depth*(12*c.tokens*d*d+2*c.tokens*c.tokens*d) + 10*d; macs != want {
			t.Errorf("patch %d: want %d MACs, got %d", c.patch, want, macs)
		}
	}
}

// TestTransformerTable holds parameters and multiply-accumulates of every transformer
// and of the paper's larger spaces to testdata/transformers.txt.
func TestTransformerTable(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s %10s %14s\n", "network", "parameters", "MACs")
	seen := map[string]bool{}
	for _, e := range append(All(), Tiny()...) {
		seen[e.Name] = true
	}
	for _, e := range slices.Concat(Transformers(), TinyTransformers(), Spaces()) {
		if e.Name == "" || e.Doc == "" || e.Wire == nil || seen[e.Name] {
			t.Errorf("entry %q: want a name of its own, a doc and a constructor", e.Name)
		}
		seen[e.Name] = true
		if got, ok := Lookup(e.Name); !ok || got.Doc != e.Doc {
			t.Errorf("Lookup(%q): want the listed entry, got %q", e.Name, got.Doc)
		}
		params, macs := count(t, e, Options{})
		fmt.Fprintf(&b, "%-20s %10d %14d\n", e.Name, params, macs)
	}
	Golden(t, "testdata/transformers.txt", b.String())
}

func TestTransformerOptionErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"vit", Options{Heads: 5}, "want a width that 5 heads divide, got"},
		{"llama", Options{Width: 24, Heads: 8}, "want heads of an even width, got 3"},
		{"llama", Options{Width: 24, Heads: 3}, ""},
		{"decoder", Options{Vocab: 1 << 21}, "option vocabulary: want 1 to 1048576"},
		{"vit", Options{Size: 3}, "want sizes of at least 1"},
	} {
		e, _ := Lookup(c.name)
		if c.want == "" {
			c.o.Depth, c.o.Size = 1, 4
		}
		_, err := e.Build(c.o)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %+v: want error %q, got %v", c.name, c.o, c.want, err)
		}
	}
	for _, e := range Transformers() {
		for _, o := range []Options{{Size: 1, Width: 2, Heads: 2}, {Size: 5, Width: 7, Heads: 1, Depth: 1}, {Size: 4, Width: 6, Heads: 3, Vocab: 1, Classes: 1, Depth: 1}} {
			if m, err := e.Build(o); (m == nil) == (err == nil) {
				t.Errorf("%s %+v: want a model or an error, got %v and %v", e.Name, o, m, err)
			}
		}
	}
	if _, err := (AutoFormer{Embed: 192, Heads: []int{3}}).Build(Options{}); err == nil || !strings.Contains(err.Error(), "want heads and a ratio for every block") {
		t.Errorf("AutoFormer without ratios: want an error, got %v", err)
	}
}
