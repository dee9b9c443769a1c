package subnet_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/cuttest"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

var styles = []struct {
	name string
	style
}{
	{"vit fused", style{image: true, qkv: "five", norm: "layer", scale: "Mul", kv: heads, mlp: "erf"}},
	{"vit separate", style{image: true, qkv: "separate", norm: "layer-spelled", scale: "before", kv: heads, mlp: "tanh", gemm: true, computed: true}},
	{"bert", style{pad: true, qkv: "separate", norm: "layer", post: true, scale: "Div", kv: heads, mlp: "erf", computed: true}},
	{"bert spelled out", style{pad: true, qkv: "split", norm: "layer-spelled", post: true, scale: "Div", kv: heads, mlp: "tanh", gemm: true}},
	{"merged batch and heads", style{pad: true, qkv: "slice", norm: "layer", scale: "Mul", kv: heads, mlp: "erf", flat: true}},
	{"merged batch and heads, parted for a mask of no batch", style{qkv: "separate", norm: "layer", mask: "add", scale: "before", kv: heads, mlp: "erf", flat: true}},
	{"gpt", style{qkv: "split", norm: "layer", mask: "where", scale: "Div", kv: heads, mlp: "tanh", tied: true, gemm: true, computed: true}},
	{"llama", style{qkv: "separate", norm: "rms-spelled", mask: "add", scale: "Mul", kv: 3, repeat: "expand", rotary: "half", mlp: "gated", computed: true}},
	{"llama with gathered heads", style{qkv: "separate", norm: "rms", mask: "add", scale: "Div", kv: 2, repeat: "gather", rotary: "pairs", mlp: "gated-fused", tied: true}},
	{"fused groups", style{qkv: "split", norm: "rms", mask: "where", scale: "Mul", kv: 3, repeat: "concat", mlp: "gated"}},
	{"broadcast groups", style{qkv: "slice", norm: "layer", mask: "add", scale: "Mul", kv: 2, repeat: "broadcast", mlp: "erf", computed: true}},
	{"merged batch and heads, computed", style{pad: true, qkv: "slice", norm: "layer", scale: "Mul", kv: heads, mlp: "erf", flat: true, computed: true}},
	{"sequence first, computed", style{qkv: "separate", norm: "layer", kv: heads, mlp: "erf", rows: true, computed: true}},
	{"sequence first", style{qkv: "separate", norm: "layer", kv: heads, mlp: "erf", rows: true}},
	{"einsum", style{qkv: "separate", norm: "layer", kv: heads, mlp: "tanh", einsum: true, computed: true}},
	{"relative bias", style{qkv: "five", norm: "layer", scale: "Mul", kv: heads, mlp: "erf", bias: "own", computed: true}},
	{"t5", style{pad: true, qkv: "separate", norm: "rms-spelled", kv: heads, mlp: "tanh", bias: "shared", computed: true}},
	{"one fused key head under shared angles", style{qkv: "slice", norm: "rms-spelled", mask: "add", scale: "Mul", kv: 1, repeat: "expand", rotary: "shared", mlp: "gated-fused", computed: true}},
	{"one node with weights", style{pad: true, norm: "skip", kv: heads, mlp: "erf", fused: "whole", post: true}},
	{"one node with weights and biases", style{pad: true, norm: "layer", kv: heads, mlp: "erf", fused: "whole", bias: "own"}},
	{"one node", style{pad: true, norm: "skip-simplified", kv: heads, mlp: "gated", fused: "mha"}},
	{"norms that add", style{pad: true, qkv: "separate", norm: "skip", kv: heads, mlp: "erf", joined: true, post: true, computed: true}},
	{"norms that add, in front", style{image: true, norm: "skip-simplified", kv: heads, mlp: "gated", fused: "mha", joined: true, computed: true}},
	{"one node of packed heads", style{norm: "layer", kv: heads, mlp: "erf", fused: "packed", computed: true}},
	{"one node of packed keys and values", style{norm: "layer", kv: heads, mlp: "erf", fused: "packed-kv"}},
	{"one node of groups", style{norm: "rms", kv: 3, mlp: "gated", fused: "grouped", tied: true, rotary: "half"}},
	{"one node of packed groups", style{norm: "rms-spelled", kv: 2, mlp: "gated-fused", fused: "grouped-packed", rotary: "half"}},
	{"one node, one key head", style{norm: "rms-spelled", kv: 1, mlp: "gated", fused: "grouped", rotary: "half"}},
	{"cache of one node of groups", style{norm: "rms-spelled", kv: 3, mlp: "gated", fused: "grouped-packed", cache: true}},
	{"one standard node", style{norm: "simplified", kv: 3, mlp: "gated-fused", fused: "standard", tied: true}},
	{"cache", style{qkv: "separate", norm: "rms-spelled", scale: "Mul", kv: 3, repeat: "gather", mlp: "gated", cache: true, computed: true}},
	{"cache of one node", style{norm: "layer", kv: heads, mlp: "erf", fused: "mha", cache: true}},
	{"one key head", style{qkv: "split", norm: "layer", mask: "add", scale: "Mul", kv: 1, mlp: "erf", tied: true}},
}

