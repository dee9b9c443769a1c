package ir

import (
	"encoding/binary"
	"math"
	"strconv"
)

// attr reads what stands behind "name=".
func (p *parser) attr(name string) Attr {
	a := Attr{Name: name}
	p.tail(&a.Doc, nil, &a.Extra)
	pos := p.next.pos
	switch {
	case p.next.kind == tokString:
		a.Kind, a.S = AttrString, []byte(p.str())
	case p.is("["):
		a.Kind = AttrInts
		p.items("[", "]", func() { a.Ints = append(a.Ints, p.int()) })
	case p.next.kind == tokWord && (p.next.text[0] >= '0' && p.next.text[0] <= '9' || p.next.text[0] == '-'):
		a.Kind, a.I = AttrInt, p.int()
	default:
		if kind := p.word(); p.err == nil && !p.kinded(&a, kind) {
			p.fail(pos, "attribute %q: %q is no kind of value", name, kind)
		}
	}
	return a
}

// kinded reads a value whose kind is named by a keyword.
func (p *parser) kinded(a *Attr, kind string) bool {
	switch kind {
	case "none":
	case "ref":
		pos := p.next.pos
		k := p.int()
		if k < 0 || k > int64(AttrTypes) {
			p.fail(pos, "want a kind from 0 to %d, got %d", AttrTypes, k)
		}
		a.Kind, a.Ref = AttrKind(k), p.name()
		if a.Ref == "" {
			p.fail(pos, "want the name of an attribute parameter")
		}
	case "float":
		a.Kind, a.F = AttrFloat, p.float32()
	case "floats":
		a.Kind = AttrFloats
		p.items("[", "]", func() { a.Floats = append(a.Floats, p.float32()) })
	case "strings":
		a.Kind = AttrStrings
		p.items("[", "]", func() { a.Strings = append(a.Strings, []byte(p.str())) })
	case "tensor":
		a.Kind, a.T = AttrTensor, p.tensor()
	case "tensors":
		a.Kind = AttrTensors
		p.items("[", "]", func() { a.Tensors = append(a.Tensors, p.tensor()) })
	case "graph":
		a.Kind, a.G = AttrGraph, p.graph()
	case "graphs":
		a.Kind = AttrGraphs
		p.items("[", "]", func() { a.Graphs = append(a.Graphs, p.graph()) })
	case "sparse", "sparses":
		a.Kind = AttrSparseTensor
		if kind == "sparses" {
			a.Kind = AttrSparseTensors
		}
		p.items("[", "]", func() { a.Sparse = append(a.Sparse, p.sparse()) })
	case "type", "types":
		a.Kind = AttrType
		if kind == "types" {
			a.Kind = AttrTypes
		}
		p.items("[", "]", func() { a.Types = append(a.Types, p.typ()) })
	default:
		return false
	}
	return true
}

func (p *parser) float32() float32 {
	pos := p.next.pos
	raw, err := element(nil, Float32, p.word())
	if err != nil {
		p.fail(pos, "%w", err)
		return 0
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(raw))
}

func (p *parser) dtype() DType {
	pos := p.next.pos
	d, err := ParseDType(p.word())
	if err != nil {
		p.fail(pos, "%w", err)
	}
	return d
}

func (p *parser) sizes() []int {
	var list []int
	p.items("[", "]", func() { list = append(list, int(p.int())) })
	return list
}

func (p *parser) sparse() *Sparse {
	s := &Sparse{Dims: p.sizes()}
	p.expect("values")
	s.Values = p.tensor()
	p.expect("indices")
	s.Indices = p.tensor()
	return s
}

func (p *parser) tensor() *Tensor {
	pos := p.next.pos
	t := &Tensor{Name: p.name(), DType: p.dtype(), Dims: p.sizes()}
	p.expect("=")
	switch {
	case p.is("["):
		p.items("[", "]", func() { p.element(t) })
	case t.DType != String && p.accept("base64"):
		t.Raw = p.bytes()
	case p.accept("sha256"):
		p.fail(pos, "tensor %q: its data are left out of the text; PrintFull writes them", t.Name)
	default:
		p.fail(p.next.pos, "want data, got %s", p.next)
	}
	if p.err == nil {
		if err := t.Check(); err != nil {
			p.fail(pos, "%w", err)
		}
	}
	p.tail(&t.Doc, &t.Meta, &t.Extra)
	return t
}

func (p *parser) element(t *Tensor) {
	if t.DType == String {
		t.Strings = append(t.Strings, []byte(p.str()))
		return
	}
	pos := p.next.pos
	raw, err := element(t.Raw, t.DType, p.word())
	if err != nil {
		p.fail(pos, "tensor %q: %w", t.Name, err)
		return
	}
	t.Raw = raw
}

func (p *parser) typ() Type {
	defer p.deeper()()
	var t Type
	inner := func() {
		if !p.is(")") {
			in := p.typ()
			t.Inner = &in
		}
		p.expect(")")
	}
	pos := p.next.pos
	kind := p.word()
	if p.err != nil {
		return t
	}
	composite := p.is("(")
	switch {
	case kind == "none":
	case composite && kind == "sparse":
		p.take()
		t.Kind = KindSparse
		t.Elem = p.dtype()
		p.shape(&t)
		p.expect(")")
	case composite && kind == "seq":
		p.take()
		t.Kind = KindSequence
		inner()
	case composite && kind == "optional":
		p.take()
		t.Kind = KindOptional
		inner()
	case composite && kind == "map":
		p.take()
		t.Kind = KindMap
		t.Key = p.dtype()
		p.expect(",")
		inner()
	case composite && kind == "opaque":
		p.take()
		t.Kind = KindOpaque
		t.Domain = p.name()
		p.expect(",")
		t.Name = p.name()
		p.expect(")")
	default:
		d, err := ParseDType(kind)
		if err != nil {
			p.fail(pos, "%w", err)
			return t
		}
		t.Kind, t.Elem = KindTensor, d
		p.shape(&t)
	}
	t.Denotation = p.denotation()
	return t
}

func (p *parser) denotation() string {
	if p.accept("~") {
		return p.str()
	}
	return ""
}

func (p *parser) shape(t *Type) {
	if !p.is("[") {
		return
	}
	t.Ranked = true
	p.items("[", "]", func() {
		d := Dim{Size: -1}
		switch {
		case p.accept("?"):
		case p.next.kind == tokWord && p.next.text[0] >= '0' && p.next.text[0] <= '9':
			pos := p.next.pos
			s := p.word()
			v, err := strconv.ParseInt(s, 10, 48)
			if err != nil {
				p.fail(pos, "want a size, got %q", s)
			}
			d.Size = int(v)
		default:
			d.Param = p.name()
		}
		d.Denotation = p.denotation()
		t.Shape = append(t.Shape, d)
	})
}
