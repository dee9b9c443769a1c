package models_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
)

func build(t *testing.T, e models.Entry) *ir.Model {
	t.Helper()
	m, err := e.Build(models.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ir.Verify(m); err != nil {
		t.Fatal(err)
	}
	return m
}

func every() []models.Entry { return append(models.All(), models.Tiny()...) }

// TestRoundTrip writes every network, reads it back and writes it again.
func TestRoundTrip(t *testing.T) {
	for _, e := range append(every(), models.TinyTransformers()...) {
		t.Run(e.Name, func(t *testing.T) {
			m := build(t, e)
			first, err := exporter.Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			back, err := importer.Decode(first, "")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := nodeNames(back), nodeNames(m); !slices.Equal(got, want) {
				t.Errorf("node names: want %q, got %q", want, got)
			}
			if in := back.Graph.Inputs[0].Type.Shape[0]; in.Param != "batch" {
				t.Errorf("first input dimension: want batch, got %s", in)
			}
			second, err := exporter.Encode(back)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, second) {
				t.Errorf("export of the import: want the same %d bytes, got %d other ones", len(first), len(second))
			}
		})
	}
}

func nodeNames(m *ir.Model) []string {
	var out []string
	for _, n := range m.Graph.Nodes {
		out = append(out, n.Name)
	}
	return out
}

const checkScript = `
import sys, onnx
newest = onnx.defs.onnx_opset_version()
for f in sys.argv[1:]:
    m = onnx.load(f)
    if m.opset_import[0].version > newest:
        print("SKIP", f, "opset", m.opset_import[0].version, "is newer than", newest)
        continue
    onnx.checker.check_model(m, full_check=True)
    for o in onnx.shape_inference.infer_shapes(m, strict_mode=True, data_prop=True).graph.output:
        d = o.type.tensor_type.shape.dim
        assert d[0].dim_param == "batch" and all(x.dim_value > 0 for x in d[1:]), (f, o)
`

// TestOnnxChecker lets the checker of the onnx package for Python judge every network.
func TestOnnxChecker(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import onnx.checker").Run(); err != nil {
		t.Skip("the onnx package for " + python + " is absent: Debian package python3-onnx")
	}
	dir := t.TempDir()
	args := []string{"-c", checkScript}
	for _, e := range every() {
		path := filepath.Join(dir, e.Name+".onnx")
		if err := exporter.Write(path, build(t, e), exporter.Options{}); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, err := exec.Command(python, args...).CombinedOutput()
	if err != nil {
		t.Errorf("checker: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// written lists the fixtures that come from this package.
var written = []struct {
	file, network string
	o             models.Options
}{
	{"fashion.onnx", "fashion-tiny", models.Options{Classes: 10, Size: 28, Width: 3}},
	{"resnet20a.onnx", "resnet20a-tiny", models.Options{Depth: 1}},
	{"concat.onnx", "concat-tiny", models.Options{}},
	{"unet.onnx", "unet-tiny", models.Options{}},
	{"flatten.onnx", "flatten-tiny", models.Options{}},
	{"multi-output.onnx", "multi-output-tiny", models.Options{}},
	{"grouped.onnx", "grouped-tiny", models.Options{}},
	{"decoder.onnx", "decoder-tiny", models.Options{}},
	{"encoder.onnx", "encoder-tiny", models.Options{Classes: 2}},
}

// TestFixtures compares the committed fixtures with what their networks give now.
func TestFixtures(t *testing.T) {
	for _, f := range written {
		e, ok := models.Lookup(f.network)
		if !ok {
			t.Fatalf("%s: no network %q", f.file, f.network)
		}
		m, err := e.Build(f.o)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("fixtures", f.file)
		if models.Update() {
			if err := exporter.Write(path, m, exporter.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := exporter.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) || len(want) > 50_000 {
			t.Errorf("%s: want the bytes of %s, at most 50000 of them, got %d against %d", path, f.network, len(got), len(want))
		}
	}
}
