package models_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
)

// batch draws an input of two samples: normal floats; of integers, masks that end
// early in the second sample, types 0 and 1, token numbers below 40.
func batch(m *ir.Model) map[string]*ir.Tensor {
	out := map[string]*ir.Tensor{}
	for _, name := range runtimes.FeedNames(m.Graph) {
		for _, v := range m.Graph.Inputs {
			if v.Name != name {
				continue
			}
			dims := v.Type.Sizes()
			for i, d := range dims {
				if d < 0 {
					dims[i] = 2
				}
			}
			s := rng.New(5, "test/"+name)
			if v.Type.Elem == ir.Int64 {
				out[name] = ir.NewInt64(name, dims, ints(name, ir.Prod(dims), s))
				continue
			}
			data := make([]float32, ir.Prod(dims))
			for i := range data {
				data[i] = float32(s.NormFloat64())
			}
			out[name] = ir.NewFloat32(name, dims, data)
		}
	}
	return out
}

func ints(name string, count int, s *rng.Stream) []int64 {
	out := make([]int64, count)
	for i := range out {
		switch name {
		case "attention_mask":
			if out[i] = 1; i >= count-2 {
				out[i] = 0
			}
		case "token_type_ids":
			out[i] = int64(s.IntN(2))
		default:
			out[i] = int64(s.IntN(40))
		}
	}
	return out
}

// apart returns the greatest difference between two tensors over the greater of 1 and
// the greatest element of want, infinity when dims differ or an element is no number.
func apart(t *testing.T, want, got *ir.Tensor) float64 {
	t.Helper()
	if got == nil || fmt.Sprint(want.Dims) != fmt.Sprint(got.Dims) {
		return math.Inf(1)
	}
	a, err := want.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	b, err := got.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	scale, worst := 1.0, 0.0
	for i := range a {
		d := math.Abs(a[i] - b[i])
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst, scale = max(worst, d), max(scale, math.Abs(a[i]))
	}
	return worst / scale
}

// TestRunsOnORT runs every network on ONNX Runtime and checks declared against computed sizes.
func TestRunsOnORT(t *testing.T) {
	rt := orttest.Open(t)
	for _, e := range append(every(), models.TinyTransformers()...) {
		t.Run(e.Name, func(t *testing.T) {
			m := build(t, e)
			out := orttest.Run(t, rt, m, batch(m))
			for _, o := range m.Graph.Outputs {
				want := o.Type.Sizes()
				want[0] = 2
				got := out[o.Name]
				if got == nil || fmt.Sprint(got.Dims) != fmt.Sprint(want) {
					t.Fatalf("output %q: want sizes %v, got %v", o.Name, want, got)
				}
				v, err := got.Float64s()
				if err != nil {
					t.Fatal(err)
				}
				lo, hi := math.Inf(1), math.Inf(-1)
				for _, x := range v {
					lo, hi = min(lo, x), max(hi, x)
				}
				if !(hi > lo) || hi > 1e3 || lo < -1e3 {
					t.Errorf("output %q: want values that differ and stay within ±1000, got %g to %g", o.Name, lo, hi)
				}
			}
		})
	}
}

// fixtureCase is one entry of fixtures/cases.json: PyTorch's output for the
// input whose element i is sin(i).
type fixtureCase struct {
	Input       string
	Shape       []int
	Output      string
	OutputShape []int   `json:"output_shape"`
	Tolerance   float64 // of a runtime that computes in the file's own types
	Values      []float32
}

func (c fixtureCase) in() map[string]*ir.Tensor {
	data := make([]float32, ir.Prod(c.Shape))
	for i := range data {
		data[i] = float32(math.Sin(float64(i)))
	}
	return map[string]*ir.Tensor{c.Input: ir.NewFloat32(c.Input, c.Shape, data)}
}

func (c fixtureCase) want() *ir.Tensor { return ir.NewFloat32(c.Output, c.OutputShape, c.Values) }

// eachFixture reads every fixture that has a case in cases.json.
func eachFixture(t *testing.T, do func(t *testing.T, m *ir.Model, c fixtureCase)) {
	raw, err := os.ReadFile("fixtures/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]fixtureCase{}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("fixtures/*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, path := range files {
		c, ok := cases[filepath.Base(path)]
		if !ok {
			continue
		}
		ran++
		t.Run(filepath.Base(path), func(t *testing.T) {
			m, err := importer.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			do(t, m, c)
		})
	}
	if ran != len(cases) || ran == 0 {
		t.Errorf("cases.json: want a file for each of %d cases, got %d", len(cases), ran)
	}
}

func TestFixturesOnORT(t *testing.T) {
	rt := orttest.Open(t)
	eachFixture(t, func(t *testing.T, m *ir.Model, c fixtureCase) {
		if d := apart(t, c.want(), orttest.Run(t, rt, m, c.in())[c.Output]); d > c.Tolerance {
			t.Errorf("output %q: want PyTorch's values within %g, got a difference of %g", c.Output, c.Tolerance, d)
		}
	})
}
