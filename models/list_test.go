package models

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestLists(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range append(All(), Tiny()...) {
		if e.Name == "" || e.Doc == "" || e.Wire == nil || seen[e.Name] {
			t.Errorf("entry %q: want a name of its own, a doc and a constructor", e.Name)
		}
		seen[e.Name] = true
		if got, ok := Lookup(e.Name); !ok || got.Doc != e.Doc {
			t.Errorf("Lookup(%q): want the listed entry, got %q", e.Name, got.Doc)
		}
	}
	for _, e := range All() {
		if !seen[e.Name+"-tiny"] {
			t.Errorf("entry %q: want a tiny version", e.Name)
		}
	}
	if _, ok := Lookup("no-such-network"); ok {
		t.Error("Lookup of an unknown name: want false, got true")
	}
	for _, e := range Tiny() {
		m, err := e.Build(Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if p := Params(m); p > 20000 {
			t.Errorf("%s: want at most 20000 parameters, got %d", e.Name, p)
		}
	}
}

// TestTable holds parameters and multiply-accumulates of every network to testdata/table.txt.
func TestTable(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s %10s %12s %6s\n", "network", "parameters", "MACs", "nodes")
	for _, e := range append(All(), Tiny()...) {
		n, err := e.net(Options{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%-20s %10d %12d %6d\n", e.Name, Params(n.m), n.MACs(), len(n.m.Graph.Nodes))
	}
	Golden(t, "testdata/table.txt", b.String())
}

func TestKnownSizes(t *testing.T) {
	for _, c := range []struct {
		name         string
		params, macs int
	}{
		{"resnet20a", 269722, 40551040}, // He et al. 2016: 0.27 M parameters
		{"resnet20", 272474, 40813184},
	} {
		e, _ := Lookup(c.name)
		n, err := e.net(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if p := Params(n.m); p != c.params || n.MACs() != c.macs {
			t.Errorf("%s: want %d parameters and %d MACs, got %d and %d", c.name, c.params, c.macs, p, n.MACs())
		}
	}
	e, _ := Lookup("fashion")
	n, err := e.net(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p := Params(n.m); p < 100_000 || p > 300_000 || n.MACs() < 4_000_000 || n.MACs() > 8_000_000 {
		t.Errorf("fashion: want 100–300 thousand parameters and 4–8 million MACs, got %d and %d", p, n.MACs())
	}
}

func TestSeedDecidesBytes(t *testing.T) {
	e, _ := Lookup("fashion-tiny")
	raw := func(seed uint64) string {
		m, err := e.Build(Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, x := range m.Graph.Inits {
			b.WriteString(x.Name)
			b.Write(x.Raw)
		}
		return b.String()
	}
	first := raw(3)
	if raw(3) != first {
		t.Error("seed 3 twice: want equal weights, got different ones")
	}
	if raw(3) == raw(4) {
		t.Error("seeds 3 and 4: want different weights, got equal ones")
	}
}

func TestScatterMovesNorms(t *testing.T) {
	e, _ := Lookup("resnet20")
	for _, scatter := range []bool{false, true} {
		m, err := e.Build(Options{Width: 4, Depth: 1, Scatter: scatter})
		if err != nil {
			t.Fatal(err)
		}
		v, err := m.Graph.Init("stem.bn.running_var").Float32s()
		if err != nil {
			t.Fatal(err)
		}
		if flat := v[0] == 1 && v[1] == 1; flat == scatter {
			t.Errorf("Scatter %v: running variances: got %v", scatter, v)
		}
	}
}

func TestOptionErrors(t *testing.T) {
	cases := []struct {
		name string
		o    Options
		want string
	}{
		{"resnet20", Options{Classes: -1}, `models: "resnet20": option classes: want 1 to 1048576, got -1`},
		{"grouped", Options{Width: 6}, `models: "grouped": node "block0.0.in.conv" (Conv): want a map with channels that 4 groups divide`},
		{"vgg-small", Options{Size: 4}, `models: "vgg-small": node "pool2" (MaxPool): output: want sizes of at least 1, got [128 0 0]`},
		{"unet", Options{Size: 6}, `models: "unet": node "dec2.concat" (Concat): want operands that differ in channels only`},
		{"vgg-small", Options{Width: 4096, Size: 4096}, `models: "vgg-small": initialiser "conv0.1.conv.weight": want sizes of at least 1 and at most`},
	}
	for _, c := range cases {
		e, _ := Lookup(c.name)
		m, err := e.Build(c.o)
		if err == nil || m != nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s %+v: want error %q, got %v", c.name, c.o, c.want, err)
		}
	}
	for _, e := range All() {
		for _, o := range []Options{{Size: 1, Width: 2}, {Size: 3, Width: 1}, {Size: 5, Width: 3, Depth: 1}, {Width: 7, Size: 9, Channels: 2, Classes: 1}} {
			if m, err := e.Build(o); (m == nil) == (err == nil) {
				t.Errorf("%s %+v: want a model or an error, got %v and %v", e.Name, o, m, err)
			}
		}
	}
}

func TestNetErrors(t *testing.T) {
	cases := []struct {
		name, want string
		wire       func(n *Net)
	}{
		{"no output", "outputs: want at least one, got none", func(n *Net) { n.Relu("r", n.Input("x", 2)) }},
		{"name twice", `node "r": want a name of its own`, func(n *Net) { n.Output("y", n.Relu("r", n.Relu("r", n.Input("x", 2)))) }},
		{"input as output", `output "y": want a computed value that is no output yet, got "x"`, func(n *Net) { n.Output("y", n.Input("x", 2)) }},
		{"no broadcast", "want operands that broadcast", func(n *Net) { n.Output("y", n.Add("a", n.Input("x", 2), n.Input("z", 3))) }},
		{"linear of a map", "want a flat input, got [2 3 3]", func(n *Net) { n.Output("y", n.Linear("l", n.Input("x", 2, 3, 3), 4)) }},
	}
	for _, c := range cases {
		n := NewNet("net", Options{})
		c.wire(n)
		if m, err := n.Model(); err == nil || m != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want error %q, got %v", c.name, c.want, err)
		}
	}
}
