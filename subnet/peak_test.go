package subnet_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// heldAtMost counts, node by node, the bytes of the values that a model holds for one
// sample, and returns the most. Integers that are known beforehand are sizes: they count
// nothing, and what they are read off is not held for them.
func heldAtMost(t *testing.T, m *ir.Model, bind map[string]int) float64 {
	t.Helper()
	bind = maps.Clone(bind)
	if d := m.Graph.Inputs[0].Type.Shape[0]; !d.Known() {
		if d.Param == "" && bind[ops.AnyDim] != 1 {
			t.Fatalf("input %q: want a name for the batch", m.Graph.Inputs[0].Name)
		}
		if d.Param != "" {
			bind[d.Param] = 1
		}
	}
	f, err := ops.InferModel(m, bind)
	if err != nil {
		t.Fatal(err)
	}
	g := m.Graph
	born, last := map[string]int{}, map[string]int{}
	for _, v := range g.Inputs {
		if g.Init(v.Name) == nil {
			born[v.Name], last[v.Name] = 0, -1
		}
	}
	for i, n := range g.Nodes {
		for _, o := range n.Outputs {
			born[o], last[o] = i, i
		}
		sizes := true
		for _, o := range n.Outputs {
			sizes = sizes && f.Values[o].Type.Elem.IsInt() && f.Values[o].Const != nil
		}
		for _, v := range ir.Uses(n) {
			if !sizes {
				last[v] = i
			}
		}
	}
	for _, v := range g.Outputs {
		last[v.Name] = len(g.Nodes)
	}
	most := 0.0
	for i := range g.Nodes {
		sum := 0.0
		for v, b := range born {
			x := f.Values[v]
			if i < b || i > last[v] || !x.Type.Static() || x.Type.Elem.IsInt() && x.Const != nil {
				continue
			}
			sum += float64(ir.Prod(x.Shape())*x.Type.Elem.Bits()) / 8
		}
		most = max(most, sum)
	}
	return most
}

// ladder has residual blocks whose streams are read again far behind them, a block within
// a block, a block whose sum is an output of the graph, and an output that nothing reads.
func ladder(t *testing.T) *ir.Model {
	t.Helper()
	e := models.Entry{Name: "ladder", Defaults: models.Options{Classes: 3, Channels: 2, Size: 6, Width: 4, Seed: 2, Scatter: true}, Wire: func(n *models.Net, o models.Options) {
		block := func(name string, x models.Val, width int) models.Val {
			y := n.Relu(name+".relu", n.Conv(name+".up", x, width, models.ConvOptions{Kernel: 1}))
			return n.Add(name+".add", x, n.Conv(name+".down", y, o.Width, models.ConvOptions{Kernel: 1}))
		}
		x := n.Conv("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, models.ConvOptions{Kernel: 1})
		a := block("a", x, 12)
		b := block("b", a, 3)
		c := block("c", b, 20)
		inner := block("inner", n.Conv("outer.first", c, o.Width, models.ConvOptions{Kernel: 1}), 16)
		outer := n.Add("outer.add", c, n.Conv("outer.last", inner, o.Width, models.ConvOptions{Kernel: 1}))
		n.Output("stream", block("last", n.Add("reread.a", outer, a), 2))
		y := n.Concat("concat", x, b, outer)
		half := n.Split("half", n.Conv("wide", y, 40, models.ConvOptions{Kernel: 1}), 2)[0] // nothing reads the other half
		n.Output("logits", n.Linear("fc", n.Flatten("flatten", n.MaxPool("pool", half, 2)), o.Classes))
	}}
	m, err := e.Build(models.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPeakOfSkippedBranches: whatever branches are skipped, the peak is that of the
// extracted subnet, where a skipped block's output is its input by another name.
func TestPeakOfSkippedBranches(t *testing.T) {
	t.Run("ladder", func(t *testing.T) { checkPeaks(t, ladder(t), 6) })
	joined := style{pad: true, qkv: "separate", norm: "skip", kv: heads, mlp: "erf", joined: true, post: true, computed: true}
	t.Run("norms that add", func(t *testing.T) { checkPeaks(t, transformer(joined), 2*blocks) })
}

func checkPeaks(t *testing.T, m *ir.Model, branches int) {
	t.Helper()
	bind := map[string]int{"batch": batch}
	an := analysed(t, m, bind)
	sp, err := space.New(an, space.Options{Divisor: 2, MaxChoices: 2})
	if err != nil {
		t.Fatal(err)
	}
	net, err := space.Entangle(an, sp, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Cost(space.Peak)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(4, 4))
	gates, seen := 0, map[float64]bool{}
	for _, d := range sp.Dims {
		if d.Kind == "depth" {
			gates++
		}
	}
	if gates != branches {
		t.Fatalf("want %d branches to skip, got %d", branches, gates)
	}
	for range 300 {
		choice := make([]int, len(sp.Dims))
		for d, dim := range sp.Dims {
			choice[d] = r.IntN(len(dim.Choices))
		}
		m, err := subnet.Cut(net, choice, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, got := heldAtMost(t, m, bind), c.At(choice)
		if want != got {
			t.Errorf("%v: the extracted subnet holds %g bytes, the cost model says %g", choice, want, got)
		}
		seen[want] = true
	}
	if len(seen) < 10 {
		t.Errorf("want many different peaks, got %v", seen)
	}
}
