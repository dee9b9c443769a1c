package importer

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/internal/onnxpb"
	"github.com/entangle-nas/entangle/ir"
)

func (l *lifter) tensors(pbs []*onnxpb.TensorProto) ([]*ir.Tensor, error) {
	var out []*ir.Tensor
	for _, pb := range pbs {
		t, err := l.tensor(pb)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (l *lifter) tensor(pb *onnxpb.TensorProto) (*ir.Tensor, error) {
	l.aside.take(pb)
	t := &ir.Tensor{Name: pb.GetName(), Doc: pb.GetDocString(), DType: ir.DType(pb.GetDataType()), Meta: props(pb.MetadataProps)}
	fail := func(format string, args ...any) (*ir.Tensor, error) {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, fmt.Errorf(format, args...))
	}
	if !t.DType.Valid() {
		return fail("data type %d: want one of ONNX's", pb.GetDataType())
	}
	var err error
	var n int
	if t.Dims, n, err = sizes(pb.Dims); err != nil {
		return fail("%w", err)
	}
	want := (n*t.DType.Bits() + 7) / 8
	switch {
	case pb.GetDataLocation() == 1:
		if t.DType == ir.String {
			return fail("strings cannot be external data")
		}
		if t.Raw, err = l.external.read(pb.ExternalData, want); err != nil {
			return fail("%w", err)
		}
	case pb.GetDataLocation() != 0:
		return fail("data location %d: want 0 (in the file) or 1 (external)", pb.GetDataLocation())
	case t.DType == ir.String:
		t.Strings = pb.StringData
	case pb.RawData != nil:
		t.Raw = pb.RawData
	default:
		if t.Raw, err = typed(pb, t.DType, n, want); err != nil {
			return fail("%w", err)
		}
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	if t.Extra, err = extra(pb, &onnxpb.TensorProto{Segment: pb.Segment}); err != nil {
		return fail("%w", err)
	}
	return t, nil
}

// sizes returns the dimensions and the number of elements, which fits an int
// with room for the bits of each element.
func sizes(dims []int64) ([]int, int, error) {
	out := make([]int, len(dims))
	n, limit := 1, math.MaxInt/128
	for i, d := range dims {
		if d < 0 || d > int64(limit) || (d > 0 && n > limit/int(d)) {
			return nil, 0, fmt.Errorf("dims %v: want non-negative sizes whose product fits in memory", dims)
		}
		n *= int(d)
		out[i] = int(d)
	}
	return out, n, nil
}

// typed gathers the elements of the *_data field that belongs to dt into raw form.
func typed(pb *onnxpb.TensorProto, dt ir.DType, n, want int) ([]byte, error) {
	check := func(field string, got, want int) error {
		if got != want {
			return fmt.Errorf("want %d entries in %s for %s%v, got %d", want, field, dt, pb.Dims, got)
		}
		return nil
	}
	switch dt {
	case ir.Float32, ir.Complex64:
		if err := check("float_data", len(pb.FloatData), want/4); err != nil {
			return nil, err
		}
		raw := make([]byte, want)
		for i, v := range pb.FloatData {
			binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
		}
		return raw, nil
	case ir.Float64, ir.Complex128:
		if err := check("double_data", len(pb.DoubleData), want/8); err != nil {
			return nil, err
		}
		raw := make([]byte, want)
		for i, v := range pb.DoubleData {
			binary.LittleEndian.PutUint64(raw[8*i:], math.Float64bits(v))
		}
		return raw, nil
	case ir.Int64:
		if err := check("int64_data", len(pb.Int64Data), n); err != nil {
			return nil, err
		}
		raw := make([]byte, want)
		for i, v := range pb.Int64Data {
			binary.LittleEndian.PutUint64(raw[8*i:], uint64(v))
		}
		return raw, nil
	case ir.Uint32, ir.Uint64:
		if err := check("uint64_data", len(pb.Uint64Data), n); err != nil {
			return nil, err
		}
		raw := make([]byte, want)
		for i, v := range pb.Uint64Data {
			if dt == ir.Uint64 {
				binary.LittleEndian.PutUint64(raw[8*i:], v)
			} else {
				binary.LittleEndian.PutUint32(raw[4*i:], uint32(v))
			}
		}
		return raw, nil
	}
	return narrow(pb, dt, want, check)
}

// narrow gathers the types that travel in int32_data: one element per entry, or
// one byte of packed elements per entry below eight bits.
func narrow(pb *onnxpb.TensorProto, dt ir.DType, want int, check func(string, int, int) error) ([]byte, error) {
	width := max(dt.Bits()/8, 1)
	if err := check("int32_data", len(pb.Int32Data), want/width); err != nil {
		return nil, err
	}
	raw := make([]byte, want)
	for i, v := range pb.Int32Data {
		switch width {
		case 1:
			raw[i] = byte(v)
		case 2:
			binary.LittleEndian.PutUint16(raw[2*i:], uint16(v))
		default:
			binary.LittleEndian.PutUint32(raw[4*i:], uint32(v))
		}
	}
	return raw, nil
}

func (l *lifter) sparse(pb *onnxpb.SparseTensorProto) (*ir.Sparse, error) {
	if pb.GetValues() == nil || pb.GetIndices() == nil {
		return nil, fmt.Errorf("sparse tensor: want values and indices")
	}
	var s ir.Sparse
	var err error
	if s.Values, err = l.tensor(pb.Values); err != nil {
		return nil, fmt.Errorf("sparse tensor: values: %w", err)
	}
	if s.Indices, err = l.tensor(pb.Indices); err != nil {
		return nil, fmt.Errorf("sparse tensor: indices: %w", err)
	}
	if s.Dims, _, err = sizes(pb.Dims); err != nil {
		return nil, fmt.Errorf("sparse tensor %q: %w", s.Values.Name, err)
	}
	return &s, nil
}
