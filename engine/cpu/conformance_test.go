package cpu

import (
	"testing"

	"github.com/entangle-nas/entangle/engine/enginetest"
)

func TestConformance(t *testing.T) {
	t.Run("native", func(t *testing.T) { enginetest.Run(t, New(Options{Threads: 2})) })
	t.Run("portable", func(t *testing.T) { enginetest.Run(t, New(Options{Threads: 3, Portable: true})) })
}
