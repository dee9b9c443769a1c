package importer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/onnxpb"
	"github.com/entangle-nas/entangle/ir"
)

// relu is a model y = Relu(x) + w, as a protobuf message to spoil.
func relu() *onnxpb.ModelProto {
	return &onnxpb.ModelProto{
		IrVersion: proto.Int64(8), OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("g"),
			Input:  []*onnxpb.ValueInfoProto{{Name: proto.String("x")}},
			Output: []*onnxpb.ValueInfoProto{{Name: proto.String("y")}},
			Initializer: []*onnxpb.TensorProto{{
				Name: proto.String("w"), DataType: proto.Int32(1), Dims: []int64{2}, FloatData: []float32{1, 2},
			}},
			Node: []*onnxpb.NodeProto{
				{Name: proto.String("act"), OpType: proto.String("Relu"), Input: []string{"x"}, Output: []string{"h"}},
				{Name: proto.String("add"), OpType: proto.String("Add"), Input: []string{"h", "w"}, Output: []string{"y"}},
			},
		},
	}
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeFaults(t *testing.T) {
	entry := func(kv ...string) []*onnxpb.StringStringEntryProto {
		var out []*onnxpb.StringStringEntryProto
		for i := 0; i < len(kv); i += 2 {
			out = append(out, &onnxpb.StringStringEntryProto{Key: &kv[i], Value: &kv[i+1]})
		}
		return out
	}
	for _, c := range []struct {
		name  string
		spoil func(*onnxpb.ModelProto)
		want  string
	}{
		{"no graph", func(m *onnxpb.ModelProto) { m.Graph = nil }, "model: it has no graph"},
		{"ir version", func(m *onnxpb.ModelProto) { m.IrVersion = proto.Int64(99) }, "IR version 99: want 3 to 13"},
		{"no opset", func(m *onnxpb.ModelProto) { m.OpsetImport = nil }, `domain "": no opset of it is imported`},
		{"two opsets", func(m *onnxpb.ModelProto) {
			m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("ai.onnx"), Version: proto.Int64(9)})
		}, "imported as 17 and as 9"},
		{"cycle", func(m *onnxpb.ModelProto) { m.Graph.Node[0].Input[0] = "y" }, `cycle: node "act" (Relu) needs node "add" (Add) needs node "act" (Relu)`},
		{"missing initializer", func(m *onnxpb.ModelProto) { m.Graph.Initializer = nil }, `node 1 "add" (Add): input 1 "w": no input, initializer or node makes it`},
		{"missing output", func(m *onnxpb.ModelProto) { m.Graph.Output[0].Name = proto.String("z") }, `output "z": nothing makes it`},
		{"duplicate value", func(m *onnxpb.ModelProto) { m.Graph.Node = append(m.Graph.Node, m.Graph.Node[0]) }, `node 2 "act" (Relu): output "h": the name is defined twice`},
		{"duplicate initializer", func(m *onnxpb.ModelProto) {
			m.Graph.Initializer = append(m.Graph.Initializer, m.Graph.Initializer[0])
		}, `initializer "w": the name is defined twice`},
		{"wrong length", func(m *onnxpb.ModelProto) { m.Graph.Initializer[0].FloatData = []float32{1} }, `tensor "w": want 2 entries in float_data for float32[2], got 1`},
		{"wrong raw length", func(m *onnxpb.ModelProto) { m.Graph.Initializer[0].RawData = []byte{1} }, `tensor "w": want 8 bytes for float32[2], got 1`},
		{"huge size", func(m *onnxpb.ModelProto) { m.Graph.Initializer[0].Dims = []int64{1 << 40} }, `tensor "w": want 1099511627776 entries in float_data`},
		{"overflowing size", func(m *onnxpb.ModelProto) { m.Graph.Initializer[0].Dims = []int64{1 << 40, 1 << 40} }, "whose product fits in memory"},
		{"negative size", func(m *onnxpb.ModelProto) { m.Graph.Initializer[0].Dims = []int64{-2} }, "want non-negative sizes"},
		{"data type", func(m *onnxpb.ModelProto) { m.Graph.Initializer[0].DataType = proto.Int32(77) }, "data type 77"},
		{"attribute type", func(m *onnxpb.ModelProto) {
			m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{{Name: proto.String("a"), Type: proto.Int32(50)}}
		}, `graph "g": node 0 "act" (Relu): attribute "a": attribute type 50`},
		{"attribute without tensor", func(m *onnxpb.ModelProto) {
			m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{{Name: proto.String("a"), Type: proto.Int32(4)}}
		}, `attribute "a": want a tensor, got none`},
		{"attribute twice", func(m *onnxpb.ModelProto) {
			a := &onnxpb.AttributeProto{Name: proto.String("a"), I: proto.Int64(1)}
			m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{a, a}
		}, `attribute "a": given twice`},
		{"external without folder", func(m *onnxpb.ModelProto) {
			m.Graph.Initializer[0] = &onnxpb.TensorProto{Name: proto.String("w"), DataType: proto.Int32(1), Dims: []int64{2}, DataLocation: proto.Int32(1), ExternalData: entry("location", "f")}
		}, "the model was not read from a folder"},
		{"shadowed name", func(m *onnxpb.ModelProto) {
			sub := proto.Clone(m.Graph).(*onnxpb.GraphProto)
			m.Graph.Node[1].Attribute = []*onnxpb.AttributeProto{{Name: proto.String("body"), G: sub}}
		}, `graph "g": input "x": the name is already defined in an outer graph`},
		{"function calls itself", func(m *onnxpb.ModelProto) {
			m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("f"), Version: proto.Int64(1)})
			m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("F"), Domain: proto.String("f"), Input: []string{"a"}, Output: []string{"b"}, Node: []*onnxpb.NodeProto{
				{OpType: proto.String("F"), Domain: proto.String("f"), Input: []string{"a"}, Output: []string{"b"}}}}}
		}, "f.F calls f.F"},
	} {
		m := relu()
		c.spoil(m)
		_, err := importer.Decode(encode(t, m), "")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want an error with %q, got %v", c.name, c.want, err)
		}
	}
}

