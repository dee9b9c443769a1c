package space

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Dim is one decision. Choices ascend, and are nested but for those of operations: what a
// choice keeps, every larger one keeps too; the last is the original, where operations do not
// end before it.
type Dim struct {
	Name    string // kind:node, unique in a space
	Kind    string // of Kinds
	Node    string // label of the node (or group) it speaks of
	Choices []int  // of units: how many stay; kernel: size; depth: 0 skips, 1 keeps
	// Order ranks a width's units, most important first; nil is the order of the file.
	Order []int
	// Candidates are the alternatives that an operations dim's node joins: values that it adds,
	// or the nodes that make them. Choice k keeps the k-th alone, 0 none, and one more than
	// there are candidates is the sum of all as written. Choices may end before that sum.
	Candidates []string
	// Kernels, where it is not nil, gives every candidate the size that the kernels of its branch
	// shrink to, 0 as they are. Candidates of one branch at several sizes share its weights.
	Kernels []int `json:",omitempty"`
	// Whole lets a subnet keep that sum.
	Whole bool
	// Tied lists further nodes (or groups) of the kind that follow the same decision: the choice
	// is made once, for Node and for all of them.
	Tied []Tied `json:",omitempty"`
}

// Tied is a node that follows the decision of a dim. Candidates and Kernels are those of its
// own branches, by the dim's position; without Kernels they are the dim's. The largest Step is the last
// choice of a depth dim: the layers of a stack go one after the other, the last one first.
type Tied struct {
	Node       string   `yaml:"node" json:"node"`
	Candidates []string `yaml:"candidates,flow,omitempty" json:"candidates,omitempty"`
	Kernels    []int    `yaml:"kernels,flow,omitempty" json:"kernels,omitempty"`
	// Step is the least choice of a depth dim that keeps the node's branch; 0 is 1, as of the dim's own node.
	Step int `yaml:"step,omitempty" json:"step,omitempty"`
}

// Nodes lists the nodes (or groups) that the decision is made for.
func (d Dim) Nodes() []string {
	out := []string{d.Node}
	for _, t := range d.Tied {
		out = append(out, t.Node)
	}
	return out
}

// each lists the dim as it is at every one of its nodes, none of them tied.
func (d Dim) each() []Dim {
	one := d
	one.Tied = nil
	out := []Dim{one}
	for _, t := range d.Tied {
		at := one
		at.Node, at.Candidates = t.Node, t.Candidates
		if t.Kernels != nil {
			at.Kernels = t.Kernels
		}
		out = append(out, at)
	}
	return out
}

// Kept names what a choice (the value, not its index) of operations leaves: a candidate, with
// the size of its kernels where that is chosen, "none", or "all".
func Kept(candidates []string, kernels []int, choice int) string {
	switch {
	case choice < 1:
		return "none"
	case choice > len(candidates):
		return "all"
	case choice <= len(kernels) && kernels[choice-1] > 0:
		return fmt.Sprintf("%s, kernel %d", candidates[choice-1], kernels[choice-1])
	}
	return candidates[choice-1]
}

// Ordered reports whether larger choices keep all that smaller ones do.
func (d Dim) Ordered() bool { return d.Kind != operationsKind.Name }

// Final is the number of choices, the first ones, that a subnet may end with.
func (d Dim) Final() int {
	if n := len(d.Choices); d.Ordered() || d.Whole || n == 1 || d.Choices[n-1] <= len(d.Candidates) {
		return n
	}
	return len(d.Choices) - 1
}

// AxisEffect says which positions of one axis of one value a dim owns, and, for
// each, the first (smallest) choice that keeps it.
type AxisEffect struct {
	Value      string
	Axis       int
	Own, First []int
	// Mask: the value is a weight whose coefficients the supernet scales. Contracted: see Member.
	Mask, Contracted bool
	// Rank, by index of the choice, takes the choice's place in First where choices have no
	// order: a position stays when its First is at most the choice's rank. Nil: the index itself.
	Rank []int
	// Given, by index of the choice, says which choices have the value at all. Its coefficients are
	// shares of theirs: what keeps a position, of what keeps the value. Nil: all choices.
	Given []bool
}

// keeps reports whether a choice, by index, keeps the k-th position that the dim owns.
func (ax AxisEffect) keeps(k, choice int) bool {
	if ax.Rank != nil {
		choice = ax.Rank[choice]
	}
	return ax.First[k] <= choice
}

// Gate is an operand of a node that adds, which some choices of its dim remove.
type Gate struct {
	Node     string   // label of the residual node
	Branch   string   // value scaled by the coefficients of the choices that keep it
	Shortcut string   // value that stands for the node's output when skipped
	Open     []bool   // by index of the choice: it stays
	Nodes    []string // outputs[0] of the branch's nodes
	// Stays: the node does more than to add, so it stays and its branch becomes zero.
	Stays bool
	// Zeros, where it is not empty, is a value of the shape of the node's result: while the gate is
	// open, nothing of what the node adds up is left, and zeros of that shape are its result.
	Zeros string
	// Root, of operations, is the label of the dim's node: Node, or a later one of the same sum.
	Root string
	// Edge: what the node reads is scaled, not what others may read of the branch. Inner: the
	// branch is a sum whose own operands are scaled, so it is not.
	Edge, Inner bool
}

