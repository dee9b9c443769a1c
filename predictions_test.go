package entangle_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
)

// patched is a set of images [3, 16, 16] of noise with one bright patch: of a colour, at a
// place, of a size. Labels say one of these.
func patched(t *testing.T, label string) *data.Set {
	t.Helper()
	dir := t.TempDir()
	for part, x := range map[string]struct {
		seed uint64
		n    int
	}{"train": {1, 320}, "test": {2, 160}} {
		r := rand.New(rand.NewPCG(x.seed, 7))
		image := make([]float32, x.n*3*16*16)
		var whole []int64
		var numbers []float32
		for i := range x.n {
			pixels := image[i*3*256:][:3*256]
			for k := range pixels {
				pixels[k] = float32(0.3 * r.NormFloat64())
			}
			size, colour := 3+r.IntN(6), r.IntN(3)
			left, top := r.IntN(17-size), r.IntN(17-size)
			for y := top; y < top+size; y++ {
				for x := left; x < left+size; x++ {
					pixels[colour*256+y*16+x] += 1.5
				}
			}
			inside := func(x, y int) bool { return x >= left && x < left+size && y >= top && y < top+size }
			switch label {
			case "place":
				numbers = append(numbers, float32(left)+float32(size)/2, float32(top)+float32(size)/2)
			case "area":
				numbers = append(numbers, float32(size*size))
			case "colour":
				whole = append(whole, int64(colour))
			case "red":
				whole = append(whole, bit(colour == 0))
			case "corners":
				for k := range 4 {
					near := bit(inside(5+5*(k%2), 5+5*(k/2)))
					whole = append(whole, near)
				}
			case "mask":
				for k := range 64 {
					whole = append(whole, int64(1+colour)*bit(inside(2*(k%8)+1, 2*(k/8)+1)))
				}
			}
		}
		labels := data.Array{Name: "labels", Data: whole, Shape: map[string][]int{"colour": {x.n}, "red": {x.n}, "corners": {x.n, 4}, "mask": {x.n, 8, 8}}[label]}
		if numbers != nil {
			labels.Data, labels.Shape = numbers, map[string][]int{"place": {x.n, 2}, "area": {x.n}}[label]
		}
		var b bytes.Buffer
		if err := data.WriteNPZ(&b, []data.Array{{Name: "image", Shape: []int{x.n, 3, 16, 16}, Data: image}, labels}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, part+".npz"), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	set, err := data.Open("npz:"+dir, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func bit(v bool) int64 {
	if v {
		return 1
	}
	return 0
}

// floating puts a Cast to float32 behind an only output of integers.
func floating(m *ir.Model) {
	g := m.Graph
	n := &ir.Node{Name: "cast", OpType: "Cast", Inputs: []string{g.Outputs[0].Name}, Outputs: []string{"floats"}}
	n.SetAttr(ir.IntAttr("to", int(ir.Float32)))
	g.Nodes = append(g.Nodes, n)
	g.Outputs[0].Name, g.Outputs[0].Type.Elem = "floats", ir.Float32
}

var mapped = func(n *models.Net, x models.Val) { n.Output("maps", pointwise(n, "last", x, 4)) }
var classesOf = func(n *models.Net, x models.Val) { n.Output("classes of", linear(n, "fc", x, 3)) }

// deciding are heads whose only output is class numbers.
var deciding = []struct {
	head
	labels, kept string // kept: where it learns
}{
	{head{"mask", mapped, nil, largest(1, 0)}, "mask", "maps"},
	{head{"mask with an axis", mapped, nil, largest(1, 1)}, "mask", "maps"},
	{head{"mask as floats", mapped, nil, func(m *ir.Model) { largest(1, 0)(m); floating(m) }}, "mask", "maps"},
	{head{"softmax before", func(n *models.Net, x models.Val) {
		z := pointwise(n, "last", x, 4)
		n.Output("maps", n.Node("Softmax", "softmax", []models.Val{z}, z.Shape, ir.IntAttr("axis", 1)))
	}, nil, largest(1, 0)}, "mask", "maps"},
	{head{"class", classesOf, nil, largest(1, 0)}, "colour", "classes of"},
}

// TestPredictions: class numbers are scored by themselves, on every runtime, as the values that
// they are the largest of; and labels teach those.
func TestPredictions(t *testing.T) {
	for _, c := range deciding {
		t.Run(c.name, func(t *testing.T) {
			set := patched(t, c.labels)
			m, err := entangle.Normalise(c.network(t))
			if err != nil {
				t.Fatal(err)
			}
			out, err := net.ScoredOn(m.Normal, set, nil)
			if err != nil || out.Kind != measure.Predictions || out.Name != m.Normal.Graph.Outputs[0].Name {
				t.Fatalf("want predictions of the only output, got %+v, %v", out, err)
			}
			s, err := m.Split()
			if err != nil {
				t.Fatal(err)
			}
			n, err := net.NewNetworkOn(s.Normal, 32, set, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Means(s.Means(nil)); err != nil {
				t.Fatal(err)
			}
			if x, ok := n.Target(); !ok || x.Output != c.kept || !x.Kind.Distributes() {
				t.Fatalf("want labels to teach %q, got %+v", c.kept, n.Outputs)
			}
			be := cpu.New(cpu.Options{Threads: 1})
			want, err := net.Evaluate(t.Context(), be, n, set.Part("test").All())
			if err != nil {
				t.Fatal(err)
			}
			rts := []runtimes.Runtime{native.New(be, native.Options{Float: prim.F32})}
			if path := orttest.Library("."); path != "" {
				rts = append(rts, ort.New(ort.Options{Library: path}))
			}
			body, err := exporter.Encode(m.Normal)
			if err != nil {
				t.Fatal(err)
			}
			for _, rt := range rts {
				src := runtimes.Source{Data: body, Model: m.Normal}
				f, err := entangle.NewFeeder(set.Part("test").All(), 32, src)
				if err != nil {
					t.Fatal(err)
				}
				got, err := exporter.MeasureQuality(t.Context(), exporter.Subject{Source: src, Runtime: rt}, out, f.Labelled())
				if err != nil {
					t.Fatalf("%s: %v", rt.Name(), err)
				}
				a, b := got.Figure(), want.Figure()
				if got.Correct != want.Correct || a.Name != b.Name || a.Value != b.Value || got.Samples != 160 || got.Loss != 0 {
					t.Errorf("%s: want %s %s, %d correct, no loss, got %s %s, %d, %g", rt.Name(), b.Name, b, want.Correct, a.Name, a, got.Correct, got.Loss)
				}
			}
		})
	}
}

// TestPredictionsMeet: labels of another size are refused by name.
func TestPredictionsMeet(t *testing.T) {
	m, err := entangle.Normalise(deciding[0].network(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := net.ScoredOn(m.Normal, patched(t, "corners"), nil); err == nil || !strings.Contains(err.Error(), "want an output that integers of shape [4] a sample are for") {
		t.Errorf("want a refusal, got %v", err)
	}
}
