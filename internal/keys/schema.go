package keys

import (
	"bytes"
	"encoding/json"
	"math"
)

// Schema returns the JSON Schema (draft 2020-12) of the files that Read takes and
// Check finds no fault in; the present values are its defaults. A default that is not
// finite is an error.
func Schema(v any, lists Lists, title, id string) ([]byte, error) {
	head := object{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"$id", id}, {"title", title}}
	return json.MarshalIndent(append(head, describe(tree(v), lists)...), "", "  ")
}

// object is a JSON object in an order of its own.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, m := range o {
		name, _ := json.Marshal(m.name)
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.WriteByte("{,"[min(i, 1)])
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	if len(o) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// describe returns the schema of a section or key.
func describe(n *node, lists Lists) object {
	var o object
	doc := n.doc
	if n.unit != "" {
		doc += " (" + n.unit + ")"
	}
	if doc != "" {
		o = object{{"description", doc}}
	}
	if n.shape == section {
		below := object{}
		for _, c := range n.below {
			below = append(below, member{c.name, describe(c, lists)})
		}
		return append(o, member{"type", "object"}, member{"properties", below}, member{"additionalProperties", false})
	}
	one := n.rules(lists)
	if n.list {
		o = append(o, member{"type", []string{"array", null}}, member{"items", one})
		if n.want.nonempty {
			o = append(o, member{"minItems", 1})
		}
	} else {
		o = append(o, one...)
	}
	if n.unset() {
		return o
	}
	values := []any{}
	for _, v := range n.values() {
		switch n.shape {
		case boolean:
			values = append(values, v.Bool())
		case text:
			values = append(values, n.format(v))
		default:
			values = append(values, json.Number(n.format(v)))
		}
	}
	if n.list {
		return append(o, member{"default", values})
	}
	return append(o, member{"default", values[0]})
}

// rules returns what holds for one value of a key.
func (n *node) rules(lists Lists) object {
	types := []string{string(n.shape)}
	if n.shape == text {
		types[0] = "string"
	}
	if n.coded {
		types = append(types, "number", "boolean", "object", "array")
	}
	var words []any
	for _, w := range lists.of(n) {
		words = append(words, w)
	}
	if n.optional {
		types = append(types, null)
		words = append(words, nil)
	}
	var o object
	if len(types) == 1 {
		o = append(o, member{"type", types[0]})
	} else {
		o = append(o, member{"type", types})
	}
	if n.oneof != "" {
		o = append(o, member{"enum", words})
	}
	bound := func(name, open string, at float64, isOpen bool) {
		if isOpen {
			name = open
		}
		if !math.IsInf(at, 0) {
			o = append(o, member{name, at})
		}
	}
	bound("minimum", "exclusiveMinimum", n.want.low, n.want.openLow)
	bound("maximum", "exclusiveMaximum", n.want.high, n.want.openHigh)
	if n.want.nonempty && !n.list {
		o = append(o, member{"minLength", 1})
	}
	return o
}
