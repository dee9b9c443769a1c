package entangle

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// Model is an imported model: as its file has it, and in the normal form that is
// searched and cut.
type Model struct {
	Path        string // "" of a model that is no file
	Beside      int64  // bytes of the files beside it that hold weights
	Raw, Normal *ir.Model
}

// Import reads an ONNX file and normalises it (see importer.Normal). What the file system
// refuses is an *fs.PathError; what the importer refuses is a *ModelError that names the
// stage, the node and what was wanted.
func Import(path string) (*Model, error) {
	var beside int64
	raw, err := importer.Read(path, importer.WithSides(&beside))
	if err != nil {
		var file *fs.PathError
		if errors.As(err, &file) {
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

// Normalise wraps a model that was built or decoded elsewhere.
func Normalise(raw *ir.Model) (*Model, error) {
	normal, err := importer.Normal(raw, importer.WithFold(ops.ConstantValues))
	if err != nil {
		return nil, &ModelError{err}
	}
	return &Model{Raw: raw, Normal: normal}, nil
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
// bound to; none stands for all that need not be asked for. Dims is as in Infer.
func (m *Model) Analyse(dims map[string]int, kinds ...string) (*space.Analysis, error) {
	f, err := m.Infer(dims)
	if err != nil {
		return nil, err
	}
	an, err := space.Analyse(m.Normal, f, kinds...)
	if err != nil {
		return nil, &ModelError{err}
	}
	return an, nil
}

// Extract cuts a recipe's subnet out of the model; it inherits the model's weights, and its
// metadata carry the recipe. Dims is as in Infer.
func (m *Model) Extract(r *subnet.Recipe, dims map[string]int) (*ir.Model, error) {
	an, err := m.Analyse(dims, r.Kinds()...)
	if err != nil {
		return nil, err
	}
	small, err := subnet.Extract(an, r, nil)
	if err != nil {
		return nil, err
	}
	return small, Describe(small, r)
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
