package search

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/search/relax"
)

// TestLean: the last choice begins with the share that is asked for, the others keep their
// order and distances; a smaller share than it has already, and a single choice, leave α alone.
func TestLean(t *testing.T) {
	for _, rx := range relax.All() {
		t.Run(rx.Name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 7} {
				start := relax.Init(n, rng.New(uint64(n), "test/lean"))
				last := n - 1
				begins := rx.Mean(start)[last]
				for _, share := range []float64{0, begins / 2, begins, 0.55, 0.8, 0.99} {
					a := slices.Clone(start)
					lean(rx, a, share)
					if n == 1 || share <= begins {
						if !slices.Equal(a, start) {
							t.Errorf("%d choices, share %g of %g: want α as it was, got %v from %v", n, share, begins, a, start)
						}
						continue
					}
					if rx.Gradient == relax.None { // its mean knows no α
						share = begins
					}
					if got := rx.Mean(a)[last]; math.Abs(got-share) > 1e-6 {
						t.Errorf("%d choices: want %g for the last, got %g", n, share, got)
					}
					moved := start[0] - a[0]
					if moved <= 0 || math.Abs(a[last]-start[last]-moved) > 1e-9 {
						t.Errorf("%d choices: the first went down by %g, the last up by %g: want the same, above 0", n, moved, a[last]-start[last])
					}
					for k := range last {
						if math.Abs((a[k]-a[0])-(start[k]-start[0])) > 1e-9 {
							t.Errorf("%d choices: want the distances of all but the last kept, got %v from %v", n, a, start)
						}
					}
				}
			}
		})
	}
}

// TestSearchBeginsLeaning: the first mean coefficients give the original its share in every
// dim, or as much as they would anyway.
func TestSearchBeginsLeaning(t *testing.T) {
	for _, share := range []float64{0, 0.8, 0.95} {
		c := DefaultConfig()
		c.AlphaStart = share
		for d, mean := range smoothSearcher(t, cpu.New(cpu.Options{Threads: 1}), c).means() {
			want := max(share, 1/float64(len(mean)))
			if got := mean[len(mean)-1]; math.Abs(got-want) > 1e-3 {
				t.Errorf("share %g: dim %d of %d choices: want %g for the last, got %g", share, d, len(mean), want, got)
			}
		}
	}
}

// coefficients is a backend that records the vectors of some length that go to the device.
type coefficients struct {
	engine.Backend
	length int
	log    [][]float32
}

func (c *coefficients) Upload(x *prim.Tensor) (engine.Buffer, error) {
	if x.DType == prim.F32 && slices.Equal(x.Shape, []int{c.length}) {
		c.log = append(c.log, slices.Clone(x.F32))
	}
	return c.Backend.Upload(x)
}

// TestSandwich: of four weight steps the second trains the largest subnet, the last the
// smallest, and the others mixtures of every choice; without Sandwich all do that.
func TestSandwich(t *testing.T) {
	for _, sandwich := range []bool{false, true} {
		c := DefaultConfig()
		c.Sandwich, c.AlphaFrom, c.Weights.Epochs = sandwich, 2, 2
		be := &coefficients{Backend: cpu.New(cpu.Options{Threads: 1})}
		s := smoothSearcher(t, be, c)
		var largest, smallest []float32
		for _, a := range s.Pos.Alpha {
			row := make([]float32, len(a))
			row[len(a)-1] = 1
			largest = append(largest, row...)
			slices.Reverse(row)
			smallest = append(smallest, row...)
		}
		if slices.Equal(largest, smallest) {
			t.Fatal("a space of one subnet shows nothing")
		}
		be.length = len(largest)
		for range 8 {
			if err := s.advance(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if len(be.log) != 8 {
			t.Fatalf("8 weight steps took coefficients %d times", len(be.log))
		}
		for step, got := range be.log {
			want := map[bool]map[int][]float32{true: {1: largest, 3: smallest}}[sandwich][step%4]
			if want != nil && !slices.Equal(got, want) {
				t.Errorf("step %d: want coefficients %v, got %v", step, want, got)
			}
			if want == nil && slices.Contains(got, 0) {
				t.Errorf("sandwich %t, step %d: want a mixture of every choice, got %v", sandwich, step, got)
			}
		}
	}
}
