package entangle_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// python returns an interpreter that has PyTorch, or skips the test.
func python(t *testing.T) string {
	t.Helper()
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import torch").Run() == nil {
			return p
		}
	}
	t.Skip("no python3 has torch: Debian's package is python3-torch")
	return ""
}

// documented returns the function of docs/for-pytorch.md as a file.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("docs/for-pytorch.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(text), "```python\n")[1:] {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(code, "def cut_state_dict") {
			continue
		}
		path := filepath.Join(t.TempDir(), "cut.py")
		if err := os.WriteFile(path, []byte(code), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Fatal("docs/for-pytorch.md: want the function cut_state_dict, got none")
	return ""
}

// TestCutStateDict: a state dict cut in PyTorch by kept.json, in a module built with its sizes,
// computes what the extracted subnet computes.
func TestCutStateDict(t *testing.T) {
	py, function := python(t), documented(t)
	for _, c := range []struct {
		name  string
		input prim.DType
		shape []int
	}{{"residual", prim.F32, []int{2, 3, 8, 8}}, {"bert", prim.I64, []int{2, 6}}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			script := func(args ...string) string {
				out, err := exec.Command(py, append([]string{"testdata/torch_cut.py", dir}, args...)...).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %v\n%s", args, err, out)
				}
				return string(out)
			}
			script("export", c.name)
			m, err := entangle.Import(filepath.Join(dir, "model.onnx"))
			if err != nil {
				t.Fatal(err)
			}
			an, err := m.Analyse(nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := space.New(an, space.Options{Divisor: 4, MinRatio: 0.25, MaxChoices: 8})
			if err != nil {
				t.Fatal(err)
			}
			scores, err := space.Magnitude(an, s)
			if err != nil {
				t.Fatal(err)
			}
			s.SetOrder(scores)
			super, err := space.Entangle(an, s, space.Reader)
			if err != nil {
				t.Fatal(err)
			}
			choice := s.Largest()
			for i, d := range s.Dims {
				if d.Kind == "width" {
					choice[i] /= 2
				}
			}
			r, err := subnet.NewRecipe(super, choice, 1, "test")
			if err != nil {
				t.Fatal(err)
			}
			cut, err := m.Cut(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			text, err := cut.Kept.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "kept.json"), text, 0o644); err != nil {
				t.Fatal(err)
			}
			said := script("run", c.name, function)
			t.Log(said)
			x := prim.NewTensor(prim.Type{DType: c.input, Shape: c.shape})
			read(t, filepath.Join(dir, "in.bin"), x)
			p, _, err := ops.Program(cut.Model, map[string]int{"batch": c.shape[0]}, prim.F64)
			if err != nil {
				t.Fatal(err)
			}
			if c.input == prim.F32 {
				x = x.Cast(prim.F64)
			}
			out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": x})
			if err != nil {
				t.Fatal(err)
			}
			want := prim.NewTensor(prim.Type{DType: prim.F32, Shape: out["y"].Shape})
			read(t, filepath.Join(dir, "out.bin"), want)
			for i := range want.F32 {
				if d := math.Abs(out["y"].F64[i] - float64(want.F32[i])); d > 1e-4 {
					t.Fatalf("element %d: PyTorch has %g, the subnet %g", i, want.F32[i], out["y"].F64[i])
				}
			}
			if len(s.Dims) < 2 {
				t.Errorf("want at least two dimensions cut, got %v", s.Dims)
			}
		})
	}
}

// read fills a tensor from a file of its elements.
func read(t *testing.T, path string, x *prim.Tensor) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var into any = x.F32
	if x.DType == prim.I64 {
		into = x.I64
	}
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, into); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", path, err))
	}
	if n := binary.Size(into); n != len(b) {
		t.Fatalf("%s: want %d bytes, got %d", path, n, len(b))
	}
}
