package importer

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/entangle-nas/entangle/internal/onnxpb"
	"github.com/entangle-nas/entangle/ir"
)

// lifter turns protobuf messages into ir. Its methods return errors that name
// what they are about, outermost first.
type lifter struct {
	external *external
	aside    asides
}

func (l *lifter) model(pb *onnxpb.ModelProto) (*ir.Model, error) {
	if v := pb.GetIrVersion(); v < MinIRVersion || v > MaxIRVersion {
		return nil, fmt.Errorf("model: IR version %d: want %d to %d", v, MinIRVersion, MaxIRVersion)
	}
	if pb.Graph == nil {
		return nil, fmt.Errorf("model: it has no graph")
	}
	m := &ir.Model{
		IRVersion: pb.GetIrVersion(), Opsets: opsets(pb.OpsetImport), ProducerName: pb.GetProducerName(),
		ProducerVersion: pb.GetProducerVersion(), Domain: pb.GetDomain(), ModelVersion: pb.GetModelVersion(),
		Doc: pb.GetDocString(), Meta: props(pb.MetadataProps),
	}
	var err error
	if m.Graph, err = l.graph(pb.Graph); err != nil {
		return nil, err
	}
	for _, f := range pb.Functions {
		lf, err := l.function(f)
		if err != nil {
			return nil, err
		}
		m.Functions = append(m.Functions, lf)
	}
	m.Extra, err = extra(pb, &onnxpb.ModelProto{TrainingInfo: pb.TrainingInfo, Configuration: pb.Configuration})
	return m, err
}

func (l *lifter) graph(pb *onnxpb.GraphProto) (*ir.Graph, error) {
	g, err := l.graphBody(pb)
	if err != nil {
		return nil, fmt.Errorf("graph %q: %w", pb.GetName(), err)
	}
	return g, nil
}

func (l *lifter) graphBody(pb *onnxpb.GraphProto) (*ir.Graph, error) {
	g := &ir.Graph{Name: pb.GetName(), Doc: pb.GetDocString(), Meta: props(pb.MetadataProps)}
	var err error
	if g.Inputs, err = values(pb.Input, "input"); err != nil {
		return nil, err
	}
	if g.Outputs, err = values(pb.Output, "output"); err != nil {
		return nil, err
	}
	if g.Info, err = values(pb.ValueInfo, "value_info"); err != nil {
		return nil, err
	}
	if g.Inits, err = l.tensors(pb.Initializer); err != nil {
		return nil, fmt.Errorf("initializer: %w", err)
	}
	for _, s := range pb.SparseInitializer {
		sp, err := l.sparse(s)
		if err != nil {
			return nil, fmt.Errorf("sparse_initializer: %w", err)
		}
		g.Sparse = append(g.Sparse, sp)
	}
	if g.Nodes, err = l.nodes(pb.Node); err != nil {
		return nil, err
	}
	g.Extra, err = extra(pb, &onnxpb.GraphProto{QuantizationAnnotation: pb.QuantizationAnnotation})
	return g, err
}

func (l *lifter) function(pb *onnxpb.FunctionProto) (*ir.Function, error) {
	f := &ir.Function{
		Name: pb.GetName(), Domain: pb.GetDomain(), Overload: pb.GetOverload(), Doc: pb.GetDocString(),
		Inputs: pb.Input, Outputs: pb.Output, Attrs: pb.Attribute, Opsets: opsets(pb.OpsetImport), Meta: props(pb.MetadataProps),
	}
	fail := func(err error) (*ir.Function, error) {
		return nil, fmt.Errorf("function %s.%s: %w", f.Domain, f.Name, err)
	}
	var err error
	if f.Defaults, err = l.attrs(pb.AttributeProto); err != nil {
		return fail(err)
	}
	if f.Info, err = values(pb.ValueInfo, "value_info"); err != nil {
		return fail(err)
	}
	if f.Nodes, err = l.nodes(pb.Node); err != nil {
		return fail(err)
	}
	if f.Extra, err = extra(pb, &onnxpb.FunctionProto{}); err != nil {
		return fail(err)
	}
	return f, nil
}

