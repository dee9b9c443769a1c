package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/keys"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/rows"
	"github.com/entangle-nas/entangle/models"
)

// TestPasses: a program that reads a batch of 4 is 4 passes, with gradients 12, one that reads
// no samples none.
func TestPasses(t *testing.T) {
	for _, c := range []struct {
		name, output string
		batched      bool
		want         float64
	}{
		{"forward", "@loss", true, 4},
		{"weights", "@param/w", true, 12},
		{"architecture", "@alpha", true, 12},
		{"ranking", "@grad/w", true, 12},
		{"update", "@param/w", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := prim.NewBuilder()
			x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{4, 2}})
			if c.batched {
				b.Batch("x")
			}
			b.Output(c.output, b.Scale(x, 2))
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			count := &counter{Backend: ref.New()}
			exe, err := count.Compile(p)
			if err != nil {
				t.Fatal(err)
			}
			in, err := count.Upload(prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{4, 2}}))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := exe.Run([]engine.Buffer{in}); err != nil {
				t.Fatal(err)
			}
			if count.passes != c.want {
				t.Errorf("want %g passes, got %g", c.want, count.passes)
			}
		})
	}
}

// TestTables: every task's settings are the job's, names are unique, and a search comes before
// what is given its passes.
func TestTables(t *testing.T) {
	seen := map[string]bool{}
	for _, x := range tables {
		if seen[x.name] {
			t.Errorf("task %q is there twice", x.name)
		}
		seen[x.name] = true
		j := entangle.DefaultJob()
		for _, s := range x.settings {
			key, value, _ := strings.Cut(s, "=")
			if err := keys.Set(&j, key, value); err != nil {
				t.Errorf("%s: %s: %v", x.name, s, err)
			}
		}
	}
	work, err := plan("core", "resnet20@0.5", "", "1,2", "")
	if err != nil {
		t.Fatal(err)
	}
	begun := map[uint64]bool{}
	peers := 0
	for _, w := range work {
		if w.Method == "search" {
			begun[w.Seed] = true
		}
		if !begun[w.Seed] {
			t.Errorf("%s of seed %d stands before the search", w.Method, w.Seed)
		}
		if peer(w.Method) {
			peers++
		}
	}
	if len(work) != 18 || peers != 4 {
		t.Errorf("want 18 rows, 4 of them cut elsewhere, got %d, %d", len(work), peers)
	}
	if _, err := plan("core", "nothing*", "", "1", ""); err == nil {
		t.Error("a glob that matches no row was accepted")
	}
	if _, err := plan("core", "*", "", "0", ""); err == nil {
		t.Error("seed 0 was accepted")
	}
}

// TestStreams: residual streams are told from inner widths, those of depthwise layers too.
func TestStreams(t *testing.T) {
	for _, c := range []struct{ model, stream, inner string }{
		{"resnet20a-tiny", "stem.conv", "layer1.0.a.conv"},
		{"mobilenet-tiny", "block2.0.down.conv", "block2.0.up.conv"},
	} {
		t.Run(c.model, func(t *testing.T) {
			normal := modeltest.Normal(t, c.model, models.Options{})
			an, err := (&entangle.Model{Raw: normal, Normal: normal}).Analyse(nil)
			if err != nil {
				t.Fatal(err)
			}
			got := streams(an)
			if len(got) == 0 || len(got) == len(an.Groups) {
				t.Fatalf("want some of %d groups, got %v", len(an.Groups), got)
			}
			for _, g := range an.Groups {
				if slices.Contains(g.Nodes, c.stream) && !got[g.Name] {
					t.Errorf("%q is a stream", g.Name)
				}
				if slices.Contains(g.Nodes, c.inner) && got[g.Name] {
					t.Errorf("%q is no stream", g.Name)
				}
			}
		})
	}
}

// TestPage: the last of equal rows counts, differences are paired by seed, random draws are one
// column, and the text around the tables stays.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	s := store(dir)
	for _, r := range []struct {
		method string
		seed   uint64
		tuned  float64
	}{{"search", 1, 0.1}, {"search", 1, 0.80}, {"search", 2, 0.60}, {"uniform", 1, 0.77}, {"uniform", 2, 0.59}, {"random-1", 1, 0.5}, {"random-2", 1, 0.6}} {
		if err := s.add(row{Task: "fashion", Budget: "0.5", Method: r.method, Seed: r.seed, Val: points{Tuned: r.tuned}}); err != nil {
			t.Fatal(err)
		}
	}
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte("above\n"+rows.Begin+"old\n"+rows.End+"below\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := rebuild(page, s); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"above\n" + rows.Begin, rows.End + "below\n", "70.00 ± 10.00 | – |", "68.00 ± 9.00 | +2.00 ± 1.00 |", "| random | 1 |", "55.00 | +25.00 |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Error("the old tables are still there")
	}
	if err := os.WriteFile(page, []byte("no marks"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := rebuild(page, s); err == nil {
		t.Error("a page without marks was accepted")
	}
}

// TestStoreFault: a line that is no row is named by file and line.
func TestStoreFault(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.jsonl"), []byte("{}\n{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := store(dir).rows(); err == nil || !strings.Contains(err.Error(), "x.jsonl:2") {
		t.Errorf("got %v", err)
	}
}

func TestAssignments(t *testing.T) {
	got := assignments("search.weights.augment=flip,crop:4,mixup;refine=0,tune.lr=0.1")
	if want := []string{"search.weights.augment=flip,crop:4,mixup", "refine=0", "tune.lr=0.1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
