package subnet_test

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/cuttest"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

const batch = 2

// analysed imports a reference model and analyses it.
func analysed(t *testing.T, m *ir.Model, bind map[string]int) *space.Analysis {
	t.Helper()
	n, err := importer.Normal(m, importer.WithCopies(ops.SeparateVectors))
	if err != nil {
		t.Fatal(err)
	}
	f, err := ops.InferModel(n, bind)
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(n, f)
	if err != nil {
		t.Fatal(err)
	}
	return an
}

// inputs draws every program input that is not a coefficient.
func inputs(p *prim.Program, seed uint64) map[string]*prim.Tensor {
	r := rand.New(rand.NewPCG(seed, 7))
	in := map[string]*prim.Tensor{}
	for _, x := range p.Inputs {
		t := prim.NewTensor(p.Nodes[x.ID].Type)
		for i := range t.F64 {
			t.F64[i] = r.NormFloat64()
		}
		for i := range t.I64 { // token ids; a mask begins with 1
			switch t.I64[i] = r.Int64N(8); x.Name {
			case "mask", "attention_mask":
				t.I64[i] = max(t.I64[i]%2, int64(1-min(i, 1)))
			case "token_type_ids":
				t.I64[i] %= 2
			}
		}
		in[x.Name] = t
	}
	return in
}

