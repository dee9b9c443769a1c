package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
)

// outcome is what a command line gave.
type outcome struct {
	code        int
	out, stderr string
}

func command(args ...string) outcome {
	var out, stderr bytes.Buffer
	code := run(context.Background(), append([]string{"entangle"}, args...), strings.NewReader(""), &out, &stderr)
	return outcome{code, out.String(), stderr.String()}
}

// wants checks the exit code and that stderr says every part.
func (o outcome) wants(t *testing.T, code int, parts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code: want %d, got %d:\n%s", code, o.code, o.stderr)
	}
	for _, p := range parts {
		if !strings.Contains(o.stderr, p) {
			t.Errorf("want %q, got:\n%s", p, o.stderr)
		}
	}
}

func drawGrey(t *testing.T, path string, side int, value byte) {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, side, side))
	for i := range m.Pix {
		m.Pix[i] = value
	}
	m.SetGray(1, 1, color.Gray{255 - value})
	var buf bytes.Buffer
	if err := png.Encode(&buf, m); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, buf.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// drawClasses draws n images for each class below a folder.
func drawClasses(t *testing.T, dir string, n int, classes ...string) {
	t.Helper()
	for c, name := range classes {
		for i := range n {
			drawGrey(t, filepath.Join(dir, name, fmt.Sprintf("%d.png", i)), 30, byte(20*c+i))
		}
	}
}

