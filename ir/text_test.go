package ir_test

import (
	"bytes"
	"flag"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
)

var update = flag.Bool("update", false, "rewrite golden files")

// everything is a model with one of each thing that the text form can say.
func everything() *ir.Model {
	f16, _ := ir.NewFloats("", ir.Float16, []int{2}, []float64{0.1, math.Inf(-1)})
	bf16, _ := ir.NewFloats("bf", ir.BFloat16, []int{2}, []float64{3.14, math.Copysign(0, -1)})
	flags, _ := ir.NewInts("flags", ir.Bool, []int{3}, []int64{1, 0, 1})
	u64, _ := ir.NewInts("u64", ir.Uint64, nil, []int64{-1})
	long := make([]float32, 20)
	for i := range long {
		long[i] = float32(i) / 3
	}
	big := ir.NewFloat32("big", []int{4, 5}, long)
	big.Doc, big.Meta, big.Extra = "many numbers", []ir.Prop{{Key: "k", Value: "v"}}, []byte{0xf8, 0x7f, 1}
	nan := ir.NewFloat32("odd name", []int{3}, []float32{math.Float32frombits(0x7fc00001), float32(math.Inf(1)), 1e-45})
	seq := ir.TensorType(ir.Float32, 2)
	sub := &ir.Graph{
		Name:    "then",
		Outputs: []ir.Value{{Name: "t", Type: ir.TensorType(ir.Float32)}},
		Inits:   []*ir.Tensor{ir.NewFloat32("t", nil, []float32{1})},
	}
	other := &ir.Graph{Name: "", Doc: "else", Outputs: []ir.Value{{Name: "e"}},
		Nodes: []*ir.Node{{OpType: "Relu", Inputs: []string{"h"}, Outputs: []string{"e"}}}}
	sparse := &ir.Sparse{Values: ir.NewFloat32("sp", []int{1}, []float32{5}), Indices: ir.NewInt64("", []int{1}, []int64{3}), Dims: []int{2, 2}}
	return &ir.Model{
		IRVersion: 10, Opsets: []ir.Opset{{Version: 21}, {Domain: "my.ops", Version: 1}},
		ProducerName: "a \"quoted\" producer", ProducerVersion: "1.0", Domain: "org.example", ModelVersion: 7,
		Doc: "line one\nline two", Meta: []ir.Prop{{Key: "b", Value: "2"}, {Key: "a", Value: "\xff"}}, Extra: []byte{1, 2, 3},
		Graph: &ir.Graph{
			Name: "main", Doc: "the graph", Meta: []ir.Prop{{Key: "m", Value: "n"}}, Extra: []byte{9},
			Inputs: []ir.Value{
				{Name: "x", Type: ir.Type{Kind: ir.KindTensor, Elem: ir.Float32, Ranked: true, Denotation: "IMAGE", Shape: []ir.Dim{
					{Size: -1, Param: "batch", Denotation: "DATA_BATCH"}, {Size: 3}, {Size: -1}, {Size: -1, Param: "2 * w"}, {Size: -1, Param: "7"}, {Size: -1, Param: "_"}}}, Doc: "image"},
				{Name: "any rank", Type: ir.Type{Kind: ir.KindTensor, Elem: ir.Int64}},
				{Name: "s", Type: ir.Type{Kind: ir.KindSequence, Inner: &seq}, Meta: []ir.Prop{{Key: "k", Value: "v"}}},
				{Name: "o", Type: ir.Type{Kind: ir.KindOptional}},
				{Name: "m", Type: ir.Type{Kind: ir.KindMap, Key: ir.String, Inner: &seq}},
				{Name: "q", Type: ir.Type{Kind: ir.KindOpaque, Domain: "d.e", Name: "thing"}},
				{Name: "sparse", Type: ir.Type{Kind: ir.KindSparse, Elem: ir.Float32, Ranked: true}, Extra: []byte{4}},
			},
			Outputs: []ir.Value{{Name: "y", Type: ir.TensorType(ir.Float32, -1, 10)}},
			Info:    []ir.Value{{Name: "h", Type: ir.TensorType(ir.Float32)}},
			Inits: []*ir.Tensor{
				ir.NewFloat32("w", []int{2, 2}, []float32{1, -2.5, 3e10, 0.1}), big, nan, bf16, flags, u64,
				{Name: "names", DType: ir.String, Dims: []int{2}, Strings: [][]byte{[]byte("a"), []byte("b\n\"")}},
				{Name: "nibbles", DType: ir.Uint4, Dims: []int{3}, Raw: []byte{0x21, 0x03}},
				{Name: "none", DType: ir.Float32, Dims: []int{0}},
			},
			Sparse: []*ir.Sparse{sparse},
			Nodes: []*ir.Node{
				{
					Name: "conv1", OpType: "Conv", Inputs: []string{"x", "w", ""}, Outputs: []string{"h"}, Doc: "first", Meta: []ir.Prop{{Key: "k", Value: "v"}},
					Extra: []byte{5}, Attrs: []ir.Attr{
						ir.IntsAttr("kernel_shape", 3, 3), ir.IntAttr("group", -1), ir.FloatAttr("alpha", 0.1), ir.StringAttr("auto_pad", "SAME"),
						{Name: "fs", Kind: ir.AttrFloats, Floats: []float32{1, 2.5}}, {Name: "ss", Kind: ir.AttrStrings, Strings: [][]byte{[]byte("x")}, Doc: "d"},
						{Name: "node", Kind: ir.AttrTensor, T: f16}, {Name: "ts", Kind: ir.AttrTensors, Tensors: []*ir.Tensor{f16, u64}, Extra: []byte{6}},
						{Name: "sp", Kind: ir.AttrSparseTensor, Sparse: []*ir.Sparse{sparse}}, {Name: "sps", Kind: ir.AttrSparseTensors},
						{Name: "tp", Kind: ir.AttrType, Types: []ir.Type{seq}}, {Name: "tps", Kind: ir.AttrTypes, Types: []ir.Type{seq, {}}},
					},
				},
				{OpType: "If", Inputs: []string{"flags"}, Outputs: []string{"i", ""}, Attrs: []ir.Attr{
					{Name: "then_branch", Kind: ir.AttrGraph, G: sub}, {Name: "others", Kind: ir.AttrGraphs, Graphs: []*ir.Graph{sub, other}}}},
				{Name: "call", OpType: "Block", Domain: "my.ops", Overload: "v2", Inputs: []string{"h"}, Outputs: []string{"y"}},
			},
		},
		Functions: []*ir.Function{{
			Name: "Block", Domain: "my.ops", Overload: "v2", Doc: "a function", Inputs: []string{"a"}, Outputs: []string{"b"}, Attrs: []string{"slope"},
			Defaults: []ir.Attr{ir.FloatAttr("gain", 2)}, Opsets: []ir.Opset{{Version: 21}}, Info: []ir.Value{{Name: "b", Type: seq}},
			Meta: []ir.Prop{{Key: "k", Value: "v"}}, Extra: []byte{7},
			Nodes: []*ir.Node{{OpType: "LeakyRelu", Inputs: []string{"a"}, Outputs: []string{"b"}, Attrs: []ir.Attr{{Name: "alpha", Kind: ir.AttrFloat, Ref: "slope"}}}},
		}},
	}
}

