package net

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/ops"
)

// TestBehind: what is kept behind an output says what it is, unless it is set or its own operator
// says so, and only of axes that can hold classes.
func TestBehind(t *testing.T) {
	for _, c := range []struct {
		name, nodes string
		elem        string
		set         Settings
		want        Meaning // but for Output
	}{
		{name: "ArgMax", nodes: "node a: (y) = ArgMax(z) axis=1 keepdims=0", elem: "int64", want: Meaning{Kind: measure.Logits, value: "z", axis: 1, Reason: "an ArgMax reads it"}},
		{name: "from the end", nodes: "node a: (y) = ArgMax(z) axis=-1 keepdims=0", elem: "int64", want: Meaning{Kind: measure.Logits, value: "z", axis: 3, Reason: "an ArgMax reads it"}},
		{name: "over samples", nodes: "node a: (y) = ArgMax(z) axis=0 keepdims=0", elem: "int64", want: Meaning{Kind: measure.Values, value: "z", axis: 3}},
		{name: "Transpose", nodes: "node t: (u) = Transpose(z) perm=[0, 2, 3, 1]\n node a: (y) = ArgMax(u) axis=3 keepdims=0", elem: "int64", want: Meaning{Kind: measure.Logits, value: "u", axis: 3, Reason: "an ArgMax reads it"}},
		{name: "set", nodes: "node a: (y) = ArgMax(z) axis=1 keepdims=0", elem: "int64", set: Settings{{Output: "z", Kind: measure.Values, Weight: 1}}, want: Meaning{Kind: measure.Values, value: "z", axis: 3, Reason: "set"}},
		{name: "Sigmoid made it", nodes: "node s: (u) = Sigmoid(z)\n node a: (y) = ArgMax(u) axis=1 keepdims=0", elem: "int64", want: Meaning{Kind: measure.Sigmoid, value: "z", axis: 3, Reason: "a Sigmoid makes it"}},
	} {
		m, err := ir.Parse("model {\n  ir 8\n  opset _ 13\n}\ngraph g {\n  input x float32[N, 2, 4, 5]\n  output y " + c.elem + "[]\n  init w float32[3, 2, 1, 1] = [1, 2, 3, 4, 5, 6]\n  node c: (z) = Conv(x, w)\n  " + c.nodes + "\n}\n")
		if err != nil {
			t.Fatal(err)
		}
		m.Graph.Outputs[0].Type = ir.Type{Kind: ir.KindTensor, Elem: m.Graph.Outputs[0].Type.Elem}
		f, err := ops.InferModel(m, map[string]int{"N": 2})
		if err != nil {
			t.Fatal(err)
		}
		tail, err := ops.FindTail(m, f, nil)
		if err != nil || tail == nil {
			t.Fatalf("%s: want a tail, got %v", c.name, err)
		}
		n, err := NewNetwork(tail.Head, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		n.labels = Labels{}
		if err := n.Means(Behind(tail, c.set)); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := n.Outputs[0]
		if got.Kind != c.want.Kind || got.value != c.want.value || got.axis != c.want.axis || !strings.Contains(got.Reason, c.want.Reason) || got.Weight != 1 {
			t.Errorf("%s: want %+v, got %+v", c.name, c.want, got)
		}
	}
}

// TestClassesOfMaps: where only the kind is set, classes stand first in maps, last where a
// Transpose put them.
func TestClassesOfMaps(t *testing.T) {
	for node, want := range map[string]int{"Relu(z)": 1, "Transpose(z) perm=[0, 2, 3, 1]": 3} {
		shape := "batch, 3, 4, 5"
		n := oneNode(t, 13, shape, node)
		n.labels = Labels{}
		if err := n.Means(Settings{{Output: "y", Kind: measure.Logits, Weight: 1}}); err != nil || n.Outputs[0].axis != want {
			t.Errorf("%s: want classes along axis %d, got %+v, %v", node, want, n.Outputs, err)
		}
	}
}
