package xla

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/enginetest"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/internal/workloads"
)

// toolsFolder names the environment variable of a folder with tools that judge modules
// and are no part of any package system: stablehlo-opt and stablehlo-translate of the
// project that StableHLO comes from, sdy_opt of Shardy. See docs/gpu.md.
const toolsFolder = "STABLEHLO_BIN"

// tool finds one of those tools, or skips in one line.
func tool(t *testing.T, name string) string {
	t.Helper()
	folder := os.Getenv(toolsFolder)
	if folder == "" {
		t.Skipf("no %s: %s names no folder of StableHLO's and Shardy's tools", name, toolsFolder)
	}
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s: %v", name, err)
	}
	return path
}

// TestReference judges what the lowering writes on StableHLO's own verifier and reference
// interpreter, and the verdicts of hloeval with it.
func TestReference(t *testing.T) {
	d := &referenceDevice{opt: tool(t, "stablehlo-opt"), translate: tool(t, "stablehlo-translate"), dir: t.TempDir()}
	enginetest.Run(t, newBackend(d, lower.Options{}))
	t.Logf("%d modules verified, %d runs", d.compiled, d.runs)
}

// TestReferenceVerifies reads the steps of all networks, in every precision, with
// StableHLO's own verifier.
func TestReferenceVerifies(t *testing.T) {
	opt := tool(t, "stablehlo-opt")
	for _, w := range steps() {
		for _, precision := range lower.Precisions {
			t.Run(fmt.Sprintf("%s/%s", w.Name, precision), func(t *testing.T) {
				for _, text := range lowered(t, w, lower.Options{Precision: precision}) {
					filter(t, text, opt, "-o", os.DevNull)
				}
			})
		}
	}
}

// TestPartition has Shardy, XLA's partitioner, divide the steps of all networks between
// two devices. What comes out is data-parallel: each device takes its part of the inputs
// that run over examples, sums are completed, and nothing else is ever exchanged.
func TestPartition(t *testing.T) {
	opt := tool(t, "sdy_opt")
	for _, w := range steps() {
		t.Run(w.Name, func(t *testing.T) {
			for _, text := range lowered(t, w, lower.Options{Devices: 2}) {
				// Its driver does not know CHLO, which XLA replaces before.
				text = strings.ReplaceAll(text, `"chlo.erf"`, `"stablehlo.tanh"`)
				out := filter(t, text, opt, "--sdy-import-pipeline", "--sdy-propagation-pipeline", "--sdy-export-pipeline=enable-insert-explicit-collectives=true")
				count := map[string]int{}
				for _, op := range []string{"all_slice", "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "collective_permute"} {
					if n := strings.Count(out, "sdy."+op+" "); n > 0 {
						count[op] = n
					}
				}
				t.Log(count)
				if count["all_slice"] != 2 || count["all_reduce"] == 0 || len(count) != 2 {
					t.Errorf("want two slices and sums, got %v", count)
				}
			}
		})
	}
}

// TestPartitionedResults runs training steps that Shardy has divided between two devices,
// on the reference interpreter: both devices get the results of one, to rounding.
func TestPartitionedResults(t *testing.T) {
	d := &referenceDevice{opt: tool(t, "stablehlo-opt"), translate: tool(t, "stablehlo-translate"), divide: tool(t, "sdy_opt"), dir: t.TempDir()}
	if _, err := pipe("", d.divide, "--sdy-convert-global-to-local"); err != nil {
		t.Skip("this sdy_opt has no pass sdy-convert-global-to-local: ", err)
	}
	enginetest.RunPrograms(t, newBackend(d, lower.Options{Devices: 2}))
	t.Logf("%d modules divided, %d runs", d.compiled, d.runs)
}

// steps are the training steps that are judged whole.
func steps() []workloads.Workload {
	var list []workloads.Workload
	for _, w := range append(workloads.All(), workloads.Large()...) {
		if !w.Product {
			list = append(list, w)
		}
	}
	return list
}

// lowered returns the modules of a step on eight examples.
func lowered(t *testing.T, w workloads.Workload, o lower.Options) []string {
	t.Helper()
	s, err := w.Build(8)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, ph := range s.Phases {
		p, err := engine.Simplify(ph.Program)
		if err != nil {
			t.Fatal(err)
		}
		m, err := lower.Lower(p, o)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, m.Text)
	}
	return texts
}

