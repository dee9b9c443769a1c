package ops

import "github.com/entangle-nas/entangle/ir"

// Training is what training does with an initialiser.
type Training uint8

// Constants never move, parameters follow gradients, statistics follow batches.
const (
	Constant Training = iota
	Parameter
	Statistic
)

// TrainingRoles tells, for every floating initialiser that some node reads, what
// training does with it. It is a parameter when an operator reads it as one
// (Op.Params) and no operator reads it as anything else. The constant operand of
// elementwise operators (Op.Scales) counts when it has more than one element and
// the other operand comes from a layer with weights, unless it is a table: an
// additive mask or the cosines or sines of rotary positions. A Transpose of an
// initialiser stands for it, so a head may be tied to an embedding. A vector that
// Expand repeats for Concat, such as a class token, is a parameter.
func TrainingRoles(m *ir.Model) map[string]Training {
	floats := map[string]*ir.Tensor{}
	for _, t := range m.Graph.Inits {
		if t.DType.IsFloat() {
			floats[t.Name] = t
		}
	}
	fed := map[string]bool{} // values that no weight has touched yet: inputs and what is computed from them alone
	for _, v := range m.Graph.Inputs {
		fed[v.Name] = floats[v.Name] == nil
	}
	roles := map[string]Training{}
	barred := map[string]bool{}
	turned := map[string]string{} // results of Transpose by their initialiser
	tokens := repeatedTokens(m, floats)
	for _, n := range m.Graph.Nodes {
		op := Lookup(n.Domain, n.OpType)
		var params, state []int
		scales := true
		if op != nil {
			params, state, scales = op.Params, op.State, op.Scales
		}
		raw := false
		for i, v := range n.Inputs {
			t := floats[v]
			if t == nil {
				if from := turned[v]; from != "" && !contains(params, i) {
					barred[from] = true
				}
				raw = raw || fed[v]
				continue
			}
			switch {
			case n.OpType == "Transpose" && n.Domain == "":
				turned[n.Output(0)] = v
			case n.OpType == "Expand" && i == 0 && tokens[v]:
				if roles[v] == Constant {
					roles[v] = Parameter
				}
			case scales && isTable(t):
				barred[v] = true
			case contains(state, i):
				roles[v] = Statistic
			case contains(params, i) && !(scales && (t.Len() == 1 || anyFed(n, fed))):
				if roles[v] == Constant {
					roles[v] = Parameter
				}
			default:
				barred[v] = true
			}
		}
		if raw && (scales || len(params) == 0) {
			for _, o := range n.Outputs {
				fed[o] = true
			}
		}
	}
	for v := range barred {
		if roles[v] == Parameter {
			roles[v] = Constant
		}
	}
	return roles
}

func contains(list []int, x int) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

func anyFed(n *ir.Node, fed map[string]bool) bool {
	for _, v := range n.Inputs {
		if fed[v] {
			return true
		}
	}
	return false
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
	v, err := t.Float64s()
	if err != nil {
		return false
	}
	mask, wave, same := true, true, true
	for i, x := range v {
		mask = mask && (x == 0 || x < -1000)
		wave = wave && x >= -1 && x <= 1 && (i >= len(v)/first || x == v[0])
		same = same && x == v[0]
	}
	return !same && (mask || wave && (v[0] == 0 || v[0] == 1))
}