func full(t *testing.T, m *ir.Model) string {
	t.Helper()
	var b bytes.Buffer
	if err := ir.PrintFull(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextRoundTrip(t *testing.T) {
	m := everything()
	text := full(t, m)
	back, err := ir.Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if d := ir.Diff(m, back); d != "" {
		t.Errorf("printed and parsed: %s\n%s", d, text)
	}
	if again := full(t, back); again != text {
		t.Errorf("printed again, the text differs:\n%s\n%s", text, again)
	}
}

func TestPrintGolden(t *testing.T) {
	var b bytes.Buffer
	if err := ir.Print(&b, everything()); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/everything.txt"
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, b.Bytes()) {
		t.Errorf("%s: run with -update if the change is meant; got\n%s", file, b.String())
	}
}

func TestParseRefusesElidedData(t *testing.T) {
	var b bytes.Buffer
	if err := ir.Print(&b, everything()); err != nil {
		t.Fatal(err)
	}
	if _, err := ir.Parse(b.String()); err == nil || !strings.Contains(err.Error(), `tensor "big": its data are left out`) {
		t.Errorf("want an error that names the tensor, got %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	deep := strings.Repeat("seq(", 100) + strings.Repeat(")", 100)
	for _, c := range []struct{ text, want string }{
		{"", "line 1, column 1: want 'model', got the end"},
		{"model {\n  ir x\n}", `line 2, column 6: want an integer, got "x"`},
		{"model {\n  colour 1\n}", `line 2, column 3: "colour" does not belong here`},
		{"model {}\ngraph g {\n  init w float32[2] = [1]\n}", "line 3, column 8: ir: tensor \"w\": want 8 bytes"},
		{"model {}\ngraph g {\n  init w int8[1] = [300]\n}", `element "300": want a int8`},
		{"model {}\ngraph g {\n  init w float32[99999999999, 99999999999] = [1]\n}", "whose product fits in memory"},
		{"model {}\ngraph g {\n  input x float33\n}", `dtype "float33"`},
		{"model {}\ngraph g {\n  input x " + deep + "\n}", "nested more than 64 deep"},
		{"model {}\ngraph g {\n  node n: (y) = Relu(x) alpha=colour\n}", `attribute "alpha": "colour" is no kind of value`},
		{"model {}\ngraph g {\n  node n: (y) = Relu(x", "want ')', got the end"},
		{"model { doc \"open", "column 13: quoted text has no end"},
		{"model {} $", "unexpected character '$'"},
		{"model {} model", "want the end, got 'model'"},
		{"model { extra \"%\" }", "want base64"},
	} {
		if _, err := ir.Parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: want an error with %q, got %v", c.text, c.want, err)
		}
	}
}

func TestParseComments(t *testing.T) {
	m, err := ir.Parse("# a model\nmodel { ir 8 opset _ 17 } # end\ngraph g { output y float32[] node _: (y) = Constant() value=tensor _ float32[] = [2] }")
	if err != nil {
		t.Fatal(err)
	}
	if err := ir.Verify(m); err != nil {
		t.Error(err)
	}
}

// What Parse takes, PrintFull writes so that Parse gives it back.
func FuzzParse(f *testing.F) {
	var b bytes.Buffer
	if err := ir.PrintFull(&b, everything()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Add("model { ir 8 opset _ 17 }\ngraph g { input x float32[n] output y float32[n] node _: (y) = Relu(x) }")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ir.Parse(text)
		if err != nil {
			return
		}
		ir.Verify(m)
		out := full(t, m)
		back, err := ir.Parse(out)
		if err != nil {
			t.Fatalf("printed text does not parse: %v\n%s", err, out)
		}
		if d := ir.Diff(m, back); d != "" {
			t.Fatalf("printed and parsed: %s\n%s", d, out)
		}
	})
}
