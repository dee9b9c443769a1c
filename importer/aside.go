package importer

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/entangle-nas/entangle/internal/onnxpb"
)

// asideFrom is the length of raw data, in bytes, from which the decoder does not see them:
// it would copy them.
const asideFrom = 1 << 14

// placeField is the field of a TensorProto that stands for raw data set aside. No message type
// may define it: protobuf keeps the number for implementations.
const placeField protowire.Number = 19_999

// rawDataField is TensorProto's raw_data.
var rawDataField = (&onnxpb.TensorProto{}).ProtoReflect().Descriptor().Fields().ByName("raw_data").Number()

// asides takes the raw data of tensors out of a file before it is decoded.
type asides struct{ data [][]byte }

// ways are the fields on the way to tensors that are lifted, by message type. Behind others
// lie messages that are kept as they are.
var ways = map[protoreflect.Name][]protoreflect.Name{
	"ModelProto":     {"graph", "functions"},
	"GraphProto":     {"node", "initializer"},
	"FunctionProto":  {"node"},
	"NodeProto":      {"attribute"},
	"AttributeProto": {"t", "g", "tensors", "graphs"},
}

// message appends b, a sound message of type md, to out, with a place for the raw data that
// it sets aside.
func (a *asides) message(out, b []byte, md protoreflect.MessageDescriptor) []byte {
	if md.Name() == "TensorProto" {
		return a.tensor(out, b)
	}
	on := map[protowire.Number]protoreflect.MessageDescriptor{}
	for _, name := range ways[md.Name()] {
		if fd := md.Fields().ByName(name); fd.IsList() || occurrences(b, fd.Number()) == 1 {
			on[fd.Number()] = fd.Message()
		}
	}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		end := n + protowire.ConsumeFieldValue(num, typ, b[n:])
		if sub := on[num]; sub == nil || typ != protowire.BytesType || end < asideFrom {
			out = append(out, b[:end]...)
		} else {
			body, _ := protowire.ConsumeBytes(b[n:])
			out = protowire.AppendBytes(protowire.AppendTag(out, num, typ), a.message(nil, body, sub))
		}
		b = b[end:]
	}
	return out
}

// tensor is message for a TensorProto.
func (a *asides) tensor(out, b []byte) []byte {
	if len(b) < asideFrom || occurrences(b, rawDataField) != 1 {
		return append(out, b...)
	}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		end := n + protowire.ConsumeFieldValue(num, typ, b[n:])
		if num == rawDataField && typ == protowire.BytesType && end >= asideFrom {
			body, _ := protowire.ConsumeBytes(b[n:])
			out = protowire.AppendVarint(protowire.AppendTag(out, placeField, protowire.VarintType), uint64(len(a.data)))
			a.data = append(a.data, body[:len(body):len(body)])
		} else {
			out = append(out, b[:end]...)
		}
		b = b[end:]
	}
	return out
}

// take gives a decoded tensor its raw data back, those that were set aside.
func (a *asides) take(pb *onnxpb.TensorProto) {
	var rest []byte
	for b := []byte(pb.ProtoReflect().GetUnknown()); len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		end := n + protowire.ConsumeFieldValue(num, typ, b[n:])
		if num == placeField {
			i, _ := protowire.ConsumeVarint(b[n:])
			pb.RawData = a.data[i]
		} else {
			rest = append(rest, b[:end]...)
		}
		b = b[end:]
	}
	pb.ProtoReflect().SetUnknown(rest)
}

// occurrences counts a field in a message.
func occurrences(b []byte, field protowire.Number) int {
	count := 0
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if num == field {
			count++
		}
		b = b[n+protowire.ConsumeFieldValue(num, typ, b[n:]):]
	}
	return count
}
