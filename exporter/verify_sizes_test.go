package exporter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
)

// TestTolerance: what cancels to a small element may differ as the others do, and a few large
// elements do not loosen the rule for the rest.
func TestTolerance(t *testing.T) {
	for _, c := range []struct {
		name      string
		a, b      []float64
		exceeding int
	}{
		{"an element that cancels", []float64{1, -2, 1e-6, 3}, []float64{1, -2, 5e-4, 3}, 0},
		{"beyond the scale", []float64{1, -2, 1e-6, 3}, []float64{1, -2, 5e-3, 3}, 1},
		{"a filled mask", []float64{1, -2, 0.1, 3, -1e9}, []float64{1, -2, 0.2, 3, -1e9}, 1},
		{"mostly zeros", []float64{0, 0, 0, 0, 1}, []float64{5e-4, 0, 0, 0, 1}, 0},
		{"small outputs", []float64{1e-3, 2e-3, 3e-3}, []float64{1e-3, 2.1e-3, 3e-3}, 1},
		{"only zeros", []float64{0, 0}, []float64{0, 1e-5}, 1},
	} {
		r := &OutputReport{}
		r.add(c.a, c.b, ToleranceOf())
		if r.Exceeding != c.exceeding {
			t.Errorf("%s: want %d elements beyond the tolerance, got %+v", c.name, c.exceeding, r)
		}
	}
}

// TestToleranceOf: the coarsest floats of a graph say what is held.
func TestToleranceOf(t *testing.T) {
	float, half := &ir.Graph{}, &ir.Graph{Inits: []*ir.Tensor{{DType: ir.Float16}}}
	brain := &ir.Graph{Nodes: []*ir.Node{{OpType: "Cast", Attrs: []ir.Attr{ir.IntAttr("to", int(ir.BFloat16))}}}}
	a, b, c := ToleranceOf(float), ToleranceOf(float, half), ToleranceOf(half, brain)
	if !(a.Rel < b.Rel && b.Rel < c.Rel && ToleranceOf(brain, half) == c) {
		t.Errorf("want tolerances that rise with the size of a rounding step, got %v, %v, %v", a, b, c)
	}
}

// TestIntegers: those of 8 bits may differ by a step of quantised numbers, others not at all.
func TestIntegers(t *testing.T) {
	for dt, want := range map[ir.DType]int{ir.Uint8: 0, ir.Int8: 0, ir.Int64: 1, ir.Bool: 1} {
		c := newComparison(&ir.Graph{Outputs: []ir.Value{{Name: "y"}}}, nil, ToleranceOf(), false)
		side := func(v ...int64) map[string]*ir.Tensor {
			x, err := ir.NewInts("y", dt, []int{len(v)}, v)
			if err != nil {
				t.Fatal(err)
			}
			return map[string]*ir.Tensor{"y": x}
		}
		if err := c.add(side(1, 1, 1), side(1, 0, 1)); err != nil || c.outputs[0].Exceeding != want {
			t.Errorf("%s: want %d elements that differ, got %d, %v", dt, want, c.outputs[0].Exceeding, err)
		}
	}
}

// grown is a runtime that gives its input back, when the lengths suit it.
type grown struct {
	affine
	refuses func(dims []int) bool
	seen    [][]int
}

func (g *grown) Open(runtimes.Source) (runtimes.Session, error) { return g, nil }

func (g *grown) Run(in map[string]*ir.Tensor) (map[string]*ir.Tensor, error) {
	x := in["x"]
	if g.refuses != nil && g.refuses(x.Dims) {
		return nil, fmt.Errorf("not at %v", x.Dims)
	}
	g.seen = append(g.seen, x.Dims)
	y := *x
	y.Name = "y"
	return map[string]*ir.Tensor{"y": &y}, nil
}

// stretched is a model of a batch and a length.
func stretched(batch, length ir.Dim) *ir.Model {
	t := ir.Type{Kind: ir.KindTensor, Elem: ir.Float64, Ranked: true, Shape: []ir.Dim{batch, length}}
	return &ir.Model{Graph: &ir.Graph{Name: "line", Inputs: []ir.Value{{Name: "x", Type: t}}, Outputs: []ir.Value{{Name: "y", Type: t}}}}
}