// Verify lists every fault, not the first only.
func TestDecodeListsAllFaults(t *testing.T) {
	m := relu()
	m.Graph.Initializer = nil
	m.Graph.Output[0].Name = proto.String("z")
	_, err := importer.Decode(encode(t, m), "")
	if err == nil || !strings.Contains(err.Error(), "2 fault(s)") {
		t.Errorf("want two faults, got %v", err)
	}
}

func TestDecodeTruncated(t *testing.T) {
	b := encode(t, relu())
	located := 0
	for n := range b {
		_, err := importer.Decode(b[:n], "")
		if err == nil {
			t.Errorf("%d of %d bytes: want an error", n, len(b))
		} else if strings.Contains(err.Error(), ": byte ") {
			located++
		}
	}
	if located < len(b)/2 {
		t.Errorf("only %d of %d errors say at which byte", located, len(b))
	}
}

func TestDecodeLimits(t *testing.T) {
	deep := relu()
	g := deep.Graph
	for range 100 {
		sub := &onnxpb.GraphProto{Name: proto.String("sub")}
		g.Node = append(g.Node, &onnxpb.NodeProto{OpType: proto.String("If"), Attribute: []*onnxpb.AttributeProto{{Name: proto.String("b"), G: sub}}})
		g = sub
	}
	if _, err := importer.Decode(encode(t, deep), ""); err == nil || !strings.Contains(err.Error(), "messages deep: want at most 192") {
		t.Errorf("deep nesting: got %v", err)
	}
	if _, err := importer.Decode(encode(t, relu()), "", importer.WithLimits(importer.Limits{Messages: 5})); err == nil || !strings.Contains(err.Error(), "more than 5 messages") {
		t.Errorf("many messages: got %v", err)
	}
}

func TestUnsortedGraphIsSorted(t *testing.T) {
	pb := relu()
	pb.Graph.Node[0], pb.Graph.Node[1] = pb.Graph.Node[1], pb.Graph.Node[0]
	m, err := importer.Decode(encode(t, pb), "")
	if err != nil {
		t.Fatal(err)
	}
	if m.Graph.Nodes[0].Name != "act" {
		t.Errorf("want act first, got %v", m.Graph.Nodes)
	}
}

