package models

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
)

// Options size a network. A zero field takes the entry's default.
type Options struct {
	Classes  int // width of the output
	Channels int // channels of the input
	Size     int // length of every spatial axis of the input
	Width    int // base width; other widths are multiples of it
	Depth    int // blocks per stage, where the network has stages
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

func (e Entry) net(o Options) (*Net, error) {
	o = o.fill(e.Defaults)
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("models: %q: %w", e.Name, err)
	}
	n := NewNet(e.Name, o)
	e.Wire(n, o)
	return n, n.err
}

func (o Options) fill(d Options) Options {
	for _, f := range []struct {
		v *int
		d int
	}{{&o.Classes, d.Classes}, {&o.Channels, d.Channels}, {&o.Size, d.Size}, {&o.Width, d.Width}, {&o.Depth, d.Depth}} {
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
	}{{"classes", o.Classes, 1 << 20}, {"channels", o.Channels, 1 << 12}, {"size", o.Size, 1 << 12}, {"width", o.Width, 1 << 12}, {"depth", o.Depth, 1 << 8}} {
		if f.v < 1 || f.v > f.limit {
			return fmt.Errorf("option %s: want 1 to %d, got %d", f.name, f.limit, f.v)
		}
	}
	return nil
}