func TestOtherSizes(t *testing.T) {
	open := func(name string) ir.Dim { return ir.Dim{Size: -1, Param: name} }
	odd := func(d []int) bool { return d[1]%2 != 0 }
	small := func(d []int) bool { return d[1] < 6 }
	never := func(d []int) bool { return d[1] != 6 }
	one := func(d []int) bool { return d[0] == 2 }
	for _, c := range []struct {
		name               string
		batch, length      ir.Dim
		reference, refuses func([]int) bool // of the candidate
		original           func([]int) bool
		sizes, skipped     []string
		fails              string
	}{
		{name: "both", batch: open("N"), length: open("L"), sizes: []string{"batch 2", "L 3"}},
		{name: "no names", batch: ir.Dim{Size: -1}, length: ir.Dim{Size: -1}, sizes: []string{"batch 2", "x:1 3"}},
		{name: "fixed batch", batch: ir.Dim{Size: 3}, length: open("L"), sizes: []string{"L 3"}},
		{name: "fixed length", batch: open("N"), length: ir.Dim{Size: 6}, sizes: []string{"batch 2"}},
		{name: "twice where not half", batch: ir.Dim{Size: 3}, length: open("L"), reference: odd, sizes: []string{"L 12"}},
		{name: "no other length", batch: ir.Dim{Size: 3}, length: open("L"), reference: never, skipped: []string{"L 3: "}},
		{name: "a candidate that needs more", batch: ir.Dim{Size: 3}, length: open("L"), refuses: small, sizes: []string{"L 12"}},
		{name: "a candidate of one batch", batch: open("N"), length: ir.Dim{Size: 6}, refuses: one, fails: "batch 2: the candidate does not run: verify: not at [2 6]"},
		{name: "whose original has it too", batch: open("N"), length: ir.Dim{Size: 6}, refuses: one, original: one, skipped: []string{"batch 2: "}},
		{name: "whose original has it not", batch: open("N"), length: ir.Dim{Size: 6}, refuses: one, original: odd, fails: "batch 2: the candidate does not run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := stretched(c.batch, c.length)
			side := func(refuses func([]int) bool) Subject {
				return Subject{Source: runtimes.Source{Model: m}, Runtime: &grown{refuses: refuses}}
			}
			x, err := ir.NewFloats("x", ir.Float64, []int{3, 6}, slices.Repeat([]float64{1, 2, 3, 4, 5, 6}, 3))
			if err != nil {
				t.Fatal(err)
			}
			o := VerifyOptions{Inputs: each([]Feed{{"x": x}}, nil), Sizes: true}
			if c.original != nil {
				original := side(c.original)
				original.Source.Model = stretched(c.batch, c.length)
				o.Original = &original
			}
			v, err := Verify(context.Background(), side(c.reference), side(c.refuses), o)
			var mismatch *MismatchError
			if errors.As(err, &mismatch) {
				v = mismatch.Result
			}
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Fatalf("want a failure with %q, got %v", c.fails, err)
			}
			if !slices.Equal(v.Sizes, c.sizes) || len(v.Skipped) != len(c.skipped) {
				t.Errorf("want sizes %q, left out %q, got %q and %q", c.sizes, c.skipped, v.Sizes, v.Skipped)
			}
			for i, s := range c.skipped {
				if !strings.HasPrefix(v.Skipped[i], s) {
					t.Errorf("want %q left out, got %q", s, v.Skipped[i])
				}
			}
		})
	}
}

// TestAlong: axes take their first positions, and begin again behind the last.
func TestAlong(t *testing.T) {
	x := ir.NewInt64("x", []int{2, 3}, []int64{1, 2, 3, 4, 5, 6})
	for _, c := range []struct {
		axis, n int
		want    []int64
	}{{0, 1, []int64{1, 2, 3}}, {1, 2, []int64{1, 2, 4, 5}}, {0, 3, []int64{1, 2, 3, 4, 5, 6, 1, 2, 3}}, {1, 4, []int64{1, 2, 3, 1, 4, 5, 6, 4}}} {
		got, err := along(x, c.axis, c.n).Int64s()
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("axis %d, %d positions: want %v, got %v, %v", c.axis, c.n, c.want, got, err)
		}
	}
}

// stuck is a runtime whose runs never end while the test goes on.
type stuck struct {
	affine
	started, end chan struct{}
}

