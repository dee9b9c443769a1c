package space

import (
	"fmt"
	"slices"
)

var widthKind = Kind{
	Name:  "width",
	Doc:   "number of units of a group: channels of convolutions tied by residual adds, norms and depthwise layers, features of linear layers, embedding width, heads of attentions",
	Units: true,
	Find:  func(an *Analysis, o Options) []Dim { return widthDims(an, o, "width") },
	Bind:  bindWidth,
}

// widthDims offers a dim for every group of that kind.
func widthDims(an *Analysis, o Options, kind string) []Dim {
	var out []Dim
	for _, g := range an.Groups {
		if g.Kind != kind || !o.allows(g.Nodes...) {
			continue
		}
		if c := widthChoices(g.Size, g.own(o)); len(c) > 1 {
			out = append(out, Dim{Name: kind + ":" + g.Name, Kind: kind, Node: g.Name, Choices: c})
		}
	}
	return out
}

// own is o with the divisor in units, for widths in multiples of it.
func (g *Group) own(o Options) Options {
	o.Divisor = max(1, o.Divisor/g.block())
	return o
}

// block is the number of positions that a unit has at least on a weight or, where that is
// more, on a computed value: those of a head, and channels that go in equal steps per group. Weights
// where a head has one position (a table of biases per head, a temperature) stand aside.
func (g *Group) block() int {
	weight, computed := 0, 0
	for _, m := range g.Members {
		k, least := len(m.Units[0]), &computed
		if m.Weight || m.Statistic {
			if least = &weight; k == 1 && g.Heads {
				continue
			}
		}
		if *least == 0 || k < *least {
			*least = k
		}
	}
	return max(weight, computed, 1)
}

// narrow says why a group has no smaller width under options; "" where it has one.
func (g *Group) narrow(o Options) string {
	own := g.own(o)
	if len(widthChoices(g.Size, own)) > 1 {
		return ""
	}
	return fmt.Sprintf("%d units have no smaller number that is a multiple of %d and at least %g of them", g.Size, own.Divisor, own.MinRatio)
}

// widthChoices returns multiples of the divisor from MinRatio·n up, thinned to
// MaxChoices, and n itself.
func widthChoices(n int, o Options) []int {
	low := max(int(float64(n)*o.MinRatio+0.999999), 1)
	low = (low + o.Divisor - 1) / o.Divisor * o.Divisor
	var all []int
	for c := low; c < n; c += o.Divisor {
		all = append(all, c)
	}
	if room := o.MaxChoices - 1; len(all) > room {
		thin := make([]int, 0, room)
		for i := range room {
			thin = append(thin, all[i*len(all)/room])
		}
		all = thin
	}
	return append(all, n)
}

func bindWidth(an *Analysis, d Dim) (*Effect, error) {
	g := an.group(d.Node)
	if g == nil {
		return nil, fmt.Errorf("space: dimension %q: the model has no elastic group %q", d.Name, d.Node)
	}
	if err := d.check(g.Size, 1); err != nil {
		return nil, err
	}
	rank := make([]int, g.Size)
	for u := range rank {
		rank[u] = u
	}
	if d.Order != nil {
		if len(d.Order) != g.Size {
			return nil, fmt.Errorf("space: dimension %q: order: want a permutation of 0…%d, got %d entries", d.Name, g.Size-1, len(d.Order))
		}
		seen := make([]bool, g.Size)
		for r, u := range d.Order {
			if u < 0 || u >= g.Size || seen[u] {
				return nil, fmt.Errorf("space: dimension %q: order: want a permutation of 0…%d, entry %d is %d", d.Name, g.Size-1, r, u)
			}
			seen[u] = true
			rank[u] = r
		}
	}
	e := &Effect{}
	for _, mb := range g.Members {
		ae := AxisEffect{Value: mb.Value, Axis: mb.Axis, Mask: mb.Weight, Contracted: mb.Contracted}
		for u, ps := range mb.Units {
			first, _ := slices.BinarySearch(d.Choices, rank[u]+1)
			for _, p := range ps {
				ae.Own = append(ae.Own, p)
				ae.First = append(ae.First, first)
			}
		}
		e.Axes = append(e.Axes, ae)
	}
	return e, nil
}
