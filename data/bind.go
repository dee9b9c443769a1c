package data

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
)

// ModelInput is an input of a model that batches are to feed.
type ModelInput struct {
	Name string
	// Shape has the batch axis first; -1 stands for an open size. Nil is an unknown rank.
	Shape []int
	// Dims names open dimensions by axis; "", or the end of the list, is no name.
	Dims []string
	// From and Kept tell of an input that takes part of what the data may hold: their sizes,
	// batch first and -1 for open ones, and the positions that it takes of each axis, nil for
	// all. Nil is no such input.
	From []int
	Kept [][]int
	// Past is the axis behind the batch along which an input holds what earlier calls left;
	// 0 is none. Without a field the input takes no position of it.
	Past int
	// Integer says that the elements are no floats.
	Integer bool
	// Table names the smallest table that the elements are positions in, and Rows is its
	// length; "" for none.
	Table string
	Rows  int
}

// Binding says which fields of a set feed a model, and what they make of its open sizes.
type Binding struct {
	// Fields holds, per model input, the position of its field in Set.Fields; -1 for an
	// empty past.
	Fields []int
	// Kept holds, per model input, the positions that it takes of each axis of its field;
	// nil for all.
	Kept [][][]int
	// Batch is the batch size that the inputs fix; 0 when they leave it open.
	Batch int
	// Dims holds the sizes of open dimensions behind the batch, by their names, or by
	// "input:axis" where they have none.
	Dims map[string]int

	leading []string // names of open batch axes
}

// Sizes returns Dims together with the named batch axes, which take batch. A dimension
// that would be two sizes is an error.
func (b *Binding) Sizes(batch int) (map[string]int, error) {
	sizes := maps.Clone(b.Dims)
	for _, name := range b.leading {
		if n, ok := b.Dims[name]; ok && n != batch {
			return nil, fmt.Errorf("data: dimension %q would be both the batch, %d, and %d", name, batch, n)
		}
		sizes[name] = batch
	}
	return sizes, nil
}

// Bind finds the field for every model input. An input takes the field of its name; a
// model with one input takes the only field that is not optional, whatever their names.
// Inputs that are left over, when just as many fields that are not optional are, take
// those whose shape and kind of number fit, if exactly one assignment does. A past that no
// field fits is empty. Every field that is not optional must have its input, or the name of one of
// unread, inputs that the model reads nothing of. All faults are reported.
func (s *Set) Bind(inputs []ModelInput, unread ...string) (*Binding, error) {
	return s.bind(inputs, "data: "+s.Spec+": ", unread...)
}

// bind is Bind with what its errors begin with.
func (s *Set) bind(inputs []ModelInput, place string, unread ...string) (*Binding, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf("%swant a model with an input, got one without", place)
	}
	b := &Binding{Dims: map[string]int{}}
	fault := func(in ModelInput, format string, args ...any) error {
		return fmt.Errorf("%smodel input %q: %w", place, in.Name, fmt.Errorf(format, args...))
	}
	var errs []error
	var spare []int
	b.Fields, spare = s.match(inputs, unread)
	for i, in := range inputs {
		k := b.Fields[i]
		b.Kept = append(b.Kept, nil)
		var have []int // a sample's shape
		switch {
		case k >= 0:
			have = s.BatchType(k, 1).Shape[1:]
		case in.Past > 0 && len(s.fitting(in, spare)) == 0:
			have = slices.Clone(in.Shape[1:])
			have[in.Past-1] = 0
		}
		if have == nil || slices.Contains(have, -1) {
			errs = append(errs, fault(in, "want an array of that name, got %s%s", s.names(), s.could(in, spare)))
			continue
		}
		if n := len(in.Shape); n > 0 && in.Shape[0] >= 0 {
			if b.Batch > 0 && b.Batch != in.Shape[0] {
				errs = append(errs, fault(in, "want the batch of the inputs before it, %d, got %d", b.Batch, in.Shape[0]))
			}
			b.Batch = in.Shape[0]
		} else if n > 0 && in.dim(0) != "" {
			b.leading = append(b.leading, in.dim(0))
		}
		if k >= 0 && s.Fields[k].DType == prim.I64 && !in.Integer {
			errs = append(errs, fault(in, "it takes floats, the data's field %q has integers", s.Fields[k].Name))
		}
		if k >= 0 && s.Fields[k].DType == prim.F32 && in.Integer && !s.Fields[k].Whole {
			if s.Fields[k].Bytes {
				errs = append(errs, fault(in, "it takes whole numbers, the data's field %q is scaled for another model", s.Fields[k].Name))
			} else {
				errs = append(errs, fault(in, "it takes whole numbers, the data's field %q has floats: give pixels as unsigned bytes, numbers of rows as integers", s.Fields[k].Name))
			}
		}
		switch {
		case fits(in.Shape, have):
		case in.From != nil && fits(in.From, have):
			b.Kept[i] = in.Kept
		default:
			errs = append(errs, fault(in, "want samples of shape %v, got %v%s", in.Shape[min(1, len(in.Shape)):], have, s.hint(in.Shape, k)))
			continue
		}
		if k == 0 && in.Table != "" && in.Rows < s.Vocab {
			errs = append(errs, fault(in, "the data has token numbers up to %d, the model's table %q has %d rows", s.Vocab-1, in.Table, in.Rows))
		}
		for axis := 1; axis < len(in.Shape); axis++ {
			if in.Shape[axis] >= 0 {
				continue
			}
			name := in.dimName(axis)
			if old, ok := b.Dims[name]; ok && old != have[axis-1] {
				errs = append(errs, fault(in, "dimension %q would be both %d and %d", name, old, have[axis-1]))
			}
			b.Dims[name] = have[axis-1]
		}
	}
	for _, k := range spare {
		var names []string
		for _, in := range inputs {
			names = append(names, in.Name)
		}
		errs = append(errs, fmt.Errorf("%sfield %q: want a model input for it, got %q", place, s.Fields[k].Name, names))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return b, nil
}

