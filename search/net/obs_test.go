package net_test

import (
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// ordered returns the units of every width of a model, the most important first, by its name.
func ordered(t *testing.T, m *ir.Model, set *data.Set, how string, o net.Objective) map[string][]int {
	t.Helper()
	n, err := net.NewNetworkOn(m, 16, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(n.Model, n.Facts)
	if err != nil {
		t.Fatal(err)
	}
	s, err := space.New(an, space.Options{Divisor: 1, Kinds: []string{"width"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := net.Order(t.Context(), cpu.New(cpu.Options{Threads: 1}), n, n, an, s, how, set.Part("train").All(), o, 8, 1, nil); err != nil {
		t.Fatal(err)
	}
	out := map[string][]int{}
	for _, d := range s.Dims {
		out[d.Node] = d.Order
		units, want := slices.Clone(d.Order), make([]int, d.Choices[len(d.Choices)-1])
		for u := range want {
			want[u] = u
		}
		slices.Sort(units)
		if !slices.Equal(units, want) {
			t.Fatalf("%s by %q: want an order of %d units, got %v", d.Name, how, len(want), d.Order)
		}
	}
	return out
}

// uneven is drawn with a norm for the numbers of every unit along an axis; unit 1 is unit 0 again.
func uneven(name string, axis int, norms []float64, dims ...int) *ir.Tensor {
	w := drawn(name, dims...)
	v, err := w.Float64s()
	if err != nil {
		panic(err)
	}
	inner, square := ir.Prod(dims[axis+1:]), make([]float64, dims[axis])
	for i, x := range v {
		u := i / inner % dims[axis]
		if u == 1 {
			v[i] = v[i-inner]
		}
		square[u] += x * x
	}
	square[1] = square[0]
	for i := range v {
		u := i / inner % dims[axis]
		v[i] *= norms[u] / math.Sqrt(square[u])
	}
	out, err := ir.NewFloats(name, w.DType, dims, v)
	if err != nil {
		panic(err)
	}
	return out
}

// flat is w with all axes but the first as one.
func flat(w *ir.Tensor) *ir.Tensor {
	w.Dims = []int{w.Dims[0], ir.Prod(w.Dims[1:])}
	return w
}

// TestOrderObs: of two equal units one goes first, however large, for the other takes over; what
// that one then gives counts, more than the largest of the others. Magnitude takes the smallest
// one first. There is no need of an objective where layers read every width.
func TestOrderObs(t *testing.T) {
	norms, even := []float64{2, 2, 2.8, 0.4}, []float64{1, 1, 1, 1}
	for _, c := range []struct {
		name  string
		x     []int
		text  string
		inits []*ir.Tensor
	}{
		{"Gemm", []int{8}, `  input x float32[batch, 8]
  output y float32[batch, 5]
  node one: (h) = Gemm(x, w1)
  node relu: (r) = Relu(h)
  node two: (y) = Gemm(r, w2, b2)`,
			[]*ir.Tensor{uneven("w1", 1, norms, 8, 4), uneven("w2", 0, even, 4, 5), drawn("b2", 5)}},
		{"MatMul and Add", []int{4, 8}, `  input x float32[batch, 4, 8]
  output y float32[batch, 4, 5]
  node one: (h) = MatMul(x, w1)
  node relu: (r) = Relu(h)
  node two: (z) = MatMul(r, w2)
  node last: (y) = Add(z, b2)`,
			[]*ir.Tensor{uneven("w1", 1, norms, 8, 4), uneven("w2", 0, even, 4, 5), drawn("b2", 5)}},
		{"Conv", []int{3, 6, 6}, `  input x float32[batch, 3, 6, 6]
  output y float32[batch, 5, 6, 6]
  node one: (h) = Conv(x, w1)
  node relu: (r) = Relu(h)
  node two: (y) = Conv(r, w2) pads=[1, 1, 1, 1]`,
			[]*ir.Tensor{uneven("w1", 0, norms, 4, 3, 1, 1), uneven("w2", 1, even, 5, 4, 3, 3)}},
		{"Conv and Flatten", []int{3, 3, 3}, `  input x float32[batch, 3, 3, 3]
  output y float32[batch, 5]
  node one: (h) = Conv(x, w1)
  node relu: (r) = Relu(h)
  node flat: (f) = Flatten(r)
  node two: (y) = Gemm(f, w2) transB=1`,
			[]*ir.Tensor{uneven("w1", 0, norms, 4, 3, 1, 1), flat(uneven("w2", 1, even, 5, 4, 9))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := parsed(t, c.text)
			m.Graph.Inits = append(m.Graph.Inits, c.inits...)
			set := arrays(t, c.x, 128, nil)
			if got := ordered(t, m, set, "magnitude", net.Objective{})["one"]; got[3] != 3 {
				t.Errorf("by magnitude: want the smallest unit to go first, got %v", got)
			}
			got := ordered(t, m, set, "obs", net.Objective{})["one"]
			if got[3] > 1 || got[0] != 1-got[3] {
				t.Errorf("want one of units 0 and 1 to go first, the other last, got %v", got)
			}
			if got[1] != 2 || got[2] != 3 {
				t.Errorf("of the units that no other stands for, want the larger one to stay longer, got %v", got)
			}
		})
	}
}

// TestOrderObsOfOthers: a width that no layer reads through its weights is ordered as by taylor,
// beside one that a layer reads.
func TestOrderObsOfOthers(t *testing.T) {
	m := parsed(t, `  input x float32[batch, 3, 6, 6]
  output y float32[batch, 1, 6, 6]
  node one: (h) = Conv(x, w1)
  node relu: (r) = Relu(h)
  node two: (g) = Conv(r, w2, b2)
  node tanh: (s) = Tanh(g)
  node sum: (y) = ReduceSum(s, axis) keepdims=1`)
	m.Graph.Inits = append(m.Graph.Inits, uneven("w1", 0, []float64{2, 2, 1, 0.4}, 4, 3, 1, 1), drawn("w2", 9, 4, 1, 1), drawn("b2", 9), ir.NewInt64("axis", []int{1}, []int64{1}))
	set := arrays(t, []int{3, 6, 6}, 128, nil)
	o := net.Objective{Distill: 1, Temperature: 1}
	got, taylor := ordered(t, m, set, "obs", o), ordered(t, m, set, "taylor", o)
	if len(got) != 2 {
		t.Fatalf("want two widths, got %v", got)
	}
	if slices.IsSorted(taylor["two"]) || !slices.Equal(got["two"], taylor["two"]) {
		t.Errorf("want the units that are summed as taylor has them, %v, got %v", taylor["two"], got["two"])
	}
	if one := got["one"]; one[3] > 1 || one[0] != 1-one[3] {
		t.Errorf("want one of units 0 and 1 to go first, the other last, got %v", one)
	}
}
