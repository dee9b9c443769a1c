package exporter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
)

// affine runs y = scale·x + shift, with bad overriding single elements. Its input is x,
// unless it has another name.
type affine struct {
	input        string
	scale, shift float64
	bad          map[int]float64
	runs         int
	closed       bool
}

func (a *affine) Name() string                     { return "affine" }
func (a *affine) Describe() (runtimes.Info, error) { return runtimes.Info{Name: "affine"}, nil }
func (a *affine) Close() error                     { a.closed = true; return nil }
func (a *affine) Open(runtimes.Source) (runtimes.Session, error) {
	return a, nil
}

func (a *affine) Run(in map[string]*ir.Tensor) (map[string]*ir.Tensor, error) {
	a.runs++
	t := in[cmp.Or(a.input, "x")]
	x, err := t.Float64s()
	if err != nil {
		return nil, err
	}
	for i := range x {
		x[i] = a.scale*x[i] + a.shift
		if v, ok := a.bad[i]; ok {
			x[i] = v
		}
	}
	y, err := ir.NewFloats("y", ir.Float64, t.Dims, x)
	return map[string]*ir.Tensor{"y": y}, err
}

func lineModel(in, out string) *ir.Model {
	t := ir.Type{Kind: ir.KindTensor, Elem: ir.Float64, Ranked: true, Shape: []ir.Dim{{Size: -1, Param: "batch"}, {Size: 4}}}
	return &ir.Model{Graph: &ir.Graph{Name: "line", Inputs: []ir.Value{{Name: in, Type: t}}, Outputs: []ir.Value{{Name: out, Type: t}}}}
}

func subject(a *affine) Subject {
	return Subject{Source: runtimes.Source{Model: lineModel("x", "y")}, Runtime: a}
}

func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name      string
		candidate affine
		opts      VerifyOptions
		fails     string // "": passes
		exceeding int
		nonFinite int
	}{
		{name: "equal", candidate: affine{scale: 1}},
		{name: "within tolerance", candidate: affine{scale: 1, shift: 9e-5}},
		{name: "beyond the scale", candidate: affine{scale: 1, shift: 1}, fails: `output "y": want |a−b| ≤ 1e-06 + 0.001·max(|a|, median |a|), got 8 of 8`, exceeding: 8},
		{name: "absolute tolerance exceeded", candidate: affine{scale: 1, shift: 1e-3}, opts: VerifyOptions{Tolerance: Tolerance{Abs: 5e-4}}, fails: "got 8 of 8", exceeding: 8},
		{name: "relative tolerance", candidate: affine{scale: 1.05}, opts: VerifyOptions{Tolerance: Tolerance{Rel: 0.06}}},
		{name: "one NaN", candidate: affine{scale: 1, bad: map[int]float64{5: math.NaN()}}, fails: "1 of 8", exceeding: 1, nonFinite: 1},
		{name: "infinite", candidate: affine{scale: 1, bad: map[int]float64{5: math.Inf(1)}}, fails: "1 of 8", exceeding: 1, nonFinite: 1},
		{name: "informative", candidate: affine{scale: 1, shift: 1}, opts: VerifyOptions{Informative: true}, exceeding: 8},
		{name: "agreement", candidate: affine{scale: -1}, opts: VerifyOptions{Informative: true, MinAgreement: 0.5}, fails: "top-1 agreement of 0.5 or more, got 0.0000", exceeding: 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.Batch = 2
			reference := &affine{scale: 1}
			v, err := Verify(context.Background(), subject(reference), subject(&c.candidate), c.opts)
			var mismatch *MismatchError
			switch {
			case c.fails == "" && err != nil:
				t.Fatal(err)
			case c.fails != "" && !errors.As(err, &mismatch):
				t.Fatalf("want a MismatchError, got %v", err)
			case c.fails != "" && !strings.Contains(err.Error(), c.fails):
				t.Fatalf("want %q in the error, got %q", c.fails, err)
			}
			if v.Pass != (c.fails == "") || v.Outputs[0].Exceeding != c.exceeding || v.Outputs[0].NonFinite != c.nonFinite {
				t.Fatalf("want pass %t, exceeding %d, non-finite %d, got %s", c.fails == "", c.exceeding, c.nonFinite, v)
			}
			if v.Samples != 2 || !v.Random || v.Outputs[0].Elements != 8 || v.Outputs[0].Top1.Rows != 2 {
				t.Fatalf("want 2 random samples of 4 elements, got %s", v)
			}
			if !json.Valid([]byte(v.String())) {
				t.Fatalf("want JSON, got %s", v)
			}
			if !reference.closed || !c.candidate.closed {
				t.Fatal("want both sessions closed")
			}
		})
	}
}

func TestVerifySameNonFinite(t *testing.T) {
	bad := map[int]float64{0: math.NaN(), 1: math.Inf(-1)}
	v, err := Verify(context.Background(), subject(&affine{scale: 1, bad: bad}), subject(&affine{scale: 1, bad: bad}), VerifyOptions{})
	if err != nil || v.Outputs[0].NonFinite != 0 {
		t.Fatalf("want equal non-finite elements to pass, got %v %v", v, err)
	}
}

func TestVerifyGivenInputs(t *testing.T) {
	x, err := ir.NewFloats("x", ir.Float64, []int{3, 4}, make([]float64, 12))
	if err != nil {
		t.Fatal(err)
	}
	v, err := Verify(context.Background(), subject(&affine{}), subject(&affine{}), VerifyOptions{Inputs: each([]Feed{{"x": x}, {"x": x}}, nil)})
	if err != nil || v.Random || v.Batches != 2 || v.Samples != 6 {
		t.Fatalf("want 2 given batches of 3, got %v %v", v, err)
	}
}

