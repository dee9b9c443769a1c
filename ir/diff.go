package ir

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
)

// Diff describes the first place where a and b differ, "" when they are equal.
// Nil and empty lists are equal; floats are compared by their bits.
func Diff(a, b *Model) string { return diff("model", reflect.ValueOf(a), reflect.ValueOf(b)) }

// DiffGraphs is Diff on two graphs.
func DiffGraphs(a, b *Graph) string { return diff("graph", reflect.ValueOf(a), reflect.ValueOf(b)) }

func diff(path string, a, b reflect.Value) string {
	unequal := func() string { return fmt.Sprintf("%s: %v and %v", path, a, b) }
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return fmt.Sprintf("%s: one of the two is missing", path)
			}
			return ""
		}
		return diff(path, a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if d := diff(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d and %d entries", path, a.Len(), b.Len())
		}
		if a.Type().Elem().Kind() == reflect.Uint8 && bytes.Equal(a.Bytes(), b.Bytes()) {
			return ""
		}
		for i := range a.Len() {
			if d := diff(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.String:
		if a.String() != b.String() {
			return fmt.Sprintf("%s: %q and %q", path, a.String(), b.String())
		}
		return ""
	case reflect.Float32, reflect.Float64:
		if math.Float64bits(a.Float()) != math.Float64bits(b.Float()) {
			return unequal()
		}
		return ""
	}
	if !a.Equal(b) {
		return unequal()
	}
	return ""
}