// entangled makes the supernet of an analysis.
func entangled(t *testing.T, an *space.Analysis, opts space.Options, policy space.Superposition) *space.Supernet {
	t.Helper()
	sp, err := space.New(an, opts)
	if err != nil {
		t.Fatal(err)
	}
	net, err := space.Entangle(an, sp, policy)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func run(t *testing.T, p *prim.Program, in map[string]*prim.Tensor) map[string]*prim.Tensor {
	t.Helper()
	out, err := engine.RunHost(ref.New(), p, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// runOn runs a model on given inputs.
func runOn(t *testing.T, m *ir.Model, bind map[string]int, in map[string]*prim.Tensor) map[string]*prim.Tensor {
	t.Helper()
	p, _, err := ops.Program(m, bind, prim.F64)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, p, in)
}

// hosted returns tensors of a model as the engine's, floats in float64.
func hosted(t *testing.T, vals map[string]*ir.Tensor) map[string]*prim.Tensor {
	t.Helper()
	out := map[string]*prim.Tensor{}
	for name, x := range vals {
		var err error
		if out[name], err = ops.HostTensor(x, prim.F64); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// taken cuts graph inputs or outputs (caches of heads) to the positions that stay.
func taken(t *testing.T, vals map[string]*prim.Tensor, keep map[string]ops.Positions) map[string]*prim.Tensor {
	t.Helper()
	out := map[string]*prim.Tensor{}
	for name, v := range vals {
		if out[name] = v; !keep[name].Changed() {
			continue
		}
		x, err := ops.ModelTensor(name, ir.Float64, v)
		if err != nil {
			t.Fatal(err)
		}
		if x, err = ops.Take(x, keep[name]); err != nil {
			t.Fatal(err)
		}
		if out[name], err = ops.HostTensor(x, prim.F64); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func runModel(t *testing.T, m *ir.Model, bind map[string]int, seed uint64) map[string]*prim.Tensor {
	t.Helper()
	p, _, err := ops.Program(m, bind, prim.F64)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, p, inputs(p, seed))
}

func runSuper(t *testing.T, net *space.Supernet, p *prim.Program, coef [][]float64, seed uint64) map[string]*prim.Tensor {
	t.Helper()
	plain, _, err := ops.Program(net.An.Model, net.An.Facts.Bind, prim.F64)
	if err != nil {
		t.Fatal(err)
	}
	in := inputs(plain, seed)
	for i, d := range net.Space.Dims {
		in["coef/"+d.Name] = prim.F64Tensor(coef[i], len(coef[i]))
	}
	return run(t, p, in)
}

func maxDiff(a, b map[string]*prim.Tensor) float64 {
	worst := 0.0
	for name, x := range a {
		y := b[name]
		if y == nil || !slices.Equal(x.Shape, y.Shape) {
			return math.Inf(1)
		}
		for i := range x.Len() {
			d := math.Abs(x.Float(i) - y.Float(i))
			if math.IsNaN(d) {
				return math.Inf(1)
			}
			worst = max(worst, d)
		}
	}
	return worst
}

func reimport(t *testing.T, m *ir.Model) *ir.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "subnet.onnx")
	if err := exporter.Write(path, m, exporter.Options{}); err != nil {
		t.Fatal(err)
	}
	back, err := importer.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := importer.Normal(back)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type subject struct {
	name string
	m    *ir.Model
	bind map[string]int
	opts space.Options
	runs int
	tol  float64
}

func tiny(t *testing.T) []subject {
	t.Helper()
	var out []subject
	for _, e := range append(models.Tiny(), models.TinyTransformers()...) {
		m, err := e.Build(models.Options{})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, subject{e.Name, m, map[string]int{"batch": batch}, space.Options{Divisor: 2}, 3, 1e-10})
	}
	return out
}

// real lists the CNNs of the pretrained models; other models join with their own tests.
func real(t *testing.T) []subject {
	t.Helper()
	dir := testenv.Models(t)
	var out []subject
	for _, f := range []string{"resnet20.onnx", "mlperftiny_resnet8.onnx", "mnist_cntk.onnx", "ultraface_version-slim-320.onnx", "yunet_n_320_320.onnx"} {
		path := filepath.Join(dir, f)
		if _, err := os.Stat(path); err != nil {
			t.Logf("%s: not here, left out", path)
			continue
		}
		m, err := importer.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		bind := map[string]int{ops.AnyDim: 1}
		for _, v := range m.Graph.Inputs {
			for _, d := range v.Type.Shape {
				if d.Param != "" {
					bind[d.Param] = 1
				}
			}
		}
		out = append(out, subject{f, m, bind, space.Options{Divisor: 4}, 1, 1e-9})
	}
	return out
}

// choices returns the largest, the smallest and some random choice vectors.
func choices(s *space.Space, random int, seed uint64) [][]int {
	out := [][]int{s.Largest(), s.Smallest()}
	r := rand.New(rand.NewPCG(seed, 3))
	for range random {
		c := make([]int, len(s.Dims))
		for d, dim := range s.Dims {
			c[d] = r.IntN(len(dim.Choices))
		}
		out = append(out, c)
	}
	return out
}

// shuffleOrder gives every width a random order of units.
func shuffleOrder(an *space.Analysis, s *space.Space, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 5))
	for i, d := range s.Dims {
		if d.CountsUnits() {
			s.Dims[i].Order = r.Perm(d.Choices[len(d.Choices)-1])
		}
	}
}

func checkVertices(t *testing.T, s subject) {
	t.Helper()
	checkAnalysis(t, s, analysed(t, s.m, s.bind))
}

func checkAnalysis(t *testing.T, s subject, an *space.Analysis) {
	t.Helper()
	sp, err := space.New(an, s.opts)
	if err != nil {
		t.Fatal(err)
	}
	shuffleOrder(an, sp, 1)
	checkSpace(t, s, an, sp)
}

// checkSpace compares supernet, subnet, re-imported file and prices at choices of a space.
func checkSpace(t *testing.T, s subject, an *space.Analysis, sp *space.Space) {
	t.Helper()
	for _, policy := range []space.Superposition{space.Every, space.Reader} {
		net, err := space.Entangle(an, sp, policy)
		if err != nil {
			t.Fatal(err)
		}
		p := cuttest.Program(t, net)
		scale := 1.0
		original := runModel(t, an.Model, s.bind, 11)
		for _, x := range original {
			for i := range x.Len() {
				scale = max(scale, math.Abs(x.Float(i)))
			}
		}
		for k, c := range choices(sp, s.runs, 2) {
			super := runSuper(t, net, p, sp.OneHot(c), 11)
			if k == 0 && !slices.ContainsFunc(sp.Dims, func(d space.Dim) bool { return !d.Ordered() && d.Choices[len(d.Choices)-1] <= len(d.Candidates) }) {
				if d := maxDiff(super, original); d > s.tol*scale {
					t.Errorf("%s: largest choice differs from the original by %g", policy, d)
				}
			}
			m, err := subnet.Cut(net, c, nil)
			if err != nil {
				t.Fatalf("%s: choice %d: %v", policy, k, err)
			}
			keep, _, err := net.Cut(c)
			if err != nil {
				t.Fatal(err)
			}
			whole, _, err := ops.Program(an.Model, s.bind, prim.F64)
			if err != nil {
				t.Fatal(err)
			}
			feeds := taken(t, inputs(whole, 11), keep)
			cut := runOn(t, m, s.bind, feeds)
			if d := maxDiff(taken(t, super, keep), cut); d > s.tol*scale {
				t.Errorf("%s: choice %d %v: supernet and extracted subnet differ by %g", policy, k, c, d)
			}
			if d := maxDiff(cut, runOn(t, reimport(t, m), s.bind, feeds)); d != 0 {
				t.Errorf("%s: choice %d: extracted and re-imported subnet differ by %g", policy, k, d)
			}
			for _, metric := range space.Metrics {
				cm, err := net.Cost(metric.Name)
				if err != nil {
					t.Fatal(err)
				}
				f, err := ops.InferModel(m, s.bind)
				if err != nil {
					t.Fatal(err)
				}
				price := ops.ModelCost(m, f)
				got := map[string]float64{space.MACs: price.MACs / float64(an.Batch), space.Params: float64(price.Params), space.Bytes: cm.At(c), space.Peak: heldAtMost(t, m, s.bind)}[metric.Name]
				if want := cm.At(c); math.Abs(want-got) > 1e-6*want {
					t.Errorf("%s: choice %d: %s: the cost model says %g, the extracted subnet has %g", policy, k, metric.Name, want, got)
				}
			}
		}
	}
}

// TestVertex: one-hot supernet ≡ extracted subnet ≡ re-imported file, largest ≡ original.
func TestVertex(t *testing.T) {
	for _, s := range tiny(t) {
		t.Run(s.name, func(t *testing.T) { checkVertices(t, s) })
	}
}

func TestVertexRealModels(t *testing.T) {
	if testing.Short() {
		t.Skip("real models: skipped by -short")
	}
	list := real(t)
	if len(list) == 0 {
		t.Skip("the folder of pretrained models has none of those that are cut")
	}
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) { checkVertices(t, s) })
	}
}

