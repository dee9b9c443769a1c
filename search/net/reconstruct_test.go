package net_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// normals are n normal numbers that a name seeds.
func normals(name string, n int) []float32 {
	r := rng.New(1, "test/normals/"+name)
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// drawn is a weight of normal numbers, in that of several axes so small that a unit's output is
// of about the size of its input.
func drawn(name string, dims ...int) *ir.Tensor {
	v := normals(name, ir.Prod(dims))
	if len(dims) > 1 {
		for i := range v {
			v[i] *= float32(math.Sqrt(float64(slices.Max(dims)) / float64(len(v))))
		}
	}
	return ir.NewFloat32(name, dims, v)
}

// twins is drawn with units of its second half, along an axis, that are multiples of those of
// the first.
func twins(name string, axis int, dims ...int) *ir.Tensor {
	w := drawn(name, dims...)
	v, err := w.Float64s()
	if err != nil {
		panic(err)
	}
	inner, half := ir.Prod(dims[axis+1:]), dims[axis]/2
	for i := range v {
		if u := i / inner % dims[axis]; u >= half {
			v[i] = (0.5 + float64(u-half)/8) * v[i-half*inner]
		}
	}
	out, err := ir.NewFloats(name, w.DType, dims, v)
	if err != nil {
		panic(err)
	}
	return out
}

// doubled is a network x [batch, dims] → y with one width of 12 units, of which every one of the
// second six is linear in one of the first six, in order.
type doubled struct {
	name   string
	x      []int
	text   string // of its inputs, outputs and nodes
	inits  []*ir.Tensor
	reader string // node that reads the units
}

func doubles() []doubled {
	return []doubled{
		{"Gemm", []int{40}, `  input x float32[batch, 40]
  output y float32[batch, 5]
  node one: (h) = Gemm(x, w1, b1)
  node two: (y) = Gemm(h, w2, b2)`,
			[]*ir.Tensor{twins("w1", 1, 40, 12), drawn("b1", 12), drawn("w2", 12, 5), drawn("b2", 5)}, "two"},
		{"Gemm and Relu", []int{8}, `  input x float32[batch, 8]
  output y float32[batch, 5]
  node one: (h) = Gemm(x, w1, b1) transB=1
  node relu: (r) = Relu(h)
  node two: (y) = Gemm(r, w2) transB=1`,
			[]*ir.Tensor{twins("w1", 0, 12, 8), twins("b1", 0, 12), drawn("w2", 5, 12)}, "two"},
		{"MatMul and Add", []int{4, 40}, `  input x float32[batch, 4, 40]
  output y float32[batch, 4, 5]
  node one: (g) = MatMul(x, w1)
  node add: (h) = Add(g, b1)
  node two: (z) = MatMul(h, w2)
  node last: (y) = Add(b2, z)`,
			[]*ir.Tensor{twins("w1", 1, 40, 12), drawn("b1", 12), drawn("w2", 12, 5), drawn("b2", 5)}, "two"},
		{"Conv", []int{3, 10, 10}, `  input x float32[batch, 3, 10, 10]
  output y float32[batch, 5, 5, 5]
  node one: (h) = Conv(x, w1, b1) pads=[1, 1, 1, 1]
  node relu: (r) = Relu(h)
  node two: (y) = Conv(r, w2, b2) pads=[1, 1, 1, 1] strides=[2, 2]`,
			[]*ir.Tensor{twins("w1", 0, 12, 3, 3, 3), twins("b1", 0, 12), drawn("w2", 5, 12, 3, 3), drawn("b2", 5)}, "two"},
		{"depthwise Conv", []int{8, 8, 8}, `  input x float32[batch, 8, 8, 8]
  output y float32[batch, 5, 8, 8]
  node one: (h) = Conv(x, w1)
  node deep: (d) = Conv(h, w, b) pads=[1, 1, 1, 1] group=12
  node two: (y) = Conv(d, w2, b2)`,
			[]*ir.Tensor{twins("w1", 0, 12, 8, 1, 1), twins("w", 0, 12, 1, 3, 3), drawn("b", 12), drawn("w2", 5, 12, 1, 1), drawn("b2", 5)}, "two"},
		{"Conv and Flatten", []int{3, 4, 4}, `  input x float32[batch, 3, 4, 4]
  output y float32[batch, 5]
  node one: (h) = Conv(x, w1, b1) strides=[2, 2]
  node relu: (r) = Relu(h)
  node flat: (f) = Flatten(r)
  node two: (y) = Gemm(f, w2, b2)`,
			[]*ir.Tensor{twins("w1", 0, 12, 3, 2, 2), twins("b1", 0, 12), drawn("w2", 48, 5), drawn("b2", 5)}, "two"},
	}
}

func (d doubled) model(t *testing.T) *ir.Model {
	t.Helper()
	m := parsed(t, d.text)
	m.Graph.Inits = append(m.Graph.Inits, d.inits...)
	return m
}

// arrays opens a set of n samples of normal numbers; labels, one a sample, may be nil.
func arrays(t *testing.T, sample []int, n int, labels []int64) *data.Set {
	t.Helper()
	list := []data.Array{{Name: "x", Shape: append([]int{n}, sample...), Data: normals("samples", n*prim.Prod(sample))}}
	if labels != nil {
		list = append(list, data.Array{Name: "labels", Shape: []int{n}, Data: labels})
	}
	path := filepath.Join(t.TempDir(), "samples.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := data.WriteNPZ(f, list); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	set, err := data.Open("npz:"+path, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// batchOf is a batch of other samples than those of arrays.
func batchOf(n *net.Network) *prim.Tensor {
	x := prim.NewTensor(prim.Type{DType: prim.F32, Shape: n.Facts.Values["x"].Shape()})
	copy(x.F32, normals("batch", len(x.F32)))
	return x
}

// halved offers a network its width of 12 units, or six: one of each pair.
func halved(t *testing.T, n *net.Network, sp space.Superposition) *space.Supernet {
	t.Helper()
	an, err := space.Analyse(n.Model, n.Facts)
	if err != nil {
		t.Fatal(err)
	}
	s, err := space.New(an, space.Options{Divisor: 6, MinRatio: 0.5, Kinds: []string{"width"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Dims) != 1 || !slices.Equal(s.Dims[0].Choices, []int{6, 12}) {
		t.Fatalf("want one width of 6 or 12 units, got %+v", s.Dims)
	}
	s.Dims[0].Order = []int{7, 0, 9, 2, 11, 4, 1, 6, 3, 8, 5, 10}
	super, err := space.Entangle(an, s, sp)
	if err != nil {
		t.Fatal(err)
	}
	return super
}

// forward returns y of a network with its model's weights, where extra has no others.
func forward(t *testing.T, be engine.Backend, n *net.Network, x *prim.Tensor, extra ...net.Env) []float32 {
	t.Helper()
	st, err := n.Forward(be, "y")
	if err != nil {
		t.Fatal(err)
	}
	env := net.Env{}
	if err := n.Load(be, env); err != nil {
		t.Fatal(err)
	}
	if env["x"], err = be.Upload(x); err != nil {
		t.Fatal(err)
	}
	out, err := st.Run(env, extra...)
	if err != nil {
		t.Fatal(err)
	}
	y, err := out[net.OutName("y")].Read()
	if err != nil {
		t.Fatal(err)
	}
	return y.F32
}

// distance is the norm of the difference over the norm of want.
func distance(got, want []float32) float64 {
	square, whole := 0.0, 0.0
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		square += d * d
		whole += float64(w) * float64(w)
	}
	return math.Sqrt(square / whole)
}

// cutTo cuts a choice of the supernet of a network.
func cutTo(t *testing.T, super *space.Supernet, choice []int, set *data.Set, batch int) *net.Network {
	t.Helper()
	m, err := subnet.Cut(super, choice, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := net.NewNetworkOn(m, batch, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// reconstructed is Reconstructed of a choice cut out of n.
func reconstructed(t *testing.T, be engine.Backend, n, cut *net.Network, super *space.Supernet, choice []int, set *data.Set) (*ir.Model, *net.Network, map[string]net.Fit) {
	t.Helper()
	keep, _, err := super.Cut(choice)
	if err != nil {
		t.Fatal(err)
	}
	out, list, err := cut.Reconstructed(t.Context(), be, n, keep, set.Part("train").All(), 8, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	fits := map[string]net.Fit{}
	for _, f := range list {
		fits[f.Node] = f
	}
	if len(fits) != len(list) {
		t.Errorf("want one fit a layer, got %+v", list)
	}
	return out.Model, out, fits
}

const reconstructBatch = 16

// TestReconstructed: where the units that a cut takes are linear in those that it leaves, the
// layers behind them take over, and the network gives on other samples what the original gives.
// What was cut stays as it is, and labels are not looked at.
func TestReconstructed(t *testing.T) {
	be := cpu.New(cpu.Options{Threads: 1})
	for _, d := range doubles() {
		t.Run(d.name, func(t *testing.T) {
			const samples = 128
			set := arrays(t, d.x, samples, nil)
			if set.Part("train").Labelled() {
				t.Fatal("want samples without labels")
			}
			n, err := net.NewNetworkOn(d.model(t), reconstructBatch, set, nil)
			if err != nil {
				t.Fatal(err)
			}
			super, half := halved(t, n, space.Reader), []int{0}
			cut := cutTo(t, super, half, set, reconstructBatch)
			x := batchOf(n)
			want, lost := forward(t, be, n, x), forward(t, be, cut, x)
			m, out, fits := reconstructed(t, be, n, cut, super, half, set)
			if out.Model != m {
				t.Error("want the model and the network of it")
			}
			if e := distance(lost, want); e < 0.2 {
				t.Errorf("the cut alone is %g from the original: it tests nothing", e)
			}
			got := distance(forward(t, be, out, x), want)
			if got > 1e-2 {
				t.Errorf("want the original's output, got it %g off, %g before", got, distance(lost, want))
			}
			if f := fits[d.reader]; f.Before < 0.05 || f.After > 1e-3*f.Before {
				t.Errorf("layer %q: want an error far below the one before, got %+v", d.reader, f)
			}
			if f, ok := fits["one"]; !ok || f.Before > 1e-6 {
				t.Errorf("layer %q: want the units that stay compared with the same ones, got %+v", "one", fits)
			}
			if !slices.Equal(forward(t, be, cut, x), lost) {
				t.Error("the network that was cut has changed")
			}
			labels := make([]int64, samples)
			labels[0] = 1
			labelled := arrays(t, d.x, samples, labels)
			again, _, _ := reconstructed(t, be, n, cut, super, half, labelled)
			if !nettest.EqualWeights(inits(m), inits(again)) {
				t.Error("labels change the weights")
			}
		})
	}
}

func inits(m *ir.Model) map[string]*ir.Tensor {
	out := map[string]*ir.Tensor{}
	for _, t := range m.Graph.Inits {
		out[t.Name] = t
	}
	return out
}

// TestReconstructedWhole: a network that nothing was cut from keeps its weights.
func TestReconstructedWhole(t *testing.T) {
	be := cpu.New(cpu.Options{Threads: 1})
	for _, d := range doubles() {
		t.Run(d.name, func(t *testing.T) {
			set := arrays(t, d.x, 128, nil)
			n, err := net.NewNetworkOn(d.model(t), reconstructBatch, set, nil)
			if err != nil {
				t.Fatal(err)
			}
			super := halved(t, n, space.Reader)
			largest := super.Space.Largest()
			m, _, fits := reconstructed(t, be, n, cutTo(t, super, largest, set, reconstructBatch), super, largest, set)
			if len(fits) < 2 {
				t.Errorf("want a fit for every layer, got %+v", fits)
			}
			for node, f := range fits {
				if f.Before > 1e-6 || f.After > f.Before {
					t.Errorf("layer %q: want no error to begin with, got %+v", node, f)
				}
			}
			for name, was := range inits(n.Model) {
				a, err := was.Float64s()
				if err != nil {
					t.Fatal(err)
				}
				b, err := inits(m)[name].Float64s()
				if err != nil {
					t.Fatal(err)
				}
				for i := range a {
					if math.Abs(b[i]-a[i]) > 2e-3 {
						t.Fatalf("weight %q, element %d: want %g as before, got %g", name, i, a[i], b[i])
					}
				}
			}
		})
	}
}

// TestReconstructedFromOtherWeights: least squares find the weights of an original of the same
// architecture, of every group of a layer.
func TestReconstructedFromOtherWeights(t *testing.T) {
	be := cpu.New(cpu.Options{Threads: 1})
	grouped := doubled{name: "Conv in two groups", x: []int{4, 8, 8}, text: `  input x float32[batch, 4, 8, 8]
  output y float32[batch, 6, 8, 8]
  node one: (h) = Conv(x, w1, b1) pads=[1, 1, 1, 1] group=2
  node relu: (r) = Relu(h)
  node two: (y) = Conv(r, w2) group=2`,
		inits: []*ir.Tensor{drawn("w1", 8, 2, 3, 3), drawn("b1", 8), drawn("w2", 6, 4, 1, 1)}}
	for _, d := range append(doubles(), grouped) {
		t.Run(d.name, func(t *testing.T) {
			set := arrays(t, d.x, 128, nil)
			n, err := net.NewNetworkOn(d.model(t), reconstructBatch, set, nil)
			if err != nil {
				t.Fatal(err)
			}
			weights := map[string]*ir.Tensor{}
			for _, p := range n.Params {
				weights[p] = drawn("other "+p, n.Model.Graph.Init(p).Dims...)
			}
			_, other, err := n.With(weights)
			if err != nil {
				t.Fatal(err)
			}
			x := batchOf(n)
			want := forward(t, be, n, x)
			if e := distance(forward(t, be, other, x), want); e < 0.5 {
				t.Errorf("other weights give what is %g from the original: it tests nothing", e)
			}
			out, fits, err := other.Reconstructed(t.Context(), be, n, nil, set.Part("train").All(), 8, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			if e := distance(forward(t, be, out, x), want); e > 5e-2 {
				t.Errorf("want the original's output, got it %g off: %+v", e, fits)
			}
		})
	}
}
