package data

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// labelsKey is the array that holds the labels.
const labelsKey = "labels"

// uncounted is the byte of a mask's position that has no class.
const uncounted = 255

// labels are those of one part: a class per sample, or a target of the shape per sample.
type labels struct {
	classes []int64
	targets column
	shape   []int // nil with classes
	floats  bool
	seen    *maskClasses // of bytes of which 255 does not count
}

// readLabels makes labels of an array. Integers, unsigned bytes and booleans of rank 1 are
// classes, of more axes integers per sample, where in unsigned bytes of a mask or more axes
// 255 does not count. Floats are values, one per sample when the rank is 1.
func readLabels(a Array) (labels, error) {
	if len(a.Shape) == 0 || a.Len() == 0 {
		return labels{}, fmt.Errorf("want labels along the first axis, got %T of shape %v", a.Data, a.Shape)
	}
	shape := slices.Clone(a.Shape[1:])
	if shape == nil {
		shape = []int{}
	}
	size := prim.Prod(shape)
	switch d := a.Data.(type) {
	case []float32, []float64:
		values := a.floats()
		if err := finite(values, size, 0); err != nil {
			return labels{}, err
		}
		return labels{targets: floatColumn{values, size}, shape: shape, floats: true}, nil
	case []uint8:
		if len(shape) > 0 {
			return labels{targets: maskColumn{d, size, len(shape) > 1}, shape: shape}, nil
		}
	case []bool:
		raw := make([]uint8, len(d))
		for i, v := range d {
			if v {
				raw[i] = 1
			}
		}
		a.Data = raw
		if len(shape) > 0 {
			return labels{targets: maskColumn{raw, size, false}, shape: shape}, nil
		}
	}
	ints := a.Ints()
	switch {
	case ints == nil:
		return labels{}, fmt.Errorf("want integers, booleans or floats, got %T of shape %v", a.Data, a.Shape)
	case len(shape) == 0:
		return labels{classes: ints}, nil
	}
	return labels{targets: intColumn{ints, size}, shape: shape}, nil
}

// finite reports the first sample, numbered from first on, with a number that is not finite.
func finite(values []float32, size, first int) error {
	for i, v := range values {
		if v-v != 0 {
			return fmt.Errorf("sample %d: want finite numbers, got %v", first+i/size, v)
		}
	}
	return nil
}

// label gives a part its labels, which must be of the kind of the parts' before it.
func (s *Set) label(p *Part, l labels) error {
	first := slices.IndexFunc(s.Parts, func(p *Part) bool { return p.Labelled() })
	if first >= 0 && (l.floats != s.FloatLabels || (l.shape == nil) != (s.LabelShape == nil) || !slices.Equal(l.shape, s.LabelShape)) {
		return fmt.Errorf("want labels as in the part %q, %s, got %s", s.Parts[first].Name, labelKind(s.LabelShape, s.FloatLabels), labelKind(l.shape, l.floats))
	}
	if m, ok := l.targets.(maskColumn); ok && m.sparse {
		l.seen = &maskClasses{}
		l.seen.add(m.data)
	}
	if l.seen != nil {
		s.masks = cmp.Or(s.masks, &maskClasses{})
		s.masks.merge(l.seen)
	}
	p.Labels, p.targets = l.classes, l.targets
	s.LabelShape, s.FloatLabels = l.shape, l.floats
	return nil
}

func labelKind(shape []int, floats bool) string {
	switch {
	case shape == nil:
		return "a class a sample"
	case floats && len(shape) == 0:
		return "a float a sample"
	case floats:
		return fmt.Sprintf("floats %v a sample", shape)
	}
	return fmt.Sprintf("integers %v a sample", shape)
}

// maskColumn stores integers as bytes; with sparse, 255 is read as -1.
type maskColumn struct {
	data   []byte
	size   int
	sparse bool
}

func (c maskColumn) count() int { return len(c.data) / c.size }

func (c maskColumn) read(int, []float32) error { panic("BUG: data: integers are read by readInts") }

func (c maskColumn) readInts(i int, dst []int64) error {
	maskInts(dst, c.data[i*c.size:(i+1)*c.size], c.sparse)
	return nil
}

func maskInts(dst []int64, raw []byte, sparse bool) {
	for k, v := range raw {
		if dst[k] = int64(v); sparse && v == uncounted {
			dst[k] = -1
		}
	}
}
