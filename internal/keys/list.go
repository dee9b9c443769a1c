package keys

import "fmt"

// Lists gives the words that each oneof tag names.
type Lists map[string]func() []string

func (l Lists) of(n *node) []string {
	if n.oneof == "" {
		return nil
	}
	f, ok := l[n.oneof]
	if !ok {
		panic(fmt.Sprintf("BUG: keys: %s: no list %q", n.path, n.oneof))
	}
	return f()
}

// Key describes one key.
type Key struct {
	Path     string
	Doc      string
	Type     string   // boolean, integer, number or text, or "list of numbers" and the like
	Unit     string   // "" is none
	Want     string   // range as in the tag; "" is none
	Values   []string // allowed words; nil: any
	Optional bool     // null unsets it
	Value    string   // present value as Set takes it, but for commas within a list's texts; "null" if unset
}

// List returns all keys in field order.
func List(v any, lists Lists) []Key {
	var out []Key
	for _, n := range tree(v).leaves() {
		out = append(out, Key{Path: n.path, Doc: n.doc, Type: n.kind(), Unit: n.unit, Want: n.want.tag,
			Values: lists.of(n), Optional: n.optional || n.list, Value: n.text()})
	}
	return out
}
