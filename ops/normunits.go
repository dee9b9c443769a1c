package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// NormUnits finds reshapes around statistics that are taken over a part of the channels: group
// normalisation as exporters spell it, [N, C, …] → [N, G, R…] over R, or [N, …, C] → [N, …, G, C/G]
// over all but N and G. The channels of a group are units on the axis behind that of the groups,
// so those of all groups go in equal steps. The result is for Site.Units.
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
		x, y := f.Values[before.Input(0)].Type.Shape, s.In[0].Type.Shape
		over := statisticAxes(s)
		segs, _ := segments(x, y)
		for _, g := range segs {
			in, last := g.x[0], len(g.y)-1
			groups := 1
			switch {
			case last == 1:
				groups = y[g.y[0]].Size
			case last > 1 || len(g.x) == 1 || len(y) != 3 || y[1].Size != 1:
				continue
			}
			if !slices.Contains(over, g.y[last]) || last == 1 && slices.Contains(over, g.y[0]) || groups < 1 || x[in].Size%groups != 0 {
				continue
			}
			out[before] = append(out[before], AxisPair{in, g.y[last]})
			for _, after := range reshapes {
				back := AxisPair{g.y[last], in}
				undoes := slices.Equal(f.Values[after.Inputs[0]].Shape(), s.In[0].Shape()) && slices.Equal(f.Values[after.Outputs[0]].Shape(), f.Values[before.Input(0)].Shape())
				if undoes && !slices.Contains(out[after], back) {
					out[after] = append(out[after], back)
				}
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
