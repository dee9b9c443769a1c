package search

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// few offers so few choices that no weight has too many copies.
var few = space.Options{Divisor: 2, MaxChoices: 3}

// separated is a network entangled, and with separate weights.
func separated(t *testing.T, name string) (entangled, separate *net.Network) {
	t.Helper()
	_, entangled = nettest.BuiltWith(t, name, 4, space.Every, few)
	_, separate = nettest.BuiltWith(t, name, 4, space.Every, few)
	if err := separate.Separate(); err != nil {
		t.Fatal(err)
	}
	return entangled, separate
}

// randomTensor draws floats; integers are 0.
func randomTensor(typ prim.Type, r *rng.Stream) *prim.Tensor {
	x := prim.NewTensor(typ)
	for i := range x.F32 {
		x.F32[i] = float32(0.3 + 0.3*r.NormFloat64())
	}
	return x
}

// randomInputs fills every input of a step that env lacks.
func randomInputs(t *testing.T, s *net.Step, env net.Env, r *rng.Stream) net.Env {
	t.Helper()
	in := net.Env{}
	for _, x := range s.Program.Inputs {
		if env[x.Name] != nil {
			continue
		}
		v, err := ref.New().Upload(randomTensor(s.Program.Nodes[x.ID].Type, r))
		if err != nil {
			t.Fatal(err)
		}
		in[x.Name] = v
	}
	return in
}

// TestSeparateBeginsEntangled: with equal copies the mixture of separate weights is
// that of blocks of one weight, in value and in the slope of every coefficient.
func TestSeparateBeginsEntangled(t *testing.T) {
	for _, name := range []string{"flatten-tiny", "mobilenet-tiny", "vit-tiny"} {
		t.Run(name, func(t *testing.T) {
			one, many := separated(t, name)
			if len(many.Params) < 2*len(one.Params) {
				t.Errorf("%d weights: want more than twice the %d of one for all choices", len(many.Params), len(one.Params))
			}
			be := ref.New()
			var in net.Env
			var got [2][]float32
			for i, n := range []*net.Network{one, many} {
				st, err := alphaStep(be, n, net.Objective{Labels: 1}, true, 0)
				if err != nil {
					t.Fatal(err)
				}
				env := net.Env{}
				if err := n.Load(be, env); err != nil {
					t.Fatal(err)
				}
				if in == nil {
					in = randomInputs(t, st, env, rng.New(1, "test/separate"))
				}
				out, err := st.Run(env, in)
				if err != nil {
					t.Fatal(err)
				}
				v, err := out[net.AlphaName].Read()
				if err != nil {
					t.Fatal(err)
				}
				got[i] = v.F32
			}
			for k, v := range got[0] {
				if math.Abs(float64(v-got[1][k])) > 1e-5*(1+math.Abs(float64(v))) {
					t.Errorf("slope %d of %d: want %g, got %g", k, len(got[0]), v, got[1][k])
				}
			}
		})
	}
}

// TestSeparateVertex: with copies that differ, a vertex of the supernet is the network
// that is cut from the weights of that choice.
func TestSeparateVertex(t *testing.T) {
	for _, name := range []string{"flatten-tiny", "mobilenet-tiny"} {
		t.Run(name, func(t *testing.T) {
			_, n := separated(t, name)
			be, r := ref.New(), rng.New(2, "test/separate")
			env := net.Env{}
			if err := n.Load(be, env); err != nil {
				t.Fatal(err)
			}
			for _, p := range n.Params {
				v, err := be.Upload(randomTensor(env[net.ParamName(p)].Type(), r))
				if err != nil {
					t.Fatal(err)
				}
				env[net.ParamName(p)] = v
			}
			weights, err := n.Weights(env)
			if err != nil {
				t.Fatal(err)
			}
			st, err := n.Forward(be)
			if err != nil {
				t.Fatal(err)
			}
			s := n.Super.Space
			in := randomInputs(t, st, env, r)
			for range 3 {
				choice := make([]int, len(s.Dims))
				for d, dim := range s.Dims {
					choice[d] = r.IntN(len(dim.Choices))
				}
				coef, err := net.UploadCoef(be, s.OneHot(choice))
				if err != nil {
					t.Fatal(err)
				}
				in[net.CoefName] = coef[net.CoefName]
				got, err := st.Run(env, in)
				if err != nil {
					t.Fatal(err)
				}
				m, err := subnet.Cut(n.Super, choice, n.Chosen(choice, weights))
				if err != nil {
					t.Fatal(err)
				}
				small, err := net.NewNetwork(m, 4, nil)
				if err != nil {
					t.Fatal(err)
				}
				fwd, err := small.Forward(be)
				if err != nil {
					t.Fatal(err)
				}
				cut := net.Env{}
				if err := small.Load(be, cut); err != nil {
					t.Fatal(err)
				}
				want, err := fwd.Run(cut, in)
				if err != nil {
					t.Fatal(err)
				}
				x, err := got[net.OutName(n.Logits)].Read()
				if err != nil {
					t.Fatal(err)
				}
				y, err := want[net.OutName(small.Logits)].Read()
				if err != nil {
					t.Fatal(err)
				}
				for k, v := range y.F32 {
					if math.Abs(float64(v-x.F32[k])) > 1e-4*(1+math.Abs(float64(v))) {
						t.Fatalf("choice %v: want %v, got %v", choice, y.F32, x.F32)
					}
				}
			}
		})
	}
}

// TestSeparateSearch: copies go their own ways, and what is chosen is one of each.
func TestSeparateSearch(t *testing.T) {
	_, n := separated(t, "flatten-tiny")
	views := halves(t, imagesFor(t, n, 64, 8))
	c := DefaultConfig()
	c.Weights.Epochs = 1
	d, err := Run(context.Background(), ref.New(), n, nil, views.Weights, views.Alpha, data.View{}, c, nil, 1, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	same, copies := 0, 0
	for copy, w := range d.Weights {
		name, _, separate := strings.Cut(copy, "|")
		if !separate {
			continue
		}
		if copies++; slices.Equal(w.Raw, d.Weights[name].Raw) {
			same++
		}
	}
	if same > 0 || copies == 0 {
		t.Errorf("%d of %d copies are still equal to their original", same, copies)
	}
	choice := n.Super.Space.Smallest()
	got := n.Chosen(choice, d.Weights)
	var names []string
	for _, x := range n.Super.An.Model.Graph.Inits {
		if got[x.Name] != nil {
			names = append(names, x.Name)
		}
	}
	if len(names) != len(got) {
		t.Errorf("%d weights are chosen, %d of them are the model's", len(got), len(names))
	}
}

// TestSeparateLimits: plain networks and spaces with too many choices are refused.
func TestSeparateLimits(t *testing.T) {
	plain, super := nettest.BuiltWith(t, "vit-tiny", 4, space.Every, space.Options{Divisor: 1, MaxChoices: 16})
	if err := plain.Separate(); err == nil {
		t.Error("a plain network was separated")
	}
	if err := super.Separate(); err == nil {
		t.Error("more than 64 copies of a weight were made")
	}
}
