package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// TestInspectLoweredListsWhatIsMissing: operators without a lowering are named at once.
func TestInspectLoweredListsWhatIsMissing(t *testing.T) {
	m, err := ir.Parse(`model { ir 8 opset _ 17 opset com.example 1 } graph g { input x float32[2] output y float32[2]
		node a: (a) = com.example.Fizz(x) node b: (b) = Relu(a) node c: (c) = com.example.Buzz(b) node d: (y) = com.example.Fizz(c) }`)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := exporter.Write(path, m, exporter.Options{}); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), []string{"entangle", "inspect", path, "--stage", "lowered"}, strings.NewReader(""), &stdout, &stderr)
	const want = `lower: unsupported operators: com.example.Buzz ×1 (no rule; nodes "c"); com.example.Fizz ×2 (no rule; nodes "a", "d")`
	if code != exitModel || stdout.Len() > 0 || !strings.Contains(stderr.String(), want) {
		t.Errorf("want code %d and %q, got %d and %q, with stdout %q", exitModel, want, code, stderr.String(), stdout.String())
	}
}

// inspected names a model that is at hand.
type inspected struct {
	name string
	read func() (*entangle.Model, error)
}

// atHand lists the reference networks and the files of the test environment.
func atHand(t *testing.T) []inspected {
	t.Helper()
	var out []inspected
	for _, e := range append(models.Tiny(), models.TinyTransformers()...) {
		out = append(out, inspected{e.Name, func() (*entangle.Model, error) {
			m, err := e.Build(models.Options{})
			if err != nil {
				return nil, err
			}
			return entangle.Normalise(m)
		}})
	}
	for _, find := range []func() (string, error){testenv.FindCorpus, testenv.FindModels, testenv.FindOCR} {
		dir, err := find()
		if err != nil {
			t.Logf("left out: %v", err)
			continue
		}
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".onnx") {
				out = append(out, inspected{path, func() (*entangle.Model, error) { return entangle.Import(path) }})
			}
			return nil
		})
	}
	return out
}

// TestInspectSaysWhatSpaceOffers: over every model at hand, what inspect calls elastic is
// what the default space offers, and every axis of a weight that it leaves as it is has a
// reason that names its nodes.
func TestInspectSaysWhatSpaceOffers(t *testing.T) {
	seen := 0
	for _, x := range atHand(t) {
		m, err := x.read()
		if err != nil {
			continue // other tests hold what is not read
		}
		an := analysedAt(m, 16, 64, 224)
		if an == nil {
			continue
		}
		seen++
		if why := disagreement(m.Normal.Graph, an); why != "" {
			t.Errorf("%s: %s", x.name, why)
		}
	}
	t.Logf("%d models", seen)
	if seen < 20 {
		t.Errorf("want 20 models at least, got %d", seen)
	}
}

// analysedAt analyses a model whose open sizes are all the first number that fits it.
func analysedAt(m *entangle.Model, sizes ...int) *space.Analysis {
	for _, size := range sizes {
		bind := map[string]int{}
		for _, v := range m.Normal.Graph.Inputs {
			for k, d := range v.Type.Shape {
				if d.Param != "" && k > 0 {
					bind[d.Param] = size
				}
			}
		}
		if an, err := m.Analyse(bind); err == nil {
			return an
		}
	}
	return nil
}

// disagreement compares an inspection with the default space; "" where they say the same.
func disagreement(g *ir.Graph, an *space.Analysis) string {
	r := &inspection{}
	for _, p := range ops.ModelCost(an.Model, an.Facts).Nodes {
		r.Nodes = append(r.Nodes, inspectedNode{Name: p.Node.Label(), MACs: p.MACs})
	}
	r.elasticity(g, an)
	sp, err := space.New(an, space.Options{})
	if err != nil {
		sp = &space.Space{}
	}
	effects, err := sp.Bind(an)
	if err != nil {
		return err.Error()
	}
	offered, shown := map[string]bool{}, map[string]bool{}
	elastic := map[string]map[int]bool{}
	for i, d := range sp.Dims {
		offered[d.Name] = true
		for _, a := range effects[i].Axes {
			if elastic[a.Value] == nil {
				elastic[a.Value] = map[int]bool{}
			}
			elastic[a.Value][a.Axis] = true
		}
	}
	reasons := map[string]map[int]bool{}
	for _, n := range r.Nodes {
		for _, e := range n.Elastic {
			shown["width:"+e.Group] = true
		}
		for _, c := range n.Choices {
			if first := c.Kind + ":" + n.Name; offered[first] {
				shown[first] = true
			} else if !slices.ContainsFunc(c.TiedTo, func(o string) bool { return offered[c.Kind+":"+o] }) {
				return fmt.Sprintf("node %q: %s is shown and not offered", n.Name, c.Kind)
			}
		}
		for _, p := range n.Pinned {
			if p.Reason == "" || strings.Contains(p.Reason, `node ""`) {
				return fmt.Sprintf("node %q: axis %d of %q: reason %q", n.Name, p.Axis, p.Weight, p.Reason)
			}
			if reasons[p.Weight] == nil {
				reasons[p.Weight] = map[int]bool{}
			}
			reasons[p.Weight][p.Axis] = true
		}
		if n.MACs > 0 && n.remark() == "" {
			return fmt.Sprintf("node %q: it costs MACs, and has neither an elastic dimension nor a reason", n.Name)
		}
	}
	if !maps.Equal(offered, shown) {
		return fmt.Sprintf("offered %v, shown %v", slices.Sorted(maps.Keys(offered)), slices.Sorted(maps.Keys(shown)))
	}
	live := map[string]bool{}
	for _, n := range g.Nodes {
		if slices.ContainsFunc(r.Nodes, func(x inspectedNode) bool { return x.Name == n.Label() }) {
			for _, v := range n.Inputs {
				live[v] = true
			}
		}
	}
	for _, t := range g.Inits {
		for a, size := range t.Dims {
			if t.DType.IsFloat() && live[t.Name] && size > 1 && !elastic[t.Name][a] && !reasons[t.Name][a] {
				return fmt.Sprintf("axis %d of %q, which is %v: neither elastic nor pinned with a reason", a, t.Name, t.Dims)
			}
		}
	}
	return ""
}
