package entangle_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// tailed is a network for images [N, C, H, W]: two convolutions that make f [N, 12, H/2, W/2],
// and what the case adds. Its initialisers, whose sizes it declares as inputs that are called
// w…, are drawn.
type tailed struct {
	name, text string
	at         []string // asked for
	learns     string   // where it learns, comma-separated; "" where nothing stays behind
	keeps      string   // labels of the tail's nodes
	wrong      string   // in the error
	foreign    bool     // ONNX Runtime has not heard of an operator
}

// nms ends in boxes [N, places, 4] and scores [N, 3, places].
const nms = `
  input wb float32[4, 12, 1, 1]
  input ws float32[3, 12, 1, 1]
  init flat4 int64[3] = [0, 4, -1]
  init flat3 int64[3] = [0, 3, -1]
  init most int64[1] = [5]
  init iou float32[1] = [0.5]
  init least float32[1] = [0.1]
  node box: (b0) = Conv(f, wb)
  node boxflat: (b1) = Reshape(b0, flat4)
  node boxes: (boxes) = Transpose(b1) perm=[0, 2, 1]
  node score: (s0) = Conv(f, ws)
  node scoreflat: (s1) = Reshape(s0, flat3)
  node sigmoid: (scores) = Sigmoid(s1)
  node nms: (selected) = NonMaxSuppression(boxes, scores, most, iou, least)`

const classifier = `
  input wc float32[12, 4]
  node pool: (p0) = GlobalAveragePool(f)
  node flatten: (p1) = Flatten(p0)
  node fc: (logits) = Gemm(p1, wc)`