// Effect is what a dim does to the model; masks, cost and extraction are written over it.
type Effect struct {
	Axes  []AxisEffect
	Gates []*Gate
}

// Kind is one kind of elastic dimension.
type Kind struct {
	Name, Doc string
	// Units says that choices are numbers of units of a group of this kind.
	Units bool
	// Recognise is set of a kind that needs other axes of attentions elastic than
	// ops.Recognise finds. Analyse reads a model so only where the kind is asked for by
	// name, and the groups on these axes are the kind's.
	Recognise func(g *ir.Graph, f *ops.Facts) *ops.Recognised
	// Suffix ends the names of those groups, so that a recipe of theirs is refused by any
	// other analysis.
	Suffix string
	// Find lists the dims of this kind that a model offers.
	Find func(an *Analysis, o Options) []Dim
	// Bind checks a dim against the model and returns its effect.
	Bind func(an *Analysis, d Dim) (*Effect, error)
}

// OnRequest reports whether the kind is offered only where it is asked for by name.
func (k Kind) OnRequest() bool { return k.Recognise != nil }

// fits reports whether the model was analysed for dims of the kind.
func (k Kind) fits(an *Analysis) bool { return !k.OnRequest() || an.own == k.Name }

// Kinds lists every kind of dimension. Omitted: attention heads and embedding
// width are widths of groups whose units span several axes; they need no kind.
var Kinds = []Kind{widthKind, headWidthKind, kernelKind, depthKind, operationsKind}

// KindByName returns a kind.
func KindByName(name string) (Kind, error) {
	var names []string
	for _, k := range Kinds {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Kind{}, fmt.Errorf("space: kind %q: want one of %v", name, names)
}

// CountsUnits reports whether the choices are numbers of units of a group.
func (d Dim) CountsUnits() bool {
	k, err := KindByName(d.Kind)
	return err == nil && k.Units
}

// check reports choices that are not positive, ascending and nested up to full.
func (d Dim) check(full int, lowest int) error {
	if len(d.Choices) == 0 || d.Choices[len(d.Choices)-1] != full {
		return fmt.Errorf("space: dimension %q: choices: want ascending numbers that end with the original %d, got %v", d.Name, full, d.Choices)
	}
	for i, c := range d.Choices {
		if c < lowest || (i > 0 && c <= d.Choices[i-1]) {
			return fmt.Errorf("space: dimension %q: choices: want ascending numbers from %d on, got %v", d.Name, lowest, d.Choices)
		}
	}
	return nil
}

// Options says what New offers.
type Options struct {
	Divisor    int      `json:"divisor" want:">=0" doc:"widths, in positions where a unit has several, are multiples of it; 0: 8"`
	MinRatio   float64  `json:"min_ratio" want:"[0,1]" doc:"smallest width as a share of the original; 0: 0.25"`
	MaxChoices int      `json:"max_choices" want:">=0" doc:"most choices per width; 0: 8"`
	Kinds      []string `json:"kinds" oneof:"kind" doc:"dimensions to offer; none: all but those on request"`
	Elastic    []string `json:"elastic" doc:"globs of node names that may change; none: all"`
	Keep       []string `json:"keep" doc:"globs of node names that must not change"`
	Operations []string `json:"operations" doc:"globs of nodes that add alternatives, of which one is to remain"`
}

// DefaultOptions returns what the zero values of Options stand for.
func DefaultOptions() Options { return Options{Divisor: 8, MinRatio: 0.25, MaxChoices: 8} }

func (o Options) allows(nodes ...string) bool {
	for _, n := range nodes {
		if Matches(o.Keep, n) {
			return false
		}
	}
	return len(o.Elastic) == 0 || slices.ContainsFunc(nodes, func(n string) bool { return Matches(o.Elastic, n) })
}

func (o *Options) defaults() error {
	if o.Divisor == 0 {
		o.Divisor = 8
	}
	if o.MinRatio == 0 {
		o.MinRatio = 0.25
	}
	if o.MaxChoices == 0 {
		o.MaxChoices = 8
	}
	if o.Divisor < 1 || o.MinRatio < 0 || o.MinRatio > 1 || o.MaxChoices < 1 {
		return fmt.Errorf("space: options: want divisor ≥ 1, smallest ratio in [0, 1] and at least 1 choice, got %+v", *o)
	}
	for _, k := range o.Kinds {
		if _, err := KindByName(k); err != nil {
			return err
		}
	}
	return nil
}
