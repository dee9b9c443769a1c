package ir_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
)

func TestVerifyFaults(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`output y none node n: (y) = Relu(x)`, `graph "g": node 0 "n" (Relu): input 0 "x": no input, initializer or node makes it`},
		{`input x none output y none node a: (y) = Relu(h) node b: (h) = Relu(x)`, `input 0 "h": made further down by node "b" (Relu)`},
		{`output y none node a: (y) = Relu(h) node b: (h) = Relu(y)`, `cycle: node "a" (Relu) needs node "b" (Relu) needs node "a" (Relu)`},
		{`input x none input x none output x none`, `input "x": the name is defined twice`},
		{`input x float32[3] init x float32[2] = [1, 2] output x none`, `initializer "x": shape: want float32[3], got float32[2]`},
		{`input x none output x none output x none`, `output "x": listed twice`},
		{`input _ none output x none`, `input: it has no name`},
		{`input x none output y none node n: (y) = my::Op(x)`, `domain "my": no opset of it is imported`},
		{`input x none output y none node n: (y) = _(x)`, `node 0 "n" (): it has no operator`},
		{`input x none output y none node n: (y) = Relu(x) a=1 a=2`, `attribute "a": given twice`},
		{`input x none output y none node n: (y) = Relu(x) a=none`, `attribute "a": kind 0: its value is missing`},
		{`input x none output y none node n: (y) = Relu(x) a=ref 1 b`, `refers to "b" outside a function`},
		{`input x none output y none node n: (y) = If(x) b=graph s { output q none node m: (q) = Neg(z) }`, `graph "g": node 0 "n" (If): attribute "b": graph "s": node 0 "m" (Neg): input 0 "z"`},
		{`input x none output y none node n: (y) = If(x) b=graph s { input x none output x none }`, `already defined in an outer graph`},
		{`input x none output y none node n: (y) = If(x) b=graph s { output y none }`, `graph "s": output "y": nothing makes it`},
		{`input x none output x none sparse [2] values s float32[1] = [1] indices _ int64[1] = [2]`, `sparse tensor "s": indices: entry 0: 2 is outside 0 to 1`},
		{`input x none output x none sparse [1, 1] values s float32[1] = [1] indices _ int32[1] = [0]`, `indices: want int64, got int32`},
	} {
		if err := ir.Verify(parse(t, c.body)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want a fault with %q, got %v", c.body, c.want, err)
		}
	}
}

func TestVerifyAccepts(t *testing.T) {
	for _, body := range []string{
		`input x none output y none node n: (y, _) = Dropout(x, _) node m: (_) = Print(y)`,
		`input x none init x float32[1] = [1] output x none`,
		`input x none output y none node n: (y) = If(x) a=graph s { output q none node m: (q) = Neg(x) } b=graph s { output q none node m: (q) = Abs(x) }`,
	} {
		if err := ir.Verify(parse(t, body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestVerifyBadTensor(t *testing.T) {
	m := parse(t, `input x none output x none init w float32[2] = [1, 2]`)
	m.Graph.Inits[0].Raw = m.Graph.Inits[0].Raw[:4]
	if err := ir.Verify(m); err == nil || !strings.Contains(err.Error(), `tensor "w": want 8 bytes`) {
		t.Errorf("got %v", err)
	}
}

func TestVerifyFunctions(t *testing.T) {
	head := "model { ir 8 opset _ 17 opset f 1 } graph g { input x none output x none }\n"
	for _, c := range []struct{ text, want string }{
		{`function f::A { opset _ 17 inputs (a) outputs (b) }`, `function f.A: output "b": nothing makes it`},
		{`function f::A { opset _ 17 inputs (a) outputs (a) } function f::A { inputs (a) outputs (a) }`, `function f.A: defined twice`},
		{`function f::A { opset _ 17 inputs (a) outputs (b) node n: (b) = Relu(a) k=ref 1 z }`, `refers to "z", which the function does not take`},
		{`function f::A { inputs (a) outputs (b) node n: (b) = Relu(a) }`, `domain "": no opset of it is imported`},
		{`function f::A { inputs (a) outputs (b) node n: (b) = f::B(a) } function f::B { inputs (a) outputs (b) node n: (b) = f::A(a) }`, `f.A calls f.B calls f.A`},
	} {
		m, err := ir.Parse(head + c.text)
		if err != nil {
			t.Fatal(err)
		}
		if err := ir.Verify(m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want a fault with %q, got %v", c.text, c.want, err)
		}
	}
}

func TestFaultsListsAtMostTwenty(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "output y%d none ", i)
	}
	err := ir.Verify(parse(t, b.String()))
	var f ir.Faults
	if !errors.As(err, &f) || len(f) != 30 || !strings.Contains(err.Error(), "30 fault(s)") || !strings.Contains(err.Error(), "and 10 more") {
		t.Errorf("got %v", err)
	}
}
