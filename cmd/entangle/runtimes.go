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
	open      func(e *env, threads int, library string) runtimes.Runtime
}

// runtimeKinds lists every runtime; the first is what models are verified on.
func runtimeKinds() []runtimeKind {
	return []runtimeKind{
		{ort.Name, "ONNX Runtime", false, func(e *env, threads int, library string) runtimes.Runtime {
			if library == "" {
				library = e.getenv("ONNXRUNTIME_LIB")
			}
			return ort.New(ort.Options{Library: library, Threads: threads})
		}},
		{"cpu", "the engine of this program, float32", true, func(_ *env, threads int, _ string) runtimes.Runtime {
			return native.New(cpu.New(cpu.Options{Threads: threads}), native.Options{Float: prim.F32, Threads: threads})
		}},
		{"ref", "the plain kernels, float64: slow and exact", true, func(_ *env, _ int, _ string) runtimes.Runtime {
			return native.New(ref.New(), native.Options{Float: prim.F64, Threads: 1})
		}},
		{gorgonnx.Name, "onnx-go with gorgonnx: pure Go, plain CNNs", false, func(*env, int, string) runtimes.Runtime {
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

// openRuntime returns the runtime of that name with the flags --threads and --ort-lib.
func (e *env) openRuntime(c *cli.Context, flag, name string) (runtimes.Runtime, error) {
	n, err := threads(c)
	if err != nil {
		return nil, err
	}
	for _, k := range runtimeKinds() {
		if k.name == name {
			return k.open(e, n, c.String("ort-lib")), nil
		}
	}
	return nil, usagef("--%s: want one of %s, got %q", flag, runtimeNames(), name)
}
