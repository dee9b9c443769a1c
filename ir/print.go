package ir

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Print writes m in text form for people: tensors of more than 16 elements are
// shown by the hash of their data, so Parse refuses the text unless all are small.
//
//	graph main {
//	  input x float32[batch, 3, 32, 32]
//	  output y float32[batch, 10]
//	  init w float32[2, 2] = [1, 2, 3, 4]
//	  node conv1: (h) = Conv(x, w, _) kernel_shape=[3, 3] group=1
//	}
//
// A name stands bare where it is made of letters, digits and "_./-", else
// quoted; "_" is the empty name.
func Print(w io.Writer, m *Model) error { return printModel(w, m, false) }

// PrintFull writes m in text form with all data; Parse gives an equal model.
func PrintFull(w io.Writer, m *Model) error { return printModel(w, m, true) }

// smallTensor is the number of elements up to which data are written as numbers.
const smallTensor = 16

type printer struct {
	*bufio.Writer
	full   bool
	indent string
}

func printModel(w io.Writer, m *Model, full bool) error {
	p := &printer{Writer: bufio.NewWriter(w), full: full}
	p.model(m)
	return p.Flush()
}

// String prints the node on one line, data of large tensors left out.
func (n *Node) String() string {
	var b strings.Builder
	p := &printer{Writer: bufio.NewWriter(&b)}
	p.node(n)
	p.Flush()
	return strings.TrimSpace(b.String())
}

