package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/search/train/optim"
	"github.com/entangle-nas/entangle/space"
)

func TestParse(t *testing.T) {
	f := format{header: []string{"a", "b", "test", "train"}, spells: 2, value: 2}
	l, err := f.parse(strings.NewReader("a,b,test,train\nx,1,90.5,1\nx,2,70,1\ny,1,90.5,1\ny,2,80,1\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"x,1": 90.5, "x,2": 70, "y,2": 80} {
		if got, err := l.accuracy(name); err != nil || got != want {
			t.Errorf("%s: want %g, got %g, %v", name, want, got, err)
		}
	}
	if _, err := l.accuracy("x,3"); err == nil || !strings.Contains(err.Error(), `"x,3"`) {
		t.Errorf("want an error that names the architecture, got %v", err)
	}
	for v, want := range map[float64]int{90.5: 1, 80: 3, 70: 4, 95: 1, 75: 4} {
		if got := l.rank(v); got != want {
			t.Errorf("rank of %g: want %d, got %d", v, want, got)
		}
	}
	if l.best() != 90.5 || math.Abs(l.mean()-82.75) > 1e-9 {
		t.Errorf("want a best of 90.5 and a mean of 82.75, got %g and %g", l.best(), l.mean())
	}
	// Of two out of four, the best is among the two best unless both are of the rest: 1 of 6.
	for n, want := range map[int]float64{1: 82.75, 2: (5*90.5 + 80) / 6, 3: 90.5, 4: 90.5, 9: 90.5} {
		if got := l.bestOf(n); math.Abs(got-want) > 1e-9 {
			t.Errorf("best of %d: want %g, got %g", n, want, got)
		}
	}
	for text, want := range map[string]string{
		"":                                   "want a line per architecture",
		"a,b,train,test\nx,1,90,1\n":         "line 1: want the columns",
		"a,b,test,train\nx,1,much,1\n":       "line 2, column 3",
		"a,b,test,train\nx,1,101,1\n":        "line 2, column 3",
		"a,b,test,train\nx,1,NaN,1\n":        "line 2, column 3",
		"a,b,test,train\nx,1,9,1\nx,1,9,1\n": "line 3: architecture \"x,1\" stands twice",
		"a,b,test,train\nx,1\n":              "wrong number of fields",
	} {
		if _, err := f.parse(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, got %v", text, want, err)
		}
	}
	if _, err := (format{spells: 1, value: 1}).parse(strings.NewReader("x\n")); err == nil || !strings.Contains(err.Error(), "at least 2 columns") {
		t.Errorf("want an error of columns, got %v", err)
	}
}

// TestBars holds what the page says of tables to the tables.
func TestBars(t *testing.T) {
	folder := filepath.Join(testenv.Models(t), "paper")
	for _, a := range arenas {
		l, err := a.table.read(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			name      string
			want, got float64
		}{{"size", float64(a.bars.size), float64(len(l.of))}, {"best", a.bars.best, l.best()}, {"mean", a.bars.mean, l.mean()}, {"best of 10", a.bars.ten, l.bestOf(10)}, {"best of 100", a.bars.hundred, l.bestOf(100)}} {
			if math.Abs(x.want-x.got) > 0.011 {
				t.Errorf("%s: %s: the page says %g, the table %g", a.name, x.name, x.want, x.got)
			}
		}
	}
}

// TestArenas: every space has as many architectures as its table, and spells them as it does.
func TestArenas(t *testing.T) {
	for _, a := range arenas {
		n, err := a.network(1, methods[0])
		if err != nil {
			t.Fatal(err)
		}
		s := n.Super.Space
		size := 1
		for _, d := range s.Dims {
			size *= d.Final()
		}
		if size != a.bars.size {
			t.Errorf("%s: want %d architectures, got %d", a.name, a.bars.size, size)
		}
		folder, err := testenv.FindModels()
		if err != nil {
			continue
		}
		l, err := a.table.read(filepath.Join(folder, "paper"))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		choice := make([]int, len(s.Dims))
		for {
			name, err := a.spell(s, choice)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.accuracy(name); err != nil {
				t.Fatalf("%s: %v: %v", a.name, choice, err)
			}
			seen[name] = true
			d := 0
			for ; d < len(choice); d++ {
				if choice[d]++; choice[d] < s.Dims[d].Final() {
					break
				}
				choice[d] = 0
			}
			if d == len(choice) {
				break
			}
		}
		if len(seen) != size {
			t.Errorf("%s: %d architectures are spelled in %d ways", a.name, size, len(seen))
		}
	}
}

func TestArgmax(t *testing.T) {
	s := &space.Space{Dims: []space.Dim{
		{Kind: "kernel", Choices: []int{3, 5, 7}},
		{Kind: "operations", Candidates: []string{"a", "b"}, Choices: []int{1, 2, 3}}, // 3 is the sum of both, which does not stay
	}}
	if got := argmax(s, [][]float64{{0.2, 0.3, 0.5}, {0.2, 0.3, 0.5}}); !slices.Equal(got, []int{2, 1}) {
		t.Errorf("want the most probable choices that may stay, got %v", got)
	}
	if got := argmax(s, [][]float64{{0.4, 0.4, 0.2}, {0.2, 0.2, 0.6}}); !slices.Equal(got, []int{0, 0}) {
		t.Errorf("want the first of equals, got %v", got)
	}
}

func TestPlan(t *testing.T) {
	b := &bench{}
	ids := func(spaces, names, seeds string) (out []string) {
		list, err := b.plan(spaces, names, seeds)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range list {
			out = append(out, fmt.Sprintf("%s/%s/%d", w.Space, w.Method, w.Seed))
		}
		return out
	}
	if got, want := ids("conv-macro", "", ""), []string{"conv-macro/drnas/1", "conv-macro/rounds/1", "conv-macro/spos-rs/1", "conv-macro/spos-es/1"}; !slices.Equal(got, want) {
		t.Errorf("want the protocol's %v, got %v", want, got)
	}
	if got, want := ids("conv-macro", "gdas,drnas", "3,2"), []string{"conv-macro/gdas/2", "conv-macro/drnas/2", "conv-macro/gdas/3", "conv-macro/drnas/3"}; !slices.Equal(got, want) {
		t.Errorf("want what was asked for, %v, got %v", want, got)
	}
	b.full = true
	if got := ids("conv-macro", "", ""); len(got) != 4*len(methods) {
		t.Errorf("want four seeds of every method, got %v", got)
	}
	for _, c := range [][3]string{{"x", "", ""}, {"", "x", ""}, {"", "", "0"}, {"", "", "x"}} {
		if _, err := b.plan(c[0], c[1], c[2]); err == nil {
			t.Errorf("%q: want an error", c)
		}
	}
}

// tiny is a space of 3⁴ architectures over a small network, and its made-up table.
func tiny() (arena, *lookup) {
	a := convMacro
	a.name, a.batch, a.epochs, a.trials, a.population = "tiny", 8, 3, 6, 4
	a.full, a.separate = map[string]float64{"": 9}, true
	a.weights = weights("sgd", optim.Hyper{Momentum: 0.9, WeightDecay: 1e-4}, 0.02, 0.001, "none")
	a.size = models.Options{Classes: 4, Channels: 1, Size: 12, Width: 8}
	a.supernet = func(bool) models.Supernet {
		e, _ := models.Lookup("toy-macro-tiny")
		return models.Supernet{Entry: e, Dims: func(models.Options) []space.Dim {
			return []space.Dim{
				{Name: "width:conv1", Kind: "width", Node: "conv1", Choices: []int{2, 3, 4}}, {Name: "width:conv2", Kind: "width", Node: "conv2", Choices: []int{2, 3, 4}},
				{Name: "kernel:conv1", Kind: "kernel", Node: "conv1", Choices: []int{3, 5, 7}}, {Name: "kernel:conv2", Kind: "kernel", Node: "conv2", Choices: []int{3, 5, 7}},
			}
		}}
	}
	l := &lookup{of: map[string]float64{}}
	for i := range 81 {
		k, w := []int{3, 5, 7}, []int{2, 3, 4}
		l.of[fmt.Sprintf("%d,%d,%d,%d", w[i%3], w[i/3%3], k[i/9%3], k[i/27])] = float64(10 + i)
		l.sorted = append(l.sorted, float64(90-i))
	}
	return a, l
}

// tinyCell is the toy cell space on a small network, of which all architectures have their number in the table.
func tinyCell() (arena, *lookup) {
	a := toyCell
	a.name, a.batch, a.epochs, a.trials, a.population = "tiny-cell", 8, 3, 6, 4
	a.full = map[string]float64{"": 9}
	a.size = models.Options{Classes: 4, Channels: 1, Size: 12, Width: 4}
	l := &lookup{of: map[string]float64{}}
	names := []string{"sep3", "sep5", "dil3", "dil5"}
	for i := range 4096 {
		var of []string
		for k := range 6 {
			of = append(of, names[i>>(10-2*k)&3])
		}
		l.of[strings.Join(of, ",")] = float64(i) / 41
		l.sorted = append(l.sorted, float64(4095-i)/41)
	}
	return a, l
}

// tinyNB201 is NAS-Bench-201 with one cell a stage, on a small network.
func tinyNB201() (arena, *lookup) {
	a := nb201
	a.name, a.batch, a.epochs, a.trials, a.population = "tiny-nb201", 8, 3, 6, 4
	a.full = map[string]float64{"": 9}
	a.size = models.Options{Classes: 4, Channels: 1, Size: 12, Width: 4, Depth: 1}
	l := &lookup{of: map[string]float64{}}
	i := 0
	for of := range models.NB201s() {
		l.of[of.String()] = float64(i) / 157
		l.sorted = append(l.sorted, float64(15624-i)/157)
		i++
	}
	return a, l
}

// until is an engine that ends a context after so many runs of its programs; 0 never does.
type until struct {
	engine.Backend
	runs, limit int
	stop        func()
}

func (u *until) Compile(p *prim.Program) (engine.Executable, error) {
	x, err := u.Backend.Compile(p)
	return &watched{x, u}, err
}

type watched struct {
	engine.Executable
	of *until
}

func (w *watched) Run(in []engine.Buffer) ([]engine.Buffer, error) {
	if w.of.runs++; w.of.runs == w.of.limit {
		w.of.stop()
	}
	return w.Executable.Run(in)
}

// TestMethods: every method gives a row, one that is interrupted and goes on gives the same, and
// both second stages use one supernet.
func TestMethods(t *testing.T) {
	macro, macroTable := tiny()
	cell, cellTable := tinyCell()
	bench, benchTable := tinyNB201()
	set, err := data.Synthetic(data.SyntheticOptions{Classes: 4, Shape: [3]int{1, 12, 12}, Train: 64, Test: 16, Noise: 0.05, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		arena
		table *lookup
		only  []string
	}{{macro, macroTable, nil}, {cell, cellTable, []string{"drnas", "rounds", "spos-es"}}, {bench, benchTable, []string{"drnas", "drnas-ws"}}} {
		if testing.Short() && x.only != nil {
			continue
		}
		t.Run(x.name, func(t *testing.T) { testMethods(t, x.arena, x.table, set, x.only) })
	}
}

func testMethods(t *testing.T, a arena, table *lookup, set *data.Set, only []string) {
	whole, broken := &bench{cache: t.TempDir(), samples: 16, calibrate: 4}, &bench{cache: t.TempDir(), samples: 16, calibrate: 4}
	for _, m := range methods {
		if only != nil && !slices.Contains(only, m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			make := func(b *bench, limit int) (row, int, error) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				be := &until{Backend: cpu.New(cpu.Options{Threads: 1}), limit: limit, stop: stop}
				r := row{Space: a.name, Method: m.name, Seed: 1, Epochs: b.epochsOf(a, m)}
				err := b.fill(ctx, be, a, m, set, table, &r)
				return r, be.runs, err
			}
			want, runs, err := make(whole, 0)
			if err != nil {
				t.Fatal(err)
			}
			curve := 3
			if m.second != "" || m.name == "rounds" {
				curve = 1
			}
			if len(want.Curve) != curve || want.Rank != table.rank(want.last()) || want.Steps != 12 || want.Gap.Recalibrated == 0 || want.StepMiB == 0 || (m.second != "") != (want.Trials == 6) {
				t.Errorf("want %d accuracies, a rank, 12 steps and gaps, got %+v", curve, want)
			}
			if m.name == "drnas" {
				whole.again = 1
				r, _, err := make(whole, 0)
				whole.again = 0
				if err != nil {
					t.Fatal(err)
				}
				if x := r.Retrained; x == nil || !(x.Alike > 0 && x.Alike < 0.9999) || x.Accuracy == 0 || !slices.Equal(r.Curve, want.Curve) {
					t.Errorf("trained anew: want a network that is alike, and not the same, got %+v", r.Retrained)
				}
			}
			if m.name == "spos-es" && only == nil {
				return // its supernet is there
			}
			_, _, err = make(broken, 9)
			var stopped *train.Interrupted
			if !errors.As(err, &stopped) {
				t.Fatalf("after 9 of %d runs: want an interrupted search, got %v", runs, err)
			}
			got, _, err := make(broken, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Curve, want.Curve) || got.Gap != want.Gap || got.Held != want.Held {
				t.Errorf("interrupted and gone on: want %+v, got %+v", want, got)
			}
		})
	}
	if only != nil && !slices.ContainsFunc(only, func(name string) bool { return strings.HasPrefix(name, "spos") }) {
		return
	}
	supernets, err := filepath.Glob(filepath.Join(whole.cache, "*spos*.ckpt"))
	if err != nil || len(supernets) != 1 {
		t.Errorf("want one supernet of single paths for both second stages, got %v, %v", supernets, err)
	}
}