func (s *stuck) Open(runtimes.Source) (runtimes.Session, error) { return s, nil }
func (s *stuck) Run(map[string]*ir.Tensor) (map[string]*ir.Tensor, error) {
	s.started <- struct{}{}
	<-s.end
	return nil, errors.New("over")
}

// ending is a runtime without a limit.
type ending struct{ affine }

func (e *ending) Ends() {}

// TestLimit: a run without an answer ends with the limit, or with the context, and its session
// stays open under it.
func TestLimit(t *testing.T) {
	hung := &stuck{started: make(chan struct{}, 2), end: make(chan struct{})}
	defer close(hung.end)
	s := Subject{Source: runtimes.Source{Path: "m.onnx", Model: lineModel("x", "y")}, Runtime: hung}
	reference := subject(nil)
	reference.Runtime = &ending{affine{scale: 1}}
	var limit *LimitError
	if _, err := Verify(context.Background(), reference, s, VerifyOptions{Limit: time.Second}); !errors.As(err, &limit) || hung.closed {
		t.Errorf("want a LimitError and an open session, got %v, closed %t", err, hung.closed)
	}
	<-hung.started
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-hung.started
		cancel()
	}()
	if _, err := Verify(ctx, reference, s, VerifyOptions{Limit: time.Duration(math.MaxInt64)}); !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
}

// TestRandomKinds: what integers an input takes follows from what reads it.
func TestRandomKinds(t *testing.T) {
	typ := func(elem ir.DType) ir.Type {
		return ir.Type{Kind: ir.KindTensor, Elem: elem, Ranked: true, Shape: []ir.Dim{{Size: -1}, {Size: 500}}}
	}
	node := func(op, out string, in ...string) *ir.Node {
		return &ir.Node{OpType: op, Inputs: in, Outputs: []string{out}}
	}
	g := &ir.Graph{
		Inputs: []ir.Value{{Name: "ids", Type: typ(ir.Int64)}, {Name: "kinds", Type: typ(ir.Int32)}, {Name: "seen", Type: typ(ir.Int64)}, {Name: "attention_mask", Type: typ(ir.Float32)},
			{Name: "pixels", Type: typ(ir.Uint8)}, {Name: "flag", Type: typ(ir.Bool)}, {Name: "count", Type: typ(ir.Int64)}},
		Inits: []*ir.Tensor{ir.NewFloat32("words", []int{300, 2}, make([]float32, 600)), ir.NewFloat32("few", []int{4, 2}, make([]float32, 8))},
		Nodes: []*ir.Node{
			node("Cast", "wide", "words"), node("Gather", "e", "wide", "ids"), node("Unsqueeze", "k", "kinds"), node("Gather", "f", "few", "k"),
			node("Cast", "m", "seen"), node("Sub", "n", "m"), node("Where", "o", "c", "n", "z"), node("Add", "s", "scores", "o"), node("Softmax", "p", "s"),
			node("Add", "q", "count", "count"),
		},
	}
	feeds, err := RandomInputs(g, VerifyOptions{Batch: 4})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]float64{"ids": {0, 299}, "kinds": {0, 3}, "seen": {1, 1}, "attention_mask": {1, 1}, "pixels": {0, 255}, "flag": {0, 1}, "count": {0, 1}} {
		v, err := feeds[0][name].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		low, high := slices.Min(v), slices.Max(v)
		if low < want[0] || high > want[1] || high-low < 0.95*(want[1]-want[0]) {
			t.Errorf("%s: want numbers from %g to %g, got %g to %g", name, want[0], want[1], low, high)
		}
	}
}

// TestChoicesOfOtherSizes: where differences are informative, outputs whose sizes depend on what
// was computed are counted; elsewhere they are an error.
func TestChoicesOfOtherSizes(t *testing.T) {
	side := func(rows int) map[string]*ir.Tensor {
		return map[string]*ir.Tensor{"y": ir.NewInt64("y", []int{rows, 3}, make([]int64, 3*rows))}
	}
	for _, loose := range []bool{true, false} {
		c := newComparison(&ir.Graph{Outputs: []ir.Value{{Name: "y"}}}, nil, ToleranceOf(), loose)
		err := errors.Join(c.add(side(2), side(2)), c.add(side(2), side(1)))
		if r := c.outputs[0]; (err == nil) != loose || loose && (r.Resized != 1 || r.Elements != 6) {
			t.Errorf("loose %t: got %+v, %v", loose, r, err)
		}
	}
}
