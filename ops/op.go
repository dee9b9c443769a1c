package ops

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// Op is one operator. Nil functions mean: no rule. Without Infer nothing
// downstream has a known shape; without Axes every axis is pinned; without Lower
// the operator cannot run.
type Op struct {
	Name   string
	Domain string // "" is the default ONNX domain
	Since  int    // first opset version the rules hold for
	Doc    string // one line; formula and ONNX operator versions

	// Infer is called when every present input is a ranked tensor of known element
	// type; sizes may be unknown (-1). It returns one Fact per node output.
	Infer func(s *Site) ([]Fact, error)
	// Lower is called when the types of all inputs and outputs are static.
	Lower func(l *Lowering) ([]prim.ID, error)
	Axes  func(s *Site, a *Axes)
	Cost  func(s *Site) Cost
	Cut   func(c *Cut) error
	// Kernel names the weight input and its spatial axes when a smaller centred
	// kernel can stand in for the node's (odd sizes, pads that can shrink with it).
	Kernel func(s *Site) (input int, axes []int, ok bool)
	// Linear sees a node as products of matrices; see the type. nil where one is none.
	Linear func(s *Site) *Linear
	// Residual marks operators whose result, when one of two equally shaped inputs
	// is left out, is the other input (Add).
	Residual bool
	// Sums marks operators that see of their inputs 0 and 1 only the sum (fused norms): a
	// branch may be zero.
	Sums bool
	// Params lists the inputs that training moves when they are initialisers.
	Params []int
	// Scales marks elementwise operators whose constant operand is a parameter only
	// behind the first layer with weights: before it, it is preprocessing.
	Scales bool
	// Heads marks attentions: the units on an inner axis of output 0 are whole heads.
	Heads bool
	// Caches lists the inputs of an attention that hold keys and values of earlier calls, their
	// heads on the third axis from the end; outputs behind the first of rank 4 or more give them back.
	Caches []int
	// Probability, of operators that turn logits (input 0) into probabilities, returns
	// the axes along which these sum to 1.
	Probability func(s *Site) ([]int, error)
	// State lists the inputs that are running statistics: kept with the weights,
	// moved by Lowering.Update, never trained and never masked.
	State []int
	// Train marks operators whose lowering depends on Lowering.Training.
	Train bool
	// Moves is the number of leading inputs (-1: all) whose elements become output
	// elements, moved by rules that do not look at them: partly known integers pass
	// through. 0 for every other operator.
	Moves int
}

// Title names an operator as texts do: "Conv" in the default domain, else "com.microsoft.Gelu".
// domain is normal, see ir.NormalDomain.
func Title(domain, name string) string {
	if domain == "" {
		return name
	}
	return domain + "." + name
}

// Fact is what is known of a value: its type and, when it can be computed from
// constants (or from the bound shapes), its elements.
type Fact struct {
	Type  ir.Type
	Const *ir.Tensor // nil when not known
	// Partial holds, row-major, the elements of an integer value of which only some
	// are known (a shape with symbolic sizes); nil when Const is set or none is known.
	Partial []Elem
	// Weight is true when the value is an initialiser (or a constant node's output),
	// false when it is computed, even if Const is known.
	Weight bool
}

// Elem is one element of a partly known integer value. Param names the symbolic
// dimension that an unknown element is the size of; it may be empty.
type Elem struct {
	Value int
	Known bool
	Param string
}

// Present reports whether the value exists (an omitted optional input does not).
func (f Fact) Present() bool { return f.Type.Kind != ir.KindNone }

// Shape returns the sizes, -1 for unknown; nil when the rank is unknown.
func (f Fact) Shape() []int { return f.Type.Sizes() }

// Site is one node with what is known around it. In has one entry per node
// input, Out (after inference) one per node output; omitted ones are zero Facts.
type Site struct {
	Node  *ir.Node
	Opset int // version of the node's domain
	In    []Fact
	Out   []Fact
	// Units is set for operators that keep the row-major order: pairs of axes on which the
	// same units live, where axes are split or merged. Nil leaves the choice to the operator.
	Units []AxisPair

	rules *Op // whose Infer accepted the node
}

// Rules returns the operator's rules where they hold for the node: its Infer accepted what is
// known of the inputs. Nil elsewhere: rules behind Infer index what it has checked, so none
// may be called.
func (s *Site) Rules() *Op {
	if s == nil {
		return nil
	}
	return s.rules
}

// AxisPair names an axis of input 0 and an axis of output 0.
type AxisPair struct{ In, Out int }

// Input returns the fact of input i, the zero Fact when absent.
func (s *Site) Input(i int) Fact {
	if i < len(s.In) && i < len(s.Node.Inputs) && s.Node.Inputs[i] != "" {
		return s.In[i]
	}
	return Fact{}
}

// Errorf prefixes an error with the node's address.
func (s *Site) Errorf(stage, format string, args ...any) error {
	return fmt.Errorf("%s: node %q (%s, opset %d): %w", stage, s.Node.Label(), s.Node.OpType, s.Opset, fmt.Errorf(format, args...))
}

// Cost is the price of one node at the site's shapes, for the whole bound batch.
type Cost struct {
	MACs float64 // multiply-accumulates of products and convolutions; elementwise work counts 0
}

// Lowering is what Lower works on: append primitives to B and return one ID
// per node output (prim.Invalid for outputs that the node omits).
type Lowering struct {
	*Site
	B  *prim.Builder
	In []prim.ID // prim.Invalid for omitted inputs
	// Training selects training behaviour (BatchNormalization, Dropout).
	Training bool
	// Float is the dtype floating values compute in (F32 or F64).
	Float prim.DType
	// Seed is an I64 [2] value for random operators; prim.Invalid means none (dropout is the identity).
	Seed prim.ID
	// AxisMask returns the coefficients of the positions along an axis of input i, [size],
	// or prim.Invalid where all positions count fully. Nil means none. Statistics over the
	// axis are weighted by them: see Axes.Weigh.
	AxisMask func(i, axis int) prim.ID
	// Update records that the model's state named by input i (a running
	// statistic) becomes v after a training step. Nil outside training.
	Update func(input int, v prim.ID)
}

// DType returns the program dtype that an ONNX element type computes in.
func (l *Lowering) DType(d ir.DType) prim.DType {
	switch {
	case d.IsFloat():
		return l.Float
	case d == ir.Bool:
		return prim.Bool
	}
	return prim.I64
}

// ConstInts returns input i as integers, or an error with the node's address when it is not constant.
func (s *Site) ConstInts(i int) ([]int, error) {
	f := s.Input(i)
	if f.Const == nil {
		return nil, s.Errorf("ops", "input %d %q: want a constant, got a computed value", i, s.Node.Input(i))
	}
	v, err := f.Const.Int64s()
	if err != nil {
		return nil, s.Errorf("ops", "input %d: %w", i, err)
	}
	out := make([]int, len(v))
	for k, x := range v {
		out[k] = int(x)
	}
	return out, nil
}
