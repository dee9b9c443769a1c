package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/xla"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/engine/xla/plugin"
)

// deviceFlags say where the engine runs and how it multiplies there.
func deviceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "device", Usage: "where the engine runs: cpu, cuda, cuda:N, cuda:N,N,… whose GPUs share each batch, or auto: a GPU if this program can use one, else the processor", Value: "auto"},
		&cli.StringFlag{Name: "precision", Usage: "products on a GPU, from exact to fast: " + precisionNames(), Value: string(precisionDefault)},
		&cli.StringFlag{Name: "pjrt-plugin", Usage: "PJRT plugin for CUDA", DefaultText: "found; see docs/gpu.md", TakesFile: true},
	}
}

const precisionDefault = lower.F32

func precisionNames() string {
	var s []string
	for _, p := range lower.Precisions {
		s = append(s, string(p))
	}
	return strings.Join(s, ", ")
}

// place is a parsed --device.
type place struct {
	kind    string // "cpu", "cuda" or "auto"
	numbers []int  // of the GPUs; none means the first
}

func parseDevice(s string) (place, error) {
	bad := usagef("--device: want cpu, cuda, cuda:N, cuda:N,N,… or auto, got %q", s)
	kind, list, given := strings.Cut(s, ":")
	if !slices.Contains([]string{"cpu", "cuda", "auto"}, kind) || (given && kind != "cuda") {
		return place{}, bad
	}
	d := place{kind: kind}
	for _, number := range strings.Split(list, ",") {
		if !given {
			break
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || slices.Contains(d.numbers, n) {
			return place{}, bad
		}
		d.numbers = append(d.numbers, n)
	}
	return d, nil
}

// deviceError is a device that was asked for and cannot be used.
type deviceError struct{ error }

func (e *deviceError) Unwrap() error { return e.error }

// device reads the flags of deviceFlags.
func device(c *cli.Context) (place, lower.Precision, error) {
	d, err := parseDevice(c.String("device"))
	if err != nil {
		return d, "", err
	}
	p := lower.Precision(c.String("precision"))
	switch {
	case !slices.Contains(lower.Precisions, p):
		return d, "", usagef("--precision: want one of %s, got %q", precisionNames(), p)
	case d.kind == "cpu" && p != precisionDefault:
		return d, "", usagef("--precision: the processor computes in %s, got %q", precisionDefault, p)
	}
	return d, p, nil
}

// openBackend returns the engine that trains, on --device.
func (e *env) openBackend(c *cli.Context) (engine.Backend, error) {
	n, err := threads(c)
	if err != nil {
		return nil, err
	}
	d, p, err := device(c)
	if err != nil {
		return nil, err
	}
	if d.kind == "cuda" || (d.kind == "auto" && xla.Built && plugin.GPU()) {
		be, err := e.openGPU(c, d, p)
		if err == nil {
			e.logf("engine: %s", be.Describe())
			return be, nil
		}
		if d.kind == "cuda" {
			return nil, err
		}
		if errors.Is(err, plugin.ErrNone) {
			e.debugf("engine: the processor: %v", err)
		} else {
			e.logf("engine: the processor: %v", err)
		}
	}
	if p != precisionDefault {
		return nil, &deviceError{fmt.Errorf("--precision %s: no GPU can be used, and the processor computes in %s", p, precisionDefault)}
	}
	return cpu.New(cpu.Options{Threads: n}), nil
}

// openGPU finds a plugin and starts it on a GPU, once. Errors are deviceErrors but for
// an interrupt.
func (e *env) openGPU(c *cli.Context, d place, p lower.Precision) (*xla.Backend, error) {
	if !xla.Built {
		return nil, &deviceError{xla.ErrNotBuilt}
	}
	found, err := e.findPlugin(c.Context, c.String("pjrt-plugin"))
	if err != nil {
		return nil, &deviceError{err}
	}
	key := fmt.Sprint(found.Path, d.numbers, p)
	if be := e.gpus[key]; be != nil {
		return be, nil
	}
	e.debugf("plugin: %s (%s)", found.Path, found.Origin)
	modules, err := cacheFolder("xla")
	if err != nil {
		modules = ""
	}
	o := xla.Options{Cache: modules, Plugin: found.Path, Libraries: found.Libraries(), CUDAData: found.CUDAData(), Devices: d.numbers, Precision: p}
	if err := e.memoryOptions(&o); err != nil {
		return nil, err
	}
	be, err := xla.Open(c.Context, o)
	switch {
	case err != nil && c.Context.Err() == nil:
		return nil, &deviceError{err}
	case err != nil:
		return nil, err
	case e.gpus == nil:
		e.gpus = map[string]*xla.Backend{}
	}
	e.gpus[key] = be
	return be, nil
}

// memoryOptions reads the variables by which users of JAX say how much memory of a GPU a
// process takes.
func (e *env) memoryOptions(o *xla.Options) error {
	if s := e.getenv("XLA_PYTHON_CLIENT_PREALLOCATE"); s == "false" || s == "0" {
		o.Grow = true
	}
	s := e.getenv("XLA_PYTHON_CLIENT_MEM_FRACTION")
	if s == "" {
		return nil
	}
	var err error
	if o.MemoryShare, err = strconv.ParseFloat(s, 64); err != nil || !(o.MemoryShare > 0 && o.MemoryShare <= 1) {
		return usagef("XLA_PYTHON_CLIENT_MEM_FRACTION: want a share of the memory in (0, 1], got %q", s)
	}
	return nil
}

func (e *env) findPlugin(ctx context.Context, path string) (plugin.Found, error) {
	cache, err := cacheFolder("cuda")
	if err != nil {
		cache = ""
	}
	return plugin.Find(ctx, plugin.Search{Path: path, Getenv: e.getenv, Cache: cache})
}

// cacheFolder is a folder of the user's cache: "cuda" holds what doctor --install-cuda
// installs, "xla" compiled modules.
func cacheFolder(name string) (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "entangle", name), err
}
