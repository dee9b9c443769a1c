package ir

// Opset is one entry of opset_import. The default domain is "".
type Opset struct {
	Domain  string
	Version int64
}

// Model is one ONNX model. Slices keep the order of the file.
type Model struct {
	IRVersion       int64
	Opsets          []Opset
	ProducerName    string
	ProducerVersion string
	Domain          string
	ModelVersion    int64
	Doc             string
	Meta            []Prop
	Graph           *Graph
	Functions       []*Function
	Extra           []byte // unknown and unmodelled protobuf fields, written back as they came
}

// Opset returns the version imported for a domain ("" and "ai.onnx" are one); 0 when not imported.
func (m *Model) Opset(domain string) int64 {
	for _, o := range m.Opsets {
		if NormalDomain(o.Domain) == NormalDomain(domain) {
			return o.Version
		}
	}
	return 0
}

// NormalDomain maps "ai.onnx" to "".
func NormalDomain(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}

// Function is a model-local function. Its body names are local to it.
type Function struct {
	Name, Domain, Overload, Doc string
	Inputs, Outputs             []string
	Attrs                       []string // required attribute parameters
	Defaults                    []Attr   // attribute parameters with a default
	Nodes                       []*Node
	Opsets                      []Opset
	Info                        []Value
	Meta                        []Prop
	Extra                       []byte
}

// Graph is a list of nodes in topological order over named values.
type Graph struct {
	Name, Doc string
	Inputs    []Value // initialisers that the file also lists as inputs stay listed here
	Outputs   []Value
	Inits     []*Tensor
	Sparse    []*Sparse // sparse initialisers
	Nodes     []*Node
	Info      []Value // value_info
	Meta      []Prop
	Extra     []byte
}

// Value is a typed name: a graph input, output or value_info entry.
type Value struct {
	Name  string
	Type  Type
	Doc   string
	Meta  []Prop
	Extra []byte
}

// Node applies one operator. Empty names in Inputs and Outputs are omitted optionals.
type Node struct {
	Name, OpType, Domain, Overload, Doc string
	Inputs, Outputs                     []string
	Attrs                               []Attr
	Meta                                []Prop
	Extra                               []byte
}

// Init returns the initialiser of that name, nil when there is none.
func (g *Graph) Init(name string) *Tensor {
	for _, t := range g.Inits {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Label returns what messages and dimensions call the node: its name, else its first output.
func (n *Node) Label() string {
	if n.Name != "" {
		return n.Name
	}
	return n.Output(0)
}

// Attr returns the attribute of that name, nil when there is none.
func (n *Node) Attr(name string) *Attr {
	for i := range n.Attrs {
		if n.Attrs[i].Name == name {
			return &n.Attrs[i]
		}
	}
	return nil
}

// SetAttr replaces the attribute of the same name or appends a.
func (n *Node) SetAttr(a Attr) {
	if old := n.Attr(a.Name); old != nil {
		*old = a
		return
	}
	n.Attrs = append(n.Attrs, a)
}

// Int returns an integer attribute or def.
func (n *Node) Int(name string, def int) int {
	if a := n.Attr(name); a != nil && a.Kind == AttrInt {
		return int(a.I)
	}
	return def
}

// Float returns a float attribute or def.
func (n *Node) Float(name string, def float64) float64 {
	if a := n.Attr(name); a != nil && a.Kind == AttrFloat {
		return float64(a.F)
	}
	return def
}

// Str returns a string attribute or def.
func (n *Node) Str(name, def string) string {
	if a := n.Attr(name); a != nil && a.Kind == AttrString {
		return string(a.S)
	}
	return def
}

// Ints returns an integer-list attribute or def.
func (n *Node) Ints(name string, def []int) []int {
	if a := n.Attr(name); a != nil && a.Kind == AttrInts {
		out := make([]int, len(a.Ints))
		for i, v := range a.Ints {
			out[i] = int(v)
		}
		return out
	}
	return def
}

// Input returns input i, "" when absent.
func (n *Node) Input(i int) string {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return ""
}

// Output returns output i, "" when absent.
func (n *Node) Output(i int) string {
	if i < len(n.Outputs) {
		return n.Outputs[i]
	}
	return ""
}

// AttrKind says which field of an Attr is set, numbered as ONNX AttributeProto.AttributeType.
type AttrKind int32

// Kinds of attribute.
const (
	AttrNone          AttrKind = 0
	AttrFloat         AttrKind = 1
	AttrInt           AttrKind = 2
	AttrString        AttrKind = 3
	AttrTensor        AttrKind = 4
	AttrGraph         AttrKind = 5
	AttrFloats        AttrKind = 6
	AttrInts          AttrKind = 7
	AttrStrings       AttrKind = 8
	AttrTensors       AttrKind = 9
	AttrGraphs        AttrKind = 10
	AttrSparseTensor  AttrKind = 11
	AttrSparseTensors AttrKind = 12
	AttrType          AttrKind = 13
	AttrTypes         AttrKind = 14
)

// Attr is a node attribute. Ref names the function parameter it stands for inside a Function.
type Attr struct {
	Name, Doc string
	Kind      AttrKind
	Ref       string
	F         float32
	I         int64
	S         []byte
	T         *Tensor
	G         *Graph
	Floats    []float32
	Ints      []int64
	Strings   [][]byte
	Tensors   []*Tensor
	Graphs    []*Graph
	Sparse    []*Sparse // one for AttrSparseTensor, any number for AttrSparseTensors
	Types     []Type    // one for AttrType, any number for AttrTypes
	Extra     []byte    // unknown protobuf fields
}

// IntAttr, IntsAttr, FloatAttr, StringAttr and TensorAttr build attributes.
func IntAttr(name string, v int) Attr { return Attr{Name: name, Kind: AttrInt, I: int64(v)} }

// IntsAttr builds an integer-list attribute.
func IntsAttr(name string, v ...int) Attr {
	a := Attr{Name: name, Kind: AttrInts, Ints: make([]int64, len(v))}
	for i, x := range v {
		a.Ints[i] = int64(x)
	}
	return a
}

// FloatAttr builds a float attribute.
func FloatAttr(name string, v float64) Attr {
	return Attr{Name: name, Kind: AttrFloat, F: float32(v)}
}

// StringAttr builds a string attribute.
func StringAttr(name, v string) Attr { return Attr{Name: name, Kind: AttrString, S: []byte(v)} }

// TensorAttr builds a tensor attribute.
func TensorAttr(name string, t *Tensor) Attr { return Attr{Name: name, Kind: AttrTensor, T: t} }
