package models

import (
	"fmt"
	"iter"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// NB201Op is an operation on an edge of the NAS-Bench-201 space.
type NB201Op int

// The operations, in the order of the benchmark.
const (
	NB201None NB201Op = iota
	NB201Skip
	NB201Conv1 // Relu, 1×1, BN
	NB201Conv3 // Relu, 3×3, BN; the 1×1 of an entangled edge is its centre
	NB201Pool  // 3×3 averages
)

var nb201Names = [...]string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}

// String returns the benchmark's name of the operation.
func (o NB201Op) String() string { return nb201Names[o] }

// NB201Edges lists the edges of a cell: from node, to node.
var NB201Edges = [6][2]int{{0, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}}

// NB201 is one architecture of the NAS-Bench-201 space: the operations on NB201Edges, the same in
// every cell. The space has 5⁶ = 15,625 architectures. Dong and Yang, "NAS-Bench-201", 2020.
type NB201 [6]NB201Op

// NB201s yields every architecture; the last edge varies fastest.
func NB201s() iter.Seq[NB201] {
	return func(yield func(NB201) bool) {
		for i := range 15625 {
			var a NB201
			for k, r := 5, i; k >= 0; k, r = k-1, r/5 {
				a[k] = NB201Op(r % 5)
			}
			if !yield(a) {
				return
			}
		}
	}
}

// String writes the architecture as the benchmark does: |op~0|+|op~0|op~1|+|op~0|op~1|op~2|.
func (a NB201) String() string {
	return fmt.Sprintf("|%v~0|+|%v~0|%v~1|+|%v~0|%v~1|%v~2|", a[0], a[1], a[2], a[3], a[4], a[5])
}

var nb201Defaults = Options{Classes: 10, Channels: 3, Size: 32, Width: 16, Depth: 5}

// Build returns the network: a 3×3 stem, three stages of Depth cells of Width, 2·Width and 4·Width
// channels with a residual block of stride 2 between them, BN, Relu, the mean over the map and a
// linear layer. A cell's nodes are the sums of their edges, the last is its output; a node of
// which no edge leaves anything is zeros. BN scales and biases are trained outside of cells
// alone, as in the search of the paper. Defaults: 10 classes, 3 channels, size 32, Width 16, Depth 5.
func (a NB201) Build(o Options) (*ir.Model, error) { return a.entry().Build(o) }

func (a NB201) entry() Entry {
	return Entry{Name: "nb201", Defaults: nb201Defaults, Wire: func(n *Net, o Options) {
		n.nb201(o, func(name string, edge int, x Val) Val {
			switch a[edge] {
			case NB201Skip:
				return x
			case NB201Conv1:
				return n.nb201Conv(name+".conv", x, 1)
			case NB201Conv3:
				return n.nb201Conv(name+".conv", x, 3)
			case NB201Pool:
				return n.nb201Pool(name+".pool", x)
			}
			return n.Node("Sub", name+".mix", []Val{x, x}, x.Shape)
		})
	}}
}

// NB201Space is the NAS-Bench-201 space: its edges in the order of NB201Edges, shared by all cells,
// the choices of each in the order of NB201Op. The two convolutions of an edge share the weights of the 3×3 one.
func NB201Space() Supernet {
	return Supernet{Entry: Entry{"nb201-space", "the NAS-Bench-201 space, the convolutions of an edge entangled", nb201Defaults, func(n *Net, o Options) {
		n.nb201(o, func(name string, _ int, x Val) Val {
			return n.Total(name+".mix", x, n.nb201Conv(name+".conv", x, 3), n.nb201Pool(name+".pool", x))
		})
	}}, Dims: func(o Options) []space.Dim {
		return nb201Dims(o, func(from, edge string) ([]string, []int) {
			return []string{from, edge + ".conv.bn", edge + ".conv.bn", edge + ".pool"}, []int{0, 1, 3, 0}
		})
	}}
}

// SeparateNB201Space is NB201Space with a convolution of its own for every candidate.
func SeparateNB201Space() Supernet {
	return Supernet{Entry: Entry{"nb201-space-separate", "the same with a branch for every candidate", nb201Defaults, func(n *Net, o Options) {
		n.nb201(o, func(name string, _ int, x Val) Val {
			return n.Total(name+".mix", x, n.nb201Conv(name+".conv1", x, 1), n.nb201Conv(name+".conv3", x, 3), n.nb201Pool(name+".pool", x))
		})
	}}, Dims: func(o Options) []space.Dim {
		return nb201Dims(o, func(from, edge string) ([]string, []int) {
			return []string{from, edge + ".conv1.bn", edge + ".conv3.bn", edge + ".pool"}, nil
		})
	}}
}

