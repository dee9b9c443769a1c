package models_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// real lists the convolutional ones of the pretrained models.
var real = []struct {
	file    string
	outputs int
	macs    float64 // per image, 0: not stated
}{
	{"resnet20.onnx", 1, 40_551_040},
	{"mlperftiny_resnet8.onnx", 1, 0},
	{"mnist_cntk.onnx", 1, 0},
	{"ultraface_version-slim-320.onnx", 2, 0},
	{"yunet_n_320_320.onnx", 12, 0},
}

// TestReal imports, infers and runs pretrained networks, on both backends and on
// ONNX Runtime where it is present.
func TestReal(t *testing.T) {
	dir := testenv.Models(t)
	for _, r := range real {
		t.Run(r.file, func(t *testing.T) {
			path := filepath.Join(dir, r.file)
			if _, err := os.Stat(path); err != nil {
				t.Skipf("%s is absent", path)
			}
			checkReal(t, path, r.outputs, r.macs, 0, 0)
		})
	}
}

// TestPaddle does the same with the models of PP-OCR, as PaddlePaddle's exporter wrote
// them: every weight in a Constant node, dynamic heights and widths.
func TestPaddle(t *testing.T) {
	dir := testenv.OCR(t)
	for _, c := range []struct {
		file       string
		high, wide int
	}{
		{"ch_ppocr_mobile_v2.0_cls_infer.onnx", 48, 192},
		{"ch_PP-OCRv4_det_infer.onnx", 64, 96},
		{"ch_PP-OCRv4_rec_infer.onnx", 48, 64},
	} {
		t.Run(c.file, func(t *testing.T) {
			checkReal(t, filepath.Join(dir, c.file), 1, 0, c.high, c.wide)
		})
	}
}

// checkReal binds unknown heights and widths to high and wide.
func checkReal(t *testing.T, path string, outputs int, macs float64, high, wide int) {
	raw, err := importer.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := ir.Verify(raw); err != nil {
		t.Fatal(err)
	}
	m, err := importer.Normal(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := ir.Verify(m); err != nil {
		t.Fatal(err)
	}
	if len(m.Graph.Outputs) != outputs {
		t.Errorf("outputs: want %d, got %d", outputs, len(m.Graph.Outputs))
	}
	if miss := ops.Missing(m); len(miss) > 0 {
		t.Fatalf("operators without rules: want none, got %v", miss)
	}
	in := realInput(m, high, wide)
	batchSize := 0
	for _, x := range in {
		batchSize = x.Dims[0]
	}
	f, err := ops.InferModel(m, bindTo(m, in))
	if err != nil {
		t.Fatal(err)
	}
	if got := ops.ModelCost(m, f).MACs; macs != 0 && got != macs*float64(batchSize) {
		t.Errorf("MACs: want %.0f, got %.0f", macs*float64(batchSize), got)
	}
	fast := run(t, cpu.New(cpu.Options{}), prim.F32, m, in)
	slow := run(t, ref.New(), prim.F64, m, in)
	for _, o := range m.Graph.Outputs {
		if !finite(t, fast[o.Name]) {
			t.Errorf("output %q: want numbers, got NaN or infinity", o.Name)
		}
		if d := apart(t, slow[o.Name], fast[o.Name]); d > 1e-4 {
			t.Errorf("output %q: want cpu within 1e-4 of ref, got a difference of %g", o.Name, d)
		}
	}
	t.Run("ort", func(t *testing.T) {
		want := orttest.Run(t, orttest.Open(t), raw, in)
		for _, o := range m.Graph.Outputs {
			if d := apart(t, want[o.Name], fast[o.Name]); d > 1e-4 {
				t.Errorf("output %q: want cpu within 1e-4 of ONNX Runtime, got a difference of %g", o.Name, d)
			}
		}
	})
}

// realInput is batch, with high and wide for the unknown sizes of axes 2 and 3.
func realInput(m *ir.Model, high, wide int) map[string]*ir.Tensor {
	sized := m.Clone()
	for i, v := range sized.Graph.Inputs {
		for k, d := range v.Type.Shape {
			if !d.Known() && k >= 2 {
				sized.Graph.Inputs[i].Type.Shape[k].Size = []int{high, wide}[k-2]
			}
		}
	}
	return batch(sized)
}

// bindTo gives the sizes that the inputs have to the model's unknown dimensions.
func bindTo(m *ir.Model, in map[string]*ir.Tensor) map[string]int {
	bind := map[string]int{}
	for _, v := range m.Graph.Inputs {
		x := in[v.Name]
		for k, d := range v.Type.Shape {
			if x == nil || d.Known() {
				continue
			}
			if d.Param != "" && !strings.HasPrefix(d.Param, "?") {
				bind[d.Param] = x.Dims[k]
			} else {
				bind[ops.AnyDim] = x.Dims[k]
			}
		}
	}
	return bind
}
