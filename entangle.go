package entangle

import (
	"context"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// Model is an imported model: as its file has it, and in the normal form that is
// searched and cut.
type Model struct {
	Raw, Normal *ir.Model
}

// Import reads an ONNX file and normalises it (see importer.Normal). Errors name
// the stage, the node and what was wanted.
func Import(path string) (*Model, error) {
	raw, err := importer.Read(path)
	if err != nil {
		return nil, err
	}
	return Normalise(raw)
}

// Normalise wraps a model that was built or decoded elsewhere.
func Normalise(raw *ir.Model) (*Model, error) {
	normal, err := importer.Normal(raw, importer.WithFold(ops.ConstantValues))
	if err != nil {
		return nil, err
	}
	return &Model{raw, normal}, nil
}

// Analyse finds the groups of axes that can only change together. Dims gives sizes
// to symbolic dimensions by name ("batch": 2) and, under ops.AnyDim, to unnamed ones.
func (m *Model) Analyse(dims map[string]int) (*space.Analysis, error) {
	f, err := ops.InferModel(m.Normal, dims)
	if err != nil {
		return nil, err
	}
	return space.Analyse(m.Normal, f)
}

// DefaultJob returns the settings of a short search from pretrained weights:
// DrNAS, units ranked by first-order Taylor importance, recalibration and
// fine-tuning with distillation. Target is half of the MACs.
func DefaultJob() search.Job { return search.DefaultJob() }

// Compress searches, cuts, recalibrates and fine-tunes. A target that no choice
// meets is refused first, with a *search.TargetError.
func (m *Model) Compress(ctx context.Context, be engine.Backend, set *data.Set, j search.Job) (*search.Outcome, error) {
	p, err := search.Prepare(m.Normal, set, j)
	if err != nil {
		return nil, err
	}
	return p.Compress(ctx, be)
}

// Search runs the search alone: the recipe, and the subnet with the weights that
// the search trained.
func (m *Model) Search(ctx context.Context, be engine.Backend, set *data.Set, j search.Job) (*subnet.Recipe, *ir.Model, error) {
	p, err := search.Prepare(m.Normal, set, j)
	if err != nil {
		return nil, nil, err
	}
	return p.Search(ctx, be)
}

// Extract cuts a recipe's subnet out of the model; it inherits the model's weights.
// Dims is as in Analyse.
func (m *Model) Extract(r *subnet.Recipe, dims map[string]int) (*ir.Model, error) {
	f, err := ops.InferModel(m.Normal, dims)
	if err != nil {
		return nil, err
	}
	an, err := space.Analyse(m.Normal, f, r.Kinds()...)
	if err != nil {
		return nil, err
	}
	return subnet.Extract(an, r, nil)
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