// filter gives text to a command and returns what it prints.
func filter(t *testing.T, text, name string, args ...string) string {
	t.Helper()
	out, err := pipe(text, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func pipe(text, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(text)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %.2000s", filepath.Base(name), err, problems.String())
	}
	return out.String(), nil
}

// referenceDevice runs a module by one process of the reference interpreter, which writes
// the results as files.
type referenceDevice struct {
	opt, translate, dir string
	divide              string // sdy_opt, to run modules of two devices; may be ""
	compiled, runs      int
}

func (*referenceDevice) describe() string { return "StableHLO's reference interpreter" }

func (*referenceDevice) room() (int, bool) { return 0, false }

func (*referenceDevice) upload(t *prim.Tensor) (array, error) {
	return &referenceArray{typ: clone(t.Type), raw: rawBytes(t)}, nil
}

func (d *referenceDevice) compile(text string, results []prim.Type) (loaded, error) {
	d.compiled++
	devices, out := 1, reordered(text)
	if d.divide != "" {
		devices = 2
		var err error
		if out, err = pipe(out, d.divide, "--sdy-import-pipeline", "--sdy-propagation-pipeline", "--sdy-export-pipeline=enable-insert-explicit-collectives=true",
			"--sdy-convert-global-to-local", "--sdy-drop-sharding-and-mesh"); err != nil {
			return nil, err
		}
	} else if _, err := pipe(text, d.opt); err != nil {
		return nil, err
	}
	if strings.Contains(out, "chlo.") {
		var err error
		if out, err = pipe(out, d.opt, "--chlo-legalize-to-stablehlo"); err != nil {
			return nil, err
		}
	}
	return &referenceModule{d: d, text: out, results: results, devices: devices}, nil
}

// swapped matches a convolution whose result has features before the batch.
var swapped = regexp.MustCompile(`(?m)^( *)(%\d+)( = "stablehlo\.convolution".*->\[)f, b(.*\) -> )tensor<(\d+)x(\d+)x(.*)>$`)

// reordered writes such convolutions with the batch first, and turns their results: the
// reference interpreter takes the axes of a result in that order only.
func reordered(text string) string {
	return swapped.ReplaceAllStringFunc(text, func(line string) string {
		m := swapped.FindStringSubmatch(line)
		perm := []string{"1", "0"}
		for i := range strings.Count(m[7], "x") {
			perm = append(perm, fmt.Sprint(i+2))
		}
		before, after := fmt.Sprintf("tensor<%sx%sx%s>", m[6], m[5], m[7]), fmt.Sprintf("tensor<%sx%sx%s>", m[5], m[6], m[7])
		turned := "%t" + m[2][1:]
		return m[1] + turned + m[3] + "b, f" + m[4] + before + "\n" +
			fmt.Sprintf("%s%s = \"stablehlo.transpose\"(%s) {permutation = array<i64: %s>} : (%s) -> %s", m[1], m[2], turned, strings.Join(perm, ", "), before, after)
	})
}

type referenceModule struct {
	d       *referenceDevice
	text    string
	results []prim.Type
	devices int
}

func (*referenceModule) temporary() int { return 0 }

func (m *referenceModule) run(in []array, donate []bool) ([]array, error) {
	m.d.runs++
	dir, err := os.MkdirTemp(m.d.dir, "run")
	if err != nil {
		return nil, err
	}
	if _, err := pipe(m.program(in), m.d.translate, "--interpret", "--probe-output-dir="+dir); err != nil {
		return nil, err
	}
	out := make([]array, len(m.results))
	for i, t := range m.results {
		file, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("probe%d.npy", i+1)))
		if err != nil {
			return nil, err
		}
		if m.devices > 1 {
			other, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("probe%d.npy", len(m.results)+i+1)))
			if err != nil || !bytes.Equal(other, file) {
				return nil, fmt.Errorf("result %d: the devices differ (%v)", i, err)
			}
		}
		stored := t
		if halfFloat(t.DType) {
			stored = prim.Type{DType: prim.F32, Shape: t.Shape}
		}
		if len(file) < stored.Bytes() {
			return nil, fmt.Errorf("result %d: want %d bytes, got %d", i, stored.Bytes(), len(file))
		}
		a := &referenceArray{typ: clone(t), raw: file[len(file)-stored.Bytes():]}
		if halfFloat(t.DType) {
			v := prim.NewTensor(stored)
			copy(bytesOf(v), a.raw)
			a.raw = rawBytes(v.Cast(t.DType))
		}
		out[i] = a
	}
	for i, a := range in {
		if donate[i] {
			a.free()
		}
	}
	return out, nil
}

