package importer

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/internal/onnxpb"
	"github.com/entangle-nas/entangle/ir"
)

func values(pbs []*onnxpb.ValueInfoProto, what string) ([]ir.Value, error) {
	var out []ir.Value
	for _, pb := range pbs {
		v := ir.Value{Name: pb.GetName(), Doc: pb.GetDocString(), Meta: props(pb.MetadataProps)}
		var err error
		if v.Type, err = typ(pb.Type); err == nil {
			v.Extra, err = extra(pb, &onnxpb.ValueInfoProto{})
		}
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", what, v.Name, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func typ(pb *onnxpb.TypeProto) (ir.Type, error) {
	t := ir.Type{Denotation: pb.GetDenotation()}
	var err error
	switch v := pb.GetValue().(type) {
	case nil:
	case *onnxpb.TypeProto_TensorType:
		t.Kind = ir.KindTensor
		err = tensorType(&t, v.TensorType.GetElemType(), v.TensorType.GetShape())
	case *onnxpb.TypeProto_SparseTensorType:
		t.Kind = ir.KindSparse
		err = tensorType(&t, v.SparseTensorType.GetElemType(), v.SparseTensorType.GetShape())
	case *onnxpb.TypeProto_SequenceType:
		t.Kind = ir.KindSequence
		t.Inner, err = inner(v.SequenceType.GetElemType())
	case *onnxpb.TypeProto_OptionalType:
		t.Kind = ir.KindOptional
		t.Inner, err = inner(v.OptionalType.GetElemType())
	case *onnxpb.TypeProto_MapType:
		t.Kind = ir.KindMap
		if t.Key, err = elem(v.MapType.GetKeyType()); err == nil {
			t.Inner, err = inner(v.MapType.GetValueType())
		}
	case *onnxpb.TypeProto_OpaqueType:
		t.Kind, t.Domain, t.Name = ir.KindOpaque, v.OpaqueType.GetDomain(), v.OpaqueType.GetName()
	}
	return t, err
}

func inner(pb *onnxpb.TypeProto) (*ir.Type, error) {
	if pb == nil {
		return nil, nil
	}
	t, err := typ(pb)
	return &t, err
}

func elem(v int32) (ir.DType, error) {
	d := ir.DType(v)
	if d != ir.Undefined && !d.Valid() {
		return d, fmt.Errorf("element type %d: want one of ONNX's", v)
	}
	return d, nil
}

func tensorType(t *ir.Type, et int32, shape *onnxpb.TensorShapeProto) error {
	var err error
	if t.Elem, err = elem(et); err != nil {
		return err
	}
	if shape == nil {
		return nil
	}
	t.Ranked = true
	t.Shape = make([]ir.Dim, len(shape.Dim))
	for i, d := range shape.Dim {
		t.Shape[i] = ir.Dim{Size: -1, Param: d.GetDimParam(), Denotation: d.GetDenotation()}
		if v, ok := d.GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue); ok && v.DimValue >= 0 {
			if v.DimValue > math.MaxInt32*1024 {
				return fmt.Errorf("dimension %d: size %d is not plausible", i, v.DimValue)
			}
			t.Shape[i].Size = int(v.DimValue)
		}
	}
	return nil
}