// TestVertexTransformers: heads or their groups, hidden width, embedding width and
// depth are elastic in every spelling, and their vertices are exact.
func TestVertexTransformers(t *testing.T) {
	for _, c := range styles {
		t.Run(c.name, func(t *testing.T) {
			s := subject{c.name, transformer(c.style), map[string]int{"batch": batch}, space.Options{Divisor: 1, MinRatio: 0.1}, 3, 1e-10}
			units := c.kv
			if units == 1 {
				units = heads
			}
			branches := 2 * blocks
			if c.cache {
				branches = blocks // an attention with a cache cannot go: its outputs would
			}
			groups := blocks
			if c.bias == "shared" {
				groups = 1 // one table has the heads of all layers
			}
			wantOffer(t, s, branches, map[string]int{
				fmt.Sprint(true, " ", units): groups, fmt.Sprint(false, " ", hidden): blocks, fmt.Sprint(false, " ", width): 1,
			})
			checkVertices(t, s)
		})
	}
}

// wantOffer checks how many groups a model offers by "of heads, units", that there are
// no others, and how many branches can be skipped.
func wantOffer(t *testing.T, s subject, branches int, groups map[string]int) {
	t.Helper()
	an := analysed(t, s.m, s.bind)
	count := map[string]int{}
	for _, g := range an.Groups {
		count[fmt.Sprint(g.Heads, " ", g.Size)]++
	}
	if !maps.Equal(count, groups) {
		t.Errorf("groups by heads and units: want %v, got %v", groups, count)
	}
	sp, err := space.New(an, s.opts)
	if err != nil {
		t.Fatal(err)
	}
	depth := 0
	for _, d := range sp.Dims {
		if d.Kind == "depth" {
			depth++
		}
	}
	if depth != branches {
		t.Errorf("skippable branches: want %d, got %d", branches, depth)
	}
	if t.Failed() {
		for _, g := range an.Groups {
			t.Logf("%s: %d units, heads %t", g.Name, g.Size, g.Heads)
		}
		for v, p := range an.Pins {
			t.Logf("%s: %v", v, p)
		}
	}
}

// TestVertexHeadWidths: the width of heads is elastic in place of their number: of q and
// k together, of v, of all three where they are one projection reshaped.
func TestVertexHeadWidths(t *testing.T) {
	want := map[string]int{"vit fused": 1, "vit separate": 2, "bert": 2, "bert spelled out": 2, "merged batch and heads": 2, "gpt": 2, "llama": 1, "fused groups": 2, "broadcast groups": 2, "one key head": 2}
	for _, c := range styles {
		count, ok := want[c.name]
		if !ok {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s := subject{c.name, transformer(c.style), map[string]int{"batch": batch}, space.Options{Divisor: 1, MinRatio: 0.1}, 3, 1e-10}
			plain := analysed(t, s.m, s.bind)
			an, err := space.Analyse(plain.Model, plain.Facts, "width", "head-width")
			if err != nil {
				t.Fatal(err)
			}
			sp, err := space.New(an, space.Options{Divisor: 1, MinRatio: 0.1, Kinds: []string{"head-width"}})
			if err != nil {
				t.Fatal(err)
			}
			if len(sp.Dims) != count*blocks {
				t.Errorf("dimensions of head widths: want %d, got %d", count*blocks, len(sp.Dims))
			}
			for _, g := range an.Groups {
				if g.Heads {
					t.Errorf("group %q: numbers of heads stand beside widths", g.Name)
				}
			}
			if none, err := space.New(plain, space.Options{Kinds: []string{"head-width"}}); err == nil {
				t.Errorf("the analysis of numbers of heads offers widths: %v", none.Dims)
			}
			checkWidthRecipe(t, plain, an, sp)
			checkAnalysis(t, s, an)
		})
	}
}

