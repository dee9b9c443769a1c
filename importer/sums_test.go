package importer_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
)

// TestSums: a Sum of three computed operands or more becomes additions in its order, under names that are free, the
// last with the node's own; one of two stays, and so does every Sum of an operator set in which it
// does not broadcast.
func TestSums(t *testing.T) {
	const text = `model { ir 8 opset _ %d }
		graph g { input x float32[2] input y float32[2] input w float32[2] output z none output v none
		node "z.1": (a) = Relu(x)
		node s: (z) = Sum(a, y, w, x)
		node two: (v) = Sum(z, y) }`
	for opset, want := range map[string]string{
		"13": "z.1 Relu x > a; s.1 Add a y > z.1_2; s.2 Add z.1_2 w > z.2; s Add z.2 x > z; two Sum z y > v",
		"7":  "z.1 Relu x > a; s Sum a y w x > z; two Sum z y > v",
	} {
		m, err := ir.Parse(strings.Replace(text, "%d", opset, 1))
		if err != nil {
			t.Fatal(err)
		}
		n, err := importer.Normal(m)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range n.Graph.Nodes {
			got = append(got, x.Name+" "+x.OpType+" "+strings.Join(x.Inputs, " ")+" > "+x.Output(0))
		}
		if got := strings.Join(got, "; "); got != want {
			t.Errorf("opset %s: want\n%s, got\n%s", opset, want, got)
		}
	}
}
