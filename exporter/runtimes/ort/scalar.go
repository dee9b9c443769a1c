//go:build cgo

package ort

import (
	"encoding/binary"
	"fmt"

	"github.com/entangle-nas/entangle/ir"
	onnxruntime "github.com/yalue/onnxruntime_go"
)

// scalarKind makes and reads values of rank 0, which the binding keeps apart
// from tensors and never allocates by itself, and makes tensors without elements.
type scalarKind struct {
	dtype ir.DType
	// write makes a value from its little-endian bytes.
	write func(raw []byte) (onnxruntime.Value, error)
	// read returns the bytes of a value that write made.
	read func(v onnxruntime.Value) ([]byte, error)
	// empty makes a tensor of a shape with a 0.
	empty func(shape onnxruntime.Shape) (onnxruntime.Value, error)
}

// scalarKinds lists the element types that the binding has scalars of.
var scalarKinds = []scalarKind{
	kindOf[float32](ir.Float32),
	kindOf[float64](ir.Float64),
	kindOf[int8](ir.Int8),
	kindOf[int16](ir.Int16),
	kindOf[int32](ir.Int32),
	kindOf[int64](ir.Int64),
	kindOf[uint8](ir.Uint8),
	kindOf[uint16](ir.Uint16),
	kindOf[uint32](ir.Uint32),
	kindOf[uint64](ir.Uint64),
	kindOf[bool](ir.Bool),
}

func kindOf[T onnxruntime.TensorData](dt ir.DType) scalarKind {
	return scalarKind{
		dtype: dt,
		write: func(raw []byte) (onnxruntime.Value, error) {
			var x T
			if _, err := binary.Decode(raw, binary.LittleEndian, &x); err != nil {
				return nil, err
			}
			v, err := onnxruntime.NewScalar(x)
			if err != nil {
				return nil, err
			}
			return v, nil
		},
		read: func(v onnxruntime.Value) ([]byte, error) {
			return binary.Append(nil, binary.LittleEndian, v.(*onnxruntime.Scalar[T]).GetData())
		},
		empty: func(shape onnxruntime.Shape) (onnxruntime.Value, error) {
			v, err := onnxruntime.NewTensor(shape, []T{})
			if err != nil {
				return nil, err
			}
			return v, nil
		},
	}
}

// scalarOf returns the kind of a dtype.
func scalarOf(dt ir.DType) (scalarKind, error) {
	for _, k := range scalarKinds {
		if k.dtype == dt {
			return k, nil
		}
	}
	return scalarKind{}, fmt.Errorf("want a scalar of float32, float64, bool or 8 to 64 bit integers, got %s", dt)
}

// isScalar reports whether t is known to be a tensor of rank 0.
func isScalar(t ir.Type) bool {
	return t.Kind == ir.KindTensor && t.Ranked && len(t.Shape) == 0
}
