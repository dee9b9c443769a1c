package mutate_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/mutate"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// patience is how long one model may take; what takes longer hangs.
const patience = 60 * time.Second

// source is a model to damage.
type source struct {
	name    string
	foreign bool // not part of this repository
	load    func() (*ir.Model, error)
}

// sources lists every model at hand, in a fixed order: the small networks of package models,
// the fixtures, then the ONNX backend test data and pretrained models where they are.
func sources(t testing.TB) []source {
	t.Helper()
	var out []source
	for _, e := range slices.Concat(models.Tiny(), models.TinyTransformers()) {
		out = append(out, source{e.Name, false, func() (*ir.Model, error) { return e.Build(models.Options{}) }})
	}
	const fixtures = "../../models/fixtures"
	dirs := []string{fixtures}
	for _, find := range []func() (string, error){testenv.FindModels, testenv.FindCorpus} {
		dir, err := find()
		if err != nil {
			t.Logf("left out: %v", err)
			continue
		}
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".onnx") {
				out = append(out, source{path, dir != fixtures, func() (*ir.Model, error) { return importer.Read(path) }})
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// damaged returns a copy of the model after one edit, or as often after more.
func damaged(m *ir.Model, seed uint64) (*ir.Model, []string) {
	r := rng.New(seed, "mutate/model")
	x, edits := m.Clone(), 1
	for edits < 6 && r.IntN(2) == 0 {
		edits++
	}
	return x, mutate.Model(r.Rand, x, edits, operators())
}

func operators() []string {
	var out []string
	for _, op := range ops.All() {
		out = append(out, op.Name)
	}
	return append(out, "If", "Loop", "Scan", "LSTM", "NoSuchOperator")
}

// line takes a model through everything that runs no step, and returns where it was refused and why.
func line(m *ir.Model, r *rand.Rand) (stage string, err error) {
	if b, err := exporter.Encode(m); err != nil {
		return "encode", err
	} else if m, err = importer.Decode(b, ""); err != nil {
		return "decode", err
	}
	ops.Missing(m)
	src, err := entangle.Normalise(m)
	if err != nil {
		return "normalise", err
	}
	if nodes := src.Normal.Graph.Nodes; len(nodes) > 0 { // taught at any tensor
		src.Split(nodes[r.IntN(len(nodes))].Output(0))
	}
	if head, err := src.Split(); err == nil {
		if head.Tail != nil {
			head.Tail.Graft(head.Normal)
		}
		src = head
	}
	size := 1 + r.IntN(9)
	open, err := src.Infer(nil)
	if err == nil {
		ops.ModelCost(src.Normal, open)
		ops.SizeReads(src.Normal.Graph, open)
		space.Analyse(src.Normal, open)
	}
	x := net.Open(src.Normal).Model
	bind := map[string]int{ops.AnyDim: size}
	for _, v := range net.DataInputs(x) {
		for i, d := range v.Type.Shape {
			if !d.Known() && d.Param != "" && bind[d.Param] == 0 {
				if bind[d.Param] = size; i == 0 {
					bind[d.Param] = 2
				}
			}
		}
	}
	facts, err := ops.InferModel(x, bind)
	if err != nil {
		return "infer", err
	}
	ops.ModelCost(x, facts)
	var kinds []string
	for _, k := range space.Kinds {
		kinds = append(kinds, k.Name)
	}
	an, err := space.Analyse(x, facts, kinds...)
	if err != nil {
		return "analyse", err
	}
	s, err := space.New(an, space.DefaultOptions())
	if err != nil {
		lowered(x, facts, nil)
		return "space", err
	}
	if sc, err := space.Magnitude(an, s); err == nil {
		s.SetOrder(sc)
	}
	super, err := space.Entangle(an, s, space.Reader)
	if err != nil {
		return "entangle", err
	}
	if _, err := super.Costs(); err != nil {
		return "cost", err
	}
	for _, choice := range [][]int{s.Smallest(), random(r, s)} {
		recipe, err := subnet.NewRecipe(super, choice, 1, "uniform")
		if err != nil {
			return "recipe", err
		}
		small, err := subnet.Extract(an, recipe, nil)
		if err != nil {
			return "extract", err
		}
		if _, err := exporter.Encode(small); err != nil {
			return "write", err
		}
	}
	if err := lowered(x, facts, super); err != nil {
		return "lower", err
	}
	return "", nil
}

func random(r *rand.Rand, s *space.Space) []int {
	out := s.Largest()
	for i := range out {
		out[i] = r.IntN(out[i] + 1)
	}
	return out
}

// lowered lowers a model for training and makes the gradients of its loss.
func lowered(m *ir.Model, facts *ops.Facts, super *space.Supernet) error {
	b := prim.NewBuilder()
	if _, err := ops.Lower(b, m, facts, ops.Hooks{Float: prim.F64, Seed: prim.Invalid}); err != nil {
		return err
	}
	n, err := net.NewNetwork(m, 2, super)
	if err != nil {
		return err
	}
	g, err := n.Lower(true)
	if err != nil {
		return err
	}
	o := net.Objective{Distill: 1, Temperature: 4}
	if err := o.Check(n, false); err != nil {
		return err
	}
	loss, _ := n.Loss(g, o, false)
	if loss == prim.Invalid {
		return fmt.Errorf("no output that is taught")
	}
	if _, err := engine.Grad(g.Builder, loss, g.Params); err != nil {
		return err
	}
	_, err = g.Builder.Program()
	return err
}

// cached loads each source once.
func cached(list []source) func(k int) (*ir.Model, error) {
	type result struct {
		m   *ir.Model
		err error
	}
	done := map[int]result{}
	var mu sync.Mutex
	return func(k int) (*ir.Model, error) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := done[k]; !ok {
			m, err := list[k].load()
			done[k] = result{m, err}
		}
		return done[k].m, done[k].err
	}
}

// endure damages a model and takes it through the line below no recover: what panics ends
// the test, with the way to it.
func endure(name string, m *ir.Model, seed uint64) (stage string) {
	x, edits := damaged(m, seed)
	about := fmt.Sprintf("%s, seed %d: %s", name, seed, strings.Join(edits, ", "))
	watch := time.AfterFunc(patience, func() { panic(fmt.Sprintf("%s: want an end within %s", about, patience)) })
	returned := false
	defer func() {
		if watch.Stop(); !returned {
			fmt.Fprintln(os.Stderr, about)
		}
	}()
	stage, _ = line(x, rng.New(seed, "mutate/line").Rand)
	returned = true
	return stage
}

// TestLineEndures is a short walk of fixed seeds over every network and fixture, and over a
// part of what else is at hand.
func TestLineEndures(t *testing.T) {
	list := sources(t)
	stages := map[string]int{}
	for k, s := range list {
		n := 4
		if s.foreign {
			if n = 1; k%10 > 0 {
				continue
			}
		}
		m, err := s.load()
		if err != nil {
			continue
		}
		for i := range n {
			stages[endure(s.name, m, uint64(100*k+i))]++
		}
	}
	t.Logf("refused at: %v", stages)
	for _, stage := range []string{"", "encode", "normalise", "space", "lower"} {
		if stages[stage] == 0 {
			t.Errorf("stage %q: want damaged models that end there, got none of %v", stage, stages)
		}
	}
}

// FuzzLine walks on from there: a model and a seed.
func FuzzLine(f *testing.F) {
	list := sources(f)
	load := cached(list)
	for k := range 8 {
		f.Add(uint16(5*k), uint64(k))
	}
	f.Fuzz(func(t *testing.T, k uint16, seed uint64) {
		at := int(k) % len(list)
		if m, err := load(at); err == nil {
			endure(list[at].name, m, seed)
		}
	})
}

// TestModel: a seed decides what happens, every kind of edit happens, and the model it is
// copied from stays.
func TestModel(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range []string{"functions", "constants", "encoder"} {
		m, err := importer.Read("../../models/fixtures/" + file + ".onnx")
		if err != nil {
			t.Fatal(err)
		}
		before := m.Clone()
		for seed := range uint64(400) {
			x, edits := damaged(m, seed)
			y, again := damaged(m, seed)
			if d := ir.Diff(x, y); d != "" || !slices.Equal(edits, again) {
				t.Fatalf("seed %d: two results: %s; %v and %v", seed, d, edits, again)
			}
			for _, e := range edits {
				seen[e] = true
			}
		}
		if d := ir.Diff(before, m); d != "" {
			t.Errorf("the model changed: %s", d)
		}
	}
	for _, name := range mutate.Names() {
		if !seen[name] {
			t.Errorf("%s: want it among 1200 models, got none", name)
		}
	}
}
