package net_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
)

func parsed(t *testing.T, text string) *ir.Model {
	t.Helper()
	m, err := ir.Parse("model {\n  ir 8\n  opset _ 13\n}\ngraph g {\n" + text + "\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func printed(t *testing.T, m *ir.Model) string {
	t.Helper()
	var b strings.Builder
	if err := ir.PrintFull(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestOpen: inputs and outputs of an open batch, and what Declare makes of them again.
func TestOpen(t *testing.T) {
	for _, c := range []struct {
		name, text string
		fixed      int
		types      []string // of inputs and outputs, once open
		why        string
	}{
		{"fixed", `  input x float32[1, 2, 3]
  output y float32[1, 6]
  output z float32[4]
  init t int64[2] = [1, 6]
  init c float32[4] = [1, 2, 3, 4]
  node a: (y) = Reshape(x, t)
  node b: (z) = Relu(c)`, 0, []string{"float32[batch,2,3]", "float32[batch,6]", "float32[4]"}, ""},
		{"a merged output", `  input x float32[1, 2, 3]
  output y float32[2, 3]
  init t int64[2] = [2, 3]
  node a: (y) = Reshape(x, t)`, 0, []string{"float32[batch,2,3]", "float32[?,3]"}, ""},
		{"open", `  input x float32[n, 2, ?]
  output y float32[1, 2, 5]
  node a: (y) = Relu(x)`, 0, []string{"float32[n,2,x_2]", "float32[1,2,5]"}, ""},
		{"open, written for one sample", `  input x float32[?, 2, 3]
  output y float32[?, 6]
  init t int64[2] = [1, 6]
  node a: (y) = Reshape(x, t)`, 0, []string{"float32[batch,2,3]", "float32[?,6]"}, ""},
		{"in the way", `  input x float32[1, 2, 3]
  output y float32[3, 2]
  init t int64[2] = [2, 3]
  node a: (h) = Reshape(x, t)
  node b: (y) = Transpose(h) perm=[1, 0]`, 1, []string{"float32[1,2,3]", "float32[3,2]"}, `node "a" (Reshape): `},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := parsed(t, c.text)
			before := printed(t, m)
			o := net.Open(m)
			if o.Fixed != c.fixed || (o.Why == nil) != (c.why == "") || o.Why != nil && !strings.Contains(o.Why.Error(), c.why) {
				t.Errorf("want %d, %q, got %d, %v", c.fixed, c.why, o.Fixed, o.Why)
			}
			types := func(m *ir.Model) (out []string) {
				for _, v := range append(slices.Clone(m.Graph.Inputs), m.Graph.Outputs...) {
					out = append(out, v.Type.String())
				}
				return out
			}
			if got := types(o.Model); !slices.Equal(got, c.types) {
				t.Errorf("want %q, got %q", c.types, got)
			}
			if got, want := types(net.Declare(o.Model, m)), types(m); !slices.Equal(got, want) {
				t.Errorf("declared again: want %q, got %q", want, got)
			}
			if printed(t, m) != before {
				t.Error("want the source as it was")
			}
			for _, batch := range []int{1, 5} {
				n, err := net.NewNetwork(m, batch, nil)
				switch {
				case strings.Contains(strings.Join(c.types, " "), "x_2"):
				case c.fixed > 0 && batch != c.fixed:
					if err == nil || !strings.Contains(err.Error(), "search: want batches of 1 samples, the model runs at no other size, got 5: node") {
						t.Errorf("batch %d: want it refused, got %v", batch, err)
					}
				case err != nil:
					t.Errorf("batch %d: %v", batch, err)
				case n.Frozen != (c.fixed > 0):
					t.Errorf("batch %d: want running statistics frozen: %v", batch, c.fixed > 0)
				}
			}
		})
	}
}

// TestFollowedIsStable: sizes that follow the batch do so again.
func TestFollowedIsStable(t *testing.T) {
	m := parsed(t, `  input x float32[1, 3, 2]
  output y float32[1, 8]
  init c float32[1, 1, 2] = [1, 2]
  init t int64[2] = [1, 8]
  node a: (h) = Concat(c, x) axis=1
  node b: (y) = Reshape(h, t)`)
	once, open := net.Followed(m)
	if !open {
		t.Fatal("want the batch open")
	}
	if b := ops.FollowBatch(once); b.Blocked != nil || printed(t, b.Model) != printed(t, once) {
		t.Errorf("want it as it is, got %v\n%s", b.Blocked, printed(t, b.Model))
	}
}
