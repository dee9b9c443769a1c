package importer_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

// model parses the body of a graph with opset 21.
func model(t *testing.T, body string) *ir.Model {
	t.Helper()
	m, err := ir.Parse("model { ir 10 opset _ 21 opset f 1 }\ngraph g {\n" + body)
	if err != nil {
		t.Fatal(err)
	}
	if err := ir.Verify(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// normal checks that the normal form of a graph is the graph of want.
func normal(t *testing.T, body, want string, opts ...importer.Option) *ir.Model {
	t.Helper()
	m, err := importer.Normal(model(t, body), opts...)
	if err != nil {
		t.Fatal(err)
	}
	w := model(t, want)
	if d := ir.DiffGraphs(w.Graph, m.Graph); d != "" {
		var b bytes.Buffer
		ir.PrintFull(&b, m)
		t.Errorf("%s (wanted, got)\n%s", d, b.String())
	}
	return m
}

func TestPassesAreValid(t *testing.T) {
	if err := pass.Validate(importer.Passes()); err != nil {
		t.Error(err)
	}
}

func TestConstantsBecomeInitializers(t *testing.T) {
	normal(t, `
		input x float32[2] output y float32[2] output k int64[1]
		node _: (a) = Constant() value=tensor _ float32[2] = [1, 2]
		node _: (b) = Constant() value_float=float 3
		node _: (c) = Constant() value_floats=floats [4, 5]
		node _: (d) = Constant() sparse_value=sparse [[2] values _ float32[1] = [7] indices _ int64[1] = [1]]
		node _: (k) = Constant() value_ints=[9]
		node s: (y) = Sum(x, a, b, c, d)
	}`, `
		input x float32[2] output y float32[2] output k int64[1]
		init a float32[2] = [1, 2] init b float32[] = [3] init c float32[2] = [4, 5] init d float32[2] = [0, 7]
		node _: (k) = Constant() value_ints=[9]
		node s: (y) = Sum(x, a, b, c, d)
	}`)
}

func TestSparseInitializersBecomeDense(t *testing.T) {
	normal(t, `input x float32[4] output y float32[4]
		sparse [2, 2] values w float32[1] = [5] indices _ int64[1, 2] = [1, 0]
		node n: (y) = Add(x, w) }`,
		`input x float32[4] output y float32[4] init w float32[2, 2] = [0, 0, 5, 0]
		node n: (y) = Add(x, w) }`)
}

func TestInitializersAreNoInputs(t *testing.T) {
	m, err := ir.Parse(`model { ir 3 opset ai.onnx 8 } graph g {
		input x float32[2] input w float32[2] output y float32[2] init w float32[2] = [1, 2] init unused float32[1] = [0]
		node n: (y) = ai.onnx::Add(x, w) }`)
	if err != nil {
		t.Fatal(err)
	}
	n, err := importer.Normal(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Graph.Inputs) != 1 || len(n.Graph.Inits) != 1 || n.IRVersion != 4 {
		t.Errorf("want input x, initializer w and IR version 4, got %v, %v, %d", n.Graph.Inputs, n.Graph.Inits, n.IRVersion)
	}
	if n.Opsets[0].Domain != "" || n.Graph.Nodes[0].Domain != "" {
		t.Errorf("want the default domain as \"\", got %q and %q", n.Opsets[0].Domain, n.Graph.Nodes[0].Domain)
	}
}

func TestIdentityRemoval(t *testing.T) {
	normal(t, `input x float32[2] output y float32[2] output z float32[2] output x2 float32[2]
		node i1: (a) = Identity(x)
		node i2: (b) = Identity(a)
		node r: (c) = Relu(b)
		node i3: (d) = Identity(c)
		node i4: (y) = Identity(d)
		node s: (z) = Neg(c)
		node i5: (x2) = Identity(x) }`,
		`input x float32[2] output y float32[2] output z float32[2] output x2 float32[2]
		node r: (y) = Relu(x)
		node s: (z) = Neg(y)
		node i5: (x2) = Identity(x) }`)
}

// A subgraph that uses the output of an Identity uses its input afterwards.
func TestIdentityRemovalReachesSubgraphs(t *testing.T) {
	normal(t, `input x float32[2] input c bool[] output y float32[2]
		node i: (a) = Identity(x)
		node if: (y) = If(c) then_branch=graph t { output p float32[2] node _: (p) = Relu(a) } else_branch=graph e { output a float32[2] } }`,
		`input x float32[2] input c bool[] output y float32[2]
		node if: (y) = If(c) then_branch=graph t { output p float32[2] node _: (p) = Relu(x) } else_branch=graph e { output x float32[2] } }`)
}

func TestDropoutRemoval(t *testing.T) {
	normal(t, `input x float32[2] input mode bool[] output y float32[2] output z float32[2]
		init ratio float32[] = [0.5] init off bool[] = [0] init on bool[] = [1]
		node d1: (a) = Dropout(x, ratio, off)
		node d2: (b, unused) = Dropout(a)
		node d3: (c) = Dropout(b, ratio, on)
		node d4: (d, mask) = Dropout(c)
		node d5: (y) = Dropout(d, ratio, mode)
		node w: (z) = Where(mask, x, x) }`,
		`input x float32[2] input mode bool[] output y float32[2] output z float32[2]
		init ratio float32[] = [0.5] init on bool[] = [1]
		node d3: (c) = Dropout(x, ratio, on)
		node d4: (d, mask) = Dropout(c)
		node d5: (y) = Dropout(d, ratio, mode)
		node w: (z) = Where(mask, x, x) }`)
}

func TestDequantizedConstants(t *testing.T) {
	normal(t, `input x float32[2, 2] output y float32[2, 2]
		init q int8[2, 2] = [1, 2, -3, 4] init s float32[2] = [0.5, 2] init z int8[2] = [1, 0]
		init u uint8[2] = [10, 20] init us float32[] = [0.25]
		init k int8[2, 4] = [1, 2, 3, 4, 5, 6, 7, 8] init ks float32[2, 2] = [1, 2, 3, 4]
		node rows: (a) = DequantizeLinear(q, s, z) axis=0
		node columns: (b) = DequantizeLinear(q, s)
		node all: (c) = DequantizeLinear(u, us)
		node blocks: (d) = DequantizeLinear(k, ks) axis=1 block_size=2
		node other: (e) = DequantizeLinear(q, us) output_dtype=10
		node n: (y) = My(x, a, b, c, d, e) }`,
		`input x float32[2, 2] output y float32[2, 2]
		init q int8[2, 2] = [1, 2, -3, 4] init us float32[] = [0.25]
		init a float32[2, 2] = [0, 0.5, -6, 8] init b float32[2, 2] = [0.5, 4, -1.5, 8] init c float32[2] = [2.5, 5]
		init d float32[2, 4] = [1, 2, 6, 8, 15, 18, 28, 32]
		node other: (e) = DequantizeLinear(q, us) output_dtype=10
		node n: (y) = My(x, a, b, c, d, e) }`)
}

func TestFold(t *testing.T) {
	fold := func(m *ir.Model) (map[string]*ir.Tensor, error) {
		return map[string]*ir.Tensor{
			"s": ir.NewInt64("", []int{1}, []int64{2}), "half": ir.NewInt64("", nil, []int64{1}), "k": ir.NewInt64("", []int{1}, []int64{2}),
		}, nil
	}
	normal(t, `input x float32[2] output y float32[2] output k int64[1]
		node shape: (s) = Shape(x)
		node two: (half, other) = Two(s)
		node k: (k) = Neg(s)
		node n: (y) = Use(x, s, half, other) }`,
		`input x float32[2] output y float32[2] output k int64[1]
		init s int64[1] = [2]
		node two: (half, other) = Two(s)
		node k: (k) = Neg(s)
		node n: (y) = Use(x, s, half, other) }`, importer.WithFold(fold))
}

func TestDeadCode(t *testing.T) {
	normal(t, `input x float32[2] input unused float32[2] output y float32[2] info a float32[2]
		init w float32[1] = [1]
		node d1: (a) = Add(x, w)
		node d2: (b) = Relu(a)
		node n: (y) = Relu(x) }`,
		`input x float32[2] input unused float32[2] output y float32[2]
		node n: (y) = Relu(x) }`)
}

func TestFunctionsAreInlined(t *testing.T) {
	m := normal(t, `input x float32[2] input c bool[] output y float32[2] output z float32[2]
		init block/t float32[1] = [1]
		node block: (h, z) = f::Outer(x) slope=float 0.5
		node _: (p) = f::Inner(h)
		node v2: (y) = f::Inner@v2(p, c) }
	function f::Outer {
		opset _ 21 opset f 1
		inputs (a) outputs (b, a2) attr slope attr absent
		node act: (t) = LeakyRelu(a) alpha=ref 1 slope beta=ref 1 absent
		node in: (u) = f::Inner(t) slope=ref 1 slope
		node add: (b) = Add(t, u)
		node copy: (a2) = Relu(a)
	}
	function f::Inner {
		opset _ 21 inputs (a) outputs (b)
		attr slope=float 0.25 attr absent=float 3
		node act: (b) = LeakyRelu(a) alpha=ref 1 slope
	}
	function f::Inner@v2 {
		opset _ 21 inputs (a, c) outputs (b)
		node if: (b) = If(c) then_branch=graph t { output p none node _: (p) = Relu(a) } else_branch=graph e { output p none node _: (p) = Neg(a) }
	}`, `input x float32[2] input c bool[] output y float32[2] output z float32[2]
		node block/act: (block/t_2) = LeakyRelu(x) alpha=float 0.5
		node block/in/act: (block/u) = LeakyRelu(block/t_2) alpha=float 0.5
		node block/add: (h) = Add(block/t_2, block/u)
		node block/copy: (z) = Relu(x)
		node Inner/act: (p) = LeakyRelu(h) alpha=float 0.25
		node v2/if: (y) = If(c)
			then_branch=graph t { output v2/p none node _: (v2/p) = Relu(p) }
			else_branch=graph e { output v2/p_2 none node _: (v2/p_2) = Neg(p) } }`)
	if len(m.Functions) != 0 || slices.ContainsFunc(m.Opsets, func(o ir.Opset) bool { return o.Domain == "f" }) {
		t.Errorf("want no functions and no opset of their domain, got %v", m.Opsets)
	}
}

func TestFunctionThatPassesItsInputOn(t *testing.T) {
	normal(t, `input x float32[2] output y float32[2] output z float32[2]
		node c: (h, k) = f::Copy(x)
		node n: (y) = Relu(h)
		node n2: (z) = Relu(k) }
	function f::Copy { opset _ 21 inputs (a) outputs (a, a) }`,
		`input x float32[2] output y float32[2] output z float32[2]
		node n: (y) = Relu(x)
		node n2: (z) = Relu(x) }`)
}

func TestInlineFaults(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`output y none node c: (y) = f::F() } function f::F { opset _ 20 outputs (b) node n: (b) = Constant() value_int=1 }`, `it imports opset 20 of domain "": want the model's, 21`},
		{`input x none output y none node c: (y) = f::F(x) } function f::F { opset _ 21 outputs (b) node n: (b) = Constant() value_int=1 }`, `node "c" (F): function f.F: want at most 0 inputs and 1 outputs, got 1 and 1`},
	} {
		if _, err := importer.Normal(model(t, c.body)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want an error with %q, got %v", c.want, err)
		}
	}
}

// Calls that multiply are refused before memory runs out.
func TestInlineBlowUp(t *testing.T) {
	var b strings.Builder
	b.WriteString("input x none output y none node c: (y) = f::F0(x) }\n")
	for i := range 12 {
		op := "Relu"
		if i < 11 {
			op = "f::F" + string(rune('0'+(i+1)/10)) + string(rune('0'+(i+1)%10))
		}
		name := "f::F" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		if i == 0 {
			name = "f::F0"
		}
		b.WriteString("function " + name + " { opset _ 21 opset f 1 inputs (v0) outputs (v9)\n")
		for k := range 9 {
			b.WriteString("node _: (v" + string(rune('1'+k)) + ") = " + op + "(v" + string(rune('0'+k)) + ")\n")
		}
		b.WriteString("}\n")
	}
	if _, err := importer.Normal(model(t, b.String())); err == nil || !strings.Contains(err.Error(), "expand to more than") {
		t.Errorf("want an error, got %v", err)
	}
}
