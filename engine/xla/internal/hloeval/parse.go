package hloeval

import (
	"fmt"
	"strconv"
	"strings"
)

// Module is a parsed module with its function main.
type Module struct {
	Name    string
	Args    []Param
	Results []Param
	Body    []op
	// Partitions is the number of devices of the module's attributes, 0 without.
	Partitions int
}

// Param is an argument or a result of main with its attributes.
type Param struct {
	Name  string
	Type  Type
	Attrs map[string]string
}

type op struct {
	result  string // "" for a return
	results int    // how many
	name    string
	in      []string
	attrs   map[string]string
	regions []region
	inTypes []Type
	out     Type // of the first result
	outs    []Type
	line    int
}

// region is a block of scalar arguments.
type region struct {
	args []Param
	body []op
}

// parser reads text from a position on; its first error ends it.
type parser struct {
	s  string
	at int
}

type syntaxError struct{ text string }

func (p *parser) fail(format string, args ...any) {
	line := 1 + strings.Count(p.s[:min(p.at, len(p.s))], "\n")
	panic(syntaxError{fmt.Sprintf("hloeval: line %d: %s", line, fmt.Sprintf(format, args...))})
}

// Parse reads a module.
func Parse(text string) (m *Module, err error) {
	defer func() {
		if r := recover(); r != nil {
			s, ok := r.(syntaxError)
			if !ok {
				panic(r)
			}
			m, err = nil, fmt.Errorf("%s", s.text)
		}
	}()
	p := &parser{s: text}
	m = &Module{}
	p.want("module")
	p.want("@")
	m.Name = p.word()
	if p.try("attributes") {
		n, err := strconv.Atoi(strings.TrimSuffix(p.attrs()["mhlo.num_partitions"], " : i32"))
		if err != nil || n < 1 {
			p.fail("mhlo.num_partitions: want N : i32")
		}
		m.Partitions = n
	}
	p.want("{")
	for p.try("sdy.mesh") {
		p.want("@")
		p.word()
		p.want("=")
		p.balanced('\n')
	}
	p.want("func.func")
	p.want("@main")
	p.want("(")
	m.Args = p.params(true)
	p.want("->")
	p.want("(")
	m.Results = p.params(false)
	p.want("{")
	m.Body = p.ops()
	p.want("}")
	p.want("}")
	if p.skip(); p.at != len(p.s) {
		p.fail("want the end, got %q", p.rest())
	}
	m.check()
	return m, nil
}

// check tells whether every operand is a value defined before, of the type written,
// and every value is defined once.
func (m *Module) check() {
	known := map[string]Type{}
	for _, a := range m.Args {
		known[a.Name] = a.Type
	}
	for _, o := range m.Body {
		bad := func(format string, args ...any) {
			panic(syntaxError{fmt.Sprintf("hloeval: line %d: %s: %s", o.line, o.name, fmt.Sprintf(format, args...))})
		}
		if len(o.in) != len(o.inTypes) {
			bad("want a type for each of %d operands, got %d", len(o.in), len(o.inTypes))
		}
		for k, name := range o.in {
			if t, ok := known[name]; !ok || !t.Equal(o.inTypes[k]) {
				bad("operand %%%s: want a value of type %v, got %v", name, o.inTypes[k], t)
			}
		}
		for k, t := range o.outs {
			name := o.result
			if o.results > 1 {
				name = fmt.Sprintf("%s#%d", o.result, k)
			}
			if _, twice := known[name]; twice {
				bad("%%%s is defined twice", name)
			}
			known[name] = t
		}
	}
}

func (p *parser) rest() string { return p.s[p.at:min(len(p.s), p.at+24)] }

