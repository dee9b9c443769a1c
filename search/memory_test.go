package search

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// TestStepMemory: what a step takes falls below a bound with as few parts computed
// again as that needs; a bound that cannot be kept is an error with both sizes.
func TestStepMemory(t *testing.T) {
	be := cpu.New(cpu.Options{Threads: 1})
	for _, c := range []struct {
		name  string
		batch int
		most  float64
	}{{"resnet20", 32, 0.5}, {"vit", 32, 0.5}} {
		t.Run(c.name, func(t *testing.T) {
			plain, super := nettest.Built(t, c.name, c.batch)
			sgd, err := optim.ByName("sgd")
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []struct {
				name string
				make func(memory int) (*net.Step, error)
			}{
				{"weights", func(memory int) (*net.Step, error) {
					plain.Memory = memory
					return train.WeightStep(be, plain, net.Objective{Labels: 1}, true, sgd, sgd.Defaults, 5)
				}},
				{"architecture", func(memory int) (*net.Step, error) {
					super.Memory = memory
					return alphaStep(be, super, net.Objective{Labels: 1}, true, 0)
				}},
			} {
				size := func(memory int) (int, int) {
					st, err := s.make(memory)
					if err != nil {
						t.Fatal(err)
					}
					return st.Memory(), len(st.Program.Nodes)
				}
				whole, _ := size(0)
				least, many := size(net.LeastMemory)
				t.Logf("%s: %d MiB, at least %d MiB, %.2f of it", s.name, whole>>20, least>>20, float64(least)/float64(whole))
				if float64(least) > c.most*float64(whole) {
					t.Errorf("%s: least memory: want at most %g of %d, got %d", s.name, c.most, whole, least)
				}
				limit := 3 * whole / 4
				if got, few := size(limit); got > limit || few > many {
					t.Errorf("%s: want at most %d bytes, got %d with %d nodes (least memory: %d)", s.name, limit, got, few, many)
				}
				var tight *net.MemoryError
				if _, err := s.make(least / 2); !errors.As(err, &tight) || tight.Limit != least/2 || tight.Least < least/2 {
					t.Errorf("%s: want a MemoryError, got %v", s.name, err)
				}
			}
		})
	}
}

// roomy is a backend whose device has so many bytes left.
type roomy struct {
	engine.Backend
	bytes int
	known bool
}

func (r roomy) Room() (int, bool) { return r.bytes, r.known }

// TestStepMemoryOfDevice: without a bound a step keeps to what the device has left, and
// where even the least is more, that is tried.
func TestStepMemoryOfDevice(t *testing.T) {
	be := cpu.New(cpu.Options{Threads: 1})
	plain, _ := nettest.Built(t, "resnet20", 32)
	sgd, err := optim.ByName("sgd")
	if err != nil {
		t.Fatal(err)
	}
	size := func(be engine.Backend, memory int) (int, *net.Step) {
		plain.Memory = memory
		st, err := train.WeightStep(be, plain, net.Objective{Labels: 1}, true, sgd, sgd.Defaults, 5)
		if err != nil {
			t.Fatal(err)
		}
		return st.Memory(), st
	}
	whole, st := size(be, 0)
	least, _ := size(be, net.LeastMemory)
	inputs := 0
	for _, in := range st.Program.Inputs {
		inputs += st.Program.Nodes[in.ID].Type.Bytes()
	}
	if got, _ := size(roomy{be, whole / 2, false}, 0); got != whole {
		t.Errorf("unknown room: want %d bytes, got %d", whole, got)
	}
	if got, _ := size(roomy{be, 2 * (whole + inputs), true}, 0); got != whole {
		t.Errorf("enough room: want %d bytes, got %d", whole, got)
	}
	if got, _ := size(roomy{be, whole + inputs, true}, 0); got > whole/10*9 {
		t.Errorf("want at most 9/10 of %d bytes, got %d", whole, got)
	}
	if got, _ := size(roomy{be, inputs, true}, 0); got > least+least/10 {
		t.Errorf("no room: want about the least, %d, got %d", least, got)
	}
}

// TestStepMemoryKeepsResults: steps with the least memory give the same bits where
// primitives run one by one, and the same to rounding where they are fused.
func TestStepMemoryKeepsResults(t *testing.T) {
	for _, name := range []string{"resnet20-tiny", "mobilenet-tiny", "vit-tiny"} {
		for _, c := range []struct {
			be   engine.Backend
			most float64
		}{{ref.New(), 0}, {cpu.New(cpu.Options{Threads: 1}), 1e-4}} {
			t.Run(name+"/"+c.be.Name(), func(t *testing.T) {
				_, super := nettest.Built(t, name, 8)
				views := halves(t, imagesFor(t, super, 48, 8))
				run := func(memory int) []float64 {
					super.Memory = memory
					cfg := DefaultConfig()
					cfg.Weights.Epochs = 1
					d, err := Run(context.Background(), c.be, super, nil, views.Weights, views.Alpha, data.View{}, cfg, nil, 1, train.Hooks{})
					if err != nil {
						t.Fatal(err)
					}
					all := slices.Concat(d.Alpha...)
					for _, n := range slices.Concat(super.Params, super.Stats) {
						v, err := d.Weights[n].Float32s()
						if err != nil {
							t.Fatal(err)
						}
						for _, x := range v {
							all = append(all, float64(x))
						}
					}
					return all
				}
				far := 0.0
				want, got := run(0), run(net.LeastMemory)
				for i, v := range want {
					far = max(far, math.Abs(v-got[i]))
				}
				if !(far <= c.most) {
					t.Errorf("less memory moved the result by %g", far)
				}
			})
		}
	}
}
