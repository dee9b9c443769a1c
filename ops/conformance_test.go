package ops_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

var update = flag.Bool("update", false, "rewrite testdata/conformance.txt and docs/ops.md")

const (
	goldenPath = "testdata/conformance.txt"
	tablePath  = "../docs/ops.md"
)

// outcome is what came of one case.
type outcome struct {
	c      corpusCase
	op     string
	passed bool
	left   bool   // outside what the project computes on: not counted as a float case
	reason string // why it did not pass
}

// TestConformance runs the ONNX backend test data on every backend. Cases that
// do not pass are listed with their reason in testdata/conformance.txt; a case
// that is not listed there must pass.
func TestConformance(t *testing.T) {
	cases := corpus(t)
	backends := []engine.Backend{ref.New(), cpu.New(cpu.Options{})}
	of := map[string]string{}
	var results []outcome
	for _, c := range cases {
		results = append(results, judge(c, backends, of))
	}
	text := listFailures(results)
	if *update {
		write(t, goldenPath, text)
		write(t, tablePath, table(results))
		return
	}
	golden, err := os.ReadFile(goldenPath)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(golden)) {
		name, _, _ := strings.Cut(line, "\t")
		known[name] = true
	}
	for _, r := range results {
		if !r.passed && !known[r.c.String()] {
			t.Errorf("%s (%s): want a pass as before, got: %s", r.c, r.op, r.reason)
		}
		if r.passed && known[r.c.String()] {
			t.Errorf("%s (%s): passes now: run go test ./ops -run TestConformance -update", r.c, r.op)
		}
	}
	if want, err := os.ReadFile(tablePath); err != nil || !bytes.Equal(want, table(results)) {
		t.Errorf("%s is out of date: run go test ./ops -run TestConformance -update", tablePath)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func judge(c corpusCase, backends []engine.Backend, of map[string]string) (r outcome) {
	r = outcome{c: c, op: "whole models"}
	m, sets, outside, err := c.load()
	if m != nil {
		r.op = operator(c, m, of)
		of[c.String()] = r.op
	}
	switch {
	case err != nil:
		r.reason = err.Error()
	case outside != "":
		r.left, r.reason = true, outside
	default:
		r.reason = runCase(m, sets, backends)
	}
	r.passed = r.reason == ""
	return r
}

// runCase returns "" when every data set gives the expected outputs on every backend.
func runCase(m *ir.Model, sets []dataset, backends []engine.Backend) string {
	float := prim.F32
	for _, v := range slices.Concat(m.Graph.Inputs, m.Graph.Outputs) {
		if v.Type.Elem == ir.Float64 {
			float = prim.F64
		}
	}
	for k, s := range sets {
		p, f, frozen, err := compileCase(m, s.in, float)
		if err != nil {
			return short(err)
		}
		in := map[string]*prim.Tensor{}
		for i, v := range DataInputs(m.Graph) {
			if i < len(s.in) && frozen.Graph.Init(v.Name) == nil && p.Input(v.Name) >= 0 {
				if in[v.Name], err = ops.HostTensor(s.in[i], float); err != nil {
					return short(err)
				}
			}
		}
		for _, b := range backends {
			out, err := engine.RunHost(b, p, in)
			if err != nil {
				return fmt.Sprintf("%s: %s", b.Name(), short(err))
			}
			for i, o := range m.Graph.Outputs {
				if i >= len(s.out) {
					break
				}
				if d := f.Values[o.Name].Type.Elem; d != s.out[i].DType {
					return fmt.Sprintf("output %d: want %s, got %s", i, s.out[i].DType, d)
				}
				if diff := compare(out[o.Name], s.out[i]); diff != "" {
					return fmt.Sprintf("%s: data set %d, output %d: %s", b.Name(), k, i, diff)
				}
			}
		}
	}
	return ""
}

// compileCase builds the program; inputs that decide sizes become constants: first none,
// then the integers and short vectors behind the first, then all.
func compileCase(m *ir.Model, in []*ir.Tensor, float prim.DType) (*prim.Program, *ops.Facts, *ir.Model, error) {
	choices := []func(i int, t *ir.Tensor) bool{
		func(int, *ir.Tensor) bool { return false },
		func(i int, t *ir.Tensor) bool { return i > 0 && (t.DType.IsInt() || len(t.Dims) < 2 && t.Len() <= 16) },
		func(int, *ir.Tensor) bool { return true },
	}
	var first error
	for _, choose := range choices {
		frozen := freeze(m, in, choose)
		p, f, err := ops.Program(frozen, nil, float)
		if err == nil {
			return p, f, frozen, nil
		}
		if first == nil {
			first = err
		}
		var u *ops.UnsupportedError
		if errors.As(err, &u) {
			first = err
		}
	}
	return nil, nil, nil, first
}

// compare reports the first difference: integers and booleans exactly, floats within
// 1e-3 relative and 1e-5 absolute (half precision: 1e-2 and 1e-3).
func compare(got *prim.Tensor, want *ir.Tensor) string {
	if !slices.Equal(got.Shape, want.Dims) && !(len(got.Shape) == 0 && len(want.Dims) == 0) {
		return fmt.Sprintf("want sizes %v, got %v", want.Dims, got.Shape)
	}
	back, err := ops.ModelTensor("", want.DType, got)
	if err != nil {
		return err.Error()
	}
	if !want.DType.IsFloat() {
		if !bytes.Equal(back.Raw, want.Raw) {
			return fmt.Sprintf("%s values differ", want.DType)
		}
		return ""
	}
	x, err := back.Float64s()
	if err != nil {
		return err.Error()
	}
	y, err := want.Float64s()
	if err != nil {
		return err.Error()
	}
	rel, abs := 1e-3, 1e-5
	if want.DType.Bits() == 16 {
		rel, abs = 1e-2, 1e-3
	}
	for i := range x {
		if x[i] == y[i] || math.IsNaN(x[i]) && math.IsNaN(y[i]) {
			continue
		}
		if !(math.Abs(x[i]-y[i]) <= abs+rel*math.Abs(y[i])) {
			return fmt.Sprintf("element %d: want %v, got %v", i, y[i], x[i])
		}
	}
	return ""
}

func short(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	if r := []rune(s); len(r) > 160 {
		s = string(r[:160]) + "…"
	}
	return s
}

func listFailures(results []outcome) []byte {
	var b bytes.Buffer
	for _, r := range results {
		if !r.passed {
			fmt.Fprintf(&b, "%s\t%s\t%s\n", r.c, r.op, r.reason)
		}
	}
	return b.Bytes()
}

// table renders docs/ops.md.
func table(results []outcome) []byte {
	type row struct {
		pass, float, all int
		failed           []outcome
		left             map[string]int
	}
	rows := map[string]*row{}
	get := func(name string) *row {
		if rows[name] == nil {
			rows[name] = &row{left: map[string]int{}}
		}
		return rows[name]
	}
	rules := map[string]*ops.Op{}
	for _, o := range ops.All() {
		rules[ops.Title(o.Domain, o.Name)] = o
		get(ops.Title(o.Domain, o.Name))
	}
	var total, ours row
	for _, r := range results {
		x := get(r.op)
		targets := []*row{x, &total}
		if rules[r.op] != nil {
			targets = append(targets, &ours)
		}
		for _, x := range targets {
			x.all++
			if !r.left {
				x.float++
			}
			if r.passed {
				x.pass++
			}
		}
		switch {
		case r.left:
			x.left[r.reason]++
		case !r.passed:
			x.failed = append(x.failed, r)
		}
	}
	var with, without []string
	for name := range rows {
		if rules[name] != nil {
			with = append(with, name)
		} else {
			without = append(without, name)
		}
	}
	slices.Sort(with)
	slices.Sort(without)
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Operators\n\nGenerated by `go test ./ops -run TestConformance -update`; do not edit.\n\n")
	fmt.Fprintf(&b, "Cases of the ONNX backend test data (Debian package libonnx-testdata, or the folder that ONNX_TESTDATA names; suites node, pytorch-converted, pytorch-operator, simple), run on engine/ref and engine/cpu in float32 (models in double precision in float64). ")
	fmt.Fprintf(&b, "A case counts when all its inputs and outputs are tensors of floats of 16 bits or more, integers of 8 bits or more, or booleans; the others are left out and named. ")
	fmt.Fprintf(&b, "Inputs that decide sizes (a Reshape target, say) are given as constants.\n\n")
	fmt.Fprintf(&b, "Operators with rules: %d of %d cases pass (%.1f %%). All operators: %d of %d.\n\n", ours.pass, ours.float, 100*float64(ours.pass)/math.Max(1, float64(ours.float)), total.pass, total.float)
	fmt.Fprintf(&b, "## Operators with rules\n\n| operator | from opset | cases pass | left out | what it computes |\n| --- | --- | --- | --- | --- |\n")
	for _, name := range with {
		r, o := rows[name], rules[name]
		fmt.Fprintf(&b, "| %s | %d | %d of %d | %s | %s |\n", name, o.Since, r.pass, r.float, leftOut(r.left), strings.ReplaceAll(o.Doc, "|", "\\|"))
	}
	fmt.Fprintf(&b, "\n## Cases that do not pass\n\n")
	for _, name := range append(slices.Clone(with), "whole models") {
		if rows[name] == nil {
			continue
		}
		for _, f := range rows[name].failed {
			fmt.Fprintf(&b, "- %s, `%s`: %s\n", name, f.c, f.reason)
		}
	}
	fmt.Fprintf(&b, "\n## Operators without rules\n\nThey are kept whole, pin their axes, and stand in the way only when they must run.\n\n| operator | cases pass | left out |\n| --- | --- | --- |\n")
	for _, name := range without {
		r := rows[name]
		fmt.Fprintf(&b, "| %s | %d of %d | %s |\n", name, r.pass, r.float, leftOut(r.left))
	}
	return b.Bytes()
}

func leftOut(left map[string]int) string {
	var parts []string
	for reason, n := range left {
		parts = append(parts, fmt.Sprintf("%d: %s", n, reason))
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}
