package entangle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// Model is an imported model: as its file has it, and in the normal form that is
// searched and cut. After Split, Normal is the part before Tail.
type Model struct {
	Path        string // "" of a model that is no file
	Beside      int64  // bytes of the files beside it that hold weights
	Raw, Normal *ir.Model
	Tail        *ops.Tail // what stays as it is behind Normal; nil: nothing does
	split       bool
	symbols     string // what apart says
	whole       string // fingerprint of the normal form with its tail
}

// Import reads an ONNX file and normalises it (see importer.Normal). A file that the file
// system refuses is an *fs.PathError; what the importer refuses is a *ModelError that names the
// stage, the node and what was wanted.
func Import(path string) (*Model, error) {
	var beside int64
	raw, err := importer.Read(path, importer.WithSides(&beside))
	if err != nil {
		// Weights in another file that is not there are a fault of the model.
		var file *fs.PathError
		if errors.As(err, &file) && file.Path == path {
			return nil, err
		}
		return nil, &ModelError{err}
	}
	m, err := Normalise(raw)
	if err == nil {
		m.Path, m.Beside = path, beside
	}
	return m, err
}

// Normalise wraps a model that was built or decoded elsewhere. In the normal form, sizes
// follow the batch where ops.FollowBatch finds how, so that cutting and training keep one graph;
// in a tail (Split) they stay as they are.
func Normalise(raw *ir.Model) (*Model, error) {
	if normal, err := importer.Normal(raw, importer.WithFold(ops.ConstantsAtAnyBatch), importer.WithCopies(ops.SeparateVectors)); err == nil {
		normal, said := apart(normal)
		if normal, open := followed(normal); open {
			return &Model{Raw: raw, Normal: normal, symbols: said}, nil
		}
	}
	normal, err := importer.Normal(raw, importer.WithFold(ops.ConstantValues), importer.WithCopies(ops.SeparateVectors))
	if err != nil {
		return nil, &ModelError{err}
	}
	normal, said := apart(normal)
	return &Model{Raw: raw, Normal: normal, symbols: said}, nil
}

// Infer returns the type of every value. Unknown leading dimensions of inputs are 1, and
// other unknown ones stay open unless dims gives them, by name, or all unnamed ones under
// ops.AnyDim.
func (m *Model) Infer(dims map[string]int) (*ops.Facts, error) {
	bind := map[string]int{}
	for _, v := range m.Normal.Graph.Inputs {
		if len(v.Type.Shape) == 0 || v.Type.Shape[0].Known() {
			continue
		}
		if p := v.Type.Shape[0].Param; p != "" {
			bind[p] = 1
		} else {
			bind[ops.AnyDim] = 1
		}
	}
	maps.Copy(bind, dims)
	f, err := ops.InferModel(m.Normal, bind)
	if err != nil {
		return nil, &ModelError{err}
	}
	return f, nil
}

// Analyse finds the groups of axes that can only change together, as dims of these kinds are
// bound to; none stands for all that need not be asked for. Dims is as in Infer. Of a model with
// a tail (Split) it is what is before.
func (m *Model) Analyse(dims map[string]int, kinds ...string) (*space.Analysis, error) {
	m = m.Learned()
	f, err := m.Infer(dims)
	if err != nil {
		return nil, err
	}
	an, err := space.Analyse(m.Normal, f, kinds...)
	if err != nil {
		return nil, &ModelError{err}
	}
	m.mark(an)
	return an, nil
}

// Extract is Cut for its model alone.
func (m *Model) Extract(r *subnet.Recipe, dims map[string]int) (*ir.Model, error) {
	c, err := m.Cut(r, dims)
	if err != nil {
		return nil, err
	}
	return c.Model, nil
}

// Cut is a subnet with how it was cut.
type Cut struct {
	Model *ir.Model      // it inherits its source's weights; its metadata carry the recipe
	Kept  *subnet.Kept   // of the source's initialisers
	Sizes map[string]int // of open dimensions that the recipe gave and nothing else did
}

