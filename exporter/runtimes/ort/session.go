//go:build cgo

package ort

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	onnxruntime "github.com/yalue/onnxruntime_go"
)

type session struct {
	s       *onnxruntime.DynamicAdvancedSession
	model   *ir.Model
	graph   *ir.Graph
	label   string
	threads int
	inputs  []string
	outputs []string
}

func (s *session) Close() error {
	if s.s == nil {
		return nil
	}
	err := s.s.Destroy()
	s.s = nil
	return err
}

// bound holds the values of a run. Outputs that the first run allocates are written again by
// the next.
type bound struct {
	s         *session
	ins, outs []onnxruntime.Value
	buffers   []*ir.Tensor // of outputs of 16-bit floats
}

// Bind prepares runs on the inputs.
func (s *session) Bind(in map[string]*ir.Tensor) (runtimes.Bound, error) { return s.bind(in) }

func (s *session) bind(in map[string]*ir.Tensor) (_ *bound, err error) {
	if s.s == nil {
		return nil, fmt.Errorf("ort: %s: want an open session, got a closed one", s.label)
	}
	if err := runtimes.CheckFeed(Name, s.graph, in); err != nil {
		return nil, err
	}
	b := &bound{s: s, ins: make([]onnxruntime.Value, len(s.inputs)), outs: make([]onnxruntime.Value, len(s.outputs))}
	defer func() {
		if err != nil {
			_ = b.Close()
		}
	}()
	for i, name := range s.inputs {
		v, err := toValue(in[name])
		if err != nil {
			return nil, fmt.Errorf("ort: %s: input %q: %w", s.label, name, err)
		}
		b.ins[i] = v
	}
	if b.buffers, err = s.halves(in); err != nil {
		return nil, fmt.Errorf("ort: %s: %w", s.label, err)
	}
	for i, v := range s.graph.Outputs {
		var err error
		switch {
		case b.buffers[i] != nil:
			b.outs[i], err = toValue(b.buffers[i])
		case isScalar(v.Type):
			b.outs[i], err = newScalar(v.Type.Elem)
		}
		if err != nil {
			return nil, fmt.Errorf("ort: %s: output %q: %w", s.label, v.Name, err)
		}
	}
	return b, nil
}

func (b *bound) Run() error {
	if b.s.s == nil || b.ins == nil {
		return fmt.Errorf("ort: %s: want an open session, got a closed one", b.s.label)
	}
	if err := b.s.s.Run(b.ins, b.outs); err != nil {
		if errors.Is(err, onnxruntime.ZeroShapeLengthError) {
			err = fmt.Errorf("want scalar outputs to be declared with their shape in the model: %w", err)
		}
		return fmt.Errorf("ort: %s: %w", b.s.label, err)
	}
	return nil
}

func (b *bound) OneThread() bool { return b.s.threads == 1 }

func (b *bound) Close() error {
	destroy(b.ins)
	destroy(b.outs)
	b.ins, b.outs = nil, nil
	return nil
}

func (s *session) Run(in map[string]*ir.Tensor) (map[string]*ir.Tensor, error) {
	b, err := s.bind(in)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := b.Run(); err != nil {
		return nil, err
	}
	res := make(map[string]*ir.Tensor, len(b.outs))
	for i, name := range s.outputs {
		if b.buffers[i] != nil {
			res[name] = b.buffers[i]
			continue
		}
		t, err := fromValue(name, s.graph.Outputs[i].Type, b.outs[i])
		if err != nil {
			return nil, fmt.Errorf("ort: %s: output %q: %w", s.label, name, err)
		}
		res[name] = t
	}
	return res, nil
}

// halves returns tensors for the outputs of float16 and bfloat16 to be written to, nil for
// others: the binding makes none of the right size by itself.
func (s *session) halves(in map[string]*ir.Tensor) ([]*ir.Tensor, error) {
	out := make([]*ir.Tensor, len(s.graph.Outputs))
	var sizes *ops.Facts
	for i, v := range s.graph.Outputs {
		if v.Type.Elem != ir.Float16 && v.Type.Elem != ir.BFloat16 {
			continue
		}
		typ := v.Type
		if !typ.Static() {
			if sizes == nil {
				m, bind, err := runtimes.Fix(s.model, in)
				if err != nil {
					return nil, err
				}
				if sizes, err = ops.InferModel(m, bind); err != nil {
					return nil, fmt.Errorf("output %q: want sizes of %s that follow from the inputs': %w", v.Name, v.Type.Elem, err)
				}
			}
			typ = sizes.Values[v.Name].Type
		}
		if !typ.Static() || len(typ.Shape) == 0 || ir.Prod(typ.Sizes()) == 0 {
			return nil, fmt.Errorf("output %q: want a tensor of %s of rank 1 or more whose sizes follow from the inputs', got %s", v.Name, v.Type.Elem, typ)
		}
		out[i] = &ir.Tensor{Name: v.Name, DType: v.Type.Elem, Dims: typ.Sizes(), Raw: make([]byte, 2*ir.Prod(typ.Sizes()))}
	}
	return out, nil
}

