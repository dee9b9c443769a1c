package prim

import (
	"errors"
	"slices"
	"testing"
)

// TestValidateNamesAllFaults breaks a sound program and compares all that is reported.
func TestValidateNamesAllFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(p *Program)
		want  Faults
	}{
		{"sound", func(*Program) {}, nil},
		{"order", func(p *Program) { p.Nodes[2].In, p.Nodes[3].In = []ID{0, 2}, []ID{-1, 9} }, Faults{
			"node 2 (map): operand 1: want an earlier node, got 2",
			"node 3 (matmul): operand 0: want an earlier node, got -1",
			"node 3 (matmul): operand 1: want an earlier node, got 9",
		}},
		{"types", func(p *Program) { p.Nodes[2].Type, p.Nodes[3].Type = Type{F64, []int{2, 3}}, Type{F32, []int{2, 2, 1}} }, Faults{
			"node 2 (map): want type f32[2 3], got f64[2 3]",
			"node 3: matmul: want two operands of one numeric dtype and one rank ≥ 2, got [f64[2 3] f32[2 3]]",
			"node 4: map: operand 0: want rank 2, got [2 2 1]",
		}},
		{"attributes", func(p *Program) {
			p.Nodes[2].Prim = Map{Expr: Expr{{Code: Arg}, {Code: numCodes + 1}}, Shape: []int{2, 3}}
			p.Nodes[3].Prim = Slice{}
		}, Faults{
			"node 2: map: prim: expression: instruction 1: want a code below 48, got 49",
			"node 3: slice: want one operand and an entry per axis, got [f32[2 3] f32[2 3]] and {Start:[] Size:[] Step:[]}",
		}},
		{"domain", func(p *Program) {
			p.Nodes[2].Prim = Map{Expr: E(L(1)), Shape: []int{-2}}
			p.Nodes[3].Prim = Reduce{Expr: E(L(1)), Op: ReduceMin + 1, Shape: []int{2}}
			p.Nodes[4].Prim = Map{Expr: E(A(0)), Out: BF16 + 1, Shape: []int{2, 2}}
		}, Faults{
			"node 2: map: domain: shape [-2]: want sizes ≥ 0 whose product fits in memory",
			"node 3: reduce: operand 0: want rank 1, got [2 3]",
			"node 4: map: result: want a dtype, got dtype(6)[2 2]",
		}},
		{"fold", func(p *Program) { p.Nodes[4].Prim = Reduce{Expr: E(A(0)), Op: ReduceMin + 1, Shape: []int{2, 2}} }, Faults{
			"node 4: reduce: want sum, prod, max or min, got fold 4",
		}},
		{"dtypes", func(p *Program) { p.Nodes[0].Type.DType, p.Nodes[3].Type.DType = 7, 8 }, Faults{
			"node 0: want a dtype, got dtype(7)[2 3]",
			"node 3: want a dtype, got dtype(8)[2 2]",
		}},
		{"inputs", func(p *Program) {
			p.Nodes[1] = Node{Type: Type{F32, []int{2, -3}}, In: []ID{0}}
			p.Inputs = append(p.Inputs, Input{Name: "x", ID: 0}, Input{Name: "y", ID: 4})
		}, Faults{
			"node 1: shape [2 -3]: want sizes ≥ 0 whose product fits in memory",
			"node 1: want an input without operands, got 1",
			`input "x": want an input node of its own, got 0`,
			`input "y": want an input node of its own, got 4`,
		}},
		{"names", func(p *Program) {
			p.Inputs[1].Name = "x"
			p.Outputs = append(p.Outputs, Output{"p", 2}, Output{"q", 5})
		}, Faults{
			`input "x": declared twice`,
			`output "p": declared twice`,
			`output "q": want a node, got 5`,
		}},
		{"batch", func(p *Program) {
			p.Nodes = append(p.Nodes, Node{Type: Type{F32, nil}})
			p.Inputs = append(p.Inputs, Input{Name: "s", ID: 5, Batch: true})
		}, Faults{`input "s": batch: want rank 1 or more, got f32[]`}},
		{"undeclared", func(p *Program) { p.Inputs = p.Inputs[1:] }, Faults{"node 0: want a primitive or a declared input"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := NewBuilder()
			x, y := b.Input("x", Type{F32, []int{2, 3}}), b.Input("y", Type{F32, []int{2, 3}})
			b.Output("p", b.Relu(b.MatMul(b.Plus(x, y), y, false, true)))
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			c.spoil(p)
			err = p.Validate()
			var got Faults
			if err != nil && !errors.As(err, &got) || !slices.Equal(got, c.want) {
				t.Errorf("want\n%q\ngot\n%q", c.want, got)
			}
		})
	}
}