// Cut cuts a recipe's subnet out of the model. Dims is as in Infer, and goes before the sizes
// that the recipe carries.
func (m *Model) Cut(r *subnet.Recipe, dims map[string]int) (*Cut, error) {
	if len(r.LearnAt) > 0 {
		var err error
		if m, err = m.Split(r.LearnAt...); err != nil {
			return nil, err
		}
	}
	m = m.Learned()
	c := &Cut{Sizes: map[string]int{}}
	named, bind, open := m.Normal.Clone(), maps.Clone(dims), []string{}
	if bind == nil {
		bind = map[string]int{}
	}
	bound := func(name string, from map[string]int, unnamed bool) bool {
		n, ok := from[name]
		if !ok && unnamed {
			n, ok = from[ops.AnyDim]
		}
		if ok {
			bind[name] = n
		}
		return ok
	}
	for i := range named.Graph.Inputs {
		v := &named.Graph.Inputs[i]
		v.Type = v.Type.Clone()
		for axis := range v.Type.Shape {
			d := &v.Type.Shape[axis]
			if d.Known() {
				continue
			}
			unnamed := d.Param == ""
			if unnamed {
				d.Param = subnet.OpenName(v.Name, axis)
			}
			switch {
			case bound(d.Param, dims, unnamed):
			case axis == 0:
				bind[d.Param] = 1
			case bound(d.Param, r.Sizes, unnamed):
				c.Sizes[d.Param] = bind[d.Param]
			case !slices.Contains(open, d.Param):
				open = append(open, d.Param)
			}
		}
	}
	if err := m.cut(c, r, named, bind); err != nil && len(open) > 0 {
		return nil, fmt.Errorf("%w\nthe size of %s is open: neither the recipe nor --dim gives it", err, strings.Join(open, ", "))
	} else if err != nil {
		return nil, err
	}
	return c, nil
}

// cut fills c by a copy of the normal model whose open dimensions all have a name.
func (m *Model) cut(c *Cut, r *subnet.Recipe, named *ir.Model, bind map[string]int) error {
	facts, err := ops.InferModel(named, bind)
	if err != nil {
		return &ModelError{err}
	}
	an, err := space.Analyse(named, facts, r.Kinds()...)
	if err != nil {
		return &ModelError{err}
	}
	m.mark(an)
	if c.Model, err = subnet.Extract(an, r, nil); err != nil {
		return err
	}
	if c.Kept, err = m.keptOf(an, r, c.Model); err != nil {
		return err
	}
	c.Model = m.written(c.Model)
	return Describe(c.Model, r)
}

func (m *Model) keptOf(an *space.Analysis, r *subnet.Recipe, cut *ir.Model) (*subnet.Kept, error) {
	s, choice, err := r.Space()
	if err != nil {
		return nil, err
	}
	super, err := space.Entangle(an, s, space.Every)
	if err != nil {
		return nil, err
	}
	return m.kept(subnet.NewKept(super, choice, cut))
}

// kept adds what the tail reads.
func (m *Model) kept(k *subnet.Kept, err error) (*subnet.Kept, error) {
	if err != nil {
		return nil, err
	}
	for _, t := range m.Tail.Inits() {
		k.Add(t)
	}
	return k, nil
}

// Export writes a model as ONNX, whole or not at all.
func Export(path string, m *ir.Model) error {
	return exporter.Write(path, m, exporter.Options{})
}

// Verify runs two models on two runtimes (package exporter/runtimes) and compares
// their outputs; a difference beyond the tolerance is an *exporter.MismatchError.
func Verify(ctx context.Context, reference, candidate exporter.Subject, o exporter.VerifyOptions) (*exporter.Verification, error) {
	return exporter.Verify(ctx, reference, candidate, o)
}

// sorted returns the keys of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
