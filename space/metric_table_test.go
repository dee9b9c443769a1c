package space_test

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// fused groups a model's nodes as a runtime might: a convolution with the normalisation
// and the activation behind it, each read by the next alone; anything else by itself.
func fused(net *space.Supernet) ([][]*ir.Node, error) {
	g := net.An.Model.Graph
	x := ir.NewIndex(g)
	var out [][]*ir.Node
	taken := map[*ir.Node]bool{}
	for _, n := range g.Nodes {
		if taken[n] {
			continue
		}
		set := []*ir.Node{n}
		for _, next := range []string{"BatchNormalization", "Relu"} {
			readers := x.Consumers(set[len(set)-1].Output(0))
			if n.OpType == "Conv" && len(readers) == 1 && readers[0].OpType == next {
				set = append(set, readers[0])
				taken[readers[0]] = true
			}
		}
		out = append(out, set)
	}
	return out, nil
}

// measured stands for a runtime's clock: a time that no product of sizes gives.
func measured(signature string) float64 {
	sum := 1.0
	for i, c := range []byte(signature) {
		sum += float64(c) * math.Sqrt(float64(i%13+1))
	}
	return sum
}

// TestTable: a metric whose prices come from elsewhere asks for all that it lacks, and
// with them its expectation and gradient are those of the enumeration; of one subnet the
// price is that of its own nodes.
func TestTable(t *testing.T) {
	an := analysed(t, "resnet20-tiny", models.Options{})
	r := rand.New(rand.NewPCG(5, 3))
	all := offered(t, an, space.Options{Divisor: 2, MaxChoices: 3})
	s := &space.Space{Source: all.Source}
	for _, d := range all.Dims {
		if kinds := map[string]int{}; d.Kind == "depth" || r.IntN(2) == 0 {
			for _, have := range s.Dims {
				kinds[have.Kind]++
			}
			if kinds[d.Kind] < 3 {
				s.Dims = append(s.Dims, d)
			}
		}
	}
	net := entangled(t, an, s, space.Reader)
	prices := map[string]float64{}
	net.Metrics = append(slices.Clone(space.Metrics), space.Table("latency", "µs", "time on a runtime", fused, prices))
	_, err := net.Cost("latency")
	var missing *space.MissingError
	if !errors.As(err, &missing) || missing.Metric != "latency" || !strings.Contains(err.Error(), missing.Missing[0].Signature) {
		t.Fatalf("want an error that lists what is missing, got %v", err)
	}
	sets := map[int]int{}
	for _, m := range missing.Missing {
		sets[len(m.Nodes)]++
		prices[m.Signature] = measured(m.Signature)
		if small, err := subnet.Cut(net, m.Choice, nil); err != nil || !slices.ContainsFunc(small.Graph.Nodes, func(n *ir.Node) bool { return n.Label() == m.Nodes[0].Label() }) {
			t.Errorf("%s: the subnet %v has no node %q: %v", m.Signature, m.Choice, m.Nodes[0].Label(), err)
		}
	}
	if sets[1] == 0 || sets[2] == 0 || sets[3] == 0 {
		t.Errorf("want sets of one, two and three nodes, got %v", sets)
	}
	costs, err := net.Costs()
	if err != nil {
		t.Fatal(err)
	}
	c := costs["latency"]
	checkExpect(t, "resnet20-tiny", c, simplex(s, r))
	for range 20 {
		choice := make([]int, len(s.Dims))
		for d, dim := range s.Dims {
			choice[d] = r.IntN(len(dim.Choices))
		}
		want := timed(t, net, choice)
		if got := c.At(choice); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%v: want %g, got %g", choice, want, got)
		}
	}
	for k := range maps.Keys(prices) {
		delete(prices, k)
		break
	}
	if _, err := net.Cost("latency"); !errors.As(err, &missing) || len(missing.Missing) != 1 {
		t.Errorf("want one missing price, got %v", err)
	}
}

// timed adds up the times of an extracted subnet's nodes at its own sizes, in sets of the
// original, with the original's attributes.
func timed(t *testing.T, net *space.Supernet, choice []int) float64 {
	t.Helper()
	small, err := subnet.Cut(net, choice, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ops.InferModel(small, net.An.Facts.Bind)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]*ir.Node{}
	for _, n := range small.Graph.Nodes {
		left[n.Label()] = n
	}
	sets, _ := fused(net)
	total := 0.0
	for _, set := range sets {
		var sites []*ops.Site
		for _, n := range set {
			cut := left[n.Label()]
			if cut == nil {
				continue
			}
			site := *f.Sites[cut]
			site.Node = n
			for i, v := range n.Inputs { // constants that the cut made stand under other names
				if w := net.An.Facts.Values[v]; w.Weight && w.Type.Elem.IsInt() {
					site.In[i] = w
				}
			}
			sites = append(sites, &site)
		}
		if len(sites) > 0 {
			total += measured(space.Signature(sites))
		}
	}
	return total
}

// TestTableTooLarge: a price that is no product cannot hang on more choices than a table holds.
func TestTableTooLarge(t *testing.T) {
	an := analysed(t, "knot", models.Options{Width: 9, Depth: 5})
	net := entangled(t, an, offered(t, an, space.Options{Divisor: 1, MinRatio: 0.1}), space.Every)
	net.Metrics = []space.Metric{space.Table("latency", "µs", "time", func(s *space.Supernet) ([][]*ir.Node, error) {
		i := slices.IndexFunc(s.An.Model.Graph.Nodes, func(n *ir.Node) bool { return n.Label() == "joint.conv" })
		return [][]*ir.Node{s.An.Model.Graph.Nodes[i : i+1], {{OpType: "Stray", Outputs: []string{"stray"}}}}, nil
	}, nil)}
	_, err := net.Costs()
	for _, want := range []string{
		`space: metric "latency": node "joint.conv" (Conv): it hangs on `,
		`space: metric "latency": node "stray" (Stray): want nodes of the supernet's model`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}
