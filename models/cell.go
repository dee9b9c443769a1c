package models

import (
	"fmt"
	"iter"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
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
// cell, a 2×2 max pool, and two linear layers. BN scales are 1 and biases 0 and are not
// trained, as the space's BN has none. Defaults: 10 classes, 1 channel, size 28, Width 32, and
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
			return n.candidate(name+"."+op.Kind(), x, op, c, stride)
		})
	}}
}

// CellSpace is the paper's toy cell space: the three edges of the normal cell, then those of the
// reduction cells, which share their decisions; the candidates of each in the order of CellOp. The two
// of a kind share the weights of the 5×5 one.
func CellSpace() Supernet {
	return Supernet{Entry: Entry{"cell-space", "the paper's toy cell space, candidates of a kind entangled", cellDefaults, wireCellSuper}, Dims: func(Options) []space.Dim {
		return cellDims(func(edge string) ([]string, []int) {
			return []string{edge + ".sep.b.bn", edge + ".sep.b.bn", edge + ".dil.bn", edge + ".dil.bn"}, []int{3, 5, 3, 5}
		})
	}}
}

// SeparateCellSpace is CellSpace with a branch and weights of its own for every candidate:
// weight sharing without entanglement.
func SeparateCellSpace() Supernet {
	return Supernet{Entry: Entry{"cell-space-separate", "the same with a branch for every candidate", cellDefaults, func(n *Net, o Options) {
		n.cells(o, func(name string, x Val, _ int, _ bool, c, stride int) Val {
			var branches []Val
			for op := Sep3; op <= Dil5; op++ {
				branches = append(branches, n.candidate(name+"."+op.String(), x, op, c, stride))
			}
			return n.Total(name+".mix", branches...)
		})
	}}, Dims: func(Options) []space.Dim {
		return cellDims(func(edge string) ([]string, []int) {
			return []string{edge + ".sep3.b.bn", edge + ".sep5.b.bn", edge + ".dil3.bn", edge + ".dil5.bn"}, nil
		})
	}}
}

// cellDims lists the decisions on edges; candidates names those of an edge, with their kernels.
func cellDims(candidates func(edge string) (names []string, kernels []int)) []space.Dim {
	var out []space.Dim
	for _, kind := range []struct {
		name  string
		cells []string
	}{{"normal", []string{"cell1"}}, {"reduce", []string{"cell0", "cell2"}}} {
		for _, edge := range []string{"edge01", "edge02", "edge12"} {
			var at []string
			for _, cell := range kind.cells {
				at = append(at, cell+"."+edge)
			}
			out = append(out, operations(kind.name+"."+edge, 1, at, ".mix", candidates))
		}
	}
	return out
}

// CellGenotype is the architecture of a choice of CellSpace, by index per dimension.
func CellGenotype(choice []int) (Genotype, error) {
	var g Genotype
	if len(choice) != 6 {
		return g, fmt.Errorf("models: toy cell: want 6 choices, got %d", len(choice))
	}
	for i, c := range choice {
		if c < 0 || c > int(Dil5) {
			return g, fmt.Errorf("models: toy cell: choice %d: want 0 to 3, got %d", i, c)
		}
		if i < 3 {
			g.Normal[i] = CellOp(c)
		} else {
			g.Reduce[i-3] = CellOp(c)
		}
	}
	return g, nil
}

// wireCellSuper puts the largest candidate of each kind on every edge and adds
// them: the network whose initialisers all architectures of the space inherit.
func wireCellSuper(n *Net, o Options) {
	n.cells(o, func(name string, x Val, _ int, _ bool, c, stride int) Val {
		return n.Add(name+".mix", n.candidate(name+".sep", x, Sep5, c, stride), n.candidate(name+".dil", x, Dil5, c, stride))
	})
}

func (n *Net) cells(o Options, edge func(name string, x Val, edge int, reduce bool, c, stride int) Val) {
	x := n.Input("image", o.Channels, o.Size, o.Size)
	for k, c := range []int{o.Width, o.Width, 2 * o.Width} {
		cell, reduce, stride := fmt.Sprintf("cell%d", k), k != 1, 1
		if reduce {
			stride = 2
		}
		x = n.PlainNorm(cell+".pre.bn", n.Conv(cell+".pre.conv", n.Relu(cell+".pre.relu", x), c, ConvOptions{Kernel: 1}))
		one := edge(cell+".edge01", x, 0, reduce, c, stride)
		two := n.Add(cell+".node2", edge(cell+".edge02", x, 1, reduce, c, stride), edge(cell+".edge12", one, 2, reduce, c, 1))
		x = n.Dropout(cell+".dropout", n.Concat(cell+".concat", one, two), 0.2)
	}
	x = n.Flatten("flatten", n.MaxPool("pool", x, 2))
	x = n.Dropout("fc1.dropout", n.Relu("fc1.relu", n.Linear("fc1", x, 4*o.Width)), 0.2)
	n.Output("logits", n.Linear("fc2", x, o.Classes))
}

func (n *Net) candidate(name string, x Val, op CellOp, c, stride int) Val {
	if op.Kind() == "dil" {
		return n.cellConv(name, x, c, ConvOptions{Kernel: op.Kernel(), Stride: stride, Dilation: 2, Groups: c})
	}
	x = n.cellConv(name+".a", x, c, ConvOptions{Kernel: op.Kernel(), Stride: stride, Groups: c})
	return n.cellConv(name+".b", x, c, ConvOptions{Kernel: op.Kernel(), Groups: c})
}

func (n *Net) cellConv(name string, x Val, c int, depthwise ConvOptions) Val {
	x = n.Conv(name+".dw", n.Relu(name+".relu", x), c, depthwise)
	return n.PlainNorm(name+".bn", n.Conv(name+".pw", x, c, ConvOptions{Kernel: 1}))
}
