package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/gorgonnx"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
)

// runtimeKind is one runtime that commands can name.
type runtimeKind struct {
	name, doc string
	native    bool
	open      func(e *env, ctx context.Context, j entangle.Job) runtimes.Runtime
}

// runtimeKinds lists every runtime; the first is what models are verified on.
func runtimeKinds() []runtimeKind {
	return []runtimeKind{
		{ort.Name, "ONNX Runtime", false, func(e *env, _ context.Context, j entangle.Job) runtimes.Runtime {
			return ort.New(ort.Options{Library: cmp.Or(j.ORTLib, e.getenv("ONNXRUNTIME_LIB")), Threads: j.Workers()})
		}},
		{"cpu", "the engine of this program, float32", true, func(_ *env, _ context.Context, j entangle.Job) runtimes.Runtime {
			return native.New(cpu.New(cpu.Options{Threads: j.Workers()}), native.Options{Float: prim.F32, Threads: j.Workers()})
		}},
		{"xla", "the engine of this program on a GPU, float32", true, func(e *env, ctx context.Context, j entangle.Job) runtimes.Runtime {
			return &gpuRuntime{host: e.host(), ctx: ctx, engine: j.Engine}
		}},
		{"ref", "the plain kernels, float64: slow and exact", true, func(*env, context.Context, entangle.Job) runtimes.Runtime {
			return native.New(ref.New(), native.Options{Float: prim.F64, Threads: 1})
		}},
		{gorgonnx.Name, "onnx-go with gorgonnx: pure Go, plain CNNs", false, func(*env, context.Context, entangle.Job) runtimes.Runtime {
			return gorgonnx.New()
		}},
	}
}

func isNative(name string) bool {
	for _, k := range runtimeKinds() {
		if k.name == name {
			return k.native
		}
	}
	return false
}

func runtimeNames() string {
	var s []string
	for _, k := range runtimeKinds() {
		s = append(s, k.name)
	}
	return strings.Join(s, ", ")
}

// openRuntime returns the runtime of that name for a job's threads, library and device.
func (e *env) openRuntime(c *cli.Context, j entangle.Job, flag, name string) (runtimes.Runtime, error) {
	for _, k := range runtimeKinds() {
		if k.name == name {
			return k.open(e, c.Context, j), nil
		}
	}
	return nil, usagef("--%s: want one of %s, got %q", flag, runtimeNames(), name)
}