var tails = []tailed{
	{name: "none", text: "output logits float32[N, 4]" + classifier},
	{name: "detector with NMS", text: "output selected int64[K, 3]\n output boxes float32[N, P, 4]" + nms, learns: "boxes, scores", keeps: "nms"},
	{name: "NMS with what follows", text: `output picked float32[K, 4]` + nms + `
  init first int64[1] = [0]
  init last int64[1] = [2]
  init ends int64[1] = [3]
  init axis int64[1] = [1]
  node which: (which) = Slice(selected, last, ends, axis)
  node column: (column) = Squeeze(which, axis)
  node one: (one) = Gather(boxes, first) axis=0
  node drop: (row) = Squeeze(one, first)
  node pick: (picked) = Gather(row, column) axis=0`, learns: "boxes, scores", keeps: "nms, which, column, one, drop, pick"},
	{name: "segmenter with ArgMax", text: `output mask int64[N, H, W]
  input wm float32[4, 12, 1, 1]
  node head: (maps) = Conv(f, wm)
  node argmax: (mask) = ArgMax(maps) axis=1 keepdims=0`, learns: "maps", keeps: "argmax"},
	{name: "threshold", text: `output mask float32[N, 1, H, W]
  input wm float32[1, 12, 1, 1]
  init half float32[1] = [0.5]
  node head: (z) = Conv(f, wm)
  node sigmoid: (p) = Sigmoid(z)
  node above: (above) = Greater(p, half)
  node cast: (mask) = Cast(above) to=1`, learns: "p", keeps: "above, cast"},
	{name: "logits and their largest", text: `output best int64[N]
  output logits float32[N, 4]` + classifier + `
  node argmax: (best) = ArgMax(logits) axis=1 keepdims=0`, learns: "logits", keeps: "argmax"},
	{name: "TopK of probabilities", text: `output p float32[N, 2]
  output which int64[N, 2]` + classifier + `
  init k int64[1] = [2]
  node softmax: (probs) = Softmax(logits) axis=-1
  node topk: (p, which) = TopK(probs, k)`, learns: "probs", keeps: "topk"},
	{name: "boxes picked by TopK", text: `output best float32[N, 3, 4]` + strings.ReplaceAll(nms, "\n  node nms: (selected) = NonMaxSuppression(boxes, scores, most, iou, least)", "") + `
  init k int64[1] = [3]
  init one int64[1] = [1]
  init two int64[1] = [2]
  init four int64[3] = [1, 1, 4]
  init scale float32[1] = [8]
  node peak: (peak) = ReduceMax(scores) axes=[1] keepdims=0
  node topk: (values, places) = TopK(peak, k)
  node wide: (wide) = Unsqueeze(places, two)
  node tile: (tiled) = Tile(wide, four)
  node pick: (rows) = GatherElements(boxes, tiled) axis=1
  node scaled: (best) = Mul(rows, scale)`, learns: "boxes, peak", keeps: "topk, wide, tile, pick, scaled"},
	{name: "one-hot of the class", text: `output hot float32[N, 4]` + classifier + `
  init depth int64[1] = [4]
  init offon float32[2] = [0, 1]
  node argmax: (best) = ArgMax(logits) axis=1 keepdims=0
  node onehot: (hot) = OneHot(best, depth, offon)`, learns: "logits", keeps: "argmax, onehot"},
	{name: "If at the end", text: `output y float32[N, 4]` + classifier + `
  init limit float32[] = [0]
  node sum: (sum) = ReduceSum(logits) keepdims=0
  node above: (above) = Greater(sum, limit)
  node if: (y) = If(above) then_branch=graph then {
    output same float32[N, 4]
    node t: (same) = Identity(logits)
  } else_branch=graph else {
    output minus float32[N, 4]
    node e: (minus) = Neg(logits)
  }`, learns: "logits", keeps: "sum, above, if"},
	{name: "Loop at the end", text: `output y float32[N, 4]` + classifier + `
  init trip int64[] = [3]
  init on bool[] = [1]
  node loop: (y) = Loop(trip, on, logits) body=graph body {
    input i int64[]
    input c bool[]
    input state float32[N, 4]
    output c2 bool[]
    output next float32[N, 4]
    node c: (c2) = Identity(c)
    node n: (next) = Tanh(state)
  }`, learns: "logits", keeps: "loop"},
	{name: "unknown operator at the end", text: `output y float32[N, 4]` + classifier + `
  node probs: (probs) = Softmax(logits) axis=-1
  node own: (y) = my.domain::Calibrate(probs) rate=3`, learns: "probs", keeps: "own", foreign: true},
	{name: "unknown operator in the backbone", text: `output y float32[N, 4]
  input wc float32[12, 4]
  node own: (g) = my.domain::Swirl(f)
  input w3 float32[12, 12, 7, 7]
  node late: (l) = Conv(g, w3) pads=[3, 3, 3, 3]
  node pool: (p0) = GlobalAveragePool(l)
  node flatten: (p1) = Flatten(p0)
  node fc: (y) = Gemm(p1, wc)`, wrong: `node "own" (Swirl) cannot run here (no rule), and only `},
	{name: "experts chosen by TopK", text: `output logits float32[N, 4]
  input wr float32[12, 4]
  input wa float32[12, 4]
  input wc float32[4, 4]
  init k int64[1] = [1]
  init one int64[1] = [1]
  node pool: (p0) = GlobalAveragePool(f)
  node flatten: (p1) = Flatten(p0)
  node router: (r) = MatMul(p1, wr)
  node topk: (v, i) = TopK(r, k)
  node a: (a) = MatMul(p1, wa)
  node pick: (e) = GatherElements(a, i) axis=1
  node gate: (g) = Mul(a, v)
  node both: (s) = Add(g, e)
  node fc: (logits) = MatMul(s, wc)`},
	{name: "a choice that the network goes on with", text: `output logits float32[N, 4]
  output place int64[N, 1]
  input wr float32[12, 4]
  input wc float32[4, 4]
  init k int64[1] = [1]
  node pool: (p0) = GlobalAveragePool(f)
  node flatten: (p1) = Flatten(p0)
  node router: (r) = MatMul(p1, wr)
  node topk: (v, i) = TopK(r, k)
  node pick: (e) = GatherElements(r, i) axis=1
  node both: (s) = Add(r, e)
  node fc: (logits) = MatMul(s, wc)
  node next: (place) = Abs(i)`, learns: "logits", keeps: "next"},
	{name: "end of a text", text: `output y float32[N, 4]
  input ids int64[N, 5]
  input wt float32[9, 12]
  input wc float32[12, 4]
  init axis int64[1] = [1]
  init wide int64[2] = [0, 2]
  init twelve int64[3] = [1, 1, 12]
  node table: (e) = Gather(wt, ids) axis=0
  node end: (end) = ArgMax(ids) axis=1 keepdims=1
  node three: (end3) = Unsqueeze(end, axis)
  node tile: (at) = Tile(end3, twelve)
  node pick: (token) = GatherElements(e, at) axis=1
  node squeeze: (flat) = Squeeze(token, axis)
  node fc: (z) = Gemm(flat, wc)
  node pool: (p0) = GlobalAveragePool(f)
  node flatten: (p1) = Flatten(p0)
  node image: (i) = Gemm(p1, wc)
  node both: (y) = Add(z, i)`},
	{name: "sizes inside", text: `output n int64[1]
  output logits float32[N, 4]` + classifier + `
  init two int64[1] = [2]
  node shape: (shape) = Shape(f)
  node rows: (n) = Gather(shape, two) axis=0`, learns: "logits", keeps: "rows"},
	{name: "asked for", text: "output logits float32[N, 4]" + classifier, at: []string{"p0"}, learns: "p0", keeps: "flatten, fc"},
	{name: "asked for one of two", text: "output selected int64[K, 3]\n output logits float32[N, 4]" + nms + classifier, at: []string{"s1"}, learns: "boxes, s1, logits", keeps: "sigmoid, nms"},
	{name: "unknown operator, asked for", text: `output y float32[N, 4]
  input wc float32[12, 4]
  node own: (g) = my.domain::Swirl(f)
  node pool: (p0) = GlobalAveragePool(g)
  node flatten: (p1) = Flatten(p0)
  node fc: (y) = Gemm(p1, wc)`, at: []string{"f"}, learns: "f", keeps: "own, pool, flatten, fc", foreign: true},
	{name: "asked for what is not there", text: "output logits float32[N, 4]" + classifier, at: []string{"logit"}, wrong: `learn_at: the model has no tensor "logit" (did you mean logits?)`},
	{name: "asked for an integer", text: "output best int64[N]" + classifier + "\n  node argmax: (best) = ArgMax(logits) axis=1 keepdims=0", at: []string{"best"}, wrong: `learn_at: want a tensor of floats, "best" is int64`},
	{name: "asked for what is behind", text: "output selected int64[K, 3]" + nms, at: []string{"selected"}, wrong: `learn_at: want a tensor before node "nms" (NonMaxSuppression), which cannot run here (no rule)`},
	{name: "asked for an input", text: "output logits float32[N, 4]" + classifier, at: []string{"image"}, wrong: `learn_at: want a tensor that a node computes, "image" is`},
	{name: "asked for twice", text: "output logits float32[N, 4]" + classifier, at: []string{"p0", "p0"}, wrong: `learn_at: "p0" stands twice`},
	{name: "asked for what normalisation drops", text: "output logits float32[N, 4]\n  node id: (f2) = Identity(f)" + strings.Replace(classifier, "GlobalAveragePool(f)", "GlobalAveragePool(f2)", 1), at: []string{"f2"}, wrong: `learn_at: tensor "f2" is one of the file but is gone from the normal form`},
	{name: "recurrent at the end", text: `output h float32[1, 1, N, 2]
  input wl float32[1, 8, 12]
  input wh float32[1, 8, 2]
  node pool: (p0) = GlobalAveragePool(f)
  node flatten: (p1) = Flatten(p0)
  init none int64[1] = [0]
  node time: (seq) = Unsqueeze(p1, none)
  node lstm: (h) = LSTM(seq, wl, wh) hidden_size=2`, learns: "seq", keeps: "lstm"},
	{name: "layers behind a recurrent one", text: `output y float32[1, 1, N, 3]
  input wl float32[1, 8, 12]
  input wh float32[1, 8, 2]
  input wc float32[2, 3]
  node pool: (p0) = GlobalAveragePool(f)
  node flatten: (p1) = Flatten(p0)
  init none int64[1] = [0]
  node time: (seq) = Unsqueeze(p1, none)
  node lstm: (h) = LSTM(seq, wl, wh) hidden_size=2
  node fc: (y) = MatMul(h, wc)`, wrong: `model: recurrent: LSTM ×1 (nodes "lstm")`},
}

