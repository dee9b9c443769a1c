package exporter

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/entangle-nas/entangle/internal/onnxpb"
	"github.com/entangle-nas/entangle/ir"
)

// emitter turns ir into protobuf messages. Tensor bytes are shared, not copied.
type emitter struct {
	side *side // takes the bytes of large initialisers; nil keeps everything in the file
}

func (e *emitter) model(m *ir.Model) (*onnxpb.ModelProto, error) {
	pb := &onnxpb.ModelProto{
		IrVersion: proto.Int64(m.IRVersion), OpsetImport: opsets(m.Opsets), ProducerName: text(m.ProducerName),
		ProducerVersion: text(m.ProducerVersion), Domain: text(m.Domain), DocString: text(m.Doc), MetadataProps: props(m.Meta),
	}
	if m.ModelVersion != 0 {
		pb.ModelVersion = proto.Int64(m.ModelVersion)
	}
	var err error
	if pb.Graph, err = e.graph(m.Graph); err != nil {
		return nil, err
	}
	for _, f := range m.Functions {
		fp, err := e.function(f)
		if err != nil {
			return nil, fmt.Errorf("function %s: %w", f.ID(), err)
		}
		pb.Functions = append(pb.Functions, fp)
	}
	return pb, merge(pb, m.Extra, "model")
}

func (e *emitter) graph(g *ir.Graph) (*onnxpb.GraphProto, error) {
	pb, err := e.graphBody(g)
	if err != nil {
		return nil, fmt.Errorf("graph %q: %w", g.Name, err)
	}
	return pb, nil
}

func (e *emitter) graphBody(g *ir.Graph) (*onnxpb.GraphProto, error) {
	pb := &onnxpb.GraphProto{Name: proto.String(g.Name), DocString: text(g.Doc), MetadataProps: props(g.Meta)}
	var err error
	if pb.Input, err = values(g.Inputs); err != nil {
		return nil, err
	}
	if pb.Output, err = values(g.Outputs); err != nil {
		return nil, err
	}
	if pb.ValueInfo, err = values(g.Info); err != nil {
		return nil, err
	}
	for _, t := range g.Inits {
		tp, err := e.initializer(t)
		if err != nil {
			return nil, err
		}
		pb.Initializer = append(pb.Initializer, tp)
	}
	for _, s := range g.Sparse {
		sp, err := sparse(s)
		if err != nil {
			return nil, err
		}
		pb.SparseInitializer = append(pb.SparseInitializer, sp)
	}
	if pb.Node, err = e.nodes(g.Nodes); err != nil {
		return nil, err
	}
	return pb, merge(pb, g.Extra, "graph")
}

func (e *emitter) function(f *ir.Function) (*onnxpb.FunctionProto, error) {
	pb := &onnxpb.FunctionProto{
		Name: proto.String(f.Name), Domain: proto.String(f.Domain), Overload: text(f.Overload), DocString: text(f.Doc),
		Input: f.Inputs, Output: f.Outputs, Attribute: f.Attrs, OpsetImport: opsets(f.Opsets), MetadataProps: props(f.Meta),
	}
	var err error
	if pb.AttributeProto, err = e.attrs(f.Defaults); err != nil {
		return nil, err
	}
	if pb.ValueInfo, err = values(f.Info); err != nil {
		return nil, err
	}
	if pb.Node, err = e.nodes(f.Nodes); err != nil {
		return nil, err
	}
	return pb, merge(pb, f.Extra, "function")
}

func (e *emitter) nodes(nodes []*ir.Node) ([]*onnxpb.NodeProto, error) {
	var out []*onnxpb.NodeProto
	for _, n := range nodes {
		pb := &onnxpb.NodeProto{
			Name: text(n.Name), OpType: proto.String(n.OpType), Domain: text(n.Domain), Overload: text(n.Overload),
			DocString: text(n.Doc), Input: n.Inputs, Output: n.Outputs, MetadataProps: props(n.Meta),
		}
		var err error
		if pb.Attribute, err = e.attrs(n.Attrs); err == nil {
			err = merge(pb, n.Extra, "node")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ir.Address(n), err)
		}
		out = append(out, pb)
	}
	return out, nil
}

