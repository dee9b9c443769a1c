package main

import (
	"strings"

	"github.com/urfave/cli/v2"

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
	open      func(e *env, c *cli.Context, threads int) runtimes.Runtime
}

// runtimeKinds lists every runtime; the first is what models are verified on.
func runtimeKinds() []runtimeKind {
	return []runtimeKind{
		{ort.Name, "ONNX Runtime", false, func(e *env, c *cli.Context, threads int) runtimes.Runtime {
			library := c.String("ort-lib")
			if library == "" {
				library = e.getenv("ONNXRUNTIME_LIB")
			}
			return ort.New(ort.Options{Library: library, Threads: threads})
		}},
		{"cpu", "the engine of this program, float32", true, func(_ *env, _ *cli.Context, threads int) runtimes.Runtime {
			return native.New(cpu.New(cpu.Options{Threads: threads}), native.Options{Float: prim.F32, Threads: threads})
		}},
		{"xla", "the engine of this program on a GPU, float32", true, func(e *env, c *cli.Context, _ int) runtimes.Runtime {
			return &gpuRuntime{e: e, c: c}
		}},
		{"ref", "the plain kernels, float64: slow and exact", true, func(*env, *cli.Context, int) runtimes.Runtime {
			return native.New(ref.New(), native.Options{Float: prim.F64, Threads: 1})
		}},
		{gorgonnx.Name, "onnx-go with gorgonnx: pure Go, plain CNNs", false, func(*env, *cli.Context, int) runtimes.Runtime {
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

func ortLibFlag() cli.Flag {
	return &cli.StringFlag{Name: "ort-lib", Usage: "shared library of ONNX Runtime", DefaultText: "$ONNXRUNTIME_LIB, else the usual places", TakesFile: true}
}

// openRuntime returns the runtime of that name with the flags --threads, --ort-lib and those of the device.
func (e *env) openRuntime(c *cli.Context, flag, name string) (runtimes.Runtime, error) {
	n, err := threads(c)
	if err != nil {
		return nil, err
	}
	for _, k := range runtimeKinds() {
		if k.name == name {
			return k.open(e, c, n), nil
		}
	}
	return nil, usagef("--%s: want one of %s, got %q", flag, runtimeNames(), name)
}
