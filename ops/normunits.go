package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// NormUnits finds reshapes [N, C, …] → [N, G, R…] around statistics that are taken over axis
// 2 and not over axis 1: group normalisation as exporters spell it. The channels of a group
// are units on axis 2, so those of all groups go in equal steps. The result is for Site.Units.
func NormUnits(g *ir.Graph, f *Facts) map[*ir.Node][]AxisPair {
	producer := map[string]*ir.Node{}
	var reshapes []*ir.Node
	for _, n := range g.Nodes {
		if n.OpType == "Reshape" && n.Domain == "" && len(n.Inputs) > 0 && len(n.Outputs) > 0 {
			producer[n.Outputs[0]] = n
			reshapes = append(reshapes, n)
		}
	}
	out := map[*ir.Node][]AxisPair{}
	for _, n := range g.Nodes {
		before, s := producer[n.Input(0)], f.Sites[n]
		if before == nil || s == nil {
			continue
		}
		x, y := f.Values[before.Input(0)].Shape(), s.In[0].Shape()
		if len(x) < 3 || len(y) < 3 || x[0] != y[0] || y[1] < 1 || x[1] <= y[1] || x[1]%y[1] != 0 {
			continue
		}
		if over := statisticAxes(s); !slices.Contains(over, 2) || slices.Contains(over, 1) {
			continue
		}
		out[before] = []AxisPair{{1, 2}}
		for _, after := range reshapes {
			if slices.Equal(f.Values[after.Inputs[0]].Shape(), y) && slices.Equal(f.Values[after.Outputs[0]].Shape(), x) {
				out[after] = []AxisPair{{2, 1}}
			}
		}
	}
	return out
}

// statisticAxes returns the axes that a node takes mean and variance over, nil for other nodes.
func statisticAxes(s *Site) []int {
	var axes []int
	var err error
	switch n := s.Node; {
	case n.Domain != "":
	case n.OpType == "InstanceNormalization":
		axes = axesFrom(2, s.In[0].Type.Rank())
	case n.OpType == "LayerNormalization":
		axes, err = lastAxes(s)
	case n.OpType == "MeanVarianceNormalization":
		axes, err = varianceAxes(s)
	case n.OpType == "ReduceMean":
		axes, _, err = reducedAxes(s)
	}
	if err != nil {
		return nil
	}
	return axes
}
