package net

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// Network is a normal model prepared to run at one batch size. With Super it is
// entangled: its programs take coefficients.
type Network struct {
	Model  *ir.Model
	Facts  *ops.Facts
	Batch  int
	Super  *space.Supernet
	Params []string // trained initialisers, in file order
	Stats  []string // running statistics, in file order
	Inputs []string // graph inputs that data feeds
	// Logits is the value that a classifier's loss is taken on; Classes its width.
	// Classes is 0 when the first output is not [batch, classes]. For data with labels
	// per position the first output is [batch, positions, classes] and Positions the
	// size between.
	Logits    string
	Classes   int
	Positions int
	// Memory bounds the temporary storage, in bytes, of a program that has gradients:
	// parts of its forward pass are computed again to stay below. 0 is no bound,
	// LeastMemory asks for as little as can be had.
	Memory int
	// DataLimit is the most bytes of training samples that may live on the device: a
	// part that fits is uploaded once and its batches are made there, bit for bit those
	// that would have been uploaded. 0 uploads every batch.
	DataLimit  int
	roles      map[string]ops.Training
	Separation *separation // nil: choices share one weight
}

// DataInputs lists the graph inputs that no initialiser defines, in order.
func DataInputs(m *ir.Model) []ir.Value {
	return slices.DeleteFunc(slices.Clone(m.Graph.Inputs), func(v ir.Value) bool { return m.Graph.Init(v.Name) != nil })
}

// OpenBatch returns a copy of the model whose inputs have a named leading
// dimension and named open dimensions, so that it can run at any batch size. A
// model that hard-codes its batch elsewhere fails later, when it is inferred.
func OpenBatch(m *ir.Model) *ir.Model {
	out := m.Clone()
	g := out.Graph
	fixed := false
	for i := range g.Inputs {
		v := &g.Inputs[i]
		if g.Init(v.Name) != nil || len(v.Type.Shape) == 0 {
			continue
		}
		for k := range v.Type.Shape {
			d := &v.Type.Shape[k]
			switch {
			case k == 0 && d.Known():
				fixed = true
				*d = ir.Dim{Size: -1, Param: "batch"}
			case !d.Known() && d.Param == "" && k == 0:
				d.Param = "batch"
			case !d.Known() && d.Param == "":
				d.Param = fmt.Sprintf("%s_%d", v.Name, k)
			}
		}
	}
	if fixed {
		g.Info = nil
		for i := range g.Outputs {
			if s := g.Outputs[i].Type.Shape; len(s) > 0 {
				s[0] = ir.Dim{Size: -1, Param: "batch"}
			}
		}
	}
	return out
}

// NewNetwork infers a normal model that fixes every size but its batch. Super, when not
// nil, must have been made from a model with the same initialisers and node names.
func NewNetwork(m *ir.Model, batch int, super *space.Supernet) (*Network, error) {
	m = OpenBatch(m)
	bind := map[string]int{}
	for _, v := range DataInputs(m) {
		for i, d := range v.Type.Shape {
			switch {
			case i == 0 && !d.Known():
				bind[d.Param] = batch
			case i > 0 && !d.Known():
				return nil, fmt.Errorf("search: input %q: %s leaves dimension %d open and there is no data to give it", v.Name, v.Type, i)
			}
		}
	}
	return bound(m, batch, bind, super)
}

// bound infers an open model with the given sizes.
func bound(m *ir.Model, batch int, bind map[string]int, super *space.Supernet) (*Network, error) {
	f, err := ops.InferModel(m, bind)
	if err != nil {
		return nil, fmt.Errorf("search: at batch %d: %w", batch, err)
	}
	n := &Network{Model: m, Facts: f, Batch: batch, Super: super, roles: ops.TrainingRoles(m, f)}
	for _, t := range m.Graph.Inits {
		switch n.roles[t.Name] {
		case ops.Parameter:
			n.Params = append(n.Params, t.Name)
		case ops.Statistic:
			n.Stats = append(n.Stats, t.Name)
		}
	}
	for _, v := range DataInputs(m) {
		n.Inputs = append(n.Inputs, v.Name)
	}
	if len(m.Graph.Outputs) == 0 {
		return nil, fmt.Errorf("search: the model has no outputs")
	}
	_, n.Logits = Scored(m, f.Values[m.Graph.Outputs[0].Name].Type)
	if s := f.Values[n.Logits].Shape(); len(s) == 2 && s[0] == batch {
		n.Classes = s[1]
	}
	return n, nil
}
