package prim

// ID names a node of a Program: its index. Invalid is returned after an error.
type ID int32

// Invalid is the ID that stands for "no value".
const Invalid ID = -1

// Prim is one primitive with its attributes, a small comparable-by-print value.
type Prim interface {
	// Name is the lower-case name, for example "conv".
	Name() string
	// Infer checks the operand types and returns the result's.
	Infer(in []Type) (Type, error)
	// Eval is the plain kernel. Float operands are F64 tensors whatever the
	// declared type, so that it serves as oracle; out is the declared result type
	// with F32 read as F64. It never keeps or writes its operands.
	Eval(in []*Tensor, out Type) (*Tensor, error)
	// VJP appends to b the gradient with respect to every operand, given grad, the
	// gradient of the node out. Invalid stands for "no gradient flows" (integer
	// operands, comparisons).
	VJP(b *Builder, in []ID, out, grad ID) ([]ID, error)
}

// Node is one application of a primitive. A nil Prim is a program input.
type Node struct {
	Prim Prim
	In   []ID
	Type Type
}

// Input is a program input. Donate says that the caller gives the buffer up:
// the executable may reuse its storage for an output of equal type. Batch says that
// the first axis runs over examples: a backend of several devices may share them out.
type Input struct {
	Name          string
	ID            ID
	Donate, Batch bool
}

// Output is a named result.
type Output struct {
	Name string
	ID   ID
}

// Program is a straight-line tensor program. Nodes are in topological order.
type Program struct {
	Nodes   []Node
	Inputs  []Input
	Outputs []Output
}

// Input returns the position of a named input, -1 when there is none.
func (p *Program) Input(name string) int {
	for i, in := range p.Inputs {
		if in.Name == name {
			return i
		}
	}
	return -1
}

// Output returns the position of a named output, -1 when there is none.
func (p *Program) Output(name string) int {
	for i, o := range p.Outputs {
		if o.Name == name {
			return i
		}
	}
	return -1
}

// Live reports which nodes an output needs; inputs count as needed.
func (p *Program) Live() []bool {
	live := make([]bool, len(p.Nodes))
	for _, in := range p.Inputs {
		live[in.ID] = true
	}
	for _, o := range p.Outputs {
		live[o.ID] = true
	}
	for i := len(p.Nodes) - 1; i >= 0; i-- {
		if live[i] {
			for _, in := range p.Nodes[i].In {
				live[in] = true
			}
		}
	}
	return live
}

// Rename gives inputs and outputs of a rewritten program, which still name the nodes
// of the old one, their new nodes.
func (p *Program) Rename(to []ID) {
	for i := range p.Inputs {
		p.Inputs[i].ID = to[p.Inputs[i].ID]
	}
	for i := range p.Outputs {
		p.Outputs[i].ID = to[p.Outputs[i].ID]
	}
}
