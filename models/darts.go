package models

import (
	"fmt"

	"github.com/entangle-nas/entangle/space"
)

// DARTSOp is an operation on an edge of the DARTS space.
type DARTSOp int

// The operations. The two of sep and of dil share the weights of the 5×5 one.
const (
	DARTSNone DARTSOp = iota
	DARTSMax          // 3×3, BN
	DARTSAvg          // 3×3, BN
	DARTSSkip         // the value itself; with stride 2 two 1×1 convolutions side by side, BN
	DARTSSep3         // as of the toy cell
	DARTSSep5
	DARTSDil3
	DARTSDil5
)

var dartsNames = [...]string{"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}

// String returns the operation's name in the DARTS code.
func (o DARTSOp) String() string { return dartsNames[o] }

// DARTSEdges lists the edges of a cell: from its two inputs (0 and 1) and its intermediate nodes
// (2 to 5) to a later intermediate node.
var DARTSEdges = [14][2]int{{0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}, {0, 4}, {1, 4}, {2, 4}, {3, 4}, {0, 5}, {1, 5}, {2, 5}, {3, 5}, {4, 5}}

// The search network of the DARTS space: 8 cells of Width channels at first, twice as many from
// each of the reduction cells, at 1/3 and 2/3, on. Defaults: 10 classes, 3 channels, size 32, Width 16, Depth 8.
var dartsDefaults = Options{Classes: 10, Channels: 3, Size: 32, Width: 16, Depth: 8}

// DARTSSpace is the DARTS cell space: DARTSEdges of the normal cell, then of the reduction cell, the choices
// of each in the order of DARTSOp. That a final cell keeps two edges per node is a rule for
// what is made of it: see DARTSCells. Liu et al., "DARTS", 2019.
func DARTSSpace() Supernet {
	return Supernet{Entry: Entry{"darts-space", "the DARTS cell space, the kernels of an operation entangled", dartsDefaults, func(n *Net, o Options) {
		n.darts(o, func(name string, x Val, stride int) []Val {
			return append(n.dartsPlain(name, x, stride), n.candidate(name+".sep", x, Sep5, x.Shape[0], stride), n.candidate(name+".dil", x, Dil5, x.Shape[0], stride))
		})
	}}, Dims: func(o Options) []space.Dim {
		return dartsDims(o, func(edge string) ([]string, []int) {
			return []string{edge + ".sep.b.bn", edge + ".sep.b.bn", edge + ".dil.bn", edge + ".dil.bn"}, []int{0, 0, 0, 3, 5, 3, 5}
		})
	}}
}

// SeparateDARTSSpace is DARTSSpace with a branch of its own for every candidate.
func SeparateDARTSSpace() Supernet {
	return Supernet{Entry: Entry{"darts-space-separate", "the same with a branch for every candidate", dartsDefaults, func(n *Net, o Options) {
		n.darts(o, func(name string, x Val, stride int) []Val {
			out := n.dartsPlain(name, x, stride)
			for op := Sep3; op <= Dil5; op++ {
				out = append(out, n.candidate(name+"."+op.String(), x, op, x.Shape[0], stride))
			}
			return out
		})
	}}, Dims: func(o Options) []space.Dim {
		return dartsDims(o, func(edge string) ([]string, []int) {
			return []string{edge + ".sep3.b.bn", edge + ".sep5.b.bn", edge + ".dil3.bn", edge + ".dil5.bn"}, nil
		})
	}}
}

// DARTSCells makes a choice of coefficients, per dimension of DARTSSpace, as DARTS does: every
// intermediate node keeps the two edges whose best operation but none has the largest coefficient, each
// with that operation; the others become none.
func DARTSCells(coef [][]float64) ([]int, error) {
	if len(coef) != 2*len(DARTSEdges) {
		return nil, fmt.Errorf("models: DARTS: want coefficients of %d edges, got %d", 2*len(DARTSEdges), len(coef))
	}
	choice := make([]int, len(coef))
	best := make([]int, len(coef))
	for d, row := range coef {
		if len(row) != len(dartsNames) {
			return nil, fmt.Errorf("models: DARTS: edge %d: want %d coefficients, got %d", d, len(dartsNames), len(row))
		}
		best[d] = 1
		for k := 2; k < len(row); k++ {
			if row[k] > row[best[d]] {
				best[d] = k
			}
		}
	}
	for cell := range 2 {
		for node := 2; node < 6; node++ {
			for range 2 {
				at := -1
				for k, e := range DARTSEdges {
					if d := cell*len(DARTSEdges) + k; e[1] == node && choice[d] == 0 && (at < 0 || coef[d][best[d]] > coef[at][best[at]]) {
						at = d
					}
				}
				choice[at] = best[at]
			}
		}
	}
	return choice, nil
}

// dartsReduces reports whether a cell of so many is a reduction cell.
func dartsReduces(cell, cells int) bool { return cell == cells/3 || cell == 2*cells/3 }

func dartsDims(o Options, convolutions func(edge string) (names []string, kernels []int)) []space.Dim {
	var out []space.Dim
	for _, reduce := range []bool{false, true} {
		kind := "normal"
		if reduce {
			kind = "reduce"
		}
		for _, e := range DARTSEdges {
			d := space.Dim{Name: fmt.Sprintf("operations:%s.edge%d%d", kind, e[0], e[1]), Kind: "operations", Choices: []int{0, 1, 2, 3, 4, 5, 6, 7}}
			for cell := range o.Depth {
				if dartsReduces(cell, o.Depth) != reduce {
					continue
				}
				edge := fmt.Sprintf("cell%d.edge%d%d", cell, e[0], e[1])
				skip := edge + ".skip.bn"
				if !reduce || e[0] > 1 {
					skip = fmt.Sprintf("cell%d.node%d", cell, e[0])
					if e[0] < 2 {
						skip = fmt.Sprintf("cell%d.pre%d.bn", cell, e[0])
					}
				}
				names, kernels := convolutions(edge)
				names = append([]string{edge + ".max.bn", edge + ".avg.bn", skip}, names...)
				if d.Node == "" {
					d.Node, d.Candidates, d.Kernels = edge+".mix", names, kernels
				} else {
					d.Tied = append(d.Tied, space.Tied{Node: edge + ".mix", Candidates: names})
				}
			}
			if d.Node != "" {
				out = append(out, d)
			}
		}
	}
	return out
}

func (n *Net) darts(o Options, edge func(name string, x Val, stride int) []Val) {
	c := o.Width
	x := n.BatchNorm("stem.bn", n.Conv("stem.conv", n.Input("image", o.Channels, o.Size, o.Size), 3*c, ConvOptions{Kernel: 3}))
	before, reduced := x, false
	for k := range o.Depth {
		cell, reduce := fmt.Sprintf("cell%d", k), dartsReduces(k, o.Depth)
		if reduce {
			c *= 2
		}
		first := cell + ".pre0"
		var at []Val
		if reduced {
			at = append(at, n.halved(first, before, c))
		} else {
			at = append(at, n.PlainNorm(first+".bn", n.Conv(first+".conv", n.Relu(first+".relu", before), c, ConvOptions{Kernel: 1})))
		}
		second := cell + ".pre1"
		at = append(at, n.PlainNorm(second+".bn", n.Conv(second+".conv", n.Relu(second+".relu", x), c, ConvOptions{Kernel: 1})))
		for to := 2; to < 6; to++ {
			var in []Val
			for _, e := range DARTSEdges {
				if e[1] != to {
					continue
				}
				stride := 1
				if reduce && e[0] < 2 {
					stride = 2
				}
				name := fmt.Sprintf("%s.edge%d%d", cell, e[0], e[1])
				in = append(in, n.Total(name+".mix", edge(name, at[e[0]], stride)...))
			}
			at = append(at, n.Total(fmt.Sprintf("%s.node%d", cell, to), in...))
		}
		before, x, reduced = x, n.Concat(cell+".concat", at[2:]...), reduce
	}
	n.Head(x, o.Classes)
}

// dartsPlain is the candidates that are no depthwise convolutions.
func (n *Net) dartsPlain(name string, x Val, stride int) []Val {
	skip := x
	if stride == 2 {
		skip = n.halved(name+".skip", x, x.Shape[0])
	}
	return []Val{n.PlainNorm(name+".max.bn", n.Pool("MaxPool", name+".max", x, 3, stride, 1)), n.PlainNorm(name+".avg.bn", n.Pool("AveragePool", name+".avg", x, 3, stride, 1)), skip}
}

// halved halves a map: Relu, two 1×1 convolutions of stride 2, the second from the second row and
// column on, side by side, BN.
func (n *Net) halved(name string, x Val, c int) Val {
	if n.err == nil && (len(x.Shape) != 3 || x.Shape[1]%2 != 0 || c%2 != 0) {
		return n.fail("node %q: want a map of even sizes to halve, and an even number of channels, got %v to %d", name, x.Shape, c)
	}
	x = n.Relu(name+".relu", x)
	if n.err != nil {
		return Val{}
	}
	far := 1 << 30
	y := n.Node("Slice", name+".shift", []Val{x, n.ints(name+".from", 1, 1), n.ints(name+".to", far, far), n.ints(name+".axes", 2, 3)}, []int{x.Shape[0], x.Shape[1] - 1, x.Shape[2] - 1})
	half := ConvOptions{Kernel: 1, Stride: 2}
	return n.PlainNorm(name+".bn", n.Concat(name+".concat", n.Conv(name+".a", x, c/2, half), n.Conv(name+".b", y, c/2, half)))
}
