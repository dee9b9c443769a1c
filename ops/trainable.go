package ops

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// Training is what training does with an initialiser.
type Training uint8

// Constants never move, parameters follow gradients, statistics follow batches.
const (
	Constant Training = iota
	Parameter
	Statistic
)

// ConstantKey is the metadata property of an initialiser that training leaves as it is, whatever
// reads it: the scale and bias of a norm that has none.
const ConstantKey = "entangle.constant"

// TrainingRoles tells, for every floating initialiser that some node reads, what
// training does with it. It is a parameter when an operator reads it as one
// (Op.Params) and no operator reads it as anything else. The constant operand of
// elementwise operators (Op.Scales) counts when it has more than one element and
// the other operand comes from a layer with weights, or is floating data that it spreads
// along an axis of size 1 (a tokenizer of features), unless it is a table: an
// additive mask or the cosines or sines of rotary positions. What a node merely moves
// or casts (views) stands for its initialiser, so a head may be tied to an embedding
// and a table of positions cut to the length. A vector that Expand repeats for Concat,
// such as a class token, is a parameter. One with the metadata property ConstantKey never is.
func TrainingRoles(m *ir.Model, f *Facts) map[string]Training {
	x := roles{facts: f, floats: map[string]*ir.Tensor{}, fed: map[string]bool{}, data: map[string]bool{}, is: map[string]Training{}, barred: map[string]bool{}}
	for _, t := range m.Graph.Inits {
		if t.DType.IsFloat() {
			x.floats[t.Name] = t
		}
	}
	for _, v := range m.Graph.Inputs {
		x.fed[v.Name] = x.floats[v.Name] == nil
		x.data[v.Name] = x.fed[v.Name] && v.Type.Elem.IsFloat()
	}
	x.tokens = repeatedTokens(m, x.floats)
	for _, n := range m.Graph.Nodes {
		x.node(n)
	}
	for _, t := range x.floats {
		x.barred[t.Name] = x.barred[t.Name] || slices.ContainsFunc(t.Meta, func(p ir.Prop) bool { return p.Key == ConstantKey })
	}
	for v, barred := range x.barred {
		if barred && x.is[v] == Parameter {
			x.is[v] = Constant
		}
	}
	return x.is
}

// CheckFinite reports the parameters and statistics of a model that hold NaN or infinity, each
// by its name with a node that reads it; nil where all are finite. Facts are the model's.
func CheckFinite(m *ir.Model, f *Facts) error {
	roles := TrainingRoles(m, f)
	var errs []error
	for _, t := range m.Graph.Inits {
		if roles[t.Name] == Constant || t.DType.Bits() < 8 {
			continue
		}
		at, v, err := notFinite(t)
		if err != nil {
			return err
		}
		if at < 0 {
			continue
		}
		by := ""
		for _, n := range m.Graph.Nodes {
			if slices.Contains(n.Inputs, t.Name) {
				by = fmt.Sprintf(" (read by %s %q)", n.OpType, n.Label())
				break
			}
		}
		errs = append(errs, fmt.Errorf("model: weight %q%s: want finite numbers, element %d of %d is %g", t.Name, by, at, t.Len(), v))
	}
	return errors.Join(errs...)
}

// notFinite returns the place of the first element that is NaN or infinite, −1 without one.
func notFinite(t *ir.Tensor) (at int, v float64, err error) {
	const some = 1 << 16
	buf := make([]float64, min(some, t.Len()))
	for from := 0; from < t.Len(); from += some {
		part := buf[:min(some, t.Len()-from)]
		if err := t.Part(from, from+len(part)).ReadFloat64s(part); err != nil {
			return 0, 0, err
		}
		for i, x := range part {
			if x-x != 0 {
				return from + i, x, nil
			}
		}
	}
	return -1, 0, nil
}

type roles struct {
	facts  *Facts
	floats map[string]*ir.Tensor // initialisers, and views of them, by value
	fed    map[string]bool       // values that no weight has touched yet: inputs and what is computed from them alone
	data   map[string]bool       // those that are numbers made of floating inputs
	tokens map[string]bool
	is     map[string]Training
	barred map[string]bool
}

// views lists the operators that move or cast the elements of input 0, whatever they are.
var views = []string{"Transpose", "Cast", "Identity", "Slice", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}

func (x *roles) node(n *ir.Node) {
	op := Lookup(n.Domain, n.OpType)
	var params, state []int
	scales := true
	if op != nil {
		params, state, scales = op.Params, op.State, op.Scales
	}
	raw, floating, layer := false, false, len(params) > 0 && !scales
	for i, v := range n.Inputs {
		t := x.floats[v]
		if t == nil {
			raw = raw || x.fed[v]
			floating = floating || x.data[v]
			continue
		}
		switch {
		case i == 0 && x.isView(n):
			x.floats[n.Output(0)] = t
			return
		case n.OpType == "Expand" && i == 0 && x.tokens[v], slices.Contains(params, i) && !scales && !isWave(t):
			if x.is[t.Name] == Constant {
				x.is[t.Name] = Parameter
			}
		case scales && isTable(t):
			x.barred[t.Name] = true
		case slices.Contains(state, i):
			x.is[t.Name] = Statistic
		case slices.Contains(params, i) && scales && t.Len() > 1 && (!x.anyFed(n) || x.spreads(n, i)):
			if x.is[t.Name] == Constant {
				x.is[t.Name] = Parameter
			}
			layer = layer || x.spreads(n, i)
		default:
			x.barred[t.Name] = true
		}
	}
	for _, o := range n.Outputs {
		x.fed[o] = raw && !layer
		x.data[o] = x.fed[o] && floating && x.isFloat(o)
	}
}