// checkWidthRecipe: a recipe of head widths leads back to the analysis that it was made
// for, and the other one refuses it.
func checkWidthRecipe(t *testing.T, plain, widths *space.Analysis, sp *space.Space) {
	t.Helper()
	net, err := space.Entangle(widths, sp, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := recipe(t, net, sp.Smallest())
	again, err := space.Analyse(plain.Model, plain.Facts, r.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := subnet.Extract(again, r, nil); err != nil {
		t.Error(err)
	}
	if _, err := subnet.Extract(plain, r, nil); err == nil {
		t.Error("the analysis of numbers of heads cut widths")
	}
}

// TestUnknownAttention: an attention whose heads cannot be followed stays whole with a
// reason that names a node; all else is elastic and exact.
func TestUnknownAttention(t *testing.T) {
	for odd, why := range map[string]string{"stacked": "is not recognised: no axis of its scores leads to the heads of a projection", "strided": "slice takes every 6th position"} {
		t.Run(odd, func(t *testing.T) {
			m := transformer(style{qkv: "separate", norm: "layer", mask: "add", scale: "Mul", kv: heads, mlp: "erf", odd: odd})
			s := subject{odd, m, map[string]int{"batch": batch}, space.Options{Divisor: 1, MinRatio: 0.1}, 3, 1e-10}
			wantOffer(t, s, 2*blocks, map[string]int{fmt.Sprint(false, " ", hidden): blocks, fmt.Sprint(false, " ", width): 1})
			found := 0
			for _, axes := range analysed(t, m, s.bind).Pins {
				for _, reason := range axes {
					if strings.HasPrefix(reason, "node \"") && strings.Contains(reason, why) {
						found++
					}
				}
			}
			if found == 0 {
				t.Errorf("pins: want the reason %q", why)
			}
			checkVertices(t, s)
		})
	}
}

// TestCountedSize: a norm that divides by the size of its axis keeps the embedding
// whole, with that reason; heads, hidden width and depth stay elastic and exact.
func TestCountedSize(t *testing.T) {
	m := transformer(style{qkv: "separate", norm: "counted", mask: "add", scale: "Mul", kv: heads, mlp: "erf", computed: true})
	s := subject{"counted", m, map[string]int{"batch": batch}, space.Options{Divisor: 1, MinRatio: 0.1}, 3, 1e-10}
	wantOffer(t, s, 2*blocks, map[string]int{fmt.Sprint(true, " ", heads): blocks, fmt.Sprint(false, " ", hidden): blocks})
	found := false
	for _, axes := range analysed(t, m, s.bind).Pins {
		for _, reason := range axes {
			found = found || strings.Contains(reason, "(Div): computes with the size of axis 2")
		}
	}
	if !found {
		t.Error("want a pin that names the division by the size")
	}
	checkVertices(t, s)
}

// TestVertexRealTransformers: a ViT with batch norms and a Llama-style decoder, as
// PyTorch exported them.
func TestVertexRealTransformers(t *testing.T) {
	if testing.Short() {
		t.Skip("real models: skipped by -short")
	}
	for _, c := range []struct {
		file                      string
		bind                      map[string]int
		heads, hidden, wide, deep int // units of a head group, of a hidden layer, of the embedding; blocks
	}{
		{"vit_ibp_3_3_8.onnx", map[string]int{"batch_size": batch}, 3, 96, 48, 3},
		{"stories260K.onnx", map[string]int{"batch": batch, "seq": 7}, 4, 172, 64, 5},
	} {
		t.Run(c.file, func(t *testing.T) {
			path := filepath.Join(testenv.Models(t), c.file)
			if _, err := os.Stat(path); err != nil {
				t.Skipf("%s is absent", path)
			}
			m, err := importer.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			s := subject{c.file, m, c.bind, space.Options{}, 1, 1e-9}
			wantOffer(t, s, 2*c.deep, map[string]int{
				fmt.Sprint(true, " ", c.heads): c.deep, fmt.Sprint(false, " ", c.hidden): c.deep, fmt.Sprint(false, " ", c.wide): 1,
			})
			checkVertices(t, s)
		})
	}
}

// TestCutStaysDynamic: a subnet cut at one batch and sequence runs at others, where it
// equals the subnet that was cut there.
func TestCutStaysDynamic(t *testing.T) {
	check := func(t *testing.T, m *ir.Model, opts space.Options, here, there map[string]int) {
		cut := func(bind map[string]int) *ir.Model {
			net := entangled(t, analysed(t, m, bind), opts, space.Every)
			choice := net.Space.Smallest()
			for i, d := range net.Space.Dims {
				if d.Kind == "depth" {
					choice[i] = 1
				}
			}
			small, err := subnet.Cut(net, choice, nil)
			if err != nil {
				t.Fatal(err)
			}
			return small
		}
		if d := maxDiff(runModel(t, cut(there), there, 5), runModel(t, cut(here), there, 5)); d != 0 {
			t.Errorf("cut at %v and at %v differ by %g", here, there, d)
		}
	}
	for _, c := range styles {
		t.Run(c.name, func(t *testing.T) {
			check(t, transformer(c.style), space.Options{Divisor: 1, MinRatio: 0.1}, map[string]int{"batch": 2}, map[string]int{"batch": 3})
			check(t, transformer(c.style), space.Options{Divisor: 1, MinRatio: 0.1}, map[string]int{"batch": 1}, map[string]int{"batch": 3})
		})
	}
	for _, file := range []string{"encoder", "vision", "bert", "gpt", "llama", "t5"} {
		t.Run(file, func(t *testing.T) {
			check(t, torchModel(t, file), space.Options{Divisor: 4}, map[string]int{"batch": 1, "seq": 7}, map[string]int{"batch": 2, "seq": 5})
			check(t, torchModel(t, file), space.Options{Divisor: 4}, map[string]int{"batch": 2, "seq": 3}, map[string]int{"batch": 3, "seq": 8})
		})
	}
	for file, name := range map[string]string{"vit_ibp_3_3_8.onnx": "batch_size", "stories260K.onnx": "batch"} {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join(testenv.Models(t), file)
			if _, err := os.Stat(path); err != nil {
				t.Skipf("%s is absent", path)
			}
			m, err := importer.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			check(t, m, space.Options{}, map[string]int{name: 1, "seq": 7}, map[string]int{name: 2, "seq": 5})
			check(t, m, space.Options{}, map[string]int{name: 2, "seq": 1}, map[string]int{name: 3, "seq": 8})
		})
	}
}

