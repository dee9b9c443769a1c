package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/internal/cuttest"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// animal is one structure of the zoo, as a file.
type animal struct {
	family string
	name   string
	path   string
	sizes  map[string]int // of open dimensions but the first
}

// zoo writes every structure into a folder: those of package models, and those that PyTorch
// exports, where it is; whole says that none is left out.
func zoo(t *testing.T, dir string) (all []animal, whole bool) {
	t.Helper()
	for _, e := range append(models.Tiny(), models.TinyTransformers()...) {
		m, err := e.Build(models.Options{})
		if err != nil {
			t.Fatal(err)
		}
		a := animal{"built here", e.Name, filepath.Join(dir, e.Name+".onnx"), nil}
		if err := exporter.Write(a.path, m, exporter.Options{}); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	more, whole := exported(t, dir)
	return append(all, more...), whole
}

// exported runs the script that exports PyTorch's part of the zoo.
func exported(t *testing.T, dir string) (all []animal, whole bool) {
	t.Helper()
	py := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if py == "" && exec.Command(p, "-c", "import torch").Run() == nil {
			py = p
		}
	}
	if py == "" {
		t.Run("PyTorch", func(t *testing.T) {
			t.Skip("no python3 has torch: everything that PyTorch exports is left out (Debian: python3-torch, python3-torchvision)")
		})
		return nil, false
	}
	whole = true
	var stderr bytes.Buffer
	c := exec.Command(py, "testdata/zoo.py", dir)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var x struct {
			Name, Family, Error string
			Sizes               map[string]int
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if x.Error != "" {
			t.Run(x.Name, func(t *testing.T) { t.Skipf("left out: it cannot be exported: %s", x.Error) })
			whole = false
			continue
		}
		all = append(all, animal{x.Family, x.Name, filepath.Join(dir, x.Name+".onnx"), x.Sizes})
	}
	return all, whole
}

// TestZoo takes every structure of the zoo through the line, holds its cuts to the original on
// ONNX Runtime, and docs/coverage.md to what the structures offer, which -update rewrites.
func TestZoo(t *testing.T) {
	long := os.Getenv("ENTANGLE_LONG") != ""
	if !long && !*update {
		t.Skip("ENTANGLE_LONG is not set: the zoo goes through the line in make test-long")
	}
	all, whole := zoo(t, t.TempDir())
	t.Run("coverage", func(t *testing.T) { covers(t, all, whole) })
	if !long {
		return
	}
	rt := ort.New(ort.Options{Library: orttest.Library("../.."), Threads: 1})
	if _, err := rt.Describe(); err != nil {
		t.Skipf("ONNX Runtime is absent: %v", err)
	}
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if x := recover(); x != nil {
					t.Errorf("panic: %v\n%s", x, debug.Stack())
				}
			}()
			a.line(t)
			if !t.Failed() {
				a.lossless(t, rt)
			}
		})
	}
}