func TestExternalData(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, make([]byte, 64), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(outside, "models")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64)
	data[16] = 7
	if err := os.WriteFile(filepath.Join(dir, "sub", "w.data"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	read := func(kv ...string) (*ir.Model, error) {
		m := relu()
		w := m.Graph.Initializer[0]
		w.FloatData, w.DataLocation = nil, proto.Int32(1)
		for i := 0; i < len(kv); i += 2 {
			w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: &kv[i], Value: &kv[i+1]})
		}
		path := filepath.Join(dir, "m.onnx")
		if err := os.WriteFile(path, encode(t, m), 0o644); err != nil {
			t.Fatal(err)
		}
		return importer.Read(path)
	}
	m, err := read("location", "sub/w.data", "offset", "16", "length", "8")
	if err != nil {
		t.Fatal(err)
	}
	if raw := m.Graph.Inits[0].Raw; len(raw) != 8 || raw[0] != 7 {
		t.Errorf("want the 8 bytes at offset 16, got %v", raw)
	}
	if _, err := read("location", "sub/w.data", "offset", "56"); err != nil {
		t.Errorf("without a length, the rest of the file: %v", err)
	}
	for _, c := range []struct {
		kv   []string
		want string
	}{
		{[]string{"location", "../secret", "length", "8"}, "inside the model's folder"},
		{[]string{"location", secret, "length", "8"}, "inside the model's folder"},
		{[]string{"location", "link", "length", "8"}, "inside the model's folder"},
		{[]string{"location", "sub/../../secret", "length", "8"}, "inside the model's folder"},
		{[]string{"location", "sub"}, "want a regular file"},
		{[]string{"location", "none"}, "inside the model's folder"},
		{[]string{"length", "8"}, "it has no location"},
		{[]string{"location", "sub/w.data", "offset", "-1"}, `offset "-1": want a non-negative number`},
		{[]string{"location", "sub/w.data", "offset", "65"}, "offset 65 is behind the end (64 bytes)"},
		{[]string{"location", "sub/w.data", "offset", "60", "length", "8"}, "want bytes 60 to 68, the file has 64"},
		{[]string{"location", "sub/w.data", "offset", "8", "length", "9223372036854775807"}, "the file has 64"},
		{[]string{"location", "sub/w.data", "length", "16"}, "want 8 bytes for the tensor, got 16"},
	} {
		_, err := read(c.kv...)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `tensor "w"`) {
			t.Errorf("%v: want an error with %q and the tensor's name, got %v", c.kv, c.want, err)
		}
	}
}

func TestReadRefusesFolder(t *testing.T) {
	if _, err := importer.Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "want a regular file") {
		t.Errorf("got %v", err)
	}
}