func (p *printer) f(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// open starts a block; the closing call ends it.
func (p *printer) open() (closing func()) {
	outer := p.indent
	p.f(" {\n")
	p.indent += "  "
	return func() {
		p.indent = outer
		p.f("%s}", outer)
	}
}

func (p *printer) line(format string, args ...any) {
	p.f("%s", p.indent)
	p.f(format, args...)
	p.f("\n")
}

func (p *printer) model(m *Model) {
	p.f("model")
	end := p.open()
	p.line("ir %d", m.IRVersion)
	p.opsets(m.Opsets)
	if m.ProducerName != "" || m.ProducerVersion != "" {
		p.line("producer %q %q", m.ProducerName, m.ProducerVersion)
	}
	if m.Domain != "" {
		p.line("domain %q", m.Domain)
	}
	if m.ModelVersion != 0 {
		p.line("version %d", m.ModelVersion)
	}
	p.about(m.Doc, m.Meta, m.Extra)
	end()
	p.f("\n")
	if m.Graph != nil {
		p.f("graph ")
		p.graph(m.Graph)
		p.f("\n")
	}
	for _, f := range m.Functions {
		p.function(f)
	}
}

func (p *printer) opsets(list []Opset) {
	for _, o := range list {
		p.line("opset %s %d", name(o.Domain), o.Version)
	}
}

// about prints what many things have, one line each.
func (p *printer) about(doc string, meta []Prop, extra []byte) {
	if doc != "" {
		p.line("doc %q", doc)
	}
	for _, kv := range meta {
		p.line("meta %q %q", kv.Key, kv.Value)
	}
	if len(extra) > 0 {
		p.line("extra %q", base64.StdEncoding.EncodeToString(extra))
	}
}

// tail prints the same on one line in braces.
func (p *printer) tail(doc string, meta []Prop, extra []byte) {
	var parts []string
	if doc != "" {
		parts = append(parts, fmt.Sprintf("doc %q", doc))
	}
	for _, kv := range meta {
		parts = append(parts, fmt.Sprintf("meta %q %q", kv.Key, kv.Value))
	}
	if len(extra) > 0 {
		parts = append(parts, fmt.Sprintf("extra %q", base64.StdEncoding.EncodeToString(extra)))
	}
	if len(parts) > 0 {
		p.f(" {%s}", strings.Join(parts, " "))
	}
}

func (p *printer) graph(g *Graph) {
	p.f("%s", name(g.Name))
	end := p.open()
	p.about(g.Doc, g.Meta, g.Extra)
	p.values("input", g.Inputs)
	p.values("output", g.Outputs)
	p.values("info", g.Info)
	for _, t := range g.Inits {
		p.f("%sinit ", p.indent)
		p.tensor(t)
		p.f("\n")
	}
	for _, s := range g.Sparse {
		p.f("%ssparse ", p.indent)
		p.sparse(s)
		p.f("\n")
	}
	for _, n := range g.Nodes {
		p.node(n)
	}
	end()
}

func (p *printer) function(f *Function) {
	p.f("function %s", operator(f.Domain, f.Name, f.Overload))
	end := p.open()
	p.opsets(f.Opsets)
	p.about(f.Doc, f.Meta, f.Extra)
	p.line("inputs (%s)", nameList(f.Inputs))
	p.line("outputs (%s)", nameList(f.Outputs))
	for _, a := range f.Attrs {
		p.line("attr %s", name(a))
	}
	for i := range f.Defaults {
		p.f("%sattr ", p.indent)
		p.attr(&f.Defaults[i])
		p.f("\n")
	}
	p.values("info", f.Info)
	for _, n := range f.Nodes {
		p.node(n)
	}
	end()
	p.f("\n")
}

func (p *printer) values(what string, vs []Value) {
	for _, v := range vs {
		p.f("%s%s %s %s", p.indent, what, name(v.Name), typeText(v.Type))
		p.tail(v.Doc, v.Meta, v.Extra)
		p.f("\n")
	}
}

func (p *printer) node(n *Node) {
	p.f("%snode %s: (%s) = %s(%s)", p.indent, name(n.Name), nameList(n.Outputs), operator(n.Domain, n.OpType, n.Overload), nameList(n.Inputs))
	p.tail(n.Doc, n.Meta, n.Extra)
	for i := range n.Attrs {
		p.f(" ")
		p.attr(&n.Attrs[i])
	}
	p.f("\n")
}

func (p *printer) attr(a *Attr) {
	p.f("%s=", name(a.Name))
	if a.Doc != "" || len(a.Extra) > 0 {
		p.tail(a.Doc, nil, a.Extra)
		p.f(" ")
	}
	switch {
	case a.Ref != "":
		p.f("ref %d %s", a.Kind, name(a.Ref))
	case a.Kind == AttrInt:
		p.f("%d", a.I)
	case a.Kind == AttrFloat:
		p.f("float %s", float32Text(a.F))
	case a.Kind == AttrString:
		p.f("%q", a.S)
	case a.Kind == AttrInts:
		p.f("[%s]", join(a.Ints, func(v int64) string { return strconv.FormatInt(v, 10) }))
	case a.Kind == AttrFloats:
		p.f("floats [%s]", join(a.Floats, float32Text))
	case a.Kind == AttrStrings:
		p.f("strings [%s]", join(a.Strings, func(s []byte) string { return strconv.Quote(string(s)) }))
	case a.Kind == AttrTensor && a.T != nil:
		p.f("tensor ")
		p.tensor(a.T)
	case a.Kind == AttrTensors:
		list(p, "tensors", a.Tensors, p.tensor)
	case a.Kind == AttrGraph && a.G != nil:
		p.f("graph ")
		p.graph(a.G)
	case a.Kind == AttrGraphs:
		list(p, "graphs", a.Graphs, p.graph)
	case a.Kind == AttrSparseTensor || a.Kind == AttrSparseTensors:
		list(p, "sparse"+plural(a.Kind == AttrSparseTensors), a.Sparse, p.sparse)
	case a.Kind == AttrType || a.Kind == AttrTypes:
		list(p, "type"+plural(a.Kind == AttrTypes), a.Types, func(t Type) { p.f("%s", typeText(t)) })
	default:
		p.f("none")
	}
}

func plural(many bool) string {
	if many {
		return "s"
	}
	return ""
}

func list[T any](p *printer, what string, vs []T, one func(T)) {
	p.f("%s [", what)
	for i, v := range vs {
		if i > 0 {
			p.f(", ")
		}
		one(v)
	}
	p.f("]")
}

func (p *printer) sparse(s *Sparse) {
	p.f("[%s] values ", join(s.Dims, strconv.Itoa))
	p.tensor(s.Values)
	p.f(" indices ")
	p.tensor(s.Indices)
}

func (p *printer) tensor(t *Tensor) {
	p.f("%s %s[%s] = ", name(t.Name), t.DType, join(t.Dims, strconv.Itoa))
	small := t.Check() == nil && t.Len() <= smallTensor
	switch {
	case t.DType == String:
		p.f("[%s]", join(t.Strings, func(s []byte) string { return strconv.Quote(string(s)) }))
	case small && (t.DType.IsFloat() || t.DType.IsInt() || t.DType == Bool):
		p.f("[%s]", strings.Join(elements(t), ", "))
	case small || p.full:
		p.f("base64 %q", base64.StdEncoding.EncodeToString(t.Raw))
	default:
		sum := sha256.Sum256(t.Raw)
		p.f("sha256 %q", hex.EncodeToString(sum[:]))
	}
	p.tail(t.Doc, t.Meta, t.Extra)
}
