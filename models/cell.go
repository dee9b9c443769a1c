package models

import (
	"fmt"
	"iter"

	"github.com/entangle-nas/entangle/ir"
)

// CellOp is a candidate operation on an edge of the paper's toy cell space.
type CellOp int

// The candidates. The two of a kind share the weights of the 5×5 one: the 3×3
// depthwise kernels are its centres, everything else is common.
const (
	Sep3 CellOp = iota // Relu, depthwise 3×3, 1×1, BN; twice, the first with the edge's stride
	Sep5
	Dil3 // Relu, depthwise 3×3 of dilation 2, 1×1, BN
	Dil5
)

// String returns "sep3", "sep5", "dil3" or "dil5".
func (c CellOp) String() string { return [...]string{"sep3", "sep5", "dil3", "dil5"}[c] }

// Kind returns the prefix of the operation's parameters, "sep" or "dil".
func (c CellOp) Kind() string { return c.String()[:3] }

// Kernel returns 3 or 5.
func (c CellOp) Kernel() int { return 3 + 2*int(c&1) }

// Genotype is one architecture of the toy cell space: the operations on the
// edges 0→1, 0→2 and 1→2 of the normal and of the reduction cell. The space has
// 4⁶ = 4096 architectures.
type Genotype struct {
	Normal, Reduce [3]CellOp
}

// Genotypes yields every architecture; the last reduction edge varies fastest.
func Genotypes() iter.Seq[Genotype] {
	return func(yield func(Genotype) bool) {
		for i := range 4096 {
			var g Genotype
			for k := range 3 {
				g.Normal[k], g.Reduce[k] = CellOp(i>>(10-2*k)&3), CellOp(i>>(4-2*k)&3)
			}
			if !yield(g) {
				return
			}
		}
	}
}

// Build returns the network: cells reduction, normal, reduction of w, w and 2w
// channels, each with 1×1 preprocessing (Relu, 1×1, BN), two nodes that are the
// sums of their edges, and their concatenation as output; Dropout 0.2 after each
// cell, a 2×2 max pool, and two linear layers. BN scales are 1 and biases 0, as
// the space's BN has none. Defaults: 10 classes, 1 channel, size 28, Width 32, and
// 4·Width hidden units.
func (g Genotype) Build(o Options) (*ir.Model, error) { return g.entry().Build(o) }

var cellDefaults = Options{Classes: 10, Channels: 1, Size: 28, Width: 32}

func (g Genotype) entry() Entry {
	return Entry{Name: "toy-cell", Defaults: cellDefaults, Wire: func(n *Net, o Options) {
		n.cells(o, func(name string, x Val, edge int, reduce bool, c, stride int) Val {
			op := g.Normal[edge]
			if reduce {
				op = g.Reduce[edge]
			}
			return n.candidate(name, x, op, c, stride)
		})
	}}
}

// wireCellSuper puts the largest candidate of each kind on every edge and adds
// them: the network whose initialisers all architectures of the space inherit.
func wireCellSuper(n *Net, o Options) {
	n.cells(o, func(name string, x Val, _ int, _ bool, c, stride int) Val {
		return n.Add(name+".mix", n.candidate(name, x, Sep5, c, stride), n.candidate(name, x, Dil5, c, stride))
	})
}

func (n *Net) cells(o Options, edge func(name string, x Val, edge int, reduce bool, c, stride int) Val) {
	x := n.Input("image", o.Channels, o.Size, o.Size)
	for k, c := range []int{o.Width, o.Width, 2 * o.Width} {
		cell, reduce, stride := fmt.Sprintf("cell%d", k), k != 1, 1
		if reduce {
			stride = 2
		}
		x = n.BatchNorm(cell+".pre.bn", n.Conv(cell+".pre.conv", n.Relu(cell+".pre.relu", x), c, ConvOptions{Kernel: 1}))
		one := edge(cell+".edge01", x, 0, reduce, c, stride)
		two := n.Add(cell+".node2", edge(cell+".edge02", x, 1, reduce, c, stride), edge(cell+".edge12", one, 2, reduce, c, 1))
		x = n.Dropout(cell+".dropout", n.Concat(cell+".concat", one, two), 0.2)
	}
	x = n.Flatten("flatten", n.MaxPool("pool", x, 2))
	x = n.Dropout("fc1.dropout", n.Relu("fc1.relu", n.Linear("fc1", x, 4*o.Width)), 0.2)
	n.Output("logits", n.Linear("fc2", x, o.Classes))
}

func (n *Net) candidate(edge string, x Val, op CellOp, c, stride int) Val {
	name := edge + "." + op.Kind()
	if op.Kind() == "dil" {
		return n.cellConv(name, x, c, ConvOptions{Kernel: op.Kernel(), Stride: stride, Dilation: 2, Groups: c})
	}
	x = n.cellConv(name+".a", x, c, ConvOptions{Kernel: op.Kernel(), Stride: stride, Groups: c})
	return n.cellConv(name+".b", x, c, ConvOptions{Kernel: op.Kernel(), Groups: c})
}

func (n *Net) cellConv(name string, x Val, c int, depthwise ConvOptions) Val {
	x = n.Conv(name+".dw", n.Relu(name+".relu", x), c, depthwise)
	return n.BatchNorm(name+".bn", n.Conv(name+".pw", x, c, ConvOptions{Kernel: 1}))
}
