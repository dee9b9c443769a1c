package importer

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/entangle-nas/entangle/internal/onnxpb"
)

// filled is a float tensor of n bytes of v.
func filled(name string, n int, v byte) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: &name, DataType: proto.Int32(1), Dims: []int64{int64(n / 4)}, RawData: bytes.Repeat([]byte{v}, n)}
}

// TestAside: large tensors of initialisers, constants and subgraphs are read without a copy,
// the others as ever, and what is kept as it is keeps its tensors.
func TestAside(t *testing.T) {
	const n = 2 * asideFrom
	attr := func(name string, typ int32) *onnxpb.AttributeProto {
		return &onnxpb.AttributeProto{Name: &name, Type: &typ}
	}
	value, then := attr("value", 4), attr("then_branch", 5)
	value.T = filled("", n, 2)
	then.G = &onnxpb.GraphProto{Name: proto.String("then"), Initializer: []*onnxpb.TensorProto{filled("inner", n, 3)}, Output: []*onnxpb.ValueInfoProto{{Name: proto.String("inner")}}}
	unknown := filled("unknown", n, 5)
	unknown.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 500, protowire.VarintType), 7))
	pb := &onnxpb.ModelProto{
		IrVersion: proto.Int64(8), OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:        proto.String("g"),
			Initializer: []*onnxpb.TensorProto{filled("small", 64, 1), filled("large", n, 4), unknown},
			Node: []*onnxpb.NodeProto{
				{OpType: proto.String("Constant"), Output: []string{"c"}, Attribute: []*onnxpb.AttributeProto{value}},
				{OpType: proto.String("If"), Input: []string{"small"}, Output: []string{"y"}, Attribute: []*onnxpb.AttributeProto{then}},
			},
			Output: []*onnxpb.ValueInfoProto{{Name: proto.String("c")}},
		},
		TrainingInfo: []*onnxpb.TrainingInfoProto{{Initialization: &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{filled("start", n, 6)}}}},
	}
	b, err := proto.Marshal(pb)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]byte{"small": 1, "large": 4, "unknown": 5} {
		if x := m.Graph.Init(name); x == nil || len(x.Raw) == 0 || !bytes.Equal(x.Raw, bytes.Repeat([]byte{v}, len(x.Raw))) {
			t.Errorf("%s: want bytes of %d", name, v)
		}
	}
	if x := m.Graph.Init("unknown").Extra; !bytes.Equal(x, unknown.ProtoReflect().GetUnknown()) {
		t.Errorf("unknown fields: want them kept, got %x", x)
	}
	for i, want := range []byte{2, 3} {
		a := m.Graph.Nodes[i].Attrs[0]
		x := a.T
		if a.G != nil {
			x = a.G.Inits[0]
		}
		if len(x.Raw) != n || x.Raw[0] != want || x.Raw[n-1] != want {
			t.Errorf("node %d: want %d bytes of %d, got %d", i, n, want, len(x.Raw))
		}
	}
	if !bytes.Contains(m.Extra, bytes.Repeat([]byte{6}, n)) {
		t.Error("training info: want its tensors kept")
	}
	var aside asides
	if lean := aside.message(nil, b, pb.ProtoReflect().Descriptor()); len(lean) > 2*n || len(aside.data) != 4 {
		t.Errorf("want what is decoded without 4 tensors, got %d bytes and %d tensors", len(lean), len(aside.data))
	}
	// Decode leaves its argument to the caller.
	if m, err = Decode(b, ""); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if m.Graph.Init("large").Raw[0] != 4 {
		t.Error("the decoded model changed with the bytes")
	}
}

// TestAsideMerges: a message that stands twice is one, as protobuf has it, and a field that
// stands for data set aside is refused.
func TestAsideMerges(t *testing.T) {
	const n = 2 * asideFrom
	whole, err := proto.Marshal(&onnxpb.ModelProto{IrVersion: proto.Int64(8), OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}}, Graph: &onnxpb.GraphProto{Name: proto.String("g"), Initializer: []*onnxpb.TensorProto{filled("a", n, 1)}}})
	if err != nil {
		t.Fatal(err)
	}
	more, err := proto.Marshal(&onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{filled("b", n, 2)}}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(append(bytes.Clone(whole), more...), "")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := m.Graph.Init("a"), m.Graph.Init("b"); a == nil || b == nil || a.Raw[n-1] != 1 || b.Raw[n-1] != 2 {
		t.Error("want the tensors of both graphs")
	}
	place := protowire.AppendVarint(protowire.AppendTag(nil, placeField, protowire.VarintType), 0)
	if _, err := Decode(append(bytes.Clone(whole), place...), ""); err == nil || !strings.Contains(err.Error(), "field 19999") {
		t.Errorf("want a refusal of field 19999, got %v", err)
	}
}
