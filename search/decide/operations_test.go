package decide_test

import (
	"context"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/space"
)

// operations is a space of two nodes that each add three products of 8 features: of rank 1, 2
// and whole, listed from the dearest to the cheapest.
func operations(t *testing.T) (*space.Space, *space.CostModel) {
	t.Helper()
	g := &ir.Graph{Name: "operations", Inputs: []ir.Value{{Name: "x", Type: ir.TensorType(ir.Float32, 1, 8)}}}
	product := func(x, out string, rows, columns int) {
		v := make([]float32, rows*columns)
		g.Inits = append(g.Inits, ir.NewFloat32("w"+out, []int{rows, columns}, v))
		g.Nodes = append(g.Nodes, &ir.Node{Name: out, OpType: "MatMul", Inputs: []string{x, "w" + out}, Outputs: []string{out}})
	}
	x := "x"
	s := &space.Space{}
	for _, k := range []string{"a", "b"} {
		product(x, k+"8", 8, 8)
		product(x, k+"2.down", 8, 2)
		product(k+"2.down", k+"2", 2, 8)
		product(x, k+"1.down", 8, 1)
		product(k+"1.down", k+"1", 1, 8)
		g.Nodes = append(g.Nodes, &ir.Node{Name: k + ".two", OpType: "Add", Inputs: []string{k + "8", k + "2"}, Outputs: []string{k + ".two"}},
			&ir.Node{Name: k, OpType: "Add", Inputs: []string{k + ".two", k + "1"}, Outputs: []string{k}})
		x = k
		s.Dims = append(s.Dims, space.Dim{Name: "operations:" + k, Kind: "operations", Node: k, Candidates: []string{k + "8", k + "2", k + "1"}, Choices: []int{1, 2, 3, 4}})
	}
	g.Outputs = []ir.Value{{Name: x}}
	m, err := importer.Normal(&ir.Model{IRVersion: 10, Opsets: []ir.Opset{{Version: 17}}, Graph: g})
	if err != nil {
		t.Fatal(err)
	}
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(m, f)
	if err != nil {
		t.Fatal(err)
	}
	net, err := space.Entangle(an, s, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Cost(space.MACs)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// TestOperationsBudget: choices without order are judged by their own cost and score, the sum
// of all is never a subnet unless it may be, and a limit below the cheapest is refused.
func TestOperationsBudget(t *testing.T) {
	s, c := operations(t)
	limit := func(v float64) decide.Budget { return decide.Budget{{Metric: space.MACs, Limit: v, Cost: c}} }
	score := [][]float64{{0, -2, -1, 5}, {0, -1, -3, 5}} // in macs 64, 32, 16, 112
	for _, x := range []struct {
		limit float64
		want  []int
	}{{300, []int{0, 0}}, {96, []int{2, 0}}, {64, []int{2, 1}}, {32, []int{2, 2}}} {
		got, err := decide.Choose(s, limit(x.limit), score)
		if err != nil || !slices.Equal(got, x.want) {
			t.Errorf("limit %g: want %v, got %v, %v", x.limit, x.want, got, err)
		}
	}
	if got, err := decide.Choose(s, nil, score); err != nil || !slices.Equal(got, []int{0, 0}) {
		t.Errorf("no limit: want the first two, got %v, %v", got, err)
	}
	if _, err := decide.Choose(s, limit(31), score); err == nil {
		t.Error("limit below the cheapest: want an error")
	}
	whole := &space.Space{Dims: slices.Clone(s.Dims)}
	whole.Dims[0].Whole = true
	if got, err := decide.Choose(whole, limit(300), score); err != nil || !slices.Equal(got, []int{3, 0}) {
		t.Errorf("a sum that may stay: want it, got %v, %v", got, err)
	}
	fits := func(choice []int, by string) {
		t.Helper()
		if c.At(choice) > 48 || slices.Max(choice) > 2 {
			t.Errorf("%s: %v costs %g, or keeps a sum", by, choice, c.At(choice))
		}
	}
	uniform, err := decide.Uniform(s, limit(48))
	if err != nil {
		t.Fatal(err)
	}
	fits(uniform, "uniform")
	for seed := range uint64(20) {
		drawn, err := decide.RandomChoice(s, limit(48), 0.9, rng.New(seed, "test").Rand)
		if err != nil {
			t.Fatal(err)
		}
		fits(drawn, "random")
		fits(decide.Spend(s, limit(48), score, drawn), "spend")
		if _, err := decide.Refine(context.Background(), s, limit(48), score, nil, 10, seed, func(choice []int) (float64, error) {
			fits(choice, "refine")
			return c.At(choice), nil
		}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := decide.Evolve(context.Background(), s, limit(48), decide.Evolution{Population: 3, Trials: 6}, seed, func(choice []int) (float64, error) {
			fits(choice, "evolve")
			return c.At(choice), nil
		}, nil); err != nil {
			t.Fatal(err)
		}
	}
}
