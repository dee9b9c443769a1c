package models

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// Val is a value of a network under construction. Shape leaves the batch axis
// out for computed values, (channels, height, width) for images; for
// initialisers it is the whole shape. The zero Val is an omitted input.
type Val struct {
	Name  string
	Shape []int
}

// Net builds a model node by node. It keeps the first error and returns it from
// Model; after an error the methods return values of no meaning and never panic.
// A node's name is also the prefix of its parameters ("stem.weight") and, with
// ".out", the name of its output.
type Net struct {
	o     Options
	m     *ir.Model
	used  map[string]bool
	shape map[string][]int
	macs  int
	err   error
	// hollow leaves initialisers without elements, to count large networks.
	hollow bool
}

// NewNet starts an empty model (opset 17, IR version 8); o gives the seed and Scatter.
func NewNet(name string, o Options) *Net {
	return &Net{o: o, used: map[string]bool{}, shape: map[string][]int{}, m: &ir.Model{
		IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, ProducerName: "entangle", Graph: &ir.Graph{Name: name},
	}}
}

// Opset sets the versions of the operator set and of the file format.
func (n *Net) Opset(opset, irVersion int64) {
	n.m.Opsets[0].Version, n.m.IRVersion = opset, irVersion
}

// MACs returns the multiply-accumulates of convolutions and products so far, per image.
func (n *Net) MACs() int { return n.macs }

// Model returns the model, or the first error of its construction.
func (n *Net) Model() (*ir.Model, error) {
	if n.err == nil && len(n.m.Graph.Outputs) == 0 {
		n.fail("outputs: want at least one, got none")
	}
	if n.err != nil {
		return nil, n.err
	}
	return n.m, nil
}

func (n *Net) fail(format string, args ...any) Val {
	if n.err == nil {
		n.err = fmt.Errorf("models: %q: %w", n.m.Graph.Name, fmt.Errorf(format, args...))
	}
	return Val{}
}

func (n *Net) claim(kind, name string) bool {
	if n.err != nil {
		return false
	}
	if key := kind + " " + name; name == "" || n.used[key] {
		n.fail("%s %q: want a name of its own", kind, name)
		return false
	} else {
		n.used[key] = true
	}
	return true
}

// Input declares a float32 graph input of shape [batch, shape...].
func (n *Net) Input(name string, shape ...int) Val {
	if !n.claim("value", name) {
		return Val{}
	}
	n.m.Graph.Inputs = append(n.m.Graph.Inputs, ir.Value{Name: name, Type: batched(shape)})
	return Val{name, shape}
}

// InputInts declares an int64 graph input of shape [batch, shape...].
func (n *Net) InputInts(name string, shape ...int) Val {
	if !n.claim("value", name) {
		return Val{}
	}
	t := batched(shape)
	t.Elem = ir.Int64
	n.m.Graph.Inputs = append(n.m.Graph.Inputs, ir.Value{Name: name, Type: t})
	return Val{name, shape}
}

// Output declares v as the graph output of that name; the value is renamed.
func (n *Net) Output(name string, v Val) {
	if !n.claim("value", name) {
		return
	}
	at := slices.IndexFunc(n.m.Graph.Nodes, func(x *ir.Node) bool { return slices.Contains(x.Outputs, v.Name) })
	if v.Name == "" || at < 0 || slices.ContainsFunc(n.m.Graph.Outputs, func(o ir.Value) bool { return o.Name == v.Name }) {
		n.fail("output %q: want a computed value that is no output yet, got %q", name, v.Name)
		return
	}
	for _, x := range n.m.Graph.Nodes[at:] {
		rename(x.Inputs, v.Name, name)
		rename(x.Outputs, v.Name, name)
	}
	n.m.Graph.Outputs = append(n.m.Graph.Outputs, ir.Value{Name: name, Type: batched(v.Shape)})
}

func rename(names []string, from, to string) {
	for i, s := range names {
		if s == from {
			names[i] = to
		}
	}
}

