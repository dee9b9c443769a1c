package net

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// Network is a normal model prepared to run at one batch size. With Super it is
// entangled: its programs take coefficients.
type Network struct {
	Model  *ir.Model // as it runs; not to be changed
	Facts  *ops.Facts
	Batch  int             // samples that a program takes at once
	Super  *space.Supernet // nil: plain
	Params []string        // trained initialisers, in file order
	Stats  []string        // running statistics, in file order
	Inputs []string        // graph inputs that data feeds
	// Outputs says what the float outputs mean.
	Outputs []Meaning
	// Scales are what the losses of outputs are measured in, by output; see Scale. Without
	// one, values are measured by the mean square of a batch, others in nats.
	Scales map[string]Scale
	// Logits is the value that the loss of a Target with classes is taken on; Classes its
	// width, 0 without one. Positions counts the labels of a sample where there are several.
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
	DataLimit int
	// Frozen says that training takes running statistics where it would take those of a
	// batch: the model runs at one batch size, which may be a single sample.
	Frozen     bool
	labels     Labels
	roles      map[string]ops.Training
	whole      map[string]bool // inputs of integers that data gives as floats (data.Field.Whole)
	separation *separation     // nil: choices share one weight
}

// DataInputs lists the graph inputs that data feeds, in order: those that no initialiser
// defines and that are read.
func DataInputs(m *ir.Model) []ir.Value {
	in, _ := inputsOf(m)
	return in
}

// UnreadInputs lists the graph inputs that no initialiser defines and that nothing reads, so that
// any numbers will do.
func UnreadInputs(m *ir.Model) []ir.Value {
	_, unread := inputsOf(m)
	return unread
}

func inputsOf(m *ir.Model) (read, unread []ir.Value) {
	used := map[string]bool{}
	ir.WalkNodes(m.Graph.Nodes, func(n *ir.Node) {
		for _, v := range n.Inputs {
			used[v] = true
		}
		for _, g := range ir.Subgraphs(n) {
			for _, v := range g.Outputs {
				used[v.Name] = true
			}
		}
	})
	for _, v := range m.Graph.Outputs {
		used[v.Name] = true
	}
	for _, v := range m.Graph.Inputs {
		switch {
		case m.Graph.Init(v.Name) != nil:
		case used[v.Name]:
			read = append(read, v)
		default:
			unread = append(unread, v)
		}
	}
	return read, unread
}

// Opening is a model made ready to run at any batch size, or at the only one that it runs at.
type Opening struct {
	// Model is a copy whose inputs have a named leading dimension, and named open
	// dimensions; where Fixed is set, the leading dimension is as the model declares it.
	Model *ir.Model
	// Fixed is the number of samples that the model runs with; 0 is any.
	Fixed int
	Why   error // what was in the way of any, beside Fixed
}

// Open opens the batch of a model. One that declares it open is taken at its word unless it
// does not infer at several samples; one that fixes it is opened where ops.FollowBatch
// accounts for every use. Outputs without samples stay as they are.
func Open(m *ir.Model) Opening {
	o := Opening{Model: m.Clone()}
	g := o.Model.Graph
	fixed := false
	for i := range g.Inputs {
		v := &g.Inputs[i]
		if g.Init(v.Name) != nil {
			continue
		}
		for k := range v.Type.Shape {
			switch d := &v.Type.Shape[k]; {
			case d.Known():
				fixed = fixed || k == 0
			case d.Param != "":
			case k == 0:
				d.Param = ops.BatchName
			default:
				d.Param = fmt.Sprintf("%s_%d", v.Name, k)
			}
		}
	}
	if !fixed && several(o.Model) {
		return o
	}
	b := ops.FollowBatch(o.Model)
	if b.Blocked != nil {
		o.Fixed, o.Why = b.Size, b.Blocked
		return o
	}
	if o.Model = b.Model; fixed {
		open(o.Model.Graph, b)
	}
	return o
}

// Followed returns the model with sizes that follow the batch, declared as it is; false
// where the model runs at one batch size.
func Followed(m *ir.Model) (*ir.Model, bool) {
	o := Open(m)
	return Declare(o.Model, m), o.Fixed == 0
}

// several reports whether a model whose inputs leave the batch open infers at three samples.
func several(m *ir.Model) bool {
	bind := map[string]int{}
	for _, v := range DataInputs(m) {
		if len(v.Type.Shape) > 0 && v.Type.Shape[0].Param != "" {
			bind[v.Type.Shape[0].Param] = 3
		}
	}
	_, err := ops.InferModel(m, bind)
	return err == nil
}

// open declares the samples' axes of inputs and outputs open.
func open(g *ir.Graph, b *ops.Batch) {
	g.Info = nil
	for _, list := range [][]ir.Value{g.Inputs, g.Outputs} {
		for i := range list {
			at, ok := b.At[list[i].Name]
			if s := list[i].Type.Shape; ok && at.Axis < len(s) && s[at.Axis].Known() {
				d := ir.Dim{Size: -1}
				if s[at.Axis].Size == b.Size {
					d.Param = ops.BatchName
				}
				s[at.Axis] = d
			}
		}
	}
}

// Declare returns a copy of a model, made from source, whose inputs and outputs are
// declared as source has them: open where it is open, under its names, fixed where it fixes
// what Open opened. Sizes that differ otherwise stay.
func Declare(m, source *ir.Model) *ir.Model {
	out := m.Clone()
	for _, x := range []struct{ now, then []ir.Value }{{out.Graph.Inputs, source.Graph.Inputs}, {out.Graph.Outputs, source.Graph.Outputs}} {
		for i := range x.now {
			for _, v := range x.then {
				if v.Name != x.now[i].Name || len(v.Type.Shape) != len(x.now[i].Type.Shape) {
					continue
				}
				for k, d := range x.now[i].Type.Shape {
					if !d.Known() {
						x.now[i].Type.Shape[k] = v.Type.Shape[k]
					}
				}
			}
		}
	}
	return out
}

// NewNetwork infers a normal model that fixes every size but its batch; labels may be the
// classes of its first output [batch, classes]. Super, when not
// nil, must have been made from a model with the same initialisers and node names. An open
// dimension and a model that does not run at the batch size are errors. The model is copied.
func NewNetwork(m *ir.Model, batch int, super *space.Supernet) (*Network, error) {
	o := Open(m)
	m = o.Model
	if err := o.admits(batch); err != nil {
		return nil, err
	}
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
	n, err := bound(m, batch, bind, super)
	if err != nil {
		return nil, err
	}
	n.Frozen, n.labels.Open = o.Fixed > 0, true
	return n, n.Means(nil)
}

// admits refuses a batch that the model does not run at.
func (o Opening) admits(batch int) error {
	if o.Fixed > 0 && batch != o.Fixed {
		return fmt.Errorf("search: want batches of %d samples, the model runs at no other size, got %d: %w", o.Fixed, batch, o.Why)
	}
	return nil
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
	return n, nil
}