func (a animal) model(t *testing.T) *entangle.Model {
	t.Helper()
	m, err := entangle.Import(a.path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// samples are this many in the data that a structure is compressed on.
const samples = 8

// data writes samples of the model's inputs.
func (a animal) data(t *testing.T, m *entangle.Model, path string) {
	t.Helper()
	feeds, err := exporter.RandomInputs(m.Raw.Graph, exporter.VerifyOptions{Cases: samples, Dims: a.sizes, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	var arrays []data.Array
	for _, name := range runtimes.FeedNames(m.Raw.Graph) {
		var x data.Array
		for i, f := range feeds {
			v := f[name]
			x.Name, x.Shape = name, slices.Clone(v.Dims)
			if x.Shape[0] > 1 && i*x.Shape[0] >= samples {
				break
			}
			if v.DType.IsFloat() {
				e, err := v.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				all, _ := x.Data.([]float32)
				x.Data = append(all, e...)
			} else {
				e, err := v.Int64s()
				if err != nil {
					t.Fatal(err)
				}
				all, _ := x.Data.([]int64)
				x.Data = append(all, e...)
			}
		}
		x.Shape[0] = samples
		arrays = append(arrays, x)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(data.WriteNPZ(f, arrays), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// entangle runs the program.
func (a animal) entangle(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"entangle"}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func (a animal) dims() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(a.sizes)) {
		out = append(out, "--dim", fmt.Sprintf("%s=%d", k, a.sizes[k]))
	}
	return out
}

// line takes the structure from inspect to a verified file.
func (a animal) line(t *testing.T) {
	dir := t.TempDir()
	samplesFile, out := filepath.Join(dir, "data.npz"), filepath.Join(dir, "small.onnx")
	if code, _, said := a.entangle(t, append([]string{"inspect", a.path, "--json"}, a.dims()...)...); code != exitOK {
		t.Errorf("inspect: want %d, got %d: %s", exitOK, code, said)
	}
	m := a.model(t)
	want := exitOK
	if m.CheckTrainable() != nil {
		want = exitModel
	}
	if code, _, said := a.entangle(t, append([]string{"space", a.path}, a.dims()...)...); code != want {
		t.Errorf("space: want %d, got %d: %s", want, code, said)
	}
	a.data(t, m, samplesFile)
	args := []string{"compress", a.path, "--data", "npz:" + samplesFile, "--distill", "1", "--augment", "none", "--target", "macs=0.6", "--method", "uniform", "--batch", "4", "--epochs", "1",
		"--set", "space.divisor=4", "--set", "data.split.weights=0.5", "--set", "data.split.alpha=0.5", "--set", "data.split.val=0", "--threads", "1", "--ort-lib", orttest.Library("../.."), "--seed", "1", "-q", "-o", out}
	dry, _, said := a.entangle(t, append(args, "--dry-run")...)
	if dry != want {
		t.Errorf("compress --dry-run: want %d, got %d: %s", want, dry, said)
	}
	code, told, said := a.entangle(t, args...)
	if code != want {
		t.Errorf("compress: want %d, got %d: %s", want, code, said)
	}
	if code != dry {
		t.Errorf("compress: the dry run ended with %d, the run with %d", dry, code)
	}
	if code == exitOK && !strings.Contains(told, "verified on ONNX Runtime") {
		t.Errorf("compress: want it to say that the result is verified, got %s", told)
	}
}

// bind gives the open dimensions of a model their sizes, first axes that of batch.
func (a animal) bind(m *ir.Model, batch int, sizes map[string]int) map[string]int {
	bind := maps.Clone(sizes)
	if bind == nil {
		bind = map[string]int{}
	}
	for _, v := range m.Graph.Inputs {
		if d := v.Type.Shape; len(d) > 0 && !d[0].Known() && m.Graph.Init(v.Name) == nil {
			bind[d[0].Param] = batch
		}
	}
	return bind
}

// elsewhere lists other sizes than the structure's own.
func (a animal) elsewhere(m *ir.Model) []map[string]int {
	out := []map[string]int{a.bind(m, 1, a.sizes), a.bind(m, 3, a.sizes)}
	for _, k := range slices.Sorted(maps.Keys(a.sizes)) {
		for _, n := range []int{a.sizes[k] / 2, 2 * a.sizes[k]} {
			other := maps.Clone(a.sizes)
			other[k] = n
			out = append(out, a.bind(m, 2, other))
		}
	}
	return out
}

// lossless cuts units of every group whose weights are zero, and a choice of every
// dimension, and compares on ONNX Runtime.
func (a animal) lossless(t *testing.T, rt runtimes.Runtime) {
	m := a.model(t)
	if m.CheckTrainable() != nil {
		return
	}
	an, err := m.Analyse(a.bind(m.Normal, 2, a.sizes))
	if err != nil {
		t.Fatal(err)
	}
	s, err := space.New(an, space.Options{Divisor: 2})
	if err != nil {
		t.Fatal(err)
	}
	a.sameAtAnyBatch(t, m, s)
	r := rand.New(rand.NewPCG(3, 9))
	choice := make([]int, len(s.Dims))
	for i, d := range s.Dims {
		if d.CountsUnits() {
			s.Dims[i].Order = r.Perm(d.Choices[len(d.Choices)-1])
		}
		choice[i] = r.IntN(len(d.Choices))
	}
	super, small := a.cut(t, m, an, s, choice)
	keep, _, err := super.Cut(choice)
	if err != nil {
		t.Fatal(err)
	}

	counted := cuttest.Counted(t, an)
	zeroed, direct := an.Model, &space.Space{Source: space.Fingerprint(an.Model)}
	for _, g := range an.Groups {
		if counted[g] || g.Size < 2 {
			continue
		}
		order := r.Perm(g.Size)
		stay := max(1, g.Size/2)
		zeroed = cuttest.Zeroed(t, zeroed, g, order[stay:])
		direct.Dims = append(direct.Dims, space.Dim{Name: "width:" + g.Name, Kind: g.Kind, Node: g.Name, Choices: []int{stay, g.Size}, Order: order})
	}
	var without *ir.Model
	var kept map[string]ops.Positions
	if len(direct.Dims) > 0 {
		var net *space.Supernet
		net, without = a.cut(t, m, an, direct, make([]int, len(direct.Dims)))
		if kept, _, err = net.Cut(make([]int, len(direct.Dims))); err != nil {
			t.Fatal(err)
		}
		zeroed = zeroed.Clone()
		zeroed.Graph.Outputs = m.Raw.Graph.Outputs
	}
	original := orttest.Session(t, rt, m.Raw)
	ran, left := 0, []string{}
	compare := func(at, what string, want, got map[string]*ir.Tensor, keep map[string]ops.Positions) {
		for name, x := range want {
			if keep[name].Changed() {
				if x, err = ops.Take(x, keep[name]); err != nil {
					t.Fatal(err)
				}
			}
			if d := far(t, x, got[name]); d > a.near(m) {
				t.Errorf("%s: %s: output %q differs by %g of its scale", at, what, name, d)
			}
		}
	}
	for i, bind := range append([]map[string]int{a.bind(m.Normal, 2, a.sizes)}, a.elsewhere(m.Normal)...) {
		at := fmt.Sprint(bind)
		if i > 0 && len(bind) == 0 {
			continue
		}
		feeds, err := exporter.RandomInputs(m.Raw.Graph, exporter.VerifyOptions{Batch: 2, Dims: bind, Seed: 5})
		if err != nil {
			t.Fatal(err)
		}
		in := feeds[0]
		if _, err := original.Run(in); err != nil {
			if i == 0 {
				t.Errorf("%s: the original does not run: %v", at, err)
			}
			left = append(left, at)
			continue
		}
		ran++
		if without != nil {
			want, err := orttest.Session(t, rt, zeroed).Run(in)
			if err != nil {
				t.Errorf("%s: the normal graph does not run: %v", at, err)
				continue
			}
			got, err := orttest.Session(t, rt, without).Run(cached(t, in, kept))
			if err != nil {
				t.Errorf("%s: without %d groups' units: %v", at, len(direct.Dims), err)
			} else {
				compare(at, "zeroed and cut", want, got, kept)
			}
		}
		got, err := orttest.Session(t, rt, small).Run(cached(t, in, keep))
		if err != nil {
			t.Errorf("%s: cut: %v", at, err)
			continue
		}
		here, err := m.Analyse(bind)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		net, err := space.Entangle(here, s, space.Reader)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		compare(at, "supernet and cut", superOutputs(t, net, choice, in), got, keep)
	}
	t.Logf("%d dimensions, %d groups zeroed, %d sizes; the original does not run at %s", len(s.Dims), len(direct.Dims), ran, strings.Join(left, ", "))
}

// sameAtAnyBatch compares the space with those of other numbers of samples.
func (a animal) sameAtAnyBatch(t *testing.T, m *entangle.Model, s *space.Space) {
	t.Helper()
	print := func(s *space.Space) string {
		var b strings.Builder
		for _, d := range s.Dims {
			fmt.Fprintln(&b, d.Name, d.Choices)
		}
		return b.String()
	}
	for _, n := range []int{1, 3} {
		an, err := m.Analyse(a.bind(m.Normal, n, a.sizes))
		if err != nil {
			t.Fatal(err)
		}
		other, err := space.New(an, space.Options{Divisor: 2})
		if err != nil {
			t.Fatal(err)
		}
		if want, got := print(s), print(other); want != got {
			t.Errorf("dimensions at batch 2 are\n%sand at batch %d\n%s", want, n, got)
		}
	}
}

func (a animal) near(m *entangle.Model) float64 {
	return 2 * exporter.ToleranceOf(m.Raw.Graph).Rel
}

func (a animal) cut(t *testing.T, m *entangle.Model, an *space.Analysis, s *space.Space, choice []int) (*space.Supernet, *ir.Model) {
	t.Helper()
	net, err := space.Entangle(an, s, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := subnet.NewRecipe(net, choice, 1, "zoo")
	if err != nil {
		t.Fatal(err)
	}
	small, err := m.Extract(recipe, nil)
	if err != nil {
		t.Fatal(err)
	}
	return net, small
}

// cached cuts the inputs that are caches.
func cached(t *testing.T, in map[string]*ir.Tensor, keep map[string]ops.Positions) map[string]*ir.Tensor {
	t.Helper()
	out := maps.Clone(in)
	for name, x := range in {
		if keep[name].Changed() {
			var err error
			if out[name], err = ops.Take(x, keep[name]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

// superOutputs is what a supernet computes at a vertex.
func superOutputs(t *testing.T, net *space.Supernet, choice []int, in map[string]*ir.Tensor) map[string]*ir.Tensor {
	t.Helper()
	p := cuttest.Program(t, net)
	hosted := map[string]*prim.Tensor{}
	for name, x := range in {
		v, err := ops.HostTensor(x, prim.F64)
		if err != nil {
			t.Fatal(err)
		}
		hosted[name] = v
	}
	for i, c := range net.Space.OneHot(choice) {
		hosted["coef/"+net.Space.Dims[i].Name] = prim.F64Tensor(c, len(c))
	}
	res, err := engine.RunHost(cpu.New(cpu.Options{Threads: 1}), p, hosted)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*ir.Tensor{}
	for name, x := range res {
		d := ir.Float64
		if x.DType == prim.I64 {
			d = ir.Int64
		}
		if out[name], err = ops.ModelTensor(name, d, x); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// far returns the largest difference as a share of the scale of want, infinity where sizes differ.
func far(t *testing.T, want, got *ir.Tensor) float64 {
	t.Helper()
	if got == nil || !slices.Equal(want.Dims, got.Dims) {
		return math.Inf(1)
	}
	a, err := want.Float64s()
	b, err2 := got.Float64s()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	scale, worst := 1e-9, 0.0
	for i := range a {
		if d := math.Abs(a[i] - b[i]); !(d <= worst) {
			worst = d
		}
		scale = max(scale, math.Abs(a[i]))
	}
	return worst / scale
}
