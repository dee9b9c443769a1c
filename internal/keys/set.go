package keys

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Set gives a key the value of a text, as after --set: a list's elements stand
// between commas, those of numbers in brackets or not, and "null" unsets what can be unset. Ranges and words are Check's.
// On an error the value stays.
func Set(v any, path, text string) error {
	root := tree(v)
	n := root.find(path)
	switch {
	case n == nil:
		return root.unknown(path)
	case n.shape == section:
		return fmt.Errorf("%s: want a key of this section, one of %s", path, strings.Join(n.names(), ", "))
	case (n.list || n.optional) && text == null:
		n.value.SetZero()
		return nil
	}
	if inner, ok := strings.CutPrefix(text, "["); ok && n.list && (n.shape == number || n.shape == integer) {
		text = strings.TrimSuffix(inner, "]") // as YAML writes a list
	}
	parts := []string{text}
	if n.list && text == "" {
		parts = nil
	} else if n.list {
		parts = strings.Split(text, ",")
	}
	var values []reflect.Value
	for _, p := range parts {
		if n.list {
			p = strings.TrimSpace(p)
		}
		x, err := n.parse(p)
		if err != nil {
			return err
		}
		values = append(values, x)
	}
	n.value.Set(n.wrap(values...))
	return nil
}

// find returns the node of a path, or nil.
func (n *node) find(path string) *node {
	for name := range strings.SplitSeq(path, ".") {
		if n = n.child(name); n == nil {
			return nil
		}
	}
	return n
}

// unknown is the error of a path below n, the root, that is no key.
func (n *node) unknown(path string) error {
	if near := n.near(path); near != nil {
		return fmt.Errorf("%s: no such key; did you mean %s?", shown(path), strings.Join(near, " or "))
	}
	for name := range strings.SplitSeq(path, ".") {
		c := n.child(name)
		if c == nil || c.shape != section {
			break
		}
		n = c
	}
	return fmt.Errorf("%s: no such key; want one of %s", shown(path), strings.Join(n.names(), ", "))
}

// shown returns a path as errors name it, in quotes if it cannot be one.
func shown(path string) string {
	for name := range strings.SplitSeq(path, ".") {
		if !keyName.MatchString(name) {
			return quoted(path)
		}
	}
	return path
}

// near returns the paths that a wrong path may mean: those whose last name is nearest,
// and of several those that are near as a whole.
func (n *node) near(path string) []string {
	last := path[strings.LastIndexByte(path, '.')+1:]
	var names, paths []string
	for _, c := range n.all() {
		names = append(names, c.name)
	}
	names = Nearest(last, names)
	for _, c := range n.all() {
		if slices.Contains(names, c.name) {
			paths = append(paths, c.path)
		}
	}
	if whole := Nearest(path, paths); whole != nil {
		return whole
	}
	return paths
}