// tiny writes a model of 4 classes for images of 8×8, channels last if asked.
func tiny(t *testing.T, last bool) string {
	t.Helper()
	m := modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 4, Size: 8})
	if last {
		in := &m.Graph.Inputs[0]
		shape := in.Type.Shape
		m.Graph.Nodes = append([]*ir.Node{{Name: "first", OpType: "Transpose", Inputs: []string{"pictures"}, Outputs: []string{in.Name}, Attrs: []ir.Attr{ir.IntsAttr("perm", 0, 3, 1, 2)}}}, m.Graph.Nodes...)
		in.Name, in.Type.Shape = "pictures", []ir.Dim{shape[0], shape[2], shape[3], shape[1]}
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := entangle.Export(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFolderMeetsModel(t *testing.T) {
	for _, last := range []bool{false, true} {
		m, dir := tiny(t, last), t.TempDir()
		drawClasses(t, dir, 2, "ant", "bee", "cat", "dog")
		o := command("eval", m, "--data", "folder:"+dir, "--part", "train")
		o.wants(t, 0, "note: 4 classes, numbered in the order of the folders' names: 0 ant, 1 bee, 2 cat, 3 dog")
		if strings.Contains(o.stderr, "WARNING") {
			t.Errorf("want no warning, got:\n%s", o.stderr)
		}
		if err := os.RemoveAll(filepath.Join(dir, "bee")); err != nil {
			t.Fatal(err)
		}
		command("eval", m, "--data", "folder:"+dir, "--part", "train").
			wants(t, 0, "WARNING: the data has 3 classes, the model 4: the folders are numbered in the order of their names (0 ant, 1 cat, 2 dog)", "--classes FILE")
		classes := filepath.Join(t.TempDir(), "classes.txt")
		if err := os.WriteFile(classes, []byte("ant\nbee\ncat\ndog\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		o = command("eval", m, "--data", "folder:"+dir, "--part", "train", "--classes", classes)
		o.wants(t, 0, "numbered by "+classes+": 0 ant, 1 bee, 2 cat, 3 dog")
		if strings.Contains(o.stderr, "WARNING") {
			t.Errorf("want no warning, got:\n%s", o.stderr)
		}
		drawClasses(t, dir, 1, "eel", "fox")
		command("eval", m, "--data", "folder:"+dir, "--part", "train").wants(t, 1, "want at most the model's 4 classes, got 5: 0 ant, 1 cat, 2 dog, 3 eel, 4 fox")
		command("compress", m, "--data", "folder:"+dir, "--batch", "2", "--dry-run", "--no-verify").wants(t, 2, "data.source: data: folder:", "want at most the model's 4 classes, got 5")
		command("eval", m, "--data", "folder:"+dir, "--part", "train", "--classes", classes).wants(t, 2, "data.classes: ", `got "eel", "fox"`)
		command("eval", m, "--data", "folder:"+dir, "--part", "train", "--classes", classes+".none").wants(t, 2, "data.classes: stat ")
	}
}

func TestWrongMean(t *testing.T) {
	m, dir := tiny(t, false), t.TempDir()
	drawClasses(t, dir, 2, "ant", "bee", "cat", "dog")
	for _, scale := range []string{"unit", "raw255"} {
		command("eval", m, "--data", "folder:"+dir, "--part", "train", "--mean", "123.7", "--std", "58.4", "--scale", scale).
			wants(t, 2, "data.mean: ", "want values on the scale of 0…1, got 123.7: is it on 0…255? then give mean/255", "raw255")
	}
}

func TestBadFiles(t *testing.T) {
	m, dir := tiny(t, false), t.TempDir()
	drawClasses(t, dir, 6, "ant", "bee", "cat", "dog")
	if err := os.WriteFile(filepath.Join(dir, "cat", "9.jpg"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	command("eval", m, "--data", "folder:"+dir, "--part", "train").wants(t, 1, "1 of 25 files cannot be read", filepath.Join("cat", "9.jpg")+": the file is empty", "--skip-bad")
	command("eval", m, "--data", "folder:"+dir, "--part", "train", "--skip-bad").wants(t, 0, "note: left out 1 of 25 files that cannot be read: 1 of class cat")
	out := filepath.Join(t.TempDir(), "out.onnx")
	args := []string{"compress", m, "--data", "folder:" + dir, "--batch", "4", "--method", "uniform", "--epochs", "0", "--set", "calibrate=0", "--set", "space.divisor=2", "--no-verify", "--out", out}
	command(append(args, "--skip-bad")...).wants(t, 0, "note: left out 1 of 25 files", "note: 4 classes")
	text, err := os.ReadFile(filepath.Join(strings.TrimSuffix(out, ".onnx")+".run", "job.yaml"))
	if err != nil || !strings.Contains(string(text), "skip_bad: true") {
		t.Errorf("want skip_bad in job.yaml, got %v:\n%s", err, text)
	}
}

// A folder val is the validation split: what the report says of validation is over its samples.
func TestFolderVal(t *testing.T) {
	m, dir := tiny(t, false), t.TempDir()
	drawClasses(t, filepath.Join(dir, "train"), 5, "ant", "bee", "cat", "dog")
	drawClasses(t, filepath.Join(dir, "val"), 3, "ant", "bee", "dog")
	out := filepath.Join(t.TempDir(), "out.onnx")
	command("compress", m, "--data", "folder:"+dir, "--batch", "4", "--method", "uniform", "--epochs", "0", "--set", "calibrate=0", "--set", "space.divisor=2", "--no-verify", "--out", out).wants(t, 0)
	text, err := os.ReadFile(filepath.Join(strings.TrimSuffix(out, ".onnx")+".run", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Original struct{ Val struct{ Samples int } }
	}
	if err := json.Unmarshal(text, &r); err != nil || r.Original.Val.Samples != 9 {
		t.Errorf("want the 9 samples of val, got %d, %v", r.Original.Val.Samples, err)
	}
}

// A run on the samples of a program: its job gives the same file from another folder.
func TestProgramStreams(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 on the path")
	}
	m := tiny(t, false)
	command("eval", m, "--data", "cmd:echo hello").wants(t, 1, `data: cmd:echo hello: part "train": first line: want a line of JSON`, `got "hello"`)
	command("eval", m, "--data", "cmd:echo no such drive >&2; false").wants(t, 1, "exit status 1", "its standard error:\nno such drive")
	command("eval", m, "--data", "cmd:echo page?limit=3").wants(t, 1, `got "page?limit=3"`)
	out := filepath.Join(t.TempDir(), "out.onnx")
	source := "cmd:" + python + " ../../examples/stream/stream.py"
	command("compress", m, "--data", source, "--batch", "4", "--method", "uniform", "--epochs", "0", "--set", "calibrate=0", "--set", "space.divisor=2", "--no-verify", "--out", out).wants(t, 0)
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	job := filepath.Join(filepath.Dir(out), "out.run", "job.yaml")
	t.Chdir(t.TempDir())
	command("compress", "--job", job, "--out", "again.onnx", "--run", "again.run").wants(t, 0)
	if again, err := os.ReadFile("again.onnx"); err != nil || !bytes.Equal(first, again) {
		t.Errorf("want the same file, got %d bytes of %d, %v", len(again), len(first), err)
	}
}

// A model that the data reach otherwise than in its training is told of, on screen and in the
// report, and the run goes on.
func TestSuspectIsSaid(t *testing.T) {
	m, dir := tiny(t, false), t.TempDir()
	drawClasses(t, filepath.Join(dir, "train"), 10, "ant", "bee", "cat", "dog") // nobody trained the model
	drawClasses(t, filepath.Join(dir, "test"), 10, "ant", "bee", "cat", "dog")
	command("eval", m, "--data", "folder:"+dir).wants(t, 0, "WARNING: the model is right on ", "chance with 4 classes", "--classes FILE")
	out := filepath.Join(t.TempDir(), "out.onnx")
	o := command("compress", m, "--data", "folder:"+dir, "--batch", "4", "--method", "uniform", "--epochs", "0", "--set", "calibrate=0", "--set", "space.divisor=2", "--no-verify", "--out", out)
	o.wants(t, 0, "WARNING: the model is right on ")
	if !strings.Contains(o.out, "WARNING: the model is right on ") {
		t.Errorf("want the warning beside the result, got:\n%s", o.out)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSuffix(out, ".onnx")+".run", "report.json"))
	if err != nil || !strings.Contains(string(text), `"warnings"`) {
		t.Errorf("want the warning in the report, got %v:\n%s", err, text)
	}
}

// Labels that an augmentation would not leave true are refused with it, by the key of both.
func TestAugmentationIsRefused(t *testing.T) {
	m, dir := tiny(t, false), t.TempDir()
	path := filepath.Join(dir, "train.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	arrays := []data.Array{{Name: "image", Shape: []int{40, 1, 8, 8}, Data: make([]float32, 40*64)}, {Name: "labels", Shape: []int{40, 4}, Data: make([]float32, 160)}}
	if err := errors.Join(data.WriteNPZ(f, arrays), f.Close()); err != nil {
		t.Fatal(err)
	}
	command("compress", m, "--data", "npz:"+path, "--batch", "4", "--dry-run", "--no-verify").
		wants(t, 2, "search.weights.augment: data: augmentation \"flip\" changes images: labels, floats [4] a sample, do not follow: leave it out (augment none)", "tune.augment: ")
}

// Arrays are what the model takes: of another size they are refused, and not scaled unasked.
func TestArraysOfAnotherSize(t *testing.T) {
	m, path := tiny(t, false), filepath.Join(t.TempDir(), "train.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(data.WriteNPZ(f, []data.Array{{Name: "image", Shape: []int{40, 1, 9, 9}, Data: make([]float32, 40*81)}}), f.Close()); err != nil {
		t.Fatal(err)
	}
	args := []string{m, "--data", "npz:" + path, "--batch", "4", "--distill", "1", "--dry-run", "--no-verify", "-o", filepath.Join(t.TempDir(), "small.onnx")}
	command(append([]string{"compress"}, args...)...).wants(t, 2, "want samples of shape [1 8 8], got [1 9 9]", "resize=HEIGHTxWIDTH")
	command(append(append([]string{"compress"}, args...), "--set", "data.resize=8x8")...).wants(t, 0)
}

// A model that leaves the size of images open takes theirs when it is one, and says so else.
func TestFolderMeetsOpenSizes(t *testing.T) {
	m, err := entangle.Import(tiny(t, false))
	if err != nil {
		t.Fatal(err)
	}
	shape := m.Raw.Graph.Inputs[0].Type.Shape
	shape[2], shape[3] = ir.Dim{Size: -1, Param: "h"}, ir.Dim{Size: -1, Param: "w"}
	path, dir := filepath.Join(t.TempDir(), "open.onnx"), t.TempDir()
	if err := entangle.Export(path, m.Raw); err != nil {
		t.Fatal(err)
	}
	drawClasses(t, dir, 1, "ant", "bee", "cat", "dog")
	command("eval", path, "--data", "folder:"+dir, "--part", "train").wants(t, 0)
	drawGrey(t, filepath.Join(dir, "dog", "9.png"), 12, 3)
	command("eval", path, "--data", "folder:"+dir, "--part", "train").wants(t, 1, "9.png: want 30×30 like ", "got 12×12", "resize=HEIGHTxWIDTH")
	command("eval", path, "--data", "folder:"+dir, "--part", "train", "--set", "data.resize=16x16").wants(t, 0)
	command("eval", tiny(t, false), "--data", "folder:"+dir, "--part", "train", "--set", "data.resize=16x16").wants(t, 1, "want samples of shape [1 8 8], got [1 16 16]", "the option resize brings images to a size")
}

// TestEvalBeforeArgMax: a model that ends in ArgMax has the figure of the model without it.
func TestEvalBeforeArgMax(t *testing.T) {
	whole, dir := tiny(t, false), t.TempDir()
	drawClasses(t, dir, 3, "ant", "bee", "cat", "dog")
	m := modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 4, Size: 8})
	out := &m.Graph.Outputs[0]
	m.Graph.Nodes = append(m.Graph.Nodes, &ir.Node{Name: "last", OpType: "ArgMax", Inputs: []string{out.Name}, Outputs: []string{"class"}, Attrs: []ir.Attr{ir.IntAttr("axis", 1), ir.IntAttr("keepdims", 0)}})
	class := ir.TensorType(ir.Int64, 1)
	class.Shape[0] = out.Type.Shape[0]
	*out = ir.Value{Name: "class", Type: class}
	path := filepath.Join(t.TempDir(), "argmax.onnx")
	if err := entangle.Export(path, m); err != nil {
		t.Fatal(err)
	}
	var figures [2][]byte
	for i, model := range []string{whole, path} {
		o := command("eval", model, "--data", "folder:"+dir, "--part", "train", "--json")
		o.wants(t, 0)
		var r map[string]any
		if err := json.Unmarshal([]byte(o.out), &r); err != nil {
			t.Fatal(err)
		}
		figures[i] = []byte(fmt.Sprint(r["measure"], r["top1"]))
	}
	if !bytes.Equal(figures[0], figures[1]) {
		t.Errorf("want %s, got %s", figures[0], figures[1])
	}
}
