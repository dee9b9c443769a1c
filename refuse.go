package entangle

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// refusal is a kind of operator whose weights cannot be searched or trained.
type refusal struct {
	what, instead string
	anywhere      bool // in a tail too
	has           func(n *ir.Node, constant map[string]*ir.Tensor) bool
}

var refusals = []refusal{
	{"quantised", "its weights are integers, which no step can move: give the float model that it was made from, and quantise the result", true, quantised},
	{"recurrent", "they have no gradient rule: give a model without them, or a tensor before them to learn at (--learn-at)", false, recurrent},
}

// integerOps are the operators on quantised numbers that no name gives away.
var integerOps = []string{"QuantizeLinear", "DequantizeLinear", "MatMulNBits", "MatMulBnb4", "MatMulFpQ4", "GatherBlockQuantized", "QAttention", "QGemm", "QMoE",
	"QEmbedLayerNormalization", "QuantizeBFP", "DequantizeBFP", "MatMulInteger", "MatMulInteger16", "MatMulIntegerToFloat", "ConvInteger"}

// fewWeights is the size below which an array of small integers is no weight: colours, flags.
const fewWeights = 64

// quantised reports an operator on quantised numbers, and a Cast that makes floats of weights
// of 8 bits or less, which constant finds by name.
func quantised(n *ir.Node, constant map[string]*ir.Tensor) bool {
	if slices.Contains(integerOps, n.OpType) || strings.HasPrefix(n.OpType, "QLinear") || strings.HasPrefix(n.OpType, "QOrdered") || strings.HasPrefix(n.OpType, "DynamicQuantize") {
		return true
	}
	if n.OpType != "Cast" || !ir.DType(n.Int("to", 0)).IsFloat() {
		return false
	}
	t := constant[n.Input(0)]
	return t != nil && len(t.Dims) > 1 && t.Len() >= fewWeights && t.DType != ir.Bool && t.DType.Bits() > 0 && t.DType.Bits() <= 8
}

func recurrent(n *ir.Node, _ map[string]*ir.Tensor) bool {
	return slices.Contains([]string{"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM", "AttnLSTM"}, n.OpType)
}

// CheckTrainable returns a *ModelError that names the operators of the file whose weights
// cannot be searched or trained, with counts and what helps; nil when there are none. In a tail
// (Split) recurrent operators may stand.
func (m *Model) CheckTrainable() error {
	var errs []error
	for _, r := range refusals {
		found := map[string][]string{} // operator → nodes
		if r.anywhere || m.Tail == nil {
			collect(m.Raw, r.has, found)
		} else {
			collect(m.Normal, r.has, found)
		}
		if len(found) == 0 {
			continue
		}
		var parts []string
		for _, op := range sorted(found) {
			var nodes []string
			for _, n := range found[op][:min(len(found[op]), 2)] {
				nodes = append(nodes, strconv.Quote(n))
			}
			if len(found[op]) > 2 {
				nodes = append(nodes, "…")
			}
			parts = append(parts, fmt.Sprintf("%s ×%d (nodes %s)", op, len(found[op]), strings.Join(nodes, ", ")))
		}
		errs = append(errs, fmt.Errorf("model: %s: %s: %s", r.what, strings.Join(parts, ", "), r.instead))
	}
	if err := errors.Join(errs...); err != nil {
		return &ModelError{err}
	}
	return nil
}

// CheckFinite is a *ModelError that names the weights of an analysed model which hold NaN or
// infinity; nil when there are none.
func CheckFinite(an *space.Analysis) error {
	if err := ops.CheckFinite(an.Model, an.Facts); err != nil {
		return &ModelError{err}
	}
	return nil
}

// collect notes the nodes of a model, those of subgraphs and functions too, that has reports.
func collect(m *ir.Model, has func(*ir.Node, map[string]*ir.Tensor) bool, found map[string][]string) {
	constant := map[string]*ir.Tensor{}
	var nodes func(list []*ir.Node)
	graph := func(g *ir.Graph) {
		for _, t := range g.Inits {
			constant[t.Name] = t
		}
		nodes(g.Nodes)
	}
	nodes = func(list []*ir.Node) {
		for _, n := range list {
			if a := n.Attr("value"); n.OpType == "Constant" && a != nil && a.T != nil {
				constant[n.Output(0)] = a.T
			}
			if has(n, constant) {
				found[n.OpType] = append(found[n.OpType], n.Label())
			}
			for _, g := range ir.Subgraphs(n) {
				graph(g)
			}
		}
	}
	graph(m.Graph)
	for _, f := range m.Functions {
		nodes(f.Nodes)
	}
}