// ocrModel reads one of PP-OCR's models and binds the sizes of its first input.
func ocrModel(t *testing.T, file string, sizes ...int) (*ir.Model, map[string]int) {
	t.Helper()
	if testing.Short() {
		t.Skip("real models: skipped by -short")
	}
	m, err := importer.Read(filepath.Join(testenv.OCR(t), file))
	if err != nil {
		t.Fatal(err)
	}
	bind := map[string]int{}
	for k, size := range sizes {
		if d := m.Graph.Inputs[0].Type.Shape[k]; d.Param != "" {
			bind[d.Param] = size
		}
	}
	return m, bind
}

// TestVertexPaddle: the direction classifier of PP-OCR at its input size of 48×192.
func TestVertexPaddle(t *testing.T) {
	m, bind := ocrModel(t, "ch_ppocr_mobile_v2.0_cls_infer.onnx", batch, 3, 48, 192)
	checkVertices(t, subject{"direction classifier", m, bind, space.Options{Divisor: 4}, 1, 1e-9})
}

// TestZeroAndCut: for every group, the original with some of its units' weights
// set to zero where they are read, and left out of statistics, equals the network
// without those units.
func TestZeroAndCut(t *testing.T) {
	for _, s := range tiny(t) {
		t.Run(s.name, func(t *testing.T) {
			an := analysed(t, s.m, s.bind)
			if len(an.Groups) == 0 {
				t.Fatal("no groups")
			}
			for _, g := range an.Groups {
				gone := []int{0, g.Size / 2}
				var stay []int
				for u := range g.Size {
					if !slices.Contains(gone, u) {
						stay = append(stay, u)
					}
				}
				if len(stay) == 0 {
					continue
				}
				zeroed := cuttest.Zeroed(t, an.Model, g, gone)
				net, err := space.Entangle(an, &space.Space{Dims: []space.Dim{{Name: "some", Kind: g.Kind, Node: g.Name, Choices: []int{len(stay), g.Size}, Order: slices.Concat(stay, gone)}}}, space.Reader)
				if err != nil {
					t.Fatal(err)
				}
				cut, err := subnet.Cut(net, []int{0}, nil)
				if err != nil {
					t.Errorf("group %s: %v", g.Name, err)
					continue
				}
				if d := maxDiff(runWithout(t, zeroed, s.bind, 4, an, g, gone), runModel(t, cut, s.bind, 4)); d > 1e-10 {
					t.Errorf("group %s (%d units): zeroed and cut differ by %g", g.Name, g.Size, d)
				}
			}
		})
	}
}