// Every dtype, from its typed field and from raw data.
func TestTensorData(t *testing.T) {
	raw := func(dt ir.DType, dims []int64, b ...byte) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{DataType: proto.Int32(int32(dt)), Dims: dims, RawData: b}
	}
	two, three := []int64{2}, []int64{3}
	i32 := func(dt ir.DType, dims []int64, v ...int32) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{DataType: proto.Int32(int32(dt)), Dims: dims, Int32Data: v}
	}
	for _, c := range []struct{ typed, raw *onnxpb.TensorProto }{
		{&onnxpb.TensorProto{DataType: proto.Int32(1), Dims: two, FloatData: []float32{1, -2}}, raw(ir.Float32, two, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0)},
		{&onnxpb.TensorProto{DataType: proto.Int32(11), DoubleData: []float64{1}}, raw(ir.Float64, nil, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f)},
		{&onnxpb.TensorProto{DataType: proto.Int32(7), Dims: []int64{1}, Int64Data: []int64{-2}}, raw(ir.Int64, []int64{1}, 0xfe, 255, 255, 255, 255, 255, 255, 255)},
		{&onnxpb.TensorProto{DataType: proto.Int32(12), Dims: []int64{1}, Uint64Data: []uint64{1<<32 - 1}}, raw(ir.Uint32, []int64{1}, 255, 255, 255, 255)},
		{&onnxpb.TensorProto{DataType: proto.Int32(13), Dims: []int64{1}, Uint64Data: []uint64{1 << 63}}, raw(ir.Uint64, []int64{1}, 0, 0, 0, 0, 0, 0, 0, 128)},
		{&onnxpb.TensorProto{DataType: proto.Int32(14), Dims: []int64{1}, FloatData: []float32{1, 0}}, raw(ir.Complex64, []int64{1}, 0, 0, 0x80, 0x3f, 0, 0, 0, 0)},
		{i32(ir.Int32, two, 1, -1), raw(ir.Int32, two, 1, 0, 0, 0, 255, 255, 255, 255)},
		{i32(ir.Int16, two, 1, -1), raw(ir.Int16, two, 1, 0, 255, 255)},
		{i32(ir.Uint16, two, 1, 65535), raw(ir.Uint16, two, 1, 0, 255, 255)},
		{i32(ir.Int8, two, 1, -1), raw(ir.Int8, two, 1, 255)},
		{i32(ir.Uint8, two, 1, 255), raw(ir.Uint8, two, 1, 255)},
		{i32(ir.Bool, two, 1, 0), raw(ir.Bool, two, 1, 0)},
		{i32(ir.Float16, two, 0x3c00, 0xc000), raw(ir.Float16, two, 0, 0x3c, 0, 0xc0)},
		{i32(ir.BFloat16, two, 0x3f80, 0xc000), raw(ir.BFloat16, two, 0x80, 0x3f, 0, 0xc0)},
		{i32(ir.Float8E4M3FN, two, 0x38, 0xff), raw(ir.Float8E4M3FN, two, 0x38, 0xff)},
		{i32(ir.Uint4, three, 0x21, 0x03), raw(ir.Uint4, three, 0x21, 0x03)},
		{i32(ir.Int4, three, 0x21, 0x0f), raw(ir.Int4, three, 0x21, 0x0f)},
		{i32(ir.Int2, three, 0x1b), raw(ir.Int2, three, 0x1b)},
	} {
		a, err := importer.DecodeTensor(encode(t, c.typed))
		if err != nil {
			t.Error(err)
			continue
		}
		b, err := importer.DecodeTensor(encode(t, c.raw))
		if err != nil {
			t.Error(err)
			continue
		}
		if fmt.Sprint(*a) != fmt.Sprint(*b) {
			t.Errorf("%s: typed %v, raw %v", a.DType, *a, *b)
		}
	}
	s, err := importer.DecodeTensor(encode(t, &onnxpb.TensorProto{DataType: proto.Int32(8), Dims: two, StringData: [][]byte{[]byte("a"), nil}}))
	if err != nil || len(s.Strings) != 2 || string(s.Strings[0]) != "a" {
		t.Errorf("strings: %v, %v", s, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, relu()))
	rich := relu()
	rich.Functions = []*onnxpb.FunctionProto{{Name: proto.String("F"), Domain: proto.String("f"), Input: []string{"a"}, Output: []string{"b"}, OpsetImport: rich.OpsetImport,
		Node: []*onnxpb.NodeProto{{OpType: proto.String("Identity"), Input: []string{"a"}, Output: []string{"b"}}}}}
	rich.Graph.Node[0].Domain, rich.Graph.Node[0].OpType = proto.String("f"), proto.String("F")
	rich.OpsetImport = append(rich.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("f"), Version: proto.Int64(1)})
	rich.Graph.Node[1].Attribute = []*onnxpb.AttributeProto{{Name: proto.String("b"), G: &onnxpb.GraphProto{
		Node: []*onnxpb.NodeProto{{OpType: proto.String("Constant"), Output: []string{"c"}, Attribute: []*onnxpb.AttributeProto{{Name: proto.String("value_ints"), Ints: []int64{1}}}}}}}}
	rich.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{Dims: []int64{4}, Values: proto.Clone(rich.Graph.Initializer[0]).(*onnxpb.TensorProto),
		Indices: &onnxpb.TensorProto{DataType: proto.Int32(7), Dims: []int64{2}, Int64Data: []int64{1, 3}}}}
	rich.Graph.SparseInitializer[0].Values.Name = proto.String("sp")
	f.Add(encode(f, rich))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := importer.Decode(b, "")
		if err != nil {
			return
		}
		out, err := exporter.Encode(m)
		if err != nil {
			t.Fatalf("write back: %v", err)
		}
		back, err := importer.Decode(out, "")
		if err != nil {
			t.Fatalf("read what was written: %v", err)
		}
		if d := ir.Diff(m, back); d != "" {
			t.Fatalf("written and read back: %s", d)
		}
		if n, err := importer.Normal(m); err == nil {
			if err := ir.Verify(n); err != nil {
				t.Fatalf("normal: %v", err)
			}
		}
	})
}