// model builds a case for images of that shape.
func (c tailed) model(t *testing.T, batch string, shape []int) *entangle.Model {
	t.Helper()
	text := fmt.Sprintf("model {\n  ir 8\n  opset _ 13\n  opset my.domain 1\n}\ngraph g {\n  input image float32[%s, %d, %d, %d]\n  input w0 float32[8, %d, 3, 3]\n", batch, shape[1], shape[2], shape[3], shape[1]) + `
  input w1 float32[12, 8, 3, 3]
  node conv0: (c0) = Conv(image, w0) pads=[1, 1, 1, 1] strides=[2, 2]
  node relu0: (r0) = Relu(c0)
  node conv1: (c1) = Conv(r0, w1) pads=[1, 1, 1, 1]
  node relu1: (f) = Relu(c1)
  ` + c.text + "\n}\n"
	m, err := ir.Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	r := rand.New(rand.NewPCG(1, 9))
	g := m.Graph
	for _, v := range g.Inputs[1:] {
		if v.Name[0] != 'w' {
			continue
		}
		x := make([]float32, ir.Prod(v.Type.Sizes()))
		for i := range x {
			x[i] = float32(r.NormFloat64() * 0.3)
		}
		g.Inits = append(g.Inits, ir.NewFloat32(v.Name, v.Type.Sizes(), x))
	}
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v ir.Value) bool { return g.Init(v.Name) != nil })
	if !strings.Contains(c.text, "my.domain") {
		m.Opsets = m.Opsets[:1]
	}
	out, err := entangle.Normalise(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSplit(t *testing.T) {
	for _, c := range tails {
		for _, batch := range []string{"N", "1"} {
			t.Run(c.name+", batch "+batch, func(t *testing.T) {
				m := c.model(t, batch, []int{1, 1, 16, 16})
				s, err := m.Split(c.at...)
				if err == nil {
					err = s.CheckTrainable()
				}
				if c.wrong != "" {
					var job *entangle.JobError
					var model *entangle.ModelError
					if err == nil || !strings.Contains(err.Error(), c.wrong) || errors.As(err, &job) == errors.As(err, &model) {
						t.Errorf("want an error with %q, got %v", c.wrong, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if c.learns == "" {
					if s.Tail != nil {
						t.Errorf("want no tail, got %s", s.LearnsAt())
					}
					return
				}
				if s.Tail == nil {
					t.Fatal("want a tail, got none")
				}
				var keeps []string
				for _, n := range s.Tail.Nodes {
					keeps = append(keeps, n.Label())
				}
				if got := strings.Join(s.Tail.At, ", "); got != c.learns || strings.Join(keeps, ", ") != c.keeps {
					t.Errorf("want to learn at %s and to keep %s, got %s and %s", c.learns, c.keeps, got, strings.Join(keeps, ", "))
				}
				if !strings.HasPrefix(s.LearnsAt(), "learns at ") {
					t.Errorf("got %q", s.LearnsAt())
				}
				whole := s.Tail.Graft(s.Normal)
				if err := ir.Verify(whole); err != nil {
					t.Error(err)
				}
				if a, b := sortedNodes(whole), sortedNodes(m.Normal); a != b {
					t.Errorf("want the graph back, got\n%s\nfor\n%s", a, b)
				}
				if o := net.Open(s.Normal); o.Fixed != 0 {
					t.Errorf("want a head that runs at any batch, got one that runs at %d: %v", o.Fixed, o.Why)
				}
			})
		}
	}
}

func sortedNodes(m *ir.Model) string {
	var out []string
	for _, n := range m.Graph.Nodes {
		out = append(out, fmt.Sprint(n.Name, n.OpType, n.Inputs, n.Outputs))
	}
	for _, x := range m.Graph.Inits {
		out = append(out, x.Name)
	}
	slices.Sort(out)
	for _, v := range append(m.Graph.Inputs, m.Graph.Outputs...) {
		out = append(out, v.Name+v.Type.String())
	}
	return strings.Join(out, "\n")
}

// runtime is ONNX Runtime without a skip; nil where it is absent.
func runtime(t *testing.T) runtimes.Runtime {
	rt := ort.New(ort.Options{Library: orttest.Library("."), NoOptimise: true})
	if _, err := rt.Describe(); err != nil {
		t.Logf("ONNX Runtime is absent: %v", err)
		return nil
	}
	return rt
}

// TestTailsStay: the subnet of the largest choice computes what the original does, tails
// included, and a smaller one declares what it declares.
func TestTailsStay(t *testing.T) {
	rt := runtime(t)
	for _, c := range tails {
		if c.learns == "" {
			continue
		}
		for _, batch := range []string{"N", "1"} {
			t.Run(c.name+", batch "+batch, func(t *testing.T) {
				m := c.model(t, batch, []int{1, 1, 16, 16})
				s, err := m.Split(c.at...)
				if err != nil {
					t.Fatal(err)
				}
				an, err := s.Analyse(nil)
				if err != nil {
					t.Fatal(err)
				}
				sp, err := space.New(an, space.Options{Divisor: 2, MinRatio: 0.25, MaxChoices: 4})
				if err != nil {
					t.Fatal(err)
				}
				super, err := space.Entangle(an, sp, space.Every)
				if err != nil {
					t.Fatal(err)
				}
				for i, choice := range [][]int{sp.Largest(), sp.Smallest()} {
					r, err := subnet.NewRecipe(super, choice, 1, "test")
					if err != nil {
						t.Fatal(err)
					}
					if r.LearnAt = c.at; r.Source != space.Fingerprint(m.Normal) {
						t.Errorf("want the fingerprint of the whole model, got %s", r.Source)
					}
					cut, err := m.Cut(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					if got, want := len(cut.Kept.Inits), len(m.Normal.Graph.Inits); got != want {
						t.Errorf("kept: want %d initialisers, got %d", want, got)
					}
					for k, v := range m.Normal.Graph.Outputs {
						if got := cut.Model.Graph.Outputs[k]; got.Name != v.Name || got.Type.String() != v.Type.String() {
							t.Errorf("output %d: want %s %s, got %s %s", k, v.Name, v.Type, got.Name, got.Type)
						}
					}
					if err := ir.Verify(cut.Model); err != nil {
						t.Error(err)
					}
					if rt == nil || c.foreign {
						continue
					}
					in := map[string]*ir.Tensor{"image": image(1)}
					want, got := orttest.Run(t, rt, m.Raw, in), orttest.Run(t, rt, cut.Model, in)
					for name, x := range want {
						if i == 0 && (!slices.Equal(x.Dims, got[name].Dims) || !slices.Equal(x.Raw, got[name].Raw)) {
							t.Errorf("output %q of the largest subnet differs from the original's", name)
						}
					}
				}
			})
		}
	}
}

func image(n int) *ir.Tensor {
	r := rand.New(rand.NewPCG(3, 3))
	v := make([]float32, n*16*16)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return ir.NewFloat32("image", []int{n, 1, 16, 16}, v)
}

// TestCompressWithTail: search, cut, tuning, file and verification.
func TestCompressWithTail(t *testing.T) {
	lib := orttest.Library(".")
	b := runtest.New(t, "fashion-tiny")
	shape := b.Model.Graph.Inputs[0].Type.Sizes()
	for _, c := range tails {
		if c.learns == "" || testing.Short() && !slices.Contains([]string{"detector with NMS", "unknown operator at the end", "TopK of probabilities", "asked for"}, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			original := filepath.Join(dir, "original.onnx")
			if err := entangle.Export(original, c.model(t, "N", shape).Raw); err != nil {
				t.Fatal(err)
			}
			m, err := entangle.Import(original)
			if err != nil {
				t.Fatal(err)
			}
			j := b.Job
			j.LearnAt, j.Out, j.Verify, j.ORTLib, j.Method = c.at, filepath.Join(dir, "small.onnx"), lib != "", lib, "uniform"
			j.Tune.Objective = net.Objective{Distill: 1, Temperature: 1}
			j.Search.Weights.Objective = j.Tune.Objective
			j.Target[0].Share = 0.7
			if c.name == "detector with NMS" {
				j.Method = "search"
			}
			p, err := entangle.Prepare(m, b.Set, j)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.HasPrefix(n, "learns at "+strings.SplitN(c.learns, ", ", 4)[0]) }) {
				t.Errorf("want a note on where it learns, got %q", p.Notes)
			}
			o, err := p.Run(context.Background(), entangle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			small, err := entangle.Import(o.File)
			if err != nil {
				t.Fatal(err)
			}
			again, err := small.Split(c.at...)
			if err != nil || again.Tail == nil || strings.Join(again.Tail.At, ", ") != c.learns {
				t.Errorf("want a subnet that learns at %s, got %v, %v", c.learns, again, err)
			}
			for k, v := range m.Raw.Graph.Outputs {
				if got := small.Raw.Graph.Outputs[k]; got.Name != v.Name || got.Type.String() != v.Type.String() {
					t.Errorf("output %d: want %s %s, got %s %s", k, v.Name, v.Type, got.Name, got.Type)
				}
			}
			if lib == "" {
				return
			}
			ran := "the whole file ran on "
			if c.foreign {
				ran = "the whole file was not run, nor does the original run there"
			}
			if !o.Verification.Pass || !strings.Contains(o.Tail, ran) || !c.foreign && o.Latency == nil {
				t.Errorf("want a file that was verified and timed, got pass %t, %q, %v", o.Verification.Pass, o.Tail, o.Latency)
			}
		})
	}
}

// TestFinetuneWithTail: a subnet learns from the original at the same tensors.
func TestFinetuneWithTail(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	c := tails[slices.IndexFunc(tails, func(c tailed) bool { return c.name == "segmenter with ArgMax" })]
	m := c.model(t, "N", b.Model.Graph.Inputs[0].Type.Sizes())
	student := *m
	student.Normal = m.Normal.Clone()
	w := *student.Normal.Graph.Init("wm")
	w.Raw = make([]byte, len(w.Raw))
	for i, x := range student.Normal.Graph.Inits {
		if x.Name == "wm" {
			student.Normal.Graph.Inits[i] = &w
		}
	}
	j := b.Job
	j.Tune.Objective = net.Objective{Distill: 1, Temperature: 1}
	j.Tune.Epochs, j.Teacher = 2, ""
	tr, err := entangle.PrepareTraining(&student, m, b.Set, j)
	if err != nil {
		t.Fatal(err)
	}
	out, _, q, err := tr.Train(context.Background(), b.Be, "finetune", entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if out.Graph.Outputs[0].Name != "mask" || !(q.Distance.Tuned.Error < q.Distance.Inherited.Error) {
		t.Errorf("want the mask for output and a smaller distance, got %q, %+v", out.Graph.Outputs[0].Name, q.Distance)
	}
}

// TestGraftKeepsBoth: an initialiser that both parts read and that changed in the head stands
// twice, and a name that a cut took gives way to the tail's own.
func TestGraftKeepsBoth(t *testing.T) {
	m, err := ir.Parse(`model { ir 8 opset _ 13 }
graph g {
  input x float32[N, 2]
  output y int64[N]
  init w float32[2, 2] = [1, 2, 3, 4]
  node a: (z) = MatMul(x, w)
  node sign: (s) = Sign(z)
  node mul: (r) = MatMul(s, w)
  node arg: (y) = ArgMax(r) axis=1 keepdims=0
}
`)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := entangle.Normalise(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := whole.Split("z")
	if err != nil {
		t.Fatal(err)
	}
	head := s.Normal.Clone()
	head.Graph.Inits[0] = ir.NewFloat32("w", []int{2, 2}, []float32{5, 6, 7, 8})
	head.Graph.Nodes[0].Outputs[0] = "s"
	head.Graph.Nodes = append(head.Graph.Nodes, &ir.Node{Name: "more", OpType: "Relu", Inputs: []string{"s"}, Outputs: []string{"z"}})
	out := s.Tail.Graft(head)
	if err := ir.Verify(out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range out.Graph.Nodes {
		got = append(got, fmt.Sprint(n.Inputs, n.Outputs))
	}
	if want := "[x w] [s.head], [s.head] [z], [z] [s], [s w.tail] [r], [r] [y]"; strings.Join(got, ", ") != want {
		t.Errorf("want %s, got %s", want, strings.Join(got, ", "))
	}
	if w, old := out.Graph.Init("w"), out.Graph.Init("w.tail"); !slices.Equal(w.Raw, head.Graph.Inits[0].Raw) || !slices.Equal(old.Raw, m.Graph.Inits[0].Raw) {
		t.Error("want the head's weights under their name and the tail's beside them")
	}
	if m := s.Tail.HeadOf(out); len(m.Graph.Nodes) != 2 || m.Graph.Outputs[0].Name != "z" || m.Graph.Init("w.tail") != nil {
		t.Errorf("want the head back, got %v", m.Graph.Nodes)
	}
}

// TestRunnableHead: what engines cannot run is left out of what they are asked to run.
func TestRunnableHead(t *testing.T) {
	for _, c := range []struct {
		name string
		head bool
	}{{"detector with NMS", true}, {"segmenter with ArgMax", false}, {"none", false}} {
		m := tails[slices.IndexFunc(tails, func(x tailed) bool { return x.name == c.name })].model(t, "N", []int{1, 1, 16, 16})
		if r := m.Runnable(); (r.Tail != nil) != c.head || len(ops.Missing(r.Normal)) > 0 {
			t.Errorf("%s: want a head alone: %t, got tail %v, missing %v", c.name, c.head, r.Tail, ops.Missing(r.Normal))
		}
	}
}

// TestTailsNameTheirNodes: sizes that head and tail both read are computed in either, by nodes
// of different names, since ONNX Runtime loads no file where two share one.
func TestTailsNameTheirNodes(t *testing.T) {
	c := tailed{text: `output best float32[N, 3]
  output rows float32[N, 3]
  input wm float32[1, 12, 1, 1]
  init zero int64[1] = [0]
  init flat int64[1] = [-1]
  init three int64[1] = [3]
  node shape: (shape) = Shape(image)
  node batch: (batch) = Gather(shape, zero) axis=0
  node to: (to) = Concat(batch, flat) axis=0
  node batch.tail: (maps) = Conv(f, wm)
  node scores: (scores) = Reshape(maps, to)
  node topk: (best, places) = TopK(scores, three)
  node wide: (wide) = Concat(batch, three) axis=0
  node expand: (which) = Expand(places, wide)
  node pick: (rows) = GatherElements(scores, which) axis=1`}
	m := c.model(t, "N", []int{1, 1, 16, 16})
	s, err := m.Split()
	if err != nil {
		t.Fatal(err)
	}
	whole, seen := s.Tail.Graft(s.Normal), map[string]bool{}
	if len(whole.Graph.Nodes) <= len(m.Raw.Graph.Nodes) {
		t.Errorf("want nodes that stand in head and tail, got\n%s", sortedNodes(whole))
	}
	for _, n := range whole.Graph.Nodes {
		if seen[n.Name] {
			t.Errorf("node %q stands twice", n.Name)
		}
		seen[n.Name] = true
	}
	rt := runtime(t)
	if rt == nil {
		t.Skip("ONNX Runtime is absent")
	}
	in := map[string]*ir.Tensor{"image": image(2)}
	want, got := orttest.Run(t, rt, m.Raw, in), orttest.Run(t, rt, whole, in)
	for name, x := range want {
		if !slices.Equal(x.Dims, got[name].Dims) || !slices.Equal(x.Raw, got[name].Raw) {
			t.Errorf("output %q differs from the original's", name)
		}
	}
}