// runWithout is runModel with some units of a group left out of all statistics.
func runWithout(t *testing.T, m *ir.Model, bind map[string]int, seed uint64, an *space.Analysis, g *space.Group, gone []int) map[string]*prim.Tensor {
	t.Helper()
	f, err := ops.InferModel(m, bind)
	if err != nil {
		t.Fatal(err)
	}
	b := prim.NewBuilder()
	vals, err := ops.Lower(b, m, f, ops.Hooks{Float: prim.F64, Seed: prim.Invalid, AxisMask: func(b *prim.Builder, value string, axis int) prim.ID {
		i := slices.IndexFunc(g.Members, func(mb space.Member) bool { return mb.Value == value && mb.Axis == axis })
		if i < 0 {
			return prim.Invalid
		}
		mask := prim.NewTensor(prim.Type{DType: prim.F64, Shape: []int{an.Facts.Values[value].Shape()[axis]}})
		for p := range mask.F64 {
			mask.F64[p] = 1
		}
		for _, u := range gone {
			for _, p := range g.Members[i].Units[u] {
				mask.F64[p] = 0
			}
		}
		return b.Const(mask)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range m.Graph.Outputs {
		b.Output(o.Name, vals[o.Name])
	}
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return run(t, p, inputs(p, seed))
}

// TestRecipeRoundTrip: a recipe read back gives the same subnet as the choice.
func TestRecipeRoundTrip(t *testing.T) {
	s := tiny(t)[0]
	an := analysed(t, s.m, s.bind)
	sp, err := space.New(an, s.opts)
	if err != nil {
		t.Fatal(err)
	}
	shuffleOrder(an, sp, 9)
	net, err := space.Entangle(an, sp, space.Every)
	if err != nil {
		t.Fatal(err)
	}
	c := choices(sp, 1, 8)[2]
	r, err := subnet.NewRecipe(net, c, 1, "test")
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := subnet.UnmarshalRecipe(text)
	if err != nil {
		t.Fatal(err)
	}
	m1, err := subnet.Extract(an, back, nil)
	if err != nil {
		t.Fatal(err)
	}
	m2, err := subnet.Cut(net, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if space.Fingerprint(m1) != space.Fingerprint(m2) {
		t.Error("recipe and choice give different subnets")
	}
	back.Source = "0"
	if _, err := subnet.Extract(an, back, nil); err == nil {
		t.Error("a recipe of another model was accepted")
	}
	back.Source, back.Dims[0].Choice = r.Source, 1000
	if _, err := subnet.Extract(an, back, nil); err == nil {
		t.Error("a choice outside the list was accepted")
	}
	if _, err := subnet.UnmarshalRecipe(append(text, '{')); err == nil {
		t.Error("trailing bytes were accepted")
	}
}
