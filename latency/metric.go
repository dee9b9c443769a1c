package latency

import (
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// terms are the costs of the classes, by their curves alone, and behind them how many groups
// a subnet has.
func (p *Prices) terms(src Source) ([]*space.CostModel, error) {
	net := *src.Net
	net.Metrics = nil
	for j := range len(p.Classes) + 1 {
		one := *p
		one.Offset, one.Each, one.Classes, one.Groups = 0, 0, slices.Clone(p.Classes), nil
		for i, g := range p.Groups {
			if g.Class == j || j == len(p.Classes) && g.Class >= 0 {
				one.Groups = append(one.Groups, p.Groups[i])
			}
		}
		if j < len(p.Classes) {
			one.Classes[j].Factor = 1
		} else {
			one.Each = 1
			for k := range one.Classes {
				one.Classes[k].Factor = 0
			}
		}
		m, err := one.Metric(src)
		if err != nil {
			return nil, err
		}
		m.Name = fmt.Sprint(j)
		net.Metrics = append(net.Metrics, m)
	}
	costs, err := net.Costs()
	var out []*space.CostModel
	for j := range net.Metrics {
		out = append(out, costs[fmt.Sprint(j)])
	}
	return out, err
}

// Metric is what subnets of the source are priced in: milliseconds of one run. Prices of another
// model are an error.
func (p *Prices) Metric(src Source) (space.Metric, error) {
	threads := ""
	if p.Threads > 0 {
		threads = fmt.Sprintf(", %d threads", p.Threads)
	}
	m := space.Metric{Name: Name, Title: "latency, ms", Unit: Unit, Doc: fmt.Sprintf("milliseconds of one run of batch %d on %s%s, as predicted from the times of its pieces", p.Batch, p.Runtime, threads)}
	if p.Source != src.Net.Space.Source {
		return m, fmt.Errorf("latency: want prices of the model with fingerprint %.16s…, got those of %.16s…", src.Net.Space.Source, p.Source)
	}
	if p.Batch != src.Batch {
		return m, fmt.Errorf("latency: want prices of batch %d, got those of %d", src.Batch, p.Batch)
	}
	scale, err := src.scales()
	if err != nil {
		return m, err
	}
	nodes := map[string]*ir.Node{}
	g := src.Net.An.Model.Graph
	for _, n := range g.Nodes {
		nodes[n.Label()] = n
	}
	var sum []*space.Piece
	for _, group := range p.Groups {
		if group.Class < 0 {
			continue
		}
		if group.Class >= len(p.Classes) || p.Classes[group.Class].Curve == nil {
			return m, fmt.Errorf("latency: group %v: want a class below %d, got %d", group.Nodes, len(p.Classes), group.Class)
		}
		c := p.Classes[group.Class]
		var set []*ir.Node
		for _, label := range group.Nodes {
			if nodes[label] == nil {
				return m, fmt.Errorf("latency: want nodes of the model, got %q", label)
			}
			set = append(set, nodes[label])
		}
		known := map[features]float64{}
		sum = append(sum, &space.Piece{Nodes: set, Parts: func() []*space.Piece { return products(set, c, scale) }, Price: func(at *space.View) (float64, error) {
			f := scale.of(at.Sites())
			v, ok := known[f]
			if !ok {
				v = p.Each + c.Factor*c.Curve.at(f)
				known[f] = v
			}
			return v, nil
		}})
	}
	if p.Offset > 0 {
		sum = append(sum, &space.Piece{Value: g.Inputs[0].Name, Price: func(*space.View) (float64, error) { return p.Offset, nil }})
	}
	m.Sums = func(*space.Supernet) ([][]*space.Piece, error) { return [][]*space.Piece{sum}, nil }
	return m, nil
}

// products prices a group that hangs on too many choices for a table: the line behind its curve.
func products(set []*ir.Node, c Class, scale *scales) []*space.Piece {
	var out []*space.Piece
	seen := map[string]bool{"": true}
	made := map[string]bool{}
	for _, n := range set {
		for _, o := range n.Outputs {
			made[o] = true
		}
	}
	value := func(v string, each float64) {
		if seen[v] || each == 0 || math.IsNaN(each) {
			return
		}
		seen[v] = true
		out = append(out, &space.Piece{Value: v, Product: true, Price: func(at *space.View) (float64, error) {
			return each * float64(ir.Prod(at.Shape())), nil
		}})
	}
	for _, n := range set {
		if each := c.Factor * (c.Curve.Coef[1] + c.Curve.Coef[4] + c.Curve.Coef[5]) * scale.macs[n]; each > 0 {
			out = append(out, &space.Piece{Nodes: []*ir.Node{n}, Product: true, Price: func(at *space.View) (float64, error) {
				return each * at.Sites()[0].Price().MACs, nil
			}})
		}
		for _, v := range n.Inputs {
			switch {
			case made[v]:
			case scale.weight[v]:
				value(v, c.Factor*c.Curve.Coef[3]*scale.value[v])
			default:
				value(v, c.Factor*c.Curve.Coef[2]*scale.value[v])
			}
		}
	}
	for _, o := range set[len(set)-1].Outputs {
		value(o, c.Factor*c.Curve.Coef[2]*scale.value[o])
	}
	return out
}
