package nettest

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// Built returns a network of that name, and entangled as well.
func Built(t *testing.T, name string, batch int) (plain, super *net.Network) {
	t.Helper()
	return BuiltWith(t, name, batch, space.Reader, space.Options{Divisor: 2})
}

// BuiltWith is Built with another superposition and other dims.
func BuiltWith(t *testing.T, name string, batch int, sp space.Superposition, o space.Options) (plain, super *net.Network) {
	t.Helper()
	m := modeltest.Normal(t, name, models.Options{})
	plain, err := net.NewNetwork(m, batch, nil)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := ops.InferModel(plain.Model, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(plain.Model, facts)
	if err != nil {
		t.Fatal(err)
	}
	dims, err := space.New(an, o)
	if err != nil {
		t.Fatal(err)
	}
	supernet, err := space.Entangle(an, dims, sp)
	if err != nil {
		t.Fatal(err)
	}
	if super, err = net.NewNetwork(m, batch, supernet); err != nil {
		t.Fatal(err)
	}
	return plain, super
}

// EqualWeights compares weights bit by bit.
func EqualWeights(a, b map[string]*ir.Tensor) bool {
	return reflect.DeepEqual(a, b)
}

// Chain writes two streams of a Markov chain over 12 tokens, each of which has
// two successors of probability 0.9 and 0.1. The stationary distribution is
// uniform, so its entropy is log 12 nats a token and that of a step 0.325.
func Chain(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for part, n := range map[string]int{"train": 6000, "test": 1200} {
		r := rng.New(2, "test/chain/"+part)
		var b []byte
		v := 0
		for range n {
			b = binary.LittleEndian.AppendUint16(b, uint16(v))
			if next := 5*v + 3; r.Float64() < 0.9 {
				v = next % 12
			} else {
				v = (next + 4) % 12
			}
		}
		if err := os.WriteFile(filepath.Join(dir, part+".bin"), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Adam returns the settings of a short training by AdamW.
func Adam(epochs, rate float64) train.Weights {
	w := train.DefaultWeights()
	w.Epochs, w.Rate, w.Optimiser, w.Clip, w.Hyper.WeightDecay, w.Warmup, w.Augment = train.Epochs(epochs), rate, "adamw", 1, 5e-4, 0, "none"
	return w
}

// Trained trains a network on a view and returns its scores on another before and after,
// and the model with its new weights.
func Trained(t *testing.T, be engine.Backend, n *net.Network, view, val, test data.View, w train.Weights) (before, after *net.Score, m *ir.Model) {
	t.Helper()
	score := func() *net.Score {
		s, err := net.Evaluate(t.Context(), be, n, test)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before = score()
	r, err := train.Train(t.Context(), be, n, nil, view, val, w, 1, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if m, n, err = n.With(r.Weights); err != nil {
		t.Fatal(err)
	}
	return before, score(), m
}
