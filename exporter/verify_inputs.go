package exporter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// maxInputBytes bounds one random input: a model may declare any size.
const maxInputBytes = 1 << 31

// RandomInputs draws o.Cases feeds for the graph's inputs from the stream "verify/inputs" under
// o.Seed: floats are standard normal, numbers of rows of a table all of its rows, bytes all of
// theirs, masks of attention 1, other integers 0 or 1, bools fair. A first axis of unknown size
// takes o.Batch; other unknown axes take o.Dims by their name, or by "input:axis" when they
// have none.
func RandomInputs(g *ir.Graph, o VerifyOptions) ([]Feed, error) {
	stream := rng.New(o.Seed, "verify/inputs")
	feed := map[string]bool{}
	for _, name := range runtimes.FeedNames(g) {
		feed[name] = true
	}
	readers := readersOf(g)
	var cases []Feed
	for range max(o.Cases, 1) {
		in := Feed{}
		for _, v := range g.Inputs {
			if !feed[v.Name] {
				continue
			}
			dims, err := inputDims(v, o)
			if err != nil {
				return nil, err
			}
			draw := readers.draw(v)
			vals := make([]float64, ir.Prod(dims))
			for i := range vals {
				vals[i] = draw(stream.Rand)
			}
			t, err := ir.NewFloats(v.Name, v.Type.Elem, dims, vals)
			if err != nil {
				return nil, fmt.Errorf("verify: input %q: %w", v.Name, err)
			}
			in[v.Name] = t
		}
		cases = append(cases, in)
	}
	return cases, nil
}
func inputDims(v ir.Value, o VerifyOptions) ([]int, error) {
	if v.Type.Kind != ir.KindTensor || !v.Type.Ranked {
		return nil, fmt.Errorf("verify: input %q: want a tensor of known rank, got %s; give data", v.Name, v.Type)
	}
	dims := make([]int, len(v.Type.Shape))
	bytes := max(v.Type.Elem.Bits()/8, 1)
	for i, d := range v.Type.Shape {
		key := d.Param
		if key == "" {
			key = fmt.Sprintf("%s:%d", v.Name, i)
		}
		size, named := o.Dims[key]
		switch {
		case d.Known():
			dims[i] = d.Size
		case named:
			dims[i] = size
		case i == 0:
			dims[i] = max(o.Batch, 1)
		default:
			return nil, fmt.Errorf("verify: input %q: axis %d (%s): want a size, got none; give --dim %s=N", v.Name, i, d, key)
		}
		if dims[i] < 0 || dims[i] > 0 && bytes > maxInputBytes/dims[i] {
			return nil, fmt.Errorf("verify: input %q: axis %d: want a size ≥ 0 and at most %d bytes in all, got %d", v.Name, i, maxInputBytes, dims[i])
		}
		bytes *= dims[i]
	}
	return dims, nil
}

// readers says what reads the values of a graph.
type readers struct {
	graph *ir.Graph
	of    map[string][]*ir.Node
	rows  map[string][]int // sizes of weights
}

func readersOf(g *ir.Graph) *readers {
	r := &readers{graph: g, of: map[string][]*ir.Node{}, rows: map[string][]int{}}
	for _, t := range g.Inits {
		r.rows[t.Name] = t.Dims
	}
	for _, n := range g.Nodes {
		if a := n.Attr("value"); n.OpType == "Constant" && a != nil && a.T != nil {
			r.rows[n.Output(0)] = a.T.Dims
		}
		for i, v := range n.Inputs {
			if v != "" && !slices.Contains(n.Inputs[:i], v) {
				r.of[v] = append(r.of[v], n)
			}
		}
	}
	// Tables that are cast, dequantised or moved have their rows where they had them before.
	for _, n := range g.Nodes {
		if d, ok := r.rows[n.Input(0)]; ok && slices.Contains([]string{"Cast", "Identity", "DequantizeLinear"}, n.OpType) {
			r.rows[n.Output(0)] = d
		}
	}
	return r
}

