package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
)

// ModelInput is an input of a model that batches are to feed: its name and its
// shape with the batch axis first; -1 stands for an unknown size.
type ModelInput struct {
	Name  string
	Shape []int
}

// Bind finds the field for every model input and checks the shapes. A set with
// one field that is not optional serves a model with one input, whatever their names. It reports every
// input that does not fit.
func (s *Set) Bind(inputs []ModelInput) ([]int, error) {
	if len(inputs) == 0 {
		return nil, errors.New("data: want a model with an input, got one without")
	}
	out := make([]int, len(inputs))
	var errs []error
	for i, in := range inputs {
		k := s.Field(in.Name)
		if k < 0 && len(inputs) == 1 {
			k = s.Sole()
		}
		if k < 0 {
			var names []string
			for _, f := range s.Fields {
				names = append(names, fmt.Sprintf("%q", f.Name))
			}
			errs = append(errs, fmt.Errorf("data: %s: model input %q: want an array of that name, got %s", s.Spec, in.Name, strings.Join(names, ", ")))
			continue
		}
		out[i] = k
		if have := s.BatchType(k, 1).Shape[1:]; !fits(in.Shape, have) {
			errs = append(errs, fmt.Errorf("data: %s: model input %q: want samples of shape %v, got %v%s", s.Spec, in.Name, in.Shape[min(1, len(in.Shape)):], have, s.hint(in.Shape, k)))
		}
	}
	return out, errors.Join(errs...)
}

// Field returns the position of the field of that name, or -1.
func (s *Set) Field(name string) int {
	return slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name })
}

// Sole returns the position of the only field that a model must take, or -1 when
// there are more.
func (s *Set) Sole() int {
	at := -1
	for i, f := range s.Fields {
		if f.Optional {
			continue
		}
		if at >= 0 {
			return -1
		}
		at = i
	}
	return at
}

// BatchType returns the tensor type of field k in a batch of n samples.
func (s *Set) BatchType(k, n int) prim.Type {
	return prim.Type{DType: s.Fields[k].DType, Shape: s.batchShape(s.Fields[k], n)}
}

// fits compares a model's shape, batch first, with that of a sample.
func fits(model, sample []int) bool {
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
	}
	return ""
}
