package enginetest

import (
	"testing"

	"github.com/entangle-nas/entangle/engine/ref"
)

// BenchmarkReference measures the oracle.
func BenchmarkReference(b *testing.B) { Bench(b, ref.New()) }
