package entangle_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// decoder is an attention of 4 heads of width 2 over tokens of 12, with keys and values of
// earlier calls.
func decoder(t *testing.T) *ir.Model {
	t.Helper()
	r := rand.New(rand.NewPCG(8, 9))
	g := &ir.Graph{Name: "decoder"}
	weight := func(name string, dims ...int) {
		v := make([]float32, ir.Prod(dims))
		for i := range v {
			v[i] = float32(r.NormFloat64() * 0.5)
		}
		g.Inits = append(g.Inits, ir.NewFloat32(name, dims, v))
	}
	ints := func(name string, v ...int64) { g.Inits = append(g.Inits, ir.NewInt64(name, []int{len(v)}, v)) }
	node := func(op, out string, in []string, attrs ...ir.Attr) {
		g.Nodes = append(g.Nodes, &ir.Node{Name: out, OpType: op, Inputs: in, Outputs: []string{out}, Attrs: attrs})
	}
	open := func(elem ir.DType, dims ...any) ir.Type {
		x := ir.Type{Kind: ir.KindTensor, Elem: elem, Ranked: true}
		for _, d := range dims {
			if n, ok := d.(int); ok {
				x.Shape = append(x.Shape, ir.Dim{Size: n})
			} else {
				x.Shape = append(x.Shape, ir.Dim{Size: -1, Param: d.(string)})
			}
		}
		return x
	}
	g.Inputs = []ir.Value{{Name: "input_ids", Type: open(ir.Int64, "batch", "seq")}}
	weight("table", 12, 8)
	ints("split", 0, 0, 4, 2)
	ints("join", 0, 0, 8)
	node("Gather", "x", []string{"table", "input_ids"})
	for _, p := range []string{"q", "k", "v"} {
		weight("w"+p, 8, 8)
		node("MatMul", p+"0", []string{"x", "w" + p})
		node("Reshape", p+"1", []string{p + "0", "split"})
		node("Transpose", p+"2", []string{p + "1"}, ir.IntsAttr("perm", 0, 2, 1, 3))
	}
	for _, p := range []string{"k", "v"} {
		cache := open(ir.Float32, "batch", 4, "before", 2)
		g.Inputs = append(g.Inputs, ir.Value{Name: "past." + p, Type: cache})
		node("Concat", "present."+p, []string{"past." + p, p + "2"}, ir.IntAttr("axis", -2))
		g.Outputs = append(g.Outputs, ir.Value{Name: "present." + p, Type: open(ir.Float32, "batch", 4, "all", 2)})
	}
	weight("wo", 8, 8)
	weight("head", 8, 12)
	node("Transpose", "turned", []string{"present.k"}, ir.IntsAttr("perm", 0, 1, 3, 2))
	node("MatMul", "scores", []string{"q2", "turned"})
	node("Softmax", "weights", []string{"scores"}, ir.IntAttr("axis", -1))
	node("MatMul", "mix", []string{"weights", "present.v"})
	node("Transpose", "back", []string{"mix"}, ir.IntsAttr("perm", 0, 2, 1, 3))
	node("Reshape", "joined", []string{"back", "join"})
	node("MatMul", "out", []string{"joined", "wo"})
	node("Add", "sum", []string{"x", "out"})
	node("MatMul", "logits", []string{"sum", "head"})
	g.Outputs = append([]ir.Value{{Name: "logits", Type: open(ir.Float32, "batch", "seq", 12)}}, g.Outputs...)
	m := &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: g}
	if err := ir.Verify(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// pastSet writes samples of tokens with a past of that length, and opens them.
func pastSet(t *testing.T, past int) *data.Set {
	t.Helper()
	const samples = 64
	r := rand.New(rand.NewPCG(1, 2))
	ids, cache := make([]int64, samples*3), make([]float32, samples*4*past*2)
	for i := range ids {
		ids[i] = r.Int64N(12)
	}
	for i := range cache {
		cache[i] = float32(r.NormFloat64())
	}
	var b bytes.Buffer
	shape := []int{samples, 4, past, 2}
	err := data.WriteNPZ(&b, []data.Array{{Name: "input_ids", Shape: []int{samples, 3}, Data: ids}, {Name: "past.k", Shape: shape, Data: cache}, {Name: "past.v", Shape: shape, Data: cache}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "past.npz")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	set, err := data.Open("npz:"+path, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestCompressDecoderWithCache: of one data set, the original takes all heads of the past and
// the smaller model those that it kept; an empty past is one; a stream of tokens has none. The
// caches of both are compared.
func TestCompressDecoderWithCache(t *testing.T) {
	ctx, be := context.Background(), cpu.New(cpu.Options{Threads: 2})
	m := decoder(t)
	stream, err := data.Open("lm:"+nettest.Chain(t), data.Options{Seq: 5, Limit: 64})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		set  *data.Set
	}{{"past", pastSet(t, 2)}, {"empty past", pastSet(t, 0)}, {"stream", stream}} {
		t.Run(c.name, func(t *testing.T) {
			j := entangle.DefaultJob()
			j.Data.Batch, j.Seed, j.Space.Options = 8, 3, space.Options{Divisor: 1, MinRatio: 0.25, Kinds: []string{"width"}, Elastic: []string{"q0", "k0", "v0"}}
			j.Target = entangle.Targets{{Metric: space.MACs, Share: 0.8}}
			j.Method, j.Space.Order = "uniform", "taylor"
			j.Tune = nettest.Adam(1, 0.003)
			j.Tune.Objective = net.Objective{Distill: 1, Temperature: 2}
			j.Search.Weights.Objective = j.Tune.Objective
			p, err := entangle.Prepare(runtest.Wrap(m), c.set, j)
			if err != nil {
				t.Fatal(err)
			}
			o, err := p.Compress(ctx, be, entangle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			small := o.Candidates[0].Model
			heads := small.Graph.Inputs[1].Type.Shape[1].Size
			if heads >= 4 || heads < 1 {
				t.Fatalf("want some of 4 heads, got %d", heads)
			}
			compareCaches(t, m, small, heads)
		})
	}
}

// compareCaches runs both models on one feed and wants every output compared on the heads
// that stay.
func compareCaches(t *testing.T, m, small *ir.Model, heads int) {
	t.Helper()
	rt := native.New(cpu.New(cpu.Options{Threads: 2}), native.Options{Float: prim.F32, Threads: 2})
	side := func(m *ir.Model) exporter.Subject {
		return exporter.Subject{Source: runtimes.Source{Model: m}, Runtime: rt}
	}
	o := exporter.VerifyOptions{Batch: 2, Dims: map[string]int{"seq": 3, "before": 2}, Informative: true}
	if _, err := exporter.Verify(context.Background(), side(m), side(small), o); err == nil {
		t.Error("caches of other sizes were fed without a word of what is kept")
	}
	o.Part = ops.PartOf(m, small)
	v, err := exporter.Verify(context.Background(), side(m), side(small), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range v.Outputs {
		if strings.HasPrefix(out.Name, "present") && out.Elements != 2*heads*5*2 {
			t.Errorf("%s: want %d elements of %d heads compared, got %d", out.Name, 2*heads*5*2, heads, out.Elements)
		}
		if math.IsNaN(out.MaxAbs) {
			t.Errorf("%s: %+v", out.Name, out)
		}
	}
}

// TestCutDecoderTakesItsHeads: the past that a cut decoder takes of the source's is that of
// the heads that it kept, whichever they are, and so for a decoder that is cut again.
func TestCutDecoderTakesItsHeads(t *testing.T) {
	m := decoder(t)
	first := ops.Positions{nil, {0, 2, 3}, nil, nil}
	again := ops.Positions{nil, {1, 2}, nil, nil}
	cut := func(from *ir.Model, keep ops.Positions) *ir.Model {
		out := from.Clone()
		f := &ops.Facts{Values: map[string]ops.Fact{"past.k": {Type: ir.TensorType(ir.Float32, 2, from.Graph.Inputs[1].Type.Shape[1].Size, 2, 2)}}}
		out.Graph.Inputs[1].Type.Shape[1].Size = len(keep[1])
		if err := ops.NoteCuts(out, from, f, map[string]ops.Positions{"past.k": keep}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	a := cut(m, first)
	b := cut(a, again)
	data := make([]float32, 4*2)
	for i := range data {
		data[i] = float32(i / 2)
	}
	for _, c := range []struct {
		name     string
		from, to *ir.Model
		whole    int
		want     []int
	}{{"once", m, a, 4, []int{0, 2, 3}}, {"twice", m, b, 4, []int{2, 3}}, {"from the cut", a, b, 3, []int{1, 2}}, {"nothing", m, m, 4, []int{0, 1, 2, 3}}} {
		x, err := ops.PartOf(c.from, c.to)(ir.NewFloat32("past.k", []int{1, c.whole, 1, 2}, data[:2*c.whole]))
		if err != nil {
			t.Fatal(err)
		}
		v, err := x.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for i := 0; i < len(v); i += 2 {
			got = append(got, int(v[i]))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: want heads %v, got %v", c.name, c.want, got)
		}
	}
	for i := range b.Meta {
		b.Meta[i].Value = strings.ReplaceAll(b.Meta[i].Value, "2,3", "2,9")
	}
	if v := ops.CutValues(b); len(v) != 0 {
		t.Errorf("positions that the source does not have: want none, got %v", v)
	}
}