// passing are the operators that give on the numbers of rows that they read.
var passing = []string{"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Transpose", "Slice", "Expand", "Concat", "Split", "Gather", "Dropout"}

// masking are the operators that may stand between a mask and the scores that it hides.
var masking = append([]string{"Add", "Sub", "Mul", "Div", "Neg", "Not", "And", "Or", "Where", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Min", "Max", "ReduceSum", "ReduceMax", "CumSum", "Tile", "Trilu"}, passing...)

// tables are the inputs of operators that hold numbers of rows, with the input and the axis
// of the table; axis -1 is the node's.
var tables = []struct {
	op                 string
	index, table, axis int
}{
	{"Gather", 1, 0, -1}, {"EmbedLayerNormalization", 0, 2, 0}, {"EmbedLayerNormalization", 1, 4, 0}, {"EmbedLayerNormalization", 8, 3, 0},
	{"GatherBlockQuantized", 1, 0, -1}, {"RotaryEmbedding", 1, 2, 0}, {"GroupQueryAttention", 9, 7, 0},
}

// masks are the inputs of operators that are masks, or lengths that masks add up to.
var masks = []struct {
	op    string
	index int
}{
	{"Softmax", 0}, {"Attention", 3}, {"MultiHeadAttention", 4}, {"MultiHeadAttention", 5}, {"GroupQueryAttention", 5}, {"GroupQueryAttention", 6}, {"EmbedLayerNormalization", 7},
}

// walk visits every reader of a value, and of what the operators listed make of it.
func (r *readers) walk(value string, through []string, visit func(n *ir.Node, input int)) {
	seen, queue := map[string]bool{value: true}, []string{value}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		for _, n := range r.of[v] {
			for i, in := range n.Inputs {
				if in == v {
					visit(n, i)
				}
			}
			if !slices.Contains(through, n.OpType) || n.OpType == "Gather" && n.Input(0) != v {
				continue
			}
			for _, o := range n.Outputs {
				if o != "" && !seen[o] {
					seen[o] = true
					queue = append(queue, o)
				}
			}
		}
	}
}

// rowsOf is the length of the smallest table that an input holds numbers of rows of; 0 for
// none.
func (r *readers) rowsOf(input string) int {
	rows := 0
	r.walk(input, passing, func(n *ir.Node, i int) {
		for _, t := range tables {
			if t.op != n.OpType || t.index != i {
				continue
			}
			dims, axis := r.rows[n.Input(t.table)], t.axis
			if axis < 0 {
				if axis = n.Int("axis", 0); axis < 0 {
					axis += len(dims)
				}
			}
			if axis >= 0 && axis < len(dims) && dims[axis] > 0 && (rows == 0 || dims[axis] < rows) {
				rows = dims[axis]
			}
		}
	})
	return rows
}

// mask reports an input that is called a mask, or that hides scores.
func (r *readers) mask(input string) bool {
	if strings.Contains(strings.ToLower(input), "mask") {
		return true
	}
	found := false
	r.walk(input, masking, func(n *ir.Node, i int) {
		for _, m := range masks {
			found = found || m.op == n.OpType && m.index == i
		}
	})
	return found
}

// draw returns what draws an element of an input.
func (r *readers) draw(v ir.Value) func(*rand.Rand) float64 {
	elem, one := v.Type.Elem, func(*rand.Rand) float64 { return 1 }
	switch rows := r.rowsOf(v.Name); {
	case elem.IsFloat() && strings.Contains(strings.ToLower(v.Name), "mask"):
		return one
	case elem.IsFloat():
		return (*rand.Rand).NormFloat64
	case rows > 0:
		return func(s *rand.Rand) float64 { return float64(s.IntN(rows)) }
	case elem == ir.Uint8:
		return func(s *rand.Rand) float64 { return float64(s.IntN(256)) }
	case elem == ir.Int8:
		return func(s *rand.Rand) float64 { return float64(s.IntN(256) - 128) }
	case r.mask(v.Name):
		return one
	}
	return func(s *rand.Rand) float64 { return float64(s.IntN(2)) }
}