func (p *parser) skip() {
	for p.at < len(p.s) && strings.IndexByte(" \t\n", p.s[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) try(token string) bool {
	p.skip()
	if !strings.HasPrefix(p.s[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *parser) want(token string) {
	if !p.try(token) {
		p.fail("want %q, got %q", token, p.rest())
	}
}

func (p *parser) word() string {
	p.skip()
	from := p.at
	for p.at < len(p.s) && (p.s[p.at] == '_' || p.s[p.at] == '.' || p.s[p.at] >= '0' && p.s[p.at] <= '9' || p.s[p.at] >= 'a' && p.s[p.at] <= 'z' || p.s[p.at] >= 'A' && p.s[p.at] <= 'Z') {
		p.at++
	}
	if from == p.at {
		p.fail("want a word, got %q", p.rest())
	}
	return p.s[from:p.at]
}

// value reads %name, or %name#i, one of several results.
func (p *parser) value() string {
	p.want("%")
	name := p.word()
	if p.at < len(p.s) && p.s[p.at] == '#' {
		p.at++
		name += "#" + p.word()
	}
	return name
}

func (p *parser) quoted() string {
	p.want(`"`)
	end := strings.IndexByte(p.s[p.at:], '"')
	if end < 0 {
		p.fail("want a closing quote")
	}
	s := p.s[p.at : p.at+end]
	p.at += end + 1
	return s
}

// balanced reads raw text up to one of the stops outside of brackets and quotes.
func (p *parser) balanced(stops ...byte) string {
	p.skip()
	from, depth := p.at, 0
	for ; p.at < len(p.s); p.at++ {
		c := p.s[p.at]
		if depth == 0 && strings.IndexByte(string(stops), c) >= 0 {
			break
		}
		switch c {
		case '"':
			end := strings.IndexByte(p.s[p.at+1:], '"')
			if end < 0 {
				p.fail("want a closing quote")
			}
			p.at += end + 1
		case '<', '[', '{', '(':
			depth++
		case '>', ']', '}', ')':
			if c == '>' && p.at > 0 && p.s[p.at-1] == '-' {
				continue
			}
			depth--
		}
		if depth < 0 {
			p.fail("want brackets in pairs, got %q", p.rest())
		}
	}
	return strings.TrimSpace(p.s[from:p.at])
}

// attrs reads { name = value, … }.
func (p *parser) attrs() map[string]string {
	out := map[string]string{}
	p.want("{")
	for !p.try("}") {
		if len(out) > 0 {
			p.want(",")
		}
		name := p.word()
		p.want("=")
		if _, twice := out[name]; twice {
			p.fail("attribute %q is given twice", name)
		}
		out[name] = p.balanced(',', '}')
	}
	return out
}

// params reads a list to its closing parenthesis; results have no names.
func (p *parser) params(named bool) []Param {
	var out []Param
	for !p.try(")") {
		if len(out) > 0 {
			p.want(",")
		}
		var a Param
		if named {
			a.Name = p.value()
			p.want(":")
		}
		a.Type = p.typ()
		if p.peek('{') {
			a.Attrs = p.attrs()
		}
		out = append(out, a)
	}
	return out
}

func (p *parser) peek(c byte) bool {
	p.skip()
	return p.at < len(p.s) && p.s[p.at] == c
}

// typ reads tensor<2x3xf32>.
func (p *parser) typ() Type {
	p.want("tensor<")
	end := strings.IndexByte(p.s[p.at:], '>')
	if end < 0 {
		p.fail("want a tensor type, got %q", p.rest())
	}
	parts := strings.Split(p.s[p.at:p.at+end], "x")
	t := Type{Elem: parts[len(parts)-1]}
	switch t.Elem {
	case "f32", "f64", "f16", "bf16", "i32", "i64", "i1":
	default:
		p.fail("want an element type, got %q", t.Elem)
	}
	for _, s := range parts[:len(parts)-1] {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			p.fail("want a size, got %q", s)
		}
		t.Shape = append(t.Shape, n)
	}
	p.at += end + 1
	return t
}

// ops reads operations up to the closing brace.
func (p *parser) ops() []op {
	var out []op
	for !p.peek('}') {
		out = append(out, p.op())
	}
	return out
}

func (p *parser) op() op {
	var o op
	if p.peek('%') {
		o.result, o.results = p.value(), 1
		if p.try(":") {
			n, err := strconv.Atoi(p.word())
			if err != nil || n < 2 {
				p.fail("%%%s: want a number of results", o.result)
			}
			o.results = n
		}
		p.want("=")
	}
	o.line = 1 + strings.Count(p.s[:p.at], "\n")
	o.name = p.quoted()
	p.want("(")
	for !p.try(")") {
		if len(o.in) > 0 {
			p.want(",")
		}
		o.in = append(o.in, p.value())
	}
	if p.try("(") {
		for len(o.regions) == 0 || p.try(",") {
			o.regions = append(o.regions, p.region())
		}
		p.want(")")
	}
	o.attrs = map[string]string{}
	if p.peek('{') {
		o.attrs = p.attrs()
	}
	p.want(":")
	p.want("(")
	for !p.try(")") {
		if len(o.inTypes) > 0 {
			p.want(",")
		}
		o.inTypes = append(o.inTypes, p.typ())
	}
	p.want("->")
	switch {
	case o.result == "":
		p.want("()")
		return o
	case o.results == 1:
		o.outs = []Type{p.typ()}
	default:
		p.want("(")
		for i := range o.results {
			if i > 0 {
				p.want(",")
			}
			o.outs = append(o.outs, p.typ())
		}
		p.want(")")
	}
	o.out = o.outs[0]
	return o
}

func (p *parser) region() region {
	var r region
	p.want("{")
	p.want("^")
	p.word()
	p.want("(")
	r.args = p.params(true)
	p.want(":")
	r.body = p.ops()
	p.want("}")
	return r
}
