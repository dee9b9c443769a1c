package net_test

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// fitting is a supernet with its weights on a device, and what fits them.
type fitting struct {
	*net.Refit
	be  engine.Backend
	net *net.Network
	env net.Env
}

// newFitting prepares a network with a supernet over it.
func newFitting(t *testing.T, m *ir.Model, set *data.Set, entangle func(n *net.Network) *space.Supernet) *fitting {
	t.Helper()
	plain, err := net.NewNetworkOn(m, reconstructBatch, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &fitting{be: cpu.New(cpu.Options{Threads: 1}), env: net.Env{}}
	if f.net, err = net.NewNetworkOn(m, reconstructBatch, set, entangle(plain)); err != nil {
		t.Fatal(err)
	}
	if err := f.net.Load(f.be, f.env); err != nil {
		t.Fatal(err)
	}
	if f.env[net.SeedName], err = f.be.Upload(prim.I64Tensor([]int64{1, 2}, 2)); err != nil {
		t.Fatal(err)
	}
	if f.Refit, err = net.NewRefit(f.be, f.net); err != nil {
		t.Fatal(err)
	}
	return f
}

// coef are the coefficients of a choice.
func (f *fitting) coef(t *testing.T, choice []int) net.Env {
	t.Helper()
	c, err := net.UploadCoef(f.be, f.net.Super.Space.OneHot(choice))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// add runs a choice on a few batches, whose numbers are multiplied by scale.
func (f *fitting) add(t *testing.T, choice []int, scale float32) {
	t.Helper()
	coef := f.coef(t, choice)
	shape := f.net.Facts.Values["x"].Shape()
	v := normals("samples", 4*prim.Prod(shape))
	for i := range v {
		v[i] *= scale
	}
	for i := range 4 {
		x, err := f.be.Upload(prim.F32Tensor(v[i*len(v)/4:(i+1)*len(v)/4], shape...))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Add(f.env, coef, net.Env{"x": x}); err != nil {
			t.Fatal(err)
		}
	}
}

// to is To, read back.
func (f *fitting) to(t *testing.T, from, to []int) (net.Env, map[string][]float32) {
	t.Helper()
	env, err := f.To(f.env, from, to)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for name, b := range env {
		v, err := b.Read()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = slices.Clone(v.F32)
	}
	return env, out
}

// TestRefit: where the units that a smaller choice leaves out are linear in those that stay, the
// fitted weights give on other samples, at that choice, what the larger one gave; the weights
// that there are do not. They are those of the layers that read the units, and of no others.
func TestRefit(t *testing.T) {
	for _, sp := range []space.Superposition{space.Reader, space.Every} {
		for _, d := range doubles() {
			t.Run(string(sp)+" "+d.name, func(t *testing.T) {
				f := newFitting(t, d.model(t), arrays(t, d.x, 32, nil), func(n *net.Network) *space.Supernet { return halved(t, n, sp) })
				whole, half := []int{1}, []int{0}
				x := batchOf(f.net)
				want := forward(t, f.be, f.net, x, f.coef(t, whole))
				if e := distance(forward(t, f.be, f.net, x, f.coef(t, half)), want); e < 0.2 {
					t.Errorf("the smaller choice alone is %g from the larger one: it tests nothing", e)
				}
				f.add(t, whole, 1)
				fitted, weights := f.to(t, whole, half)
				if e := distance(forward(t, f.be, f.net, x, fitted, f.coef(t, half)), want); e > 2e-2 {
					t.Errorf("want at the smaller choice what the larger one gave, got it %g off", e)
				}
				if _, ok := weights[net.ParamName("w2")]; !ok {
					t.Errorf("want the weight of layer %q fitted, got %d buffers without it", d.reader, len(weights))
				}
				for name := range weights {
					if name != net.ParamName("w2") && name != net.ParamName("b2") {
						t.Errorf("want the layer that reads the units fitted and no other, got %q", name)
					}
				}
				for _, c := range [][2][]int{{whole, whole}, {half, half}, {half, whole}} {
					if _, w := f.to(t, c[0], c[1]); len(w) != 0 {
						t.Errorf("from %v to %v: nothing goes: want no buffers, got %d", c[0], c[1], len(w))
					}
				}

				f.Forget()
				f.add(t, whole, 1)
				if _, again := f.to(t, whole, half); !slices.Equal(again[net.ParamName("w2")], weights[net.ParamName("w2")]) {
					t.Error("the same samples once what was added is forgotten: want the same weights")
				}
				f.add(t, whole, 100)
				if _, other := f.to(t, whole, half); slices.Equal(other[net.ParamName("w2")], weights[net.ParamName("w2")]) {
					t.Error("other samples as well: want other weights")
				}
			})
		}
	}
}

// TestRefitOfKernels: what the border of a kernel gave is moved to the positions that stay.
func TestRefitOfKernels(t *testing.T) {
	m := parsed(t, `  input x float32[batch, 1, 8, 8]
  output y float32[batch, 2, 8, 8]
  node up: (u) = Conv(x, w0) pads=[2, 2, 2, 2]
  node conv: (y) = Conv(u, w) pads=[1, 1, 1, 1]`)
	smooth := make([]float32, 25)
	for i := range smooth {
		smooth[i] = 0.04
	}
	m.Graph.Inits = []*ir.Tensor{ir.NewFloat32("w0", []int{1, 1, 5, 5}, smooth), ir.NewFloat32("w", []int{2, 1, 3, 3}, slices.Repeat([]float32{1}, 18))}
	f := newFitting(t, m, arrays(t, []int{1, 8, 8}, 32, nil), func(n *net.Network) *space.Supernet {
		an, err := space.Analyse(n.Model, n.Facts)
		if err != nil {
			t.Fatal(err)
		}
		s, err := space.New(an, space.Options{Kinds: []string{"kernel"}, Elastic: []string{"conv"}})
		if err != nil {
			t.Fatal(err)
		}
		super, err := space.Entangle(an, s, space.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return super
	})
	whole, small := f.net.Super.Space.Largest(), f.net.Super.Space.Smallest()
	x := batchOf(f.net)
	want := forward(t, f.be, f.net, x, f.coef(t, whole))
	alone := distance(forward(t, f.be, f.net, x, f.coef(t, small)), want)
	f.add(t, whole, 1)
	fitted, _ := f.to(t, whole, small)
	if e := distance(forward(t, f.be, f.net, x, fitted, f.coef(t, small)), want); e > 0.6*alone {
		t.Errorf("want the smaller kernel far nearer to the larger one than it is alone, %g, got %g", alone, e)
	}
}

// TestRefitOfNothing: where no layer's weight is masked, or choices have weights of their own,
// there is nothing to run and nothing to move.
func TestRefitOfNothing(t *testing.T) {
	check := func(t *testing.T, f *fitting) {
		t.Helper()
		if f.Step != nil {
			t.Error("want no program")
		}
		largest, smallest := f.net.Super.Space.Largest(), f.net.Super.Space.Smallest()
		f.add(t, largest, 1)
		if _, w := f.to(t, largest, smallest); len(w) != 0 {
			t.Errorf("want no buffers, got %d", len(w))
		}
		f.Forget()
	}
	t.Run("depth", func(t *testing.T) {
		m := parsed(t, `  input x float32[batch, 8]
  output y float32[batch, 4]
  node stem: (s) = Gemm(x, w0)
  node one: (h) = Gemm(s, w1)
  node relu: (r) = Relu(h)
  node two: (b) = Gemm(r, w2)
  node add: (a) = Add(s, b)
  node head: (y) = Gemm(a, w3)`)
		m.Graph.Inits = []*ir.Tensor{drawn("w0", 8, 8), drawn("w1", 8, 8), drawn("w2", 8, 8), drawn("w3", 8, 4)}
		check(t, newFitting(t, m, arrays(t, []int{8}, 32, nil), func(n *net.Network) *space.Supernet {
			an, err := space.Analyse(n.Model, n.Facts)
			if err != nil {
				t.Fatal(err)
			}
			s, err := space.New(an, space.Options{Kinds: []string{"depth"}})
			if err != nil {
				t.Fatal(err)
			}
			super, err := space.Entangle(an, s, space.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return super
		}))
	})
	t.Run("separate", func(t *testing.T) {
		d := doubles()[0]
		f := newFitting(t, d.model(t), arrays(t, d.x, 32, nil), func(n *net.Network) *space.Supernet { return halved(t, n, space.Every) })
		if err := f.net.Separate(); err != nil {
			t.Fatal(err)
		}
		var err error
		if f.Refit, err = net.NewRefit(f.be, f.net); err != nil {
			t.Fatal(err)
		}
		check(t, f)
	})
}
