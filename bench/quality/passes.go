package main

import (
	"strings"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/search/net"
)

// counter is an engine that counts what its programs do to samples: a program that reads a
// batch is a forward pass over it, and one that has gradients two more. It sees what was run,
// not what a method says of itself.
type counter struct {
	engine.Backend
	passes float64 // samples times passes
}

// Compile counts the runs of what it compiles.
func (c *counter) Compile(p *prim.Program) (engine.Executable, error) {
	exe, err := c.Backend.Compile(p)
	if err != nil {
		return nil, err
	}
	return &counted{exe, c, weight(p)}, nil
}

// counted is an executable that adds its weight to the counter at every run.
type counted struct {
	engine.Executable
	counter *counter
	weight  float64
}

func (c *counted) Run(in []engine.Buffer) ([]engine.Buffer, error) {
	c.counter.passes += c.weight
	return c.Executable.Run(in)
}

// weight is what a run of a program counts: the samples of the model's batched inputs, three
// times where gradients come out.
func weight(p *prim.Program) float64 {
	samples := 0
	for _, in := range p.Inputs {
		if in.Batch && !strings.HasPrefix(in.Name, "@") {
			if s := p.Nodes[in.ID].Type.Shape; len(s) > 0 {
				samples = max(samples, s[0])
			}
		}
	}
	for _, out := range p.Outputs {
		for _, of := range []string{net.AlphaName, net.ParamName(""), net.SumName(""), "@grad/"} {
			if strings.HasPrefix(out.Name, of) {
				return 3 * float64(samples)
			}
		}
	}
	return float64(samples)
}
