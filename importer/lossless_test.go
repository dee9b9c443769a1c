package importer_test

import (
	"os"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/onnxpb"
)

// plain clears what two files may say in different ways: the elements of
// tensors, which have several encodings, and scalar fields that hold their default.
func plain(m protoreflect.Message) {
	if tp, ok := m.Interface().(*onnxpb.TensorProto); ok {
		tp.RawData, tp.FloatData, tp.Int32Data, tp.Int64Data, tp.DoubleData, tp.Uint64Data = nil, nil, nil, nil, nil, nil
		tp.DataLocation, tp.ExternalData = nil, nil
	}
	_, attr := m.Interface().(*onnxpb.AttributeProto)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				plain(v.List().Get(i).Message())
			}
		case fd.IsList():
		case fd.Message() != nil:
			plain(v.Message())
		case fd.ContainingOneof() == nil && v.Equal(fd.Default()) && !(attr && (fd.Name() == "f" || fd.Name() == "i" || fd.Name() == "s")):
			m.Clear(fd)
		}
		return true
	})
}

func unmarshal(t *testing.T, b []byte) *onnxpb.ModelProto {
	t.Helper()
	var m onnxpb.ModelProto
	if err := proto.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// What is written back says field by field what the source file said.
func TestWriteBackEqualsSource(t *testing.T) {
	n := 0
	for _, f := range modeltest.Corpus(t) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := importer.Read(f)
		if err != nil {
			continue
		}
		out, err := exporter.Encode(m)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		want, got := unmarshal(t, b), unmarshal(t, out)
		plain(want.ProtoReflect())
		plain(got.ProtoReflect())
		if !proto.Equal(want, got) {
			t.Errorf("%s: the file written back differs", f)
			continue
		}
		n++
	}
	t.Logf("%d files equal to their source", n)
}

// Fields that ir does not model and fields that nobody knows come back.
func TestExtraFieldsComeBack(t *testing.T) {
	unknown := protoreflect.RawFields{0xf8, 0x3f, 1} // field 1023, varint 1
	m := relu()
	m.TrainingInfo = []*onnxpb.TrainingInfoProto{{Algorithm: &onnxpb.GraphProto{Name: proto.String("step")}}}
	m.Configuration = []*onnxpb.DeviceConfigurationProto{{Name: proto.String("two"), NumDevices: proto.Int32(2)}}
	m.Graph.QuantizationAnnotation = []*onnxpb.TensorAnnotation{{TensorName: proto.String("x")}}
	m.Graph.Node[0].DeviceConfigurations = []*onnxpb.NodeDeviceConfigurationProto{{ConfigurationId: proto.String("two")}}
	m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{{Name: proto.String("a"), Type: proto.Int32(2), I: proto.Int64(0)}}
	m.OpsetImport[0].Domain = proto.String("")
	for _, p := range []proto.Message{m, m.Graph, m.Graph.Node[0], m.Graph.Node[0].Attribute[0], m.Graph.Initializer[0], m.Graph.Input[0]} {
		p.ProtoReflect().SetUnknown(unknown)
	}
	lifted, err := importer.Decode(encode(t, m), "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := exporter.Encode(lifted)
	if err != nil {
		t.Fatal(err)
	}
	got := unmarshal(t, b)
	plain(m.ProtoReflect())
	plain(got.ProtoReflect())
	if !proto.Equal(m, got) {
		t.Errorf("want\n%v\ngot\n%v", m, got)
	}
}
