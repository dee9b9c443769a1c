package xla

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/xla/internal/hloeval"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/internal/workloads"
)

// TestLargeSteps lowers the steps that are for GPUs and reads them back: every operand
// is defined, every donated number has an output that takes over its storage, and a
// step is one module of less than a hundred thousand operations.
func TestLargeSteps(t *testing.T) {
	if testing.Short() {
		t.Skip("builds large networks: skipped by -short")
	}
	var texts []string
	for _, w := range workloads.Large() {
		t.Run(w.Name, func(t *testing.T) {
			s, err := w.Build(2)
			if err != nil {
				t.Fatal(err)
			}
			for _, ph := range s.Phases {
				p, err := engine.Simplify(ph.Program)
				if err != nil {
					t.Fatal(err)
				}
				m, err := lower.Lower(p, lower.Options{Precision: lower.BF16})
				if err != nil {
					t.Fatal(err)
				}
				mod, err := hloeval.Parse(m.Text)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, m.Text)
				donated := 0
				for _, in := range p.Inputs {
					if in.Donate {
						donated++
					}
				}
				aliased := strings.Count(m.Text, "tf.aliasing_output")
				t.Logf("%s phase: %d nodes, %d operations, %.1f MB of text, %d of %d donated inputs aliased", ph.Name, len(p.Nodes), len(mod.Body), float64(len(m.Text))/1e6, aliased, donated)
				if aliased != donated || donated == 0 || len(mod.Body) > 100_000 {
					t.Errorf("%s phase: %d of %d donated inputs aliased, %d operations", ph.Name, aliased, donated, len(mod.Body))
				}
			}
		})
	}
	t.Run("mlir", func(t *testing.T) { parseMLIR(t, texts) })
}