func batched(shape []int) ir.Type {
	t := ir.TensorType(ir.Float32, append([]int{-1}, shape...)...)
	t.Shape[0].Param = "batch"
	return t
}

// Node appends a node with one output of the given shape.
func (n *Net) Node(op, name string, in []Val, shape []int, attrs ...ir.Attr) Val {
	if !n.claim("node", name) || !n.claim("value", name+".out") {
		return Val{}
	}
	for _, d := range shape {
		if d < 1 {
			return n.fail("node %q (%s): output: want sizes of at least 1, got %v; is the input too small?", name, op, shape)
		}
	}
	node := &ir.Node{Name: name, OpType: op, Outputs: []string{name + ".out"}, Attrs: attrs}
	for _, v := range in {
		node.Inputs = append(node.Inputs, v.Name)
	}
	n.m.Graph.Nodes = append(n.m.Graph.Nodes, node)
	return Val{name + ".out", slices.Clone(shape)}
}

// Unary appends a node that keeps its input's shape: activations, Identity, Softmax.
func (n *Net) Unary(op, name string, x Val, attrs ...ir.Attr) Val {
	return n.Node(op, name, []Val{x}, x.Shape, attrs...)
}

// Relu appends a Relu.
func (n *Net) Relu(name string, x Val) Val { return n.Unary("Relu", name, x) }

// Relu6 appends a Clip to 0…6; the bounds are shared scalars.
func (n *Net) Relu6(name string, x Val) Val {
	return n.Node("Clip", name, []Val{x, n.scalar("relu6.min", 0), n.scalar("relu6.max", 6)}, x.Shape)
}

// Add appends an elementwise sum; sizes of 1 broadcast.
func (n *Net) Add(name string, x, y Val) Val { return n.binary("Add", name, x, y) }

// Mul appends an elementwise product; sizes of 1 broadcast.
func (n *Net) Mul(name string, x, y Val) Val { return n.binary("Mul", name, x, y) }

func (n *Net) binary(op, name string, x, y Val) Val {
	if n.err != nil {
		return Val{}
	}
	if len(x.Shape) != len(y.Shape) {
		return n.fail("node %q (%s): want operands of one rank, got %v and %v", name, op, x.Shape, y.Shape)
	}
	shape := slices.Clone(x.Shape)
	for i, d := range y.Shape {
		if shape[i] != d && shape[i] != 1 && d != 1 {
			return n.fail("node %q (%s): want operands that broadcast, got %v and %v", name, op, x.Shape, y.Shape)
		}
		shape[i] = max(shape[i], d)
	}
	return n.Node(op, name, []Val{x, y}, shape)
}

// Concat joins values along the channels.
func (n *Net) Concat(name string, xs ...Val) Val {
	if n.err != nil {
		return Val{}
	}
	shape := slices.Clone(xs[0].Shape)
	for _, x := range xs[1:] {
		if len(x.Shape) != len(shape) || !slices.Equal(x.Shape[1:], shape[1:]) {
			return n.fail("node %q (Concat): want operands that differ in channels only, got %v and %v", name, xs[0].Shape, x.Shape)
		}
		shape[0] += x.Shape[0]
	}
	return n.Node("Concat", name, xs, shape, ir.IntAttr("axis", 1))
}

// Reshape gives every image the given shape; the batch is kept by the target's leading 0.
func (n *Net) Reshape(name string, x Val, shape ...int) Val {
	return n.Node("Reshape", name, []Val{x, n.ints(name+".shape", append([]int{0}, shape...)...)}, shape)
}

// Flatten joins all axes of an image.
func (n *Net) Flatten(name string, x Val) Val {
	return n.Node("Flatten", name, []Val{x}, []int{ir.Prod(x.Shape)}, ir.IntAttr("axis", 1))
}

// Dropout appends a Dropout with that ratio; it is the identity outside training.
func (n *Net) Dropout(name string, x Val, ratio float64) Val {
	return n.Node("Dropout", name, []Val{x, n.scalar(name+".ratio", ratio)}, x.Shape)
}
