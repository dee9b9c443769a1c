package exporter

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/entangle-nas/entangle/internal/onnxpb"
	"github.com/entangle-nas/entangle/ir"
)

func values(vs []ir.Value) ([]*onnxpb.ValueInfoProto, error) {
	var out []*onnxpb.ValueInfoProto
	for _, v := range vs {
		pb := &onnxpb.ValueInfoProto{Name: proto.String(v.Name), Type: typ(v.Type), DocString: text(v.Doc), MetadataProps: props(v.Meta)}
		if err := merge(pb, v.Extra, fmt.Sprintf("value %q", v.Name)); err != nil {
			return nil, err
		}
		out = append(out, pb)
	}
	return out, nil
}

// typ returns nil for a type that is not stated.
func typ(t ir.Type) *onnxpb.TypeProto {
	pb := &onnxpb.TypeProto{Denotation: text(t.Denotation)}
	switch t.Kind {
	case ir.KindNone:
		if t.Denotation == "" {
			return nil
		}
	case ir.KindTensor:
		pb.Value = &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(t.Elem)), Shape: shape(t)}}
	case ir.KindSparse:
		pb.Value = &onnxpb.TypeProto_SparseTensorType{
			SparseTensorType: &onnxpb.TypeProto_SparseTensor{ElemType: proto.Int32(int32(t.Elem)), Shape: shape(t)},
		}
	case ir.KindSequence:
		pb.Value = &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{ElemType: inner(t)}}
	case ir.KindOptional:
		pb.Value = &onnxpb.TypeProto_OptionalType{OptionalType: &onnxpb.TypeProto_Optional{ElemType: inner(t)}}
	case ir.KindMap:
		pb.Value = &onnxpb.TypeProto_MapType{MapType: &onnxpb.TypeProto_Map{KeyType: proto.Int32(int32(t.Key)), ValueType: inner(t)}}
	case ir.KindOpaque:
		pb.Value = &onnxpb.TypeProto_OpaqueType{OpaqueType: &onnxpb.TypeProto_Opaque{Domain: text(t.Domain), Name: text(t.Name)}}
	}
	return pb
}

func inner(t ir.Type) *onnxpb.TypeProto {
	if t.Inner == nil {
		return nil
	}
	if pb := typ(*t.Inner); pb != nil {
		return pb
	}
	return &onnxpb.TypeProto{}
}

func shape(t ir.Type) *onnxpb.TensorShapeProto {
	if !t.Ranked {
		return nil
	}
	pb := &onnxpb.TensorShapeProto{}
	for _, d := range t.Shape {
		dp := &onnxpb.TensorShapeProto_Dimension{Denotation: text(d.Denotation)}
		switch {
		case d.Known():
			dp.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d.Size)}
		case d.Param != "":
			dp.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d.Param}
		}
		pb.Dim = append(pb.Dim, dp)
	}
	return pb
}

// tensor states the header and puts the elements into the message.
func tensor(t *ir.Tensor) (*onnxpb.TensorProto, error) {
	pb, err := header(t)
	if err != nil {
		return nil, err
	}
	if t.DType == ir.String {
		pb.StringData = t.Strings
	} else {
		pb.RawData = t.Raw
		if pb.RawData == nil {
			pb.RawData = []byte{}
		}
	}
	return pb, nil
}

func header(t *ir.Tensor) (*onnxpb.TensorProto, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	pb := &onnxpb.TensorProto{
		Name: text(t.Name), DocString: text(t.Doc), DataType: proto.Int32(int32(t.DType)), MetadataProps: props(t.Meta), Dims: dims(t.Dims),
	}
	return pb, merge(pb, t.Extra, fmt.Sprintf("tensor %q", t.Name))
}

func dims(sizes []int) []int64 {
	out := make([]int64, len(sizes))
	for i, s := range sizes {
		out[i] = int64(s)
	}
	return out
}

func sparse(s *ir.Sparse) (*onnxpb.SparseTensorProto, error) {
	pb := &onnxpb.SparseTensorProto{Dims: dims(s.Dims)}
	var err error
	if pb.Values, err = tensor(s.Values); err == nil {
		pb.Indices, err = tensor(s.Indices)
	}
	return pb, err
}

// initializer is tensor, with the elements in the side file when they are many.
func (e *emitter) initializer(t *ir.Tensor) (*onnxpb.TensorProto, error) {
	if e.side == nil || t.DType == ir.String || len(t.Raw) < e.side.threshold {
		return tensor(t)
	}
	pb, err := header(t)
	if err != nil {
		return nil, err
	}
	pb.DataLocation = proto.Int32(1)
	pb.ExternalData, err = e.side.put(t.Raw)
	return pb, err
}
