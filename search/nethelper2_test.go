package search_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search"
)

func equalWeights(a, b map[string]*ir.Tensor) bool {
	return reflect.DeepEqual(a, b)
}

// chain writes two streams of a Markov chain over 12 tokens, each of which has
// two successors of probability 0.9 and 0.1. The stationary distribution is
// uniform, so its entropy is log 12 nats a token and that of a step 0.325.
func chain(t *testing.T) string {
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

func adam(epochs, rate float64) search.Weights {
	w := search.DefaultWeights()
	w.Epochs, w.Rate, w.Optimiser, w.Clip = epochs, rate, "adamw", 1
	return w
}