func (e *emitter) attrs(attrs []ir.Attr) ([]*onnxpb.AttributeProto, error) {
	var out []*onnxpb.AttributeProto
	for i := range attrs {
		pb, err := e.attr(&attrs[i])
		if err == nil {
			err = merge(pb, attrs[i].Extra, "attribute")
		}
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", attrs[i].Name, err)
		}
		out = append(out, pb)
	}
	return out, nil
}

func (e *emitter) attr(a *ir.Attr) (*onnxpb.AttributeProto, error) {
	pb := &onnxpb.AttributeProto{
		Name: proto.String(a.Name), DocString: text(a.Doc), Type: proto.Int32(int32(a.Kind)), RefAttrName: text(a.Ref),
	}
	if a.Ref != "" {
		if a.Kind == ir.AttrNone {
			pb.Type = nil
		}
		return pb, nil
	}
	var err error
	switch a.Kind {
	case ir.AttrFloat:
		pb.F = proto.Float32(a.F)
	case ir.AttrInt:
		pb.I = proto.Int64(a.I)
	case ir.AttrString:
		pb.S = append([]byte{}, a.S...)
	case ir.AttrFloats:
		pb.Floats = a.Floats
	case ir.AttrInts:
		pb.Ints = a.Ints
	case ir.AttrStrings:
		pb.Strings = a.Strings
	case ir.AttrTensor:
		pb.T, err = tensor(a.T)
	case ir.AttrTensors:
		for _, t := range a.Tensors {
			tp, err := tensor(t)
			if err != nil {
				return nil, err
			}
			pb.Tensors = append(pb.Tensors, tp)
		}
	case ir.AttrGraph:
		pb.G, err = e.graph(a.G)
	case ir.AttrGraphs:
		for _, g := range a.Graphs {
			gp, err := e.graph(g)
			if err != nil {
				return nil, err
			}
			pb.Graphs = append(pb.Graphs, gp)
		}
	case ir.AttrSparseTensor:
		pb.SparseTensor, err = sparse(a.Sparse[0])
	case ir.AttrSparseTensors:
		for _, s := range a.Sparse {
			sp, err := sparse(s)
			if err != nil {
				return nil, err
			}
			pb.SparseTensors = append(pb.SparseTensors, sp)
		}
	case ir.AttrType:
		pb.Tp = typ(a.Types[0])
	case ir.AttrTypes:
		for _, t := range a.Types {
			tp := typ(t)
			if tp == nil {
				tp = &onnxpb.TypeProto{}
			}
			pb.TypeProtos = append(pb.TypeProtos, tp)
		}
	}
	return pb, err
}

// merge sets the fields that ir does not model.
func merge(pb proto.Message, extra []byte, what string) error {
	if len(extra) == 0 {
		return nil
	}
	if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(extra, pb); err != nil {
		return fmt.Errorf("%s: extra fields: %w", what, err)
	}
	return nil
}

// text leaves empty strings out of the file.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func opsets(list []ir.Opset) []*onnxpb.OperatorSetIdProto {
	var out []*onnxpb.OperatorSetIdProto
	for _, o := range list {
		out = append(out, &onnxpb.OperatorSetIdProto{Domain: proto.String(o.Domain), Version: proto.Int64(o.Version)})
	}
	return out
}

func props(list []ir.Prop) []*onnxpb.StringStringEntryProto {
	var out []*onnxpb.StringStringEntryProto
	for _, p := range list {
		out = append(out, entry(p.Key, p.Value))
	}
	return out
}

func entry(key, value string) *onnxpb.StringStringEntryProto {
	return &onnxpb.StringStringEntryProto{Key: &key, Value: &value}
}