// NB201Of is the architecture of a choice of NB201Space, by index per dimension.
func NB201Of(choice []int) (NB201, error) {
	var a NB201
	if len(choice) != len(a) {
		return a, fmt.Errorf("models: NAS-Bench-201: want %d choices, got %d", len(a), len(choice))
	}
	for i, c := range choice {
		if c < 0 || c > int(NB201Pool) {
			return a, fmt.Errorf("models: NAS-Bench-201: choice %d: want 0 to 4, got %d", i, c)
		}
		a[i] = NB201Op(c)
	}
	return a, nil
}

// nb201Dims lists the decisions on edges; candidates names those of an edge that begins at the value of
// node from, with their kernels.
func nb201Dims(o Options, candidates func(from, edge string) (names []string, kernels []int)) []space.Dim {
	var out []space.Dim
	for _, e := range NB201Edges {
		var d space.Dim
		for s := range 3 {
			for i := range o.Depth {
				cell, before := nb201Cell(s, i), "stem.bn"
				switch {
				case i > 0:
					before = nb201Cell(s, i-1) + ".node3"
				case s > 0:
					before = fmt.Sprintf("down%d.add", s)
				}
				from := [4]string{before, cell + ".edge01.mix", cell + ".node2", cell + ".node3"}
				edge := fmt.Sprintf("%s.edge%d%d", cell, e[0], e[1])
				names, kernels := candidates(from[e[0]], edge)
				if s == 0 && i == 0 {
					d = space.Dim{Name: fmt.Sprintf("operations:edge%d%d", e[0], e[1]), Kind: "operations", Node: edge + ".mix", Choices: []int{0, 1, 2, 3, 4}, Candidates: names, Kernels: kernels}
				} else {
					d.Tied = append(d.Tied, space.Tied{Node: edge + ".mix", Candidates: names})
				}
			}
		}
		out = append(out, d)
	}
	return out
}

func nb201Cell(stage, i int) string { return fmt.Sprintf("stage%d.%d", stage, i) }

func (n *Net) nb201(o Options, edge func(name string, edge int, x Val) Val) {
	w := o.Width
	x := n.BatchNorm("stem.bn", n.Conv("stem.conv", n.Input("image", o.Channels, o.Size, o.Size), w, ConvOptions{Kernel: 3}))
	for s := range 3 {
		c := w << s
		if s > 0 {
			name := fmt.Sprintf("down%d", s)
			y := n.BatchNorm(name+".a.bn", n.Conv(name+".a.conv", n.Relu(name+".a.relu", x), c, ConvOptions{Kernel: 3, Stride: 2}))
			y = n.BatchNorm(name+".b.bn", n.Conv(name+".b.conv", n.Relu(name+".b.relu", y), c, ConvOptions{Kernel: 3}))
			x = n.Add(name+".add", n.Conv(name+".short.conv", n.Pool("AveragePool", name+".short.pool", x, 2, 2, 0), c, ConvOptions{Kernel: 1}), y)
		}
		for i := range o.Depth {
			cell := nb201Cell(s, i)
			at := []Val{x}
			for to := 1; to < 4; to++ {
				var in []Val
				for k, e := range NB201Edges {
					if e[1] == to {
						in = append(in, edge(fmt.Sprintf("%s.edge%d%d", cell, e[0], e[1]), k, at[e[0]]))
					}
				}
				at = append(at, n.Total(fmt.Sprintf("%s.node%d", cell, to), in...))
			}
			x = at[3]
		}
	}
	n.Head(n.Relu("last.relu", n.BatchNorm("last.bn", x)), o.Classes)
}

func (n *Net) nb201Conv(name string, x Val, kernel int) Val {
	return n.PlainNorm(name+".bn", n.Conv(name, n.Relu(name+".relu", x), x.Shape[0], ConvOptions{Kernel: kernel}))
}

// nb201Pool averages what lies within the map, as the benchmark does.
func (n *Net) nb201Pool(name string, x Val) Val { return n.Pool("AveragePool", name, x, 3, 1, 1) }