// TestNormSlopes: with mixed coefficients, the gradient of an output's square sum with
// respect to every coefficient is its slope, statistics weighted by masks included.
func TestNormSlopes(t *testing.T) {
	for _, norm := range []string{"layer", "layer-spelled", "rms", "rms-spelled"} {
		t.Run(norm, func(t *testing.T) {
			m := transformer(style{qkv: "separate", norm: norm, mask: "add", scale: "Mul", kv: heads, mlp: "erf"})
			an := analysed(t, m, map[string]int{"batch": 1})
			net := entangled(t, an, space.Options{Divisor: 3}, space.Every)
			sp := net.Space
			b := prim.NewBuilder()
			coefs := net.Coefficients(b, prim.F64)
			vals := cuttest.Lower(t, b, net, coefs)
			y := vals[an.Model.Graph.Outputs[0].Name]
			loss := b.Sum(b.Times(y, y), 0, 1, 2)
			loss = b.Reshape(loss)
			grads, err := engine.Grad(b, loss, coefs)
			if err != nil {
				t.Fatal(err)
			}
			b.Output("loss", loss)
			for i, d := range sp.Dims {
				b.Output("grad/"+d.Name, grads[i])
			}
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			coef := make([][]float64, len(sp.Dims))
			for i, d := range sp.Dims {
				for k := range d.Choices {
					coef[i] = append(coef[i], (1+0.3*float64(k))/float64(len(d.Choices)))
				}
			}
			at := func() map[string]*prim.Tensor {
				in := map[string]*prim.Tensor{}
				for _, x := range p.Inputs {
					in[x.Name] = prim.NewTensor(p.Nodes[x.ID].Type)
					for i := range in[x.Name].I64 {
						in[x.Name].I64[i] = int64(i)
					}
				}
				for i, d := range sp.Dims {
					in["coef/"+d.Name] = prim.F64Tensor(coef[i], len(coef[i]))
				}
				return run(t, p, in)
			}
			got := at()
			for i, d := range sp.Dims {
				for k := range coef[i] {
					const step = 1e-5
					old := coef[i][k]
					coef[i][k] = old + step
					high := at()["loss"].Float(0)
					coef[i][k] = old - step
					low := at()["loss"].Float(0)
					coef[i][k] = old
					want, g := (high-low)/(2*step), got["grad/"+d.Name].Float(k)
					if math.Abs(want-g) > 1e-6*(1+math.Abs(want)) {
						t.Errorf("%s, choice %d: want slope %.9g, got %.9g", d.Name, k, want, g)
					}
				}
			}
		})
	}
}

// TestVertexRecogniser: PP-OCR's text recogniser, a convolutional network with two
// transformer blocks, at a narrow line of text.
func TestVertexRecogniser(t *testing.T) {
	m, bind := ocrModel(t, "ch_PP-OCRv4_rec_infer.onnx", 1, 3, 48, 32)
	s := subject{"recogniser", m, bind, space.Options{}, 0, 1e-8}
	heads := 0
	for _, g := range analysed(t, m, bind).Groups {
		if g.Heads && g.Size == 8 {
			heads++
		}
	}
	if heads != 2 {
		t.Errorf("groups of 8 heads: want 2, got %d", heads)
	}
	checkVertices(t, s)
}
