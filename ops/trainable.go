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
// the other operand comes from a layer with weights.
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
				raw = raw || fed[v]
				continue
			}
			switch {
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
