package net

import (
	"context"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/ir"
)

// TestCheckGradient: distillation has no gradient at the original but beside it; an output that
// no parameter moves has none anywhere.
func TestCheckGradient(t *testing.T) {
	set, err := data.Synthetic(data.SyntheticOptions{Classes: 2, Shape: [3]int{1, 2, 2}, Train: 8, Test: 2, Noise: 0.3, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ factor, want string }{{"1", ""}, {"0", `no parameter gets a gradient from the outputs ["y" as values]`}} {
		m, err := ir.Parse(`model {
  ir 8
  opset _ 13
}
graph g {
  input x float32[batch, 1, 2, 2]
  output y float32[batch, 1, 2, 2]
  init w float32[2, 2] = [1, 2, 3, 4]
  init k float32[1] = [` + c.factor + `]
  node product: (z) = MatMul(x, w)
  node last: (y) = Mul(z, k)
}
`)
		if err != nil {
			t.Fatal(err)
		}
		n, err := NewNetworkOn(m, 4, set, nil)
		if err != nil {
			t.Fatal(err)
		}
		n.Params = []string{"w"}
		err = n.CheckGradient(context.Background(), ref.New(), n, Objective{Distill: 1, Temperature: 1}, set.Part("train").All(), 1)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("factor %s: want %q, got %v", c.factor, c.want, err)
		}
	}
}