// program wraps the module's function in one that holds the arguments as constants and
// writes the results; what NumPy has no type for is written as f32.
func (m *referenceModule) program(in []array) string {
	var b strings.Builder
	inner, tail, _ := strings.Cut(m.text, "func.func @main(")
	b.WriteString(inner + "func.func @step(" + strings.TrimSuffix(strings.TrimSpace(tail), "}"))
	b.WriteString("\nfunc.func @main() {\n")
	var names, types, results []string
	for i, a := range in {
		r := a.(*referenceArray)
		text := mlirType(r.typ)
		fmt.Fprintf(&b, "%%a%d = stablehlo.constant dense<%s> : %s\n", i, r.literal(), text)
		names, types = append(names, fmt.Sprintf("%%a%d", i)), append(types, text)
	}
	for _, t := range m.results {
		results = append(results, mlirType(t))
	}
	if m.devices == 1 {
		fmt.Fprintf(&b, "%%r:%d = func.call @step(%s) : (%s) -> (%s)\n", len(results), strings.Join(names, ", "), strings.Join(types, ", "), strings.Join(results, ", "))
	} else {
		programs := slices.Repeat([]string{"@step"}, m.devices)
		names, types, results = slices.Repeat(names, m.devices), slices.Repeat(types, m.devices), slices.Repeat(results, m.devices)
		fmt.Fprintf(&b, "%%r:%d = \"interpreter.run_parallel\"(%s) {programs = [[%s]]} : (%s) -> (%s)\n",
			len(results), strings.Join(names, ", "), strings.Join(programs, ", "), strings.Join(types, ", "), strings.Join(results, ", "))
	}
	for i, text := range results {
		t := m.results[i%len(m.results)]
		v := fmt.Sprintf("%%r#%d", i)
		if halfFloat(t.DType) {
			wide := mlirType(prim.Type{DType: prim.F32, Shape: t.Shape})
			fmt.Fprintf(&b, "%%w%d = stablehlo.convert %s : (%s) -> %s\n", i, v, text, wide)
			v, text = fmt.Sprintf("%%w%d", i), wide
		}
		fmt.Fprintf(&b, "%%p%d = interpreter.probe %s, probe_id = \"%d\" : %s\n", i, v, i, text)
	}
	b.WriteString("func.return\n}\n}\n")
	return b.String()
}

func halfFloat(d prim.DType) bool { return d == prim.F16 || d == prim.BF16 }

// mlirType prints a type as MLIR does.
func mlirType(t prim.Type) string {
	var b strings.Builder
	b.WriteString("tensor<")
	for _, n := range t.Shape {
		fmt.Fprintf(&b, "%dx", n)
	}
	return b.String() + hostType(t).Elem + ">"
}

// referenceArray holds elements as bytes in the host's order.
type referenceArray struct {
	typ prim.Type
	raw []byte
}

func (a *referenceArray) free() { a.raw = nil }

func (a *referenceArray) read(t *prim.Tensor) error {
	copy(bytesOf(t), a.raw)
	return nil
}

func (a *referenceArray) literal() string {
	if a.typ.Len() == 0 {
		return ""
	}
	if a.typ.DType != prim.Bool {
		return `"0x` + strings.ToUpper(hex.EncodeToString(a.raw)) + `"`
	}
	flat := prim.NewTensor(a.typ)
	copy(bytesOf(flat), a.raw)
	at := 0
	return nested(flat.B, a.typ.Shape, &at)
}

// nested prints elements as MLIR's nested lists.
func nested(v []bool, shape []int, at *int) string {
	if len(shape) == 0 {
		*at++
		return fmt.Sprint(v[*at-1])
	}
	s := make([]string, shape[0])
	for i := range s {
		s[i] = nested(v, shape[1:], at)
	}
	return "[" + strings.Join(s, ", ") + "]"
}

func rawBytes(t *prim.Tensor) []byte { return bytes.Clone(bytesOf(t)) }
