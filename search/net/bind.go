package net

import (
	"fmt"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// BindingOn is Binding for a model with any inputs: the sizes behind the batch are
// those of the data's field for each input.
func BindingOn(m *ir.Model, batch int, set *data.Set) (map[string]int, error) {
	var names []string
	for _, v := range dataInputs(m) {
		names = append(names, v.Name)
	}
	fields, err := inputFields(names, set)
	if err != nil {
		return nil, err
	}
	bind := map[string]int{}
	for i, v := range dataInputs(m) {
		t := set.BatchType(fields[i], batch)
		if t.DType == prim.I64 && v.Type.Elem.IsFloat() {
			return nil, fmt.Errorf("search: input %q: want integers as in the data's field %q, the model takes %s", v.Name, set.Fields[fields[i]].Name, v.Type)
		}
		if err := bindInput(bind, v, batch, t.Shape[1:]); err != nil {
			if s := v.Type.Shape; set.Vocab > 0 && len(s) == 2 && s[1].Known() && s[1].Size != t.Shape[1] {
				return nil, fmt.Errorf("%w: want the data's option seq to be %d", err, s[1].Size)
			}
			return nil, err
		}
		if fields[i] == 0 && set.Vocab > 0 {
			if err := checkVocab(m, v.Name, set); err != nil {
				return nil, err
			}
		}
	}
	return bind, nil
}

// checkVocab reports a table that an input of token numbers reads beyond its end.
func checkVocab(m *ir.Model, input string, set *data.Set) error {
	for _, n := range m.Graph.Nodes {
		if n.OpType != "Gather" || n.Input(1) != input {
			continue
		}
		if t := m.Graph.Init(n.Input(0)); t != nil && len(t.Dims) > 0 && t.Dims[0] < set.Vocab {
			return fmt.Errorf("search: input %q: the data %q has token numbers up to %d, the model's table %q has %d rows", input, set.Spec, set.Vocab-1, t.Name, t.Dims[0])
		}
	}
	return nil
}

// inputFields returns the data's field for every input: the one of its name, or
// for a single input the only field that is not optional.
func inputFields(names []string, set *data.Set) ([]int, error) {
	out := make([]int, len(names))
	var have []string
	for _, f := range set.Fields {
		have = append(have, f.Name)
	}
	for i, name := range names {
		out[i] = set.Field(name)
		if out[i] < 0 && len(names) == 1 {
			out[i] = set.Sole()
		}
		if out[i] < 0 {
			return nil, fmt.Errorf("search: input %q: the data %q has no field of that name (it has %q)", name, set.Spec, have)
		}
	}
	return out, nil
}

// NewNetworkOn infers a normal model for a data set at a batch size: open
// dimensions take the samples' sizes. With labels per position, a first output
// [batch, positions, classes] makes it a classifier of positions. Super is as in
// NewNetwork.
func NewNetworkOn(m *ir.Model, batch int, set *data.Set, super *space.Supernet) (*Network, error) {
	m = OpenBatch(m)
	bind, err := BindingOn(m, batch, set)
	if err != nil {
		return nil, err
	}
	n, err := bound(m, batch, bind, super)
	if err != nil || set.LabelShape == nil {
		return n, err
	}
	n.Classes = 0
	s := n.Facts.Values[n.Logits].Shape()
	if len(set.LabelShape) == 1 && len(s) == 3 && s[0] == batch && s[1] == set.LabelShape[0] {
		n.Positions, n.Classes = s[1], s[2]
	}
	return n, nil
}
