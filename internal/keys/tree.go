package keys

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// shape is what a value looks like in a file.
type shape string

const (
	section shape = "section"
	boolean shape = "boolean"
	integer shape = "integer"
	number  shape = "number"
	text    shape = "text"
)

// node is a field of the struct: a section with nodes below it, or a key.
type node struct {
	name, path string
	doc, unit  string
	oneof      string
	want       want
	shape      shape
	coded      bool // by MarshalText and UnmarshalText; the shape is text
	list       bool // of values of the shape
	optional   bool // behind a pointer
	elem       reflect.Type
	value      reflect.Value // the field itself, settable
	below      []*node
}

var keyName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// tree reads the struct that v points to.
func tree(v any) *node {
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Pointer || r.IsNil() || r.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("BUG: keys: want a pointer to a struct, got %T", v))
	}
	root := &node{shape: section}
	root.grow(r.Elem())
	return root
}

// grow adds the fields of a struct below n.
func (n *node) grow(s reflect.Value) {
	for i := range s.NumField() {
		f := s.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		kind := f.Type.Kind()
		bad := func(format string, args ...any) {
			panic(fmt.Sprintf("BUG: keys: %s.%s: %s", s.Type(), f.Name, fmt.Sprintf(format, args...)))
		}
		inline := f.Anonymous && name == "" && kind == reflect.Struct && !isCoded(f.Type)
		switch {
		case name == "-" || kind == reflect.Func || kind == reflect.Interface:
			continue
		case inline:
			n.grow(s.Field(i))
			continue
		case !f.IsExported():
			continue
		case !keyName.MatchString(name):
			bad("want a json tag with a name of letters, digits, _ and -, got %q", name)
		case n.child(name) != nil:
			bad("name %q: given twice", name)
		}
		c := &node{name: name, path: join(n.path, name), value: s.Field(i),
			doc: f.Tag.Get("doc"), unit: f.Tag.Get("unit"), oneof: f.Tag.Get("oneof")}
		if !c.classify(f.Type) {
			bad("type %s is no value of a key", f.Type)
		}
		if err := c.tags(f.Tag.Get("want")); err != nil {
			bad("%v", err)
		}
		if c.shape == section {
			c.grow(c.value)
		}
		n.below = append(n.below, c)
	}
}

// classify sets the shape of a field's type and reports whether there is one.
func (n *node) classify(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		n.optional, t = true, t.Elem()
	}
	if n.coded = isCoded(t); !n.coded && t.Kind() == reflect.Slice {
		n.list, t = true, t.Elem()
	}
	n.elem = t
	switch t.Kind() {
	case reflect.Bool:
		n.shape = boolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n.shape = integer
	case reflect.Float32, reflect.Float64:
		n.shape = number
	case reflect.String:
		n.shape = text
	case reflect.Struct:
		n.shape = section
	}
	if n.coded {
		n.shape = text
		return true
	}
	return n.shape != "" && !(n.list && (n.optional || isCoded(t))) && !(n.shape == section && (n.list || n.optional))
}

// tags reads the range and checks that the tags suit the shape.
func (n *node) tags(tag string) error {
	if tag == "" && n.unsigned() {
		tag = ">=0"
	}
	var ok bool
	n.want, ok = parseWant(tag)
	switch {
	case !ok:
		return fmt.Errorf("want:%q: want >, >=, < or <= and a number, an interval such as [0,1), or nonempty", tag)
	case n.want.phrase != "" && n.shape != number && n.shape != integer, n.want.nonempty && n.shape != text && !n.list:
		return fmt.Errorf("want:%q does not suit type %s", tag, n.kind())
	case n.oneof != "" && n.shape != text:
		return fmt.Errorf("oneof:%q does not suit type %s", n.oneof, n.kind())
	}
	return nil
}

func (n *node) unsigned() bool {
	return n.shape == integer && n.elem.Kind() >= reflect.Uint && n.elem.Kind() <= reflect.Uint64
}

// kind names the type for tables.
func (n *node) kind() string {
	if n.list {
		return "list of " + string(n.shape) + "s"
	}
	return string(n.shape)
}

// child returns the node of a name right below n, or nil.
func (n *node) child(name string) *node {
	for _, c := range n.below {
		if c.name == name {
			return c
		}
	}
	return nil
}

// names returns the names right below n.
func (n *node) names() []string {
	var out []string
	for _, c := range n.below {
		out = append(out, c.name)
	}
	return out
}

// all returns every node below n, in field order.
func (n *node) all() []*node {
	var out []*node
	for _, c := range n.below {
		out = append(append(out, c), c.all()...)
	}
	return out
}

// leaves returns every key below n, in field order.
func (n *node) leaves() []*node {
	var out []*node
	for _, c := range n.all() {
		if c.shape != section {
			out = append(out, c)
		}
	}
	return out
}

// unset reports a nil pointer or list.
func (n *node) unset() bool { return (n.optional || n.list) && n.value.IsNil() }

// values returns the value behind a pointer, a list's elements, or the value itself.
func (n *node) values() []reflect.Value {
	switch {
	case n.unset():
		return nil
	case n.optional:
		return []reflect.Value{n.value.Elem()}
	case n.list:
		out := make([]reflect.Value, n.value.Len())
		for i := range out {
			out[i] = n.value.Index(i)
		}
		return out
	}
	return []reflect.Value{n.value}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

var (
	marshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isCoded reports a type that writes and reads itself as text.
func isCoded(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(marshaler) && p.Implements(unmarshaler)
}