// TestVerifyOtherInputNames: with inputs for each side, only outputs must have the same
// names; runs are timed on inputs of each side's own, of one size.
func TestVerifyOtherInputNames(t *testing.T) {
	x, err := ir.NewFloats("x", ir.Float64, []int{3, 4}, make([]float64, 12))
	if err != nil {
		t.Fatal(err)
	}
	inputs := func(yield func([2]Feed, error) bool) { yield([2]Feed{{"x": x}, {"z": x}}, nil) }
	b := Subject{Source: runtimes.Source{Model: lineModel("z", "y")}, Runtime: &affine{input: "z"}}
	o := VerifyOptions{Inputs: inputs, Latency: LatencyOptions{Batch: 2, Runs: 1}}
	v, err := Verify(context.Background(), subject(&affine{}), b, o)
	if err != nil || v.Samples != 3 || v.Latency.Batch != 2 {
		t.Fatalf("want 3 samples and runs of 2, got %v %v", v, err)
	}
	b.Source.Model.Graph.Inputs[0].Type.Shape[0] = ir.Dim{Size: 4}
	if _, err := Verify(context.Background(), subject(&affine{}), b, o); err == nil || !strings.Contains(err.Error(), "want runs of 2 samples on both sides, got 3") {
		t.Errorf("runs of different sizes: got %v", err)
	}
}

func TestVerifyNoInputs(t *testing.T) {
	if _, err := Verify(context.Background(), subject(&affine{}), subject(&affine{}), VerifyOptions{Inputs: each(nil, nil)}); err == nil {
		t.Fatal("want an error without a single batch")
	}
	broken := func(yield func([2]Feed, error) bool) { yield([2]Feed{}, errors.New("disk")) }
	if _, err := Verify(context.Background(), subject(&affine{}), subject(&affine{}), VerifyOptions{Inputs: broken}); err == nil || err.Error() != "disk" {
		t.Fatalf("want the feed's own error, got %v", err)
	}
}

func TestVerifyNames(t *testing.T) {
	a := subject(&affine{})
	for _, c := range []struct{ in, out, want string }{
		{"z", "y", `verify: inputs: want ["x"], got ["z"]`},
		{"x", "z", `verify: outputs: want ["y"], got ["z"]`},
	} {
		b := Subject{Source: runtimes.Source{Model: lineModel(c.in, c.out)}, Runtime: &affine{}}
		if _, err := Verify(context.Background(), a, b, VerifyOptions{}); err == nil || err.Error() != c.want {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}

func TestVerifyLatency(t *testing.T) {
	a, b := &affine{scale: 1}, &affine{scale: 1}
	v, err := Verify(context.Background(), subject(a), subject(b), VerifyOptions{Latency: LatencyOptions{Batch: 5, Warmup: 2, Runs: 4}})
	if err != nil {
		t.Fatal(err)
	}
	if l := v.Latency; l.Batch != 5 || l.Runs != 4 || l.Warmup != 2 || l.Reference.Median < l.Reference.Min || l.Reference.P90 < l.Reference.Median {
		t.Fatalf("want ordered quantiles of 4 runs at batch 5, got %+v", l)
	}
	if a.runs != 7 || b.runs != 7 {
		t.Fatalf("want 1 + 2 + 4 runs of each side, got %d and %d", a.runs, b.runs)
	}
}

func TestVerifyCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Verify(ctx, subject(&affine{}), subject(&affine{}), VerifyOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("want context.Canceled, got %v", err)
	}
}

func TestRandomInputs(t *testing.T) {
	g := lineModel("x", "y").Graph
	a, err := RandomInputs(g, VerifyOptions{Seed: 7, Batch: 3, Cases: 2})
	if err != nil {
		t.Fatal(err)
	}
	b, err := RandomInputs(g, VerifyOptions{Seed: 7, Batch: 3, Cases: 2})
	if err != nil {
		t.Fatal(err)
	}
	if string(a[1]["x"].Raw) != string(b[1]["x"].Raw) || string(a[0]["x"].Raw) == string(a[1]["x"].Raw) {
		t.Fatal("want equal inputs of equal seeds and different cases")
	}
	g.Inputs[0].Type.Shape[1] = ir.Dim{Size: -1, Param: "width"}
	if _, err := RandomInputs(g, VerifyOptions{}); err == nil || !strings.Contains(err.Error(), "--dim width=N") {
		t.Fatalf("want an error that asks for --dim width=N, got %v", err)
	}
	c, err := RandomInputs(g, VerifyOptions{Dims: map[string]int{"width": 6}})
	if err != nil || c[0]["x"].Dims[1] != 6 || c[0]["x"].Dims[0] != 1 {
		t.Fatalf("want dims [1 6], got %v %v", c, err)
	}
	g.Inputs[0].Type.Shape[1] = ir.Dim{Size: 1 << 40}
	if _, err := RandomInputs(g, VerifyOptions{}); err == nil {
		t.Fatal("want an error for an input of 8 TiB")
	}
}

func TestSummary(t *testing.T) {
	l := summary([]time.Duration{4e6, 1e6, 3e6, 2e6})
	if l.Median != 2.5 || l.Min != 1 || l.P90 != 4 {
		t.Fatalf("want median 2.5, min 1, p90 4, got %+v", l)
	}
}
