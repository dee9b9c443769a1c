package net_test

import (
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
	if err := net.Order(t.Context(), cpu.New(cpu.Options{Threads: 1}), n, n, an, s, how, set.Part("train").All(), o, 8, 1); err != nil {
		t.Fatal(err)
	}
	out := map[string][]int{}
	for _, d := range s.Dims {
		out[d.Node] = d.Order
		units := slices.Clone(d.Order)
		slices.Sort(units)
		for u, v := range units {
			if u != v || len(units) != d.Choices[len(d.Choices)-1] {
				t.Fatalf("%s by %q: want an order of %d units, got %v", d.Name, how, d.Choices[len(d.Choices)-1], d.Order)
			}
		}
	}
	return out
}

// uneven is drawn with the numbers of unit u along an axis multiplied by scale[u]; unit 1 is
// unit 0 again.
func uneven(name string, axis int, scale []float64, dims ...int) *ir.Tensor {
	w := drawn(name, dims...)
	v, err := w.Float64s()
	if err != nil {
		panic(err)
	}
	inner := ir.Prod(dims[axis+1:])
	for i := range v {
		u := i / inner % dims[axis]
		if u == 1 {
			v[i] = v[i-inner]
			continue
		}
		v[i] *= scale[u]
	}
	out, err := ir.NewFloats(name, w.DType, dims, v)
	if err != nil {
		panic(err)
	}
	return out
}

// TestOrderObs: of two equal units one goes first, however large, for the other takes over; then
// that one stays the longest. Magnitude takes the smallest one first. It needs no objective where
// layers read every width.
func TestOrderObs(t *testing.T) {
	scale := []float64{2, 2, 1, 0.4}
	for _, c := range []struct {
		name  string
		x     []int
		text  string
		inits []*ir.Tensor
	}{
		{"Gemm", []int{8}, `  input x float32[batch, 8]
  output y float32[batch, 5]
  node one: (h) = Gemm(x, w1, b1)
  node relu: (r) = Relu(h)
  node two: (y) = Gemm(r, w2, b2)`,
			[]*ir.Tensor{uneven("w1", 1, scale, 8, 4), uneven("b1", 0, scale, 4), drawn("w2", 4, 5), drawn("b2", 5)}},
		{"MatMul and Add", []int{4, 8}, `  input x float32[batch, 4, 8]
  output y float32[batch, 4, 5]
  node one: (h) = MatMul(x, w1)
  node relu: (r) = Relu(h)
  node two: (z) = MatMul(r, w2)
  node last: (y) = Add(z, b2)`,
			[]*ir.Tensor{uneven("w1", 1, scale, 8, 4), drawn("w2", 4, 5), drawn("b2", 5)}},
		{"Conv", []int{3, 6, 6}, `  input x float32[batch, 3, 6, 6]
  output y float32[batch, 5, 6, 6]
  node one: (h) = Conv(x, w1)
  node relu: (r) = Relu(h)
  node two: (y) = Conv(r, w2) pads=[1, 1, 1, 1]`,
			[]*ir.Tensor{uneven("w1", 0, scale, 4, 3, 1, 1), drawn("w2", 5, 4, 3, 3)}},
		{"Conv and Flatten", []int{3, 3, 3}, `  input x float32[batch, 3, 3, 3]
  output y float32[batch, 5]
  node one: (h) = Conv(x, w1, b1)
  node relu: (r) = Relu(h)
  node flat: (f) = Flatten(r)
  node two: (y) = Gemm(f, w2) transB=1`,
			[]*ir.Tensor{uneven("w1", 0, scale, 4, 3, 1, 1), uneven("b1", 0, scale, 4), drawn("w2", 5, 36)}},
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
			if got[1] != 2 {
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
