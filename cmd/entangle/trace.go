package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/internal/trace"
)

// traceFlag names the file that a step's trace goes to.
func (e *env) traceFlag() cli.Flag {
	return &cli.StringFlag{Name: "trace", Usage: "write a Chrome trace of one step: node, kernel, GFLOP/s and GB/s", DefaultText: "$ENTANGLE_TRACE", Value: e.getenv("ENTANGLE_TRACE"), TakesFile: true}
}

// tracedBackend is the engine of a job, with a recorder of the latest training step, nil
// without --trace.
func (e *env) tracedBackend(c *cli.Context, g entangle.Engine) (engine.Backend, *trace.Recorder, error) {
	if c.String("trace") == "" {
		be, err := e.host().Backend(c.Context, g)
		return be, nil, err
	}
	if g.GPU() {
		return nil, nil, usagef("--trace: kernels are recorded on the processor: want --device cpu, got %q", g.Device)
	}
	rec := &trace.Recorder{}
	return trace.Largest(cpu.New(cpu.Options{Threads: g.Workers(), Trace: rec.Kernel}), rec), rec, nil
}

// writeTrace writes the file whole or not at all.
func writeTrace(path string, r *trace.Recorder, title string, other map[string]string) error {
	if err := atomicfile.Write(path, func(w io.Writer) error { return r.Write(w, title, other) }); err != nil {
		return fmt.Errorf("--trace: %w", err)
	}
	return nil
}
