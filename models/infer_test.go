package models_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
)

// TestInfer checks that every size is known once the batch is bound, and that
// MACs and parameters agree with the builder's own count.
func TestInfer(t *testing.T) {
	for _, e := range every() {
		t.Run(e.Name, func(t *testing.T) {
			m := build(t, e)
			if miss := ops.Missing(m); len(miss) > 0 {
				t.Fatalf("operators without rules: want none, got %v", miss)
			}
			f, err := ops.InferModel(m, map[string]int{"batch": 3})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range m.Graph.Nodes {
				if ty := f.Values[n.Outputs[0]].Type; !ty.Static() {
					t.Errorf("node %q (%s): want sizes that are known, got %s", n.Name, n.OpType, ty)
				}
			}
			for _, o := range m.Graph.Outputs {
				want := o.Type.Sizes()
				want[0] = 3
				if got := f.Values[o.Name].Type.Sizes(); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("output %q: want %v, got %v", o.Name, want, got)
				}
			}
			macs, err := models.MACs(e)
			if err != nil {
				t.Fatal(err)
			}
			params, scalars := models.Params(m), 0
			for _, x := range m.Graph.Inits {
				if x.DType.IsFloat() && (len(x.Dims) == 0 || strings.HasSuffix(x.Name, ".scales")) {
					scalars += x.Len()
				}
			}
			if got := ops.ModelCost(m, f); int(got.MACs) != 3*macs || got.Params != params+scalars {
				t.Errorf("three images: want %d MACs and %d parameters, got %.0f and %d", 3*macs, params+scalars, got.MACs, got.Params)
			}
		})
	}
}