// isView reports a node that merely moves or casts the elements of a floating value.
func (x *roles) isView(n *ir.Node) bool {
	if n.Domain != "" || !slices.Contains(views, n.OpType) {
		return false
	}
	return n.OpType != "Cast" || x.isFloat(n.Output(0))
}

func (x *roles) isFloat(value string) bool {
	return x.facts.Values[value].Type.Elem.IsFloat()
}

// spreads reports that input i of a node of two inputs is longer along some axis than floating
// data of size 1 beside it.
func (x *roles) spreads(n *ir.Node, i int) bool {
	if len(n.Inputs) != 2 || !x.data[n.Inputs[1-i]] {
		return false
	}
	w, d := x.facts.Values[n.Inputs[i]].Shape(), x.facts.Values[n.Inputs[1-i]].Shape()
	for k := 1; k <= min(len(w), len(d)); k++ {
		if w[len(w)-k] > 1 && d[len(d)-k] == 1 {
			return true
		}
	}
	return false
}

func (x *roles) anyFed(n *ir.Node) bool {
	return slices.ContainsFunc(n.Inputs, func(v string) bool { return x.fed[v] })
}

// repeatedTokens returns the initialisers that Expand nodes repeat for Concat
// alone and whose only axis longer than 1 is the last.
func repeatedTokens(m *ir.Model, floats map[string]*ir.Tensor) map[string]bool {
	index := ir.NewIndex(m.Graph)
	out := map[string]bool{}
	for _, n := range m.Graph.Nodes {
		t := floats[n.Input(0)]
		if n.OpType != "Expand" || n.Domain != "" || t == nil || len(t.Dims) < 2 || t.Len() == 1 || t.Dims[len(t.Dims)-1] != t.Len() {
			continue
		}
		readers := index.Consumers(n.Output(0))
		ok := len(readers) > 0
		for _, r := range readers {
			ok = ok && r.OpType == "Concat"
		}
		if _, seen := out[t.Name]; !seen || !ok {
			out[t.Name] = ok
		}
	}
	return out
}

// isTable reports whether t, with more than one axis longer than 1, holds nothing
// but zeros and numbers below −1000 (a mask), or cosines or sines of angles that
// grow with the first of these axes (all ones or all zeros in front, none beyond ±1).
func isTable(t *ir.Tensor) bool {
	long, first := 0, 0
	for _, d := range t.Dims {
		if d > 1 {
			if long++; long == 1 {
				first = d
			}
		}
	}
	if long < 2 {
		return false
	}
	if t.Check() != nil || t.DType.Bits() < 8 {
		return false
	}
	// Read by parts: large weights are left at their first.
	const part = 4096
	n := t.Len()
	v := make([]float64, part)
	start := 0.0
	mask, wave, same := true, true, true
	for at := 0; at < n && (mask || wave); at += part {
		v := v[:min(part, n-at)]
		if t.Part(at, at+len(v)).ReadFloat64s(v) != nil {
			return false
		}
		if at == 0 {
			start = v[0]
		}
		for i, x := range v {
			mask = mask && (x == 0 || x < -1000)
			wave = wave && x >= -1 && x <= 1 && (at+i >= n/first || x == start)
			same = same && x == start
		}
	}
	return !same && (mask || wave && (start == 0 || start == 1))
}

// isWave reports whether the rows of t, along its first axis longer than 1, hold cosines or
// sines of angles that grow from 0 in equal steps.
func isWave(t *ir.Tensor) bool {
	rows := 0
	for _, d := range t.Dims {
		if d > 1 {
			rows = d
			break
		}
	}
	if rows < 3 || t.Len() == rows || t.Check() != nil || t.DType.Bits() < 8 {
		return false
	}
	n := t.Len() / rows
	v, err := t.Part(0, 3*n).Float64s()
	if err != nil {
		return false
	}
	const tolerance = 0.03 // what a number of 16 bits rounds, squared
	cos, sin, flat := true, true, true
	for i := range n {
		zero, one, two := v[i], v[n+i], v[2*n+i]
		flat = flat && one == zero
		cos = cos && zero == 1 && math.Abs(2*one*one-1-two) < tolerance
		sin = sin && zero == 0 && math.Abs(4*one*one*(1-one*one)-two*two) <= tolerance*two*two
	}
	return !flat && (cos || sin)
}
