package ops_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// TestSeparateVectors: a merged vector is copied for every layer that reads it, and one layer
// that stands twice stays one.
func TestSeparateVectors(t *testing.T) {
	const inits = `init a float32[2,2,1,1] = [1, 2, 3, 4] init b float32[2,2,1,1] = [5, 6, 7, 8] init c float32[2,2,1,1] = [1, 0, 0, 1]
		init zero float32[2] = [0, 0] init one float32[2] = [1, 1] init odd float32[2] = [3, 4] init mean float32[2] = [1, 2] init means float32[2] = [3, 2]
		init plane float32[2,1,1] = [2, 2] init slope float32[2,1,1] = [1, 2] init scalar float32[] = [2]`
	for _, c := range []struct {
		name, nodes string
		want        []string // per node, its inputs behind the first
	}{
		{"biases of three convolutions", `node p: (u) = Conv(x, a, zero) node q: (v) = Conv(u, b, zero) node r: (y) = Conv(v, c, zero)`,
			[]string{"a zero", "b zero.q", "c zero.r"}},
		{"one convolution twice", `node p: (u) = Conv(x, a, zero) node q: (y) = Conv(u, a, zero)`, []string{"a zero", "a zero"}},
		{"one convolution twice and another", `node p: (u) = Conv(x, a, zero) node q: (v) = Conv(u, b, zero) node r: (y) = Conv(v, a, zero)`,
			[]string{"a zero", "b zero.q", "a zero"}},
		{"places of one node", `node p: (y) = BatchNormalization(x, one, zero, zero, one)`, []string{"one zero zero.p one.p"}},
		{"norms with statistics of their own", `node p: (u) = BatchNormalization(x, one, zero, mean, odd) node q: (y) = BatchNormalization(u, one, zero, means, odd)`,
			[]string{"one zero mean odd", "one.q zero.q means odd.q"}},
		{"one norm twice", `node p: (u) = BatchNormalization(x, one, zero, mean, odd) node q: (y) = BatchNormalization(u, one, zero, mean, odd)`,
			[]string{"one zero mean odd", "one zero mean odd"}},
		{"norms in their first state", `node p: (u) = InstanceNormalization(x, one, zero) node q: (y) = InstanceNormalization(u, one, zero)`,
			[]string{"one zero", "one.q zero.q"}},
		{"operands of elementwise operators", `node p: (u) = Mul(x, plane) node q: (y) = Mul(u, plane)`, []string{"plane", "plane.q"}},
		{"unequal elements alone", `node p: (u) = PRelu(x, slope) node q: (y) = PRelu(u, slope)`, []string{"slope", "slope"}},
		{"scalars", `node p: (u) = Mul(x, scalar) node q: (y) = Mul(u, scalar)`, []string{"scalar", "scalar"}},
		{"beside an operator that takes it for data", `node p: (u) = Conv(x, a, zero) node q: (w) = Shape(zero) node r: (v) = Expand(zero, w) node s: (y) = Add(u, v)`,
			[]string{"a zero.p", "", "w", "v"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := ir.Parse(fmt.Sprintf(`model { ir 8 opset _ 17 } graph g { input x float32[1,2,2,2] output y none %s %s }`, inits, c.nodes))
			if err != nil {
				t.Fatal(err)
			}
			n, err := importer.Normal(m, importer.WithCopies(ops.SeparateVectors))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range n.Graph.Nodes {
				got = append(got, strings.Join(x.Inputs[1:], " "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("want %q, got %q", c.want, got)
			}
			for _, x := range n.Graph.Inits {
				of, _, copied := strings.Cut(x.Name, ".")
				if copied != (x.Of != "") || copied && x.Of != of {
					t.Errorf("initialiser %q says it is a copy of %q", x.Name, x.Of)
				}
			}
		})
	}
}
