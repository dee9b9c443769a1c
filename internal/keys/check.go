package keys

import (
	"math"
	"reflect"
	"slices"
	"strings"
)

// Fault is a value that a key does not take.
type Fault struct {
	Key, Want, Got string   // Key is "" for the whole
	Near           []string // words that may be meant
}

func (f *Fault) Error() string {
	s := "want " + f.Want + ", got " + f.Got
	if f.Key != "" {
		s = f.Key + ": " + s
	}
	if f.Near != nil {
		s += "; did you mean " + strings.Join(f.Near, " or ") + "?"
	}
	return s
}

// Check returns a *Fault for every value outside its range or words, or not finite,
// in field order. A value that is unset has no faults.
func Check(v any, lists Lists) []error {
	var out []error
	for _, n := range tree(v).leaves() {
		words := lists.of(n)
		if n.unset() {
			continue
		}
		if n.list && n.want.nonempty && n.value.Len() == 0 {
			out = append(out, &Fault{Key: n.path, Want: "a list that is not empty", Got: "[]"})
		}
		for _, x := range n.values() {
			if f := n.check(x, words); f != nil {
				out = append(out, f)
			}
		}
	}
	return out
}

// check returns the fault of one value, or nil.
func (n *node) check(v reflect.Value, words []string) *Fault {
	s := n.format(v)
	switch n.shape {
	case number, integer:
		if x := n.float(v); math.IsNaN(x) || math.IsInf(x, 0) {
			return &Fault{Key: n.path, Want: "a finite number" + n.want.phrase, Got: s}
		} else if !n.want.holds(x) {
			return &Fault{Key: n.path, Want: n.wanted(), Got: s}
		}
	case text:
		if n.oneof != "" && !slices.Contains(words, s) {
			return &Fault{Key: n.path, Want: "one of " + strings.Join(words, ", "), Got: quoted(s), Near: Nearest(s, words)}
		}
		if n.want.nonempty && !n.list && s == "" {
			return &Fault{Key: n.path, Want: n.wanted(), Got: `""`}
		}
	}
	return nil
}

func (n *node) float(v reflect.Value) float64 {
	switch {
	case n.shape == number:
		return v.Float()
	case n.unsigned():
		return float64(v.Uint())
	}
	return float64(v.Int())
}