// match returns the field of every input, -1 where none is found, and the fields that are
// not optional and have no input; none of unread is asked for one.
func (s *Set) match(inputs []ModelInput, unread []string) (fields, spare []int) {
	fields = make([]int, len(inputs))
	var open []int // inputs
	for i, in := range inputs {
		if fields[i] = s.Field(in.Name); fields[i] < 0 {
			open = append(open, i)
		}
	}
	for k, f := range s.Fields {
		if !f.Optional && !slices.Contains(fields, k) && !slices.Contains(unread, f.Name) {
			spare = append(spare, k)
		}
	}
	if len(open) != len(spare) {
		return fields, spare
	}
	if len(inputs) == 1 && len(open) == 1 {
		return spare, nil
	}
	// A single assignment always has an input that a single field fits.
	found, left := slices.Clone(fields), slices.Clone(spare)
	for len(open) > 0 {
		at := slices.IndexFunc(open, func(i int) bool { return len(s.fitting(inputs[i], left)) == 1 })
		if at < 0 {
			return fields, spare
		}
		k := s.fitting(inputs[open[at]], left)[0]
		found[open[at]] = k
		open = slices.Delete(open, at, at+1)
		left = slices.DeleteFunc(left, func(x int) bool { return x == k })
	}
	return found, nil
}

// fitting returns those of the fields that an input could take by shape and kind of number.
func (s *Set) fitting(in ModelInput, fields []int) (out []int) {
	for _, k := range fields {
		f := s.Fields[k]
		if whole := f.DType == prim.I64 || f.Bytes; in.takes(s.BatchType(k, 1).Shape[1:]) && (whole || !in.Integer) && (in.Integer || f.DType != prim.I64) {
			out = append(out, k)
		}
	}
	return out
}

// takes compares a model's shape, or that of what it takes a part of, with that of a sample.
func (in ModelInput) takes(sample []int) bool {
	return fits(in.Shape, sample) || in.From != nil && fits(in.From, sample)
}

// could says which of the fields an input that has none could take.
func (s *Set) could(in ModelInput, fields []int) string {
	fit := s.fitting(in, fields)
	if len(fit) < 2 {
		return ""
	}
	var names []string
	for _, k := range fit {
		names = append(names, fmt.Sprintf("%q", s.Fields[k].Name))
	}
	return fmt.Sprintf(" (by its shape it could be any of %s)", strings.Join(names, ", "))
}

func (s *Set) names() string {
	var names []string
	for _, f := range s.Fields {
		names = append(names, fmt.Sprintf("%q", f.Name))
	}
	return strings.Join(names, ", ")
}

// dimName is how Binding.Dims calls an open dimension.
func (in ModelInput) dimName(axis int) string {
	if name := in.dim(axis); name != "" {
		return name
	}
	return fmt.Sprintf("%s:%d", in.Name, axis)
}

func (in ModelInput) dim(axis int) string {
	if axis < len(in.Dims) {
		return in.Dims[axis]
	}
	return ""
}

// Field returns the position of the field of that name, or -1.
func (s *Set) Field(name string) int {
	return slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name })
}

// BatchType returns the tensor type of field k in a batch of n samples.
func (s *Set) BatchType(k, n int) prim.Type {
	return prim.Type{DType: s.Fields[k].DType, Shape: s.batchShape(s.Fields[k], n)}
}

// fits compares a model's shape, batch first, with that of a sample.
func fits(model, sample []int) bool {
	if model == nil {
		return true
	}
	if len(model) != len(sample)+1 {
		return false
	}
	for i, n := range sample {
		if model[i+1] >= 0 && model[i+1] != n {
			return false
		}
	}
	return true
}

// hint names the option that would make field k fit, if there is one.
func (s *Set) hint(model []int, k int) string {
	f := s.Fields[k]
	if s.Vocab > 0 && len(f.Shape) == 1 && len(model) == 2 {
		return fmt.Sprintf(" (want the data's option seq to be %d)", model[1])
	}
	if !f.Image || len(model) != 4 {
		return ""
	}
	c, h, w := f.Shape[0], f.Shape[1], f.Shape[2]
	first, last := fits(model, []int{c, h, w}), fits(model, []int{h, w, c})
	switch {
	case last && s.opts.Layout != NHWC:
		return " (the model takes channels last: layout nhwc)"
	case first && s.opts.Layout == NHWC:
		return " (the model takes channels first: leave the layout as it is)"
	case Reads(s.Spec, "resize"):
		return " (the option resize brings images to a size, resize=HEIGHTxWIDTH)"
	}
	return ""
}
