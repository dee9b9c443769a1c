package net

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// Inputs describes DataInputs as a data set binds them: their shapes, −1 where they are
// open, and of integers the largest table that they pick rows of.
func Inputs(m *ir.Model) []data.ModelInput {
	var out []data.ModelInput
	past, cut := ops.PastAxes(m.Graph), ops.CutValues(m)
	for _, v := range DataInputs(m) {
		in := data.ModelInput{Name: v.Name, Integer: !v.Type.Elem.IsFloat(), Past: past[v.Name], From: cut[v.Name].From, Kept: cut[v.Name].Kept}
		if v.Type.Rank() >= 0 {
			in.Shape = append([]int{}, v.Type.Sizes()...)
		}
		for _, d := range v.Type.Shape {
			in.Dims = append(in.Dims, d.Param)
		}
		for _, x := range m.Graph.Nodes {
			if x.OpType != "Gather" || x.Input(1) != v.Name {
				continue
			}
			axis := int(x.Int("axis", 0))
			t := m.Graph.Init(x.Input(0))
			if t == nil || axis < 0 || axis >= len(t.Dims) || in.Table != "" && in.Rows <= t.Dims[axis] {
				continue
			}
			in.Table, in.Rows = t.Name, t.Dims[axis]
		}
		out = append(out, in)
	}
	return out
}

// Bind finds what of a set feeds a model. Fields for inputs that nothing reads are left.
func Bind(m *ir.Model, set *data.Set) (*data.Binding, error) {
	var unread []string
	for _, v := range UnreadInputs(m) {
		unread = append(unread, v.Name)
	}
	return set.Bind(Inputs(m), unread...)
}

// BindingOn returns the sizes by dimension name that make a model static: batch for the
// named leading dimensions of its inputs, behind it what the data gives. Inputs that the
// set has nothing for are an error.
func BindingOn(m *ir.Model, batch int, set *data.Set) (map[string]int, error) {
	b, err := Bind(m, set)
	if err != nil {
		return nil, err
	}
	return b.Sizes(batch)
}

// NewNetworkOn infers a normal model for a data set at a batch size: open
// dimensions take the samples' sizes. What outputs mean follows from the set's labels too
// (see Meanings); Network.Means sets it. Super is as in NewNetwork.
func NewNetworkOn(m *ir.Model, batch int, set *data.Set, super *space.Supernet) (*Network, error) {
	o := Open(m)
	m = o.Model
	if err := o.admits(batch); err != nil {
		return nil, err
	}
	bind, err := BindingOn(m, batch, set)
	if err != nil {
		return nil, err
	}
	n, err := bound(m, batch, bind, super)
	if err != nil {
		return nil, err
	}
	n.Frozen, n.labels = o.Fixed > 0, LabelsOf(set)
	if n.whole, err = wholes(m, set); err != nil {
		return nil, err
	}
	return n, n.Means(nil)
}

// wholes names the inputs of integers whose field a set gives as floats.
func wholes(m *ir.Model, set *data.Set) (map[string]bool, error) {
	b, err := Bind(m, set)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for i, v := range DataInputs(m) {
		if k := b.Fields[i]; k >= 0 && set.Fields[k].Whole && !v.Type.Elem.IsFloat() {
			out[v.Name] = true
		}
	}
	return out, nil
}

// binding returns what of a set feeds the network, whose sizes must be the set's.
func (n *Network) binding(set *data.Set) (*data.Binding, error) {
	b, err := Bind(n.Model, set)
	if err != nil {
		return nil, err
	}
	for i, name := range n.Inputs {
		if b.Fields[i] < 0 {
			continue // an empty past
		}
		want, got := n.Facts.Values[name].Type, set.BatchType(b.Fields[i], n.Batch)
		if shape := ops.Positions(b.Kept[i]).Shape(got.Shape); !slices.Equal(want.Sizes(), shape) {
			return nil, fmt.Errorf("search: input %q: the network was made for %v, the data gives %v", name, want.Sizes(), shape)
		}
		if (want.Elem.IsFloat() || n.whole[name]) != (got.DType == prim.F32) {
			return nil, fmt.Errorf("search: input %q: want %s, the data's field %q has %s", name, want.Elem, set.Fields[b.Fields[i]].Name, got.DType)
		}
	}
	return b, nil
}
