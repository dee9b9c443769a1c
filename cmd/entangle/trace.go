package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/internal/trace"
)

// traceFlag names the file that a step's trace goes to.
func (e *env) traceFlag() cli.Flag {
	return &cli.StringFlag{Name: "trace", Usage: "write a Chrome trace of one step: node, kernel, GFLOP/s and GB/s", DefaultText: "$ENTANGLE_TRACE", Value: e.getenv("ENTANGLE_TRACE"), TakesFile: true}
}

// tracedBackend is openBackend with a recorder of the latest training step, nil without --trace.
func (e *env) tracedBackend(c *cli.Context) (engine.Backend, *trace.Recorder, error) {
	if c.String("trace") == "" {
		be, err := e.openBackend(c)
		return be, nil, err
	}
	n, err := threads(c)
	if err != nil {
		return nil, nil, err
	}
	if d, _, err := device(c); err != nil || d.kind == "cuda" {
		return nil, nil, errors.Join(err, usagef("--trace: kernels are recorded on the processor: want --device cpu, got %q", c.String("device")))
	}
	rec := &trace.Recorder{}
	return trace.Largest(cpu.New(cpu.Options{Threads: n, Trace: rec.Kernel}), rec), rec, nil
}

// writeTrace writes the file whole or not at all.
func writeTrace(path string, r *trace.Recorder, title string, other map[string]string) error {
	if err := atomicfile.Write(path, func(w io.Writer) error { return r.Write(w, title, other) }); err != nil {
		return fmt.Errorf("--trace: %w", err)
	}
	return nil
}
