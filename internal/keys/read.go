package keys

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Read sets the keys that a YAML or JSON file names; the others keep their values, as
// does a key with nothing after it. The word null unsets a pointer or a list and
// leaves any other alone. A type with UnmarshalText also takes a mapping, as the text
// "k=v,k=v", and a list, as "a,b". Ranges and words are Check's.
//
// The error joins all faults, each "job: FILE:LINE:COLUMN: KEY: …", and on one the
// struct stays as it was. The file is one document of at most 256 KiB and
// 10000 tokens, without anchors, aliases, tags, directives and complex keys.
func Read(v any, file string, text []byte) error {
	root := tree(v)
	r := &reader{file: file, root: root}
	if body := r.body(text); body != nil {
		r.section(root, body)
	}
	if r.faults != nil {
		return errors.Join(r.faults...)
	}
	for _, s := range r.sets {
		s.field.Set(s.value)
	}
	return nil
}

type reader struct {
	file   string
	root   *node
	faults []error
	sets   []setting
}

// setting waits until the whole file is read.
type setting struct{ field, value reflect.Value }

// fault notes an error at a position; 0 for one of the whole file.
func (r *reader) fault(line, column int, err error) {
	at := r.file
	if line > 0 {
		at = fmt.Sprintf("%s:%d:%d", r.file, line, column)
	}
	r.faults = append(r.faults, fmt.Errorf("job: %s: %w", at, err))
}

func (r *reader) at(n ast.Node, err error) {
	line, column := 0, 0
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	if n != nil && n.GetToken() != nil {
		line, column = n.GetToken().Position.Line, n.GetToken().Position.Column
	}
	r.fault(line, column, err)
}

// section reads a mapping into the keys below n.
func (r *reader) section(n *node, y ast.Node) {
	if form(y) == empty {
		return
	}
	m, ok := y.(*ast.MappingNode)
	if !ok {
		r.at(y, &Fault{Key: n.path, Want: "a mapping of keys to values", Got: show(y)})
		return
	}
	r.each(n.path, m, func(key string, v *ast.MappingValueNode) {
		c, path := n.child(key), join(n.path, key)
		switch {
		case path == "$schema": // what editors check the file by
		case c != nil && c.shape == section:
			r.section(c, v.Value)
		case c != nil:
			r.key(c, v.Value)
		case r.root.find(path) != nil:
			r.at(v.Key, &Fault{Key: path, Want: "each part of the path as a section of its own", Got: quoted(key)})
		default:
			r.at(v.Key, r.root.unknown(path))
		}
	})
}

// each calls f for every key of a mapping and refuses those given twice.
func (r *reader) each(path string, m *ast.MappingNode, f func(key string, v *ast.MappingValueNode)) {
	first := map[string]int{}
	for _, v := range m.Values {
		key, is := content(v.Key), form(v.Key)
		switch {
		case is == nested || is == empty:
			r.at(v.Key, &Fault{Key: path, Want: "a word as key", Got: show(v.Key)})
		case first[key] > 0:
			r.at(v.Key, fmt.Errorf("%s: given twice, first in line %d", shown(join(path, key)), first[key]))
		default:
			first[key] = v.Key.GetToken().Position.Line
			f(key, v)
		}
	}
}

// key reads one key's value.
func (r *reader) key(n *node, y ast.Node) {
	before := len(r.faults)
	list, isList := y.(*ast.SequenceNode)
	fields, isMap := y.(*ast.MappingNode)
	var values []reflect.Value
	add := func(s string, at ast.Node) {
		v, err := n.parse(s)
		if err != nil {
			r.at(at, err)
		}
		values = append(values, v)
	}
	switch {
	case form(y) == empty:
		if (n.list || n.optional) && y.GetToken().Type != token.ImplicitNullType {
			r.sets = append(r.sets, setting{n.value, reflect.Zero(n.value.Type())})
		}
		return
	case n.list && !isList:
		r.at(y, &Fault{Key: n.path, Want: "a list of " + n.wanted(), Got: show(y)})
	case n.list:
		for _, e := range list.Values {
			if r.suits(n, e) {
				add(content(e), e)
			}
		}
	case n.coded && (isList || isMap):
		var parts []string
		part := func(prefix string, e ast.Node) {
			if r.suits(n, e) {
				parts = append(parts, prefix+content(e))
			}
		}
		if isList {
			for _, e := range list.Values {
				part("", e)
			}
		} else {
			r.each(n.path, fields, func(key string, v *ast.MappingValueNode) { part(key+"=", v.Value) })
		}
		if len(r.faults) == before {
			add(strings.Join(parts, ","), y)
		}
	case r.suits(n, y):
		add(content(y), y)
	}
	if len(r.faults) == before {
		r.sets = append(r.sets, setting{n.value, n.wrap(values...)})
	}
}

// suits notes a fault unless a node is a scalar and not one that its quotes, or the
// lack of them, make another type than the key's.
func (r *reader) suits(n *node, y ast.Node) bool {
	want := n.wanted()
	switch f := form(y); {
	case f == nested || f == empty:
	case n.coded, n.shape == text && f != literal, n.shape != text && f != inQuotes:
		return true
	case n.shape == text:
		want = fmt.Sprintf("text (%s in quotes)", quoted(content(y)))
	default:
		want += " without quotes"
	}
	r.at(y, &Fault{Key: n.path, Want: want, Got: show(y)})
	return false
}
