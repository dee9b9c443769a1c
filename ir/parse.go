package ir

import (
	"encoding/base64"
	"strconv"
)

// Parse reads the text form that PrintFull writes. It checks the text, and the
// sizes of tensors, but not the model: run Verify on the result. Errors name
// line and column.
func Parse(text string) (*Model, error) {
	p := &parser{lexer: newLexer(text)}
	m := p.model()
	if p.err != nil {
		return nil, p.err
	}
	return m, nil
}

// deepest bounds the nesting of graphs and types.
const deepest = 64

type parser struct {
	*lexer
	depth int
}

// is reports whether the next token is this punctuation or keyword.
func (p *parser) is(text string) bool {
	return (p.next.kind == tokPunct || p.next.kind == tokWord) && p.next.text == text
}

// accept takes the next token if it is text.
func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.take()
		return true
	}
	return false
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.fail(p.next.pos, "want '%s', got %s", text, p.next)
	}
}

func (p *parser) word() string {
	if p.next.kind != tokWord {
		p.fail(p.next.pos, "want a word, got %s", p.next)
		return ""
	}
	return p.take().text
}

func (p *parser) str() string {
	if p.next.kind != tokString {
		p.fail(p.next.pos, "want quoted text, got %s", p.next)
		return ""
	}
	return p.take().text
}

// name reads a bare or quoted name; "_" is the empty one.
func (p *parser) name() string {
	switch {
	case p.next.kind == tokString:
		return p.take().text
	case p.next.kind == tokWord:
		if s := p.take().text; s != "_" {
			return s
		}
		return ""
	}
	p.fail(p.next.pos, "want a name, got %s", p.next)
	return ""
}

func (p *parser) int() int64 {
	pos := p.next.pos
	s := p.word()
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		p.fail(pos, "want an integer, got %q", s)
	}
	return v
}

func (p *parser) bytes() []byte {
	pos := p.next.pos
	b, err := base64.StdEncoding.DecodeString(p.str())
	if err != nil {
		p.fail(pos, "want base64: %v", err)
	}
	return b
}

// items reads open, things separated by commas, close.
func (p *parser) items(open, close string, one func()) {
	p.expect(open)
	for p.err == nil && !p.is(close) {
		one()
		if !p.accept(",") {
			break
		}
	}
	p.expect(close)
}

func (p *parser) names() []string {
	var list []string
	p.items("(", ")", func() { list = append(list, p.name()) })
	return list
}

// deeper guards recursion; call the result when done.
func (p *parser) deeper() func() {
	if p.depth++; p.depth > deepest {
		p.fail(p.next.pos, "nested more than %d deep", deepest)
	}
	return func() { p.depth-- }
}

// block reads statements in braces; one gets the keyword.
func (p *parser) block(one func(key string) bool) {
	p.expect("{")
	for p.err == nil && !p.accept("}") {
		pos := p.next.pos
		key := p.word()
		if p.err == nil && !one(key) {
			p.fail(pos, "%q does not belong here", key)
		}
	}
}

// about reads the statements that many things have.
func (p *parser) about(key string, doc *string, meta *[]Prop, extra *[]byte) bool {
	switch {
	case key == "doc":
		*doc = p.str()
	case key == "meta" && meta != nil:
		k := p.str()
		*meta = append(*meta, Prop{Key: k, Value: p.str()})
	case key == "extra":
		*extra = p.bytes()
	default:
		return false
	}
	return true
}

// tail reads the same in braces where the next token opens them.
func (p *parser) tail(doc *string, meta *[]Prop, extra *[]byte) {
	if p.is("{") {
		p.block(func(key string) bool { return p.about(key, doc, meta, extra) })
	}
}

func (p *parser) model() *Model {
	m := &Model{}
	p.expect("model")
	p.block(func(key string) bool {
		switch key {
		case "ir":
			m.IRVersion = p.int()
		case "opset":
			m.Opsets = append(m.Opsets, p.opset())
		case "producer":
			m.ProducerName = p.str()
			m.ProducerVersion = p.str()
		case "domain":
			m.Domain = p.str()
		case "version":
			m.ModelVersion = p.int()
		default:
			return p.about(key, &m.Doc, &m.Meta, &m.Extra)
		}
		return true
	})
	if p.accept("graph") {
		m.Graph = p.graph()
	}
	for p.accept("function") {
		m.Functions = append(m.Functions, p.function())
	}
	if p.err == nil && p.next.kind != tokEOF {
		p.fail(p.next.pos, "want the end, got %s", p.next)
	}
	return m
}

func (p *parser) opset() Opset {
	d := p.name()
	return Opset{Domain: d, Version: p.int()}
}

func (p *parser) graph() *Graph {
	defer p.deeper()()
	g := &Graph{Name: p.name()}
	p.block(func(key string) bool {
		switch key {
		case "input":
			g.Inputs = append(g.Inputs, p.value())
		case "output":
			g.Outputs = append(g.Outputs, p.value())
		case "info":
			g.Info = append(g.Info, p.value())
		case "init":
			g.Inits = append(g.Inits, p.tensor())
		case "sparse":
			g.Sparse = append(g.Sparse, p.sparse())
		case "node":
			g.Nodes = append(g.Nodes, p.node())
		default:
			return p.about(key, &g.Doc, &g.Meta, &g.Extra)
		}
		return true
	})
	return g
}

func (p *parser) function() *Function {
	f := &Function{}
	f.Domain, f.Name, f.Overload = p.operator()
	p.block(func(key string) bool {
		switch key {
		case "opset":
			f.Opsets = append(f.Opsets, p.opset())
		case "inputs":
			f.Inputs = p.names()
		case "outputs":
			f.Outputs = p.names()
		case "attr":
			if a := p.name(); p.accept("=") {
				f.Defaults = append(f.Defaults, p.attr(a))
			} else {
				f.Attrs = append(f.Attrs, a)
			}
		case "info":
			f.Info = append(f.Info, p.value())
		case "node":
			f.Nodes = append(f.Nodes, p.node())
		default:
			return p.about(key, &f.Doc, &f.Meta, &f.Extra)
		}
		return true
	})
	return f
}

// operator reads domain::Name@overload.
func (p *parser) operator() (domain, op, overload string) {
	op = p.name()
	if p.accept("::") {
		domain, op = op, p.name()
	}
	if p.accept("@") {
		overload = p.name()
	}
	return domain, op, overload
}

func (p *parser) node() *Node {
	n := &Node{Name: p.name()}
	p.expect(":")
	n.Outputs = p.names()
	p.expect("=")
	n.Domain, n.OpType, n.Overload = p.operator()
	n.Inputs = p.names()
	p.tail(&n.Doc, &n.Meta, &n.Extra)
	for p.err == nil && (p.next.kind == tokWord || p.next.kind == tokString) {
		// An attribute is a name with '=' behind it; anything else starts the next statement.
		save, next := p.at, p.next
		a := p.name()
		if !p.accept("=") {
			if p.err == nil {
				p.at, p.next = save, next
			}
			break
		}
		n.Attrs = append(n.Attrs, p.attr(a))
	}
	return n
}

func (p *parser) value() Value {
	v := Value{Name: p.name()}
	v.Type = p.typ()
	p.tail(&v.Doc, &v.Meta, &v.Extra)
	return v
}
