package net

import (
	"fmt"
	"strings"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Load uploads the model's parameters and statistics, as f32, into env.
func (n *Network) Load(be engine.Backend, env Env) error {
	for _, t := range n.Model.Graph.Inits {
		name := ""
		switch n.roles[t.Name] {
		case ops.Parameter:
			name = ParamName(t.Name)
		case ops.Statistic:
			name = statName(t.Name)
		default:
			continue
		}
		h, err := n.Loaded(name)
		if err != nil {
			return err
		}
		if env[name], err = be.Upload(h); err != nil {
			return fmt.Errorf("search: weight %q: %w", t.Name, err)
		}
	}
	return nil
}

// Loaded returns what Load uploads as the buffer of that name; nil where it uploads none.
func (n *Network) Loaded(name string) (*prim.Tensor, error) {
	weight, ok := strings.CutPrefix(name, ParamName(""))
	if !ok {
		if weight, ok = strings.CutPrefix(name, statName("")); !ok {
			return nil, nil
		}
	}
	t := n.Model.Graph.Init(weight)
	if t == nil {
		return nil, nil
	}
	h, err := ops.HostTensor(t, prim.F32)
	if err != nil {
		return nil, fmt.Errorf("search: weight %q: %w", weight, err)
	}
	return h, nil
}

// Copy returns buffers of their own with the parameters and statistics of env.
func (n *Network) Copy(be engine.Backend, env Env) (Env, error) {
	out := Env{}
	add := func(name string) error {
		t, err := env[name].Read()
		if err != nil {
			return err
		}
		out[name], err = be.Upload(t)
		return err
	}
	for _, p := range n.Params {
		if err := add(ParamName(p)); err != nil {
			return nil, err
		}
	}
	for _, s := range n.Stats {
		if err := add(statName(s)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Weights reads parameters and statistics back from env, which must hold them all, as
// initialisers of the model's own dtypes by name.
func (n *Network) Weights(env Env) (map[string]*ir.Tensor, error) {
	out := map[string]*ir.Tensor{}
	read := func(name, key string) error {
		h, err := env[key].Read()
		if err != nil {
			return fmt.Errorf("search: weight %q: %w", name, err)
		}
		t := n.Model.Graph.Init(name)
		if t.DType == ir.Float32 {
			out[name] = ir.NewFloat32(name, t.Dims, h.F32)
			return nil
		}
		out[name], err = ir.NewFloats(name, t.DType, t.Dims, h.Cast(prim.F64).F64)
		return err
	}
	for _, p := range n.Params {
		if err := read(p, ParamName(p)); err != nil {
			return nil, err
		}
	}
	for _, s := range n.Stats {
		if err := read(s, statName(s)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// WithWeights returns a copy of the model with the initialisers that w holds replaced by
// name; they keep their own name, doc and metadata.
func WithWeights(m *ir.Model, w map[string]*ir.Tensor) *ir.Model {
	out := m.Clone()
	for i, t := range out.Graph.Inits {
		if r := w[t.Name]; r != nil {
			c := *r
			c.Name, c.Doc, c.Meta = t.Name, t.Doc, t.Meta
			out.Graph.Inits[i] = &c
		}
	}
	return out
}