// TestShared: weight sharing trains more numbers than entanglement.
func TestShared(t *testing.T) {
	a, _ := tiny()
	var count [2]int
	for i, name := range []string{"drnas", "drnas-ws"} {
		m, err := methodByName(name)
		if err != nil {
			t.Fatal(err)
		}
		n, err := a.network(1, m)
		if err != nil {
			t.Fatal(err)
		}
		count[i] = params(n)
	}
	if count[1] <= count[0] {
		t.Errorf("want more numbers with shared weights than %d, got %d", count[0], count[1])
	}
}

func TestRebuild(t *testing.T) {
	folder := t.TempDir()
	page, plots, out := filepath.Join(folder, "docs", "p.md"), filepath.Join(folder, "docs", "p"), store(filepath.Join(folder, "rows"))
	for _, d := range []string{filepath.Dir(page), string(out)} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(page, []byte("above\n<!-- rows: begin -->\n<!-- rows: end -->\nbelow\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, r := range []row{
		{Method: "drnas", Seed: 1, Curve: []float64{70, 71, 82}, Rank: 9, Held: 2, Gap: gap{30, 20, 40}},
		{Method: "drnas", Seed: 2, Curve: []float64{74, 73, 84}, Rank: 2, Held: 1, Gap: gap{30, 20, 40}},
		{Method: "spos-rs", Seed: 1, Curve: []float64{79}, Rank: 99, Gap: gap{0, 50, 60}, Seconds: effort{3600, 1800}},
		{Method: "spos-rs", Seed: 1, Curve: []float64{80}, Rank: 98, Gap: gap{0, 50, 60}, Seconds: effort{3600, 1800}}, // the last counts
		{Method: "drnas", Seed: 1, Settings: []string{"lr=0.5"}, Curve: []float64{50, 51}, Rank: 6000, Retrained: &retrained{5, 88, 0.25}},
	} {
		if r.Space, r.Epochs = "conv-macro", 10; r.Settings != nil {
			r.Epochs = 100
		}
		if err := out.add(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []cost{{Space: "conv-macro", StepMiB: 30, Weight: 1, Arch: 1}, {Space: "conv-macro", Shared: true, StepMiB: 40, Weight: 2, Arch: 2}} {
		if err := appendCost(out, c); err != nil {
			t.Fatal(err)
		}
	}
	var last string
	for range 2 {
		if err := rebuild(page, plots, out); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if last != "" && last != string(text) {
			t.Errorf("rebuilt again: want the same page, got\n%s", text)
		}
		last = string(text)
	}
	for _, want := range []string{"above\n<!--", "-->\nbelow\n", "10 epochs", "| 2 | 83.00 ± 1.41 | 9, 2 | 83.02 (T12, 50/50) | – | 1.5 | 30.00 | 20.00 | 40.00 |", "| 1 | 80.00 | 98 | 81.25 ± 0.67 (T12, 50/50) | +2.00 | – | – | 50.00 | 60.00 |", "1.00 + 0.50 |", "](p/conv-macro.svg)", "the paper's epochs, lr=0.5\n", "trained anew for 5 epochs: 88.00 % of test images; CKA with the subnet that inherits, mean over layers, 0.250", "](p/conv-macro-the-paper-s-epochs--lr-0.5.svg)", "| 25.0 | 50.0 |"} {
		if !strings.Contains(last, want) {
			t.Errorf("want %q in\n%s", want, last)
		}
	}
	svg, err := os.ReadFile(filepath.Join(plots, "conv-macro.svg"))
	if err != nil || !strings.Contains(string(svg), "2 seeds") {
		t.Errorf("want curves of two seeds, got %v\n%s", err, svg)
	}
	if err := os.WriteFile(filepath.Join(string(out), "bad.jsonl"), []byte("{}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := rebuild(page, plots, out); err == nil {
		t.Error("a row without an accuracy: want an error")
	}
}

// TestLarge: the spaces whose steps are measured have names of their own, data that goes with their
// networks, and more numbers with shared weights.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: builds large networks")
	}
	seen := map[string]bool{}
	for _, a := range priced() {
		if a.name == "" || a.title == "" || seen[a.name] {
			t.Errorf("%q: want a name of its own and a title", a.name)
		}
		seen[a.name] = true
		if a.data != made {
			continue
		}
		set, err := a.set(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		var count [2]int
		for i, name := range []string{"drnas", "drnas-ws"} {
			m, err := methodByName(name)
			if err != nil {
				t.Fatal(err)
			}
			n, err := a.network(1, m)
			if err != nil {
				t.Fatal(err)
			}
			if count[i] = params(n); !n.Learns(set.Part("train")) {
				t.Errorf("%s: the network does not learn from its data", a.name)
			}
		}
		if count[1] <= count[0] {
			t.Errorf("%s: want more numbers with shared weights than %d, got %d", a.name, count[0], count[1])
		}
	}
}
