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
		own := o
		if g.Heads || kind != "width" {
			own.Divisor = max(1, o.Divisor/g.block())
		}
		if c := widthChoices(g.Size, own); len(c) > 1 {
			out = append(out, Dim{Name: kind + ":" + g.Name, Kind: kind, Node: g.Name, Choices: c})
		}
	}
	return out
}

// block is the number of positions that a unit has at least on a weight, those aside where
// it has one (a table of biases per head, a temperature).
func (g *Group) block() int {
	n := 0
	for _, m := range g.Members {
		if k := len(m.Units[0]); m.Weight && k > 1 && (n == 0 || k < n) {
			n = k
		}
	}
	return max(n, 1)
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
	i := slices.IndexFunc(an.Groups, func(g *Group) bool { return g.Name == d.Node })
	if i < 0 {
		return nil, fmt.Errorf("space: dimension %q: the model has no elastic group %q", d.Name, d.Node)
	}
	g := an.Groups[i]
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
