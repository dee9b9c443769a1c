package ops

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/ir"
)

// Tail divides a normal graph where gradients end: the head before, which can be searched, cut
// and trained, and the nodes behind, such as NonMaxSuppression and what reads it, which stay.
type Tail struct {
	// Head is a copy of the graph that ends at the tail. Its outputs are, in the order of the
	// graph's, those that have a gradient and the floats that the others are computed from;
	// behind them the other values that the tail reads. Inputs are all of the graph's.
	Head *ir.Model
	// At lists the outputs of Head that can be taught, in order.
	At []string
	// Nodes are those behind, in graph order. What both parts compute from inputs and
	// constants alone stands here again, under names of its own.
	Nodes []*ir.Node
	// Trained counts the elements of parameters that the tail reads in operators with rules.
	Trained int
	// Foreign says that it has operators that cannot run here.
	Foreign bool

	before  []*ir.Node // nodes that read At
	inits   []*ir.Tensor
	info    []ir.Value
	outputs []ir.Value
}

// FindTail finds the tail of a graph under facts of it; nil when every output is a float with a
// gradient, or none can be taught. In the tail are
//
//   - operators that cannot run, and all that depends on them;
//   - what outputs without a gradient are computed by, back to the last floats that have one: a
//     float has one when a path leads back to a trained parameter past integers and steps; of
//     those the ones that follow from others without a parameter are behind as well;
//   - rows that a computed choice has picked, when no trained parameter is read behind: which
//     of them belongs to which is not the same for two networks.
//
// Nodes that some taught output needs are never in it, whatever they are. Values named by at
// are taught in place of the outputs behind them; one that is no float with a gradient is an
// error. It is also an error when operators that cannot run leave less than half of the
// trained parameters before them and at says nothing.
func FindTail(m *ir.Model, f *Facts, at []string) (*Tail, error) {
	w := newTailWalk(m, f, at)
	if err := w.checkAt(at); err != nil {
		return nil, err
	}
	if len(at) == 0 && !slices.ContainsFunc(m.Graph.Outputs, func(v ir.Value) bool { return !w.taught(v.Name) }) {
		return nil, nil
	}
	w.fix(at)
	t := w.tail(at)
	if len(t.At) == 0 || len(at) == 0 && len(t.Nodes) == 0 {
		return nil, nil
	}
	if len(at) == 0 {
		if err := w.half(t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// String says where learning happens: learns at boxes, scores (before NonMaxSuppression "nms").
func (t *Tail) String() string {
	list := func(words []string) string {
		if len(words) > 3 {
			words = append(slices.Clone(words[:3]), fmt.Sprintf("%d more", len(words)-3))
		}
		return strings.Join(words, ", ")
	}
	text := "learns at " + list(t.At)
	var before []string
	for _, n := range t.before {
		before = append(before, fmt.Sprintf("%s %q", Title(n.Domain, n.OpType), n.Label()))
	}
	if before != nil {
		text += " (before " + list(before) + ")"
	}
	return text
}

// Ends reports an output of the graph that was divided.
func (t *Tail) Ends(output string) bool { return slices.Contains(names(t.outputs), output) }

// Count says how many nodes are kept.
func (t *Tail) Count() string {
	if len(t.Nodes) == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", len(t.Nodes))
}
