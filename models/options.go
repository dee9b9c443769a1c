package models

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
)

// Options size a network. A zero field takes the entry's default.
type Options struct {
	Classes  int // width of the output
	Channels int // channels of the input
	Size     int // length of every spatial axis of the input, or of a sequence
	Width    int // base width; other widths are multiples of it
	Depth    int // blocks per stage, where the network has stages
	Heads    int // attention heads; the width is a multiple of it
	Vocab    int // tokens that a model of token numbers knows
	Patch    int // side of the square patches that a vision transformer cuts an image into
	Seed     uint64
	// Scatter draws the parameters that training starts at constants (scales and
	// statistics of norms, biases) at random, so that a test sees channels that
	// trade places.
	Scatter bool
}

// Entry is one reference network.
type Entry struct {
	Name, Doc string
	Defaults  Options
	// Wire appends the network to n; o has no zero sizes.
	Wire func(n *Net, o Options)
}

// Build returns the network as a model. Zero fields of o take e.Defaults; Scatter is
// on when either asks for it.
func (e Entry) Build(o Options) (*ir.Model, error) {
	n, err := e.net(o)
	if err != nil {
		return nil, err
	}
	return n.Model()
}

// Count returns the parameters (as Params counts them) and the multiply-accumulates
// per sample of the network that Build would give, without its weights.
func (e Entry) Count(o Options) (params, macs int, err error) {
	n, err := e.wired(o, true)
	if err != nil {
		return 0, 0, err
	}
	if len(n.m.Graph.Outputs) == 0 {
		_, err = n.Model()
	}
	return Params(n.m), n.macs, err
}

func (e Entry) net(o Options) (*Net, error) { return e.wired(o, false) }

// wired builds the network; hollow leaves out the elements of initialisers.
func (e Entry) wired(o Options, hollow bool) (*Net, error) {
	o = o.fill(e.Defaults)
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("models: %q: %w", e.Name, err)
	}
	n := NewNet(e.Name, o)
	n.hollow = hollow
	e.Wire(n, o)
	return n, n.err
}

func (o Options) fill(d Options) Options {
	for _, f := range []struct {
		v *int
		d int
	}{{&o.Classes, d.Classes}, {&o.Channels, d.Channels}, {&o.Size, d.Size}, {&o.Width, d.Width}, {&o.Depth, d.Depth}, {&o.Heads, d.Heads}, {&o.Vocab, d.Vocab}, {&o.Patch, d.Patch}} {
		if *f.v == 0 {
			*f.v = max(f.d, 1)
		}
	}
	if o.Seed == 0 {
		o.Seed = d.Seed
	}
	o.Scatter = o.Scatter || d.Scatter
	return o
}

func (o Options) check() error {
	for _, f := range []struct {
		name     string
		v, limit int
	}{{"classes", o.Classes, 1 << 20}, {"channels", o.Channels, 1 << 12}, {"size", o.Size, 1 << 12}, {"width", o.Width, 1 << 12}, {"depth", o.Depth, 1 << 8}, {"heads", o.Heads, 1 << 10}, {"vocabulary", o.Vocab, 1 << 20}, {"patch", o.Patch, 1 << 10}} {
		if f.v < 1 || f.v > f.limit {
			return fmt.Errorf("option %s: want 1 to %d, got %d", f.name, f.limit, f.v)
		}
	}
	return nil
}