// destroy frees values. A failed run of the binding leaves interfaces that hold nil pointers.
func destroy(vs []onnxruntime.Value) {
	for _, v := range vs {
		if v != nil && !reflect.ValueOf(v).IsNil() {
			_ = v.Destroy()
		}
	}
}

func toValue(t *ir.Tensor) (onnxruntime.Value, error) {
	if len(t.Dims) == 0 {
		k, err := scalarOf(t.DType)
		if err != nil {
			return nil, err
		}
		return k.write(t.Raw)
	}
	shape := make(onnxruntime.Shape, len(t.Dims))
	for i, d := range t.Dims {
		shape[i] = int64(d)
	}
	if t.DType == ir.String {
		return nil, fmt.Errorf("want numbers, got %s", t.Type())
	}
	if t.Len() == 0 {
		k, err := scalarOf(t.DType)
		if err != nil {
			return nil, err
		}
		return k.empty(shape)
	}
	v, err := onnxruntime.NewCustomDataTensor(shape, t.Raw, onnxruntime.TensorElementDataType(t.DType))
	if err != nil {
		return nil, err
	}
	return v, nil
}

// newScalar returns a value of rank 0 that a run writes to.
func newScalar(dt ir.DType) (onnxruntime.Value, error) {
	k, err := scalarOf(dt)
	if err != nil {
		return nil, err
	}
	return k.write(make([]byte, dt.Bits()/8))
}

// fromValue reads an output that the model declares as typ.
func fromValue(name string, typ ir.Type, v onnxruntime.Value) (*ir.Tensor, error) {
	if isScalar(typ) {
		k, err := scalarOf(typ.Elem)
		if err != nil {
			return nil, err
		}
		raw, err := k.read(v)
		return &ir.Tensor{Name: name, DType: typ.Elem, Raw: raw}, err
	}
	var dims []int
	for _, d := range v.GetShape() {
		dims = append(dims, int(d))
	}
	switch v := v.(type) {
	case *onnxruntime.Tensor[float32]:
		return ir.NewFloat32(name, dims, v.GetData()), nil
	case *onnxruntime.Tensor[float64]:
		raw := make([]byte, 0, 8*len(v.GetData()))
		for _, x := range v.GetData() {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
		}
		return &ir.Tensor{Name: name, DType: ir.Float64, Dims: dims, Raw: raw}, nil
	case *onnxruntime.Tensor[int64]:
		return ir.NewInt64(name, dims, v.GetData()), nil
	case *onnxruntime.Tensor[int32]:
		return integers(name, ir.Int32, dims, v.GetData())
	case *onnxruntime.Tensor[int16]:
		return integers(name, ir.Int16, dims, v.GetData())
	case *onnxruntime.Tensor[int8]:
		return integers(name, ir.Int8, dims, v.GetData())
	case *onnxruntime.Tensor[uint8]:
		return integers(name, ir.Uint8, dims, v.GetData())
	case *onnxruntime.Tensor[uint16]:
		return integers(name, ir.Uint16, dims, v.GetData())
	case *onnxruntime.Tensor[uint32]:
		return integers(name, ir.Uint32, dims, v.GetData())
	case *onnxruntime.Tensor[uint64]:
		return integers(name, ir.Uint64, dims, v.GetData())
	case *onnxruntime.Tensor[bool]:
		ints := make([]int64, len(v.GetData()))
		for i, b := range v.GetData() {
			if b {
				ints[i] = 1
			}
		}
		return ir.NewInts(name, ir.Bool, dims, ints)
	}
	return nil, fmt.Errorf("want a tensor of float32, float64, bool or 8 to 64 bit integers, got another kind of value")
}

func integers[T int8 | int16 | int32 | uint8 | uint16 | uint32 | uint64](name string, dt ir.DType, dims []int, data []T) (*ir.Tensor, error) {
	ints := make([]int64, len(data))
	for i, v := range data {
		ints[i] = int64(v)
	}
	return ir.NewInts(name, dt, dims, ints)
}
