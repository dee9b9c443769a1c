package ir

import (
	"fmt"
	"strconv"
	"strings"
)

// Dim is one dimension of a shape: a size, a name, or neither (unknown).
type Dim struct {
	Size       int    // -1 when not known
	Param      string // symbolic name such as "batch"; empty when none
	Denotation string
}

// Known reports whether the size is a number.
func (d Dim) Known() bool { return d.Size >= 0 }

// String prints the size, else the name, else "?".
func (d Dim) String() string {
	switch {
	case d.Size >= 0:
		return strconv.Itoa(d.Size)
	case d.Param != "":
		return d.Param
	}
	return "?"
}

// Kind says what a value is.
type Kind uint8

// Kinds of value.
const (
	KindNone Kind = iota // type not stated
	KindTensor
	KindSparse
	KindSequence
	KindMap
	KindOptional
	KindOpaque
)

// Type is the type of a value. Elem, Ranked and Shape speak of tensors; Inner
// of sequences, optionals and map values; Key of maps; Domain and Name of
// opaque types.
type Type struct {
	Kind         Kind
	Elem         DType
	Ranked       bool // false: the rank is unknown and Shape is nil
	Shape        []Dim
	Key          DType
	Inner        *Type
	Domain, Name string
	Denotation   string
}

// TensorType returns a tensor type of known sizes; a negative size is an unknown dimension.
func TensorType(elem DType, sizes ...int) Type {
	t := Type{Kind: KindTensor, Elem: elem, Ranked: true, Shape: make([]Dim, len(sizes))}
	for i, s := range sizes {
		t.Shape[i] = Dim{Size: max(s, -1)}
	}
	return t
}

// Static reports whether t is a tensor with every size known.
func (t Type) Static() bool {
	if t.Kind != KindTensor || !t.Ranked {
		return false
	}
	for _, d := range t.Shape {
		if d.Size < 0 {
			return false
		}
	}
	return true
}

// Sizes returns the sizes, -1 for unknown ones; nil when the rank is unknown.
func (t Type) Sizes() []int {
	if !t.Ranked {
		return nil
	}
	s := make([]int, len(t.Shape))
	for i, d := range t.Shape {
		s[i] = d.Size
	}
	return s
}

// Rank returns the number of dimensions, -1 when unknown.
func (t Type) Rank() int {
	if !t.Ranked {
		return -1
	}
	return len(t.Shape)
}

// Clone returns a deep copy.
func (t Type) Clone() Type {
	t.Shape = append([]Dim(nil), t.Shape...)
	if t.Inner != nil {
		in := t.Inner.Clone()
		t.Inner = &in
	}
	return t
}

// String prints for example "float32[batch,3,32,32]", "int64[]" (a scalar), "float32" (rank unknown).
func (t Type) String() string {
	switch t.Kind {
	case KindNone:
		return "none"
	case KindSequence:
		return "seq(" + t.inner() + ")"
	case KindOptional:
		return "optional(" + t.inner() + ")"
	case KindMap:
		return fmt.Sprintf("map(%s,%s)", t.Key, t.inner())
	case KindOpaque:
		return "opaque"
	}
	s := t.Elem.String()
	if t.Kind == KindSparse {
		s = "sparse " + s
	}
	if !t.Ranked {
		return s
	}
	parts := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		parts[i] = d.String()
	}
	return s + "[" + strings.Join(parts, ",") + "]"
}

func (t Type) inner() string {
	if t.Inner == nil {
		return "none"
	}
	return t.Inner.String()
}

// Accepts reports in what way got contradicts t; nil when got may stand where t
// is stated. What either side leaves open agrees with anything.
func (t Type) Accepts(got Type) error {
	conflict := func(what string) error { return fmt.Errorf("%s: want %s, got %s", what, t, got) }
	if t.Kind == KindNone || got.Kind == KindNone {
		return nil
	}
	if t.Kind != got.Kind {
		return conflict("kind")
	}
	switch t.Kind {
	case KindTensor, KindSparse:
		if t.Elem != got.Elem && t.Elem != Undefined && got.Elem != Undefined {
			return conflict("dtype")
		}
		if !t.Ranked || !got.Ranked {
			return nil
		}
		if len(t.Shape) != len(got.Shape) {
			return conflict("rank")
		}
		for i, d := range t.Shape {
			if g := got.Shape[i]; d.Known() && g.Known() && d.Size != g.Size {
				return conflict("shape")
			}
		}
	case KindMap:
		if t.Key != got.Key {
			return conflict("key")
		}
	case KindOpaque:
		if t.Domain != got.Domain || t.Name != got.Name {
			return conflict("name")
		}
	}
	if t.Inner != nil && got.Inner != nil {
		return t.Inner.Accepts(*got.Inner)
	}
	return nil
}