func (l *lifter) nodes(pbs []*onnxpb.NodeProto) ([]*ir.Node, error) {
	var nodes []*ir.Node
	for i, pb := range pbs {
		n := &ir.Node{
			Name: pb.GetName(), OpType: pb.GetOpType(), Domain: pb.GetDomain(), Overload: pb.GetOverload(), Doc: pb.GetDocString(),
			Inputs: pb.Input, Outputs: pb.Output, Meta: props(pb.MetadataProps),
		}
		var err error
		if n.Attrs, err = l.attrs(pb.Attribute); err == nil {
			n.Extra, err = extra(pb, &onnxpb.NodeProto{DeviceConfigurations: pb.DeviceConfigurations})
		}
		if err != nil {
			return nil, fmt.Errorf("node %d %q (%s): %w", i, n.Name, n.OpType, err)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func (l *lifter) attrs(pbs []*onnxpb.AttributeProto) ([]ir.Attr, error) {
	var attrs []ir.Attr
	for _, pb := range pbs {
		a, err := l.attr(pb)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", pb.GetName(), err)
		}
		attrs = append(attrs, a)
	}
	return attrs, nil
}

func (l *lifter) attr(pb *onnxpb.AttributeProto) (ir.Attr, error) {
	a := ir.Attr{Name: pb.GetName(), Doc: pb.GetDocString(), Kind: attrKind(pb), Ref: pb.GetRefAttrName()}
	var err error
	if a.Extra, err = extra(pb, &onnxpb.AttributeProto{}); err != nil {
		return a, err
	}
	if a.Ref != "" {
		return a, nil
	}
	switch a.Kind {
	case ir.AttrFloat:
		a.F = pb.GetF()
	case ir.AttrInt:
		a.I = pb.GetI()
	case ir.AttrString:
		a.S = pb.GetS()
	case ir.AttrFloats:
		a.Floats = pb.Floats
	case ir.AttrInts:
		a.Ints = pb.Ints
	case ir.AttrStrings:
		a.Strings = pb.Strings
	case ir.AttrTensor:
		if pb.T == nil {
			return a, fmt.Errorf("want a tensor, got none")
		}
		a.T, err = l.tensor(pb.T)
	case ir.AttrTensors:
		a.Tensors, err = l.tensors(pb.Tensors)
	case ir.AttrGraph:
		if pb.G == nil {
			return a, fmt.Errorf("want a graph, got none")
		}
		a.G, err = l.graph(pb.G)
	case ir.AttrGraphs:
		for _, g := range pb.Graphs {
			lg, err := l.graph(g)
			if err != nil {
				return a, err
			}
			a.Graphs = append(a.Graphs, lg)
		}
	case ir.AttrSparseTensor, ir.AttrSparseTensors:
		list := pb.SparseTensors
		if a.Kind == ir.AttrSparseTensor {
			list = []*onnxpb.SparseTensorProto{pb.SparseTensor}
		}
		for _, s := range list {
			sp, err := l.sparse(s)
			if err != nil {
				return a, err
			}
			a.Sparse = append(a.Sparse, sp)
		}
	case ir.AttrType, ir.AttrTypes:
		list := pb.TypeProtos
		if a.Kind == ir.AttrType {
			list = []*onnxpb.TypeProto{pb.Tp}
		}
		for _, t := range list {
			lt, err := typ(t)
			if err != nil {
				return a, err
			}
			a.Types = append(a.Types, lt)
		}
	case ir.AttrNone:
		return a, fmt.Errorf("it has no value")
	default:
		return a, fmt.Errorf("attribute type %d: want 1 to 14", a.Kind)
	}
	return a, err
}

// attrKind returns the stated type or, for writers that left it out, the type of the field that is set.
func attrKind(pb *onnxpb.AttributeProto) ir.AttrKind {
	switch {
	case pb.GetType() != 0 || pb.GetRefAttrName() != "":
		return ir.AttrKind(pb.GetType())
	case pb.F != nil:
		return ir.AttrFloat
	case pb.I != nil:
		return ir.AttrInt
	case pb.S != nil:
		return ir.AttrString
	case pb.T != nil:
		return ir.AttrTensor
	case pb.G != nil:
		return ir.AttrGraph
	case pb.Floats != nil:
		return ir.AttrFloats
	case pb.Ints != nil:
		return ir.AttrInts
	case pb.Strings != nil:
		return ir.AttrStrings
	case pb.Tensors != nil:
		return ir.AttrTensors
	case pb.Graphs != nil:
		return ir.AttrGraphs
	case pb.SparseTensor != nil:
		return ir.AttrSparseTensor
	case pb.SparseTensors != nil:
		return ir.AttrSparseTensors
	case pb.Tp != nil:
		return ir.AttrType
	case pb.TypeProtos != nil:
		return ir.AttrTypes
	}
	return ir.AttrNone
}

func opsets(pbs []*onnxpb.OperatorSetIdProto) []ir.Opset {
	var out []ir.Opset
	for _, pb := range pbs {
		out = append(out, ir.Opset{Domain: pb.GetDomain(), Version: pb.GetVersion()})
	}
	return out
}

func props(pbs []*onnxpb.StringStringEntryProto) []ir.Prop {
	var out []ir.Prop
	for _, pb := range pbs {
		out = append(out, ir.Prop{Key: pb.GetKey(), Value: pb.GetValue()})
	}
	return out
}

// extra returns the fields that ir does not model: those of kept, which the
// caller copied, and what the decoder did not know.
func extra(pb proto.Message, kept proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(kept)
	if err != nil {
		return nil, err
	}
	b = append(b, pb.ProtoReflect().GetUnknown()...)
	if len(b) == 0 {
		return nil, nil
	}
	return b, nil
}
