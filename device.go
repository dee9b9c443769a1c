package entangle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/xla"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/engine/xla/plugin"
)

// Host is what a run may touch of the world beside files.
type Host struct {
	Getenv func(string) string                      // nil: no variable is set
	Log    func(level int, format string, a ...any) // one line: 0 is told, 1 is detail; nil: nobody listens

	gpus map[string]*xla.Backend // opened, by plugin, device and precision
}

func (h *Host) getenv(name string) string {
	if h.Getenv == nil {
		return ""
	}
	return h.Getenv(name)
}

func (h *Host) logf(level int, format string, a ...any) {
	if h.Log != nil {
		h.Log(level, format, a...)
	}
}

// DeviceError is a device that was asked for and cannot be used.
type DeviceError struct{ Err error }

// Error is the error of the device.
func (e *DeviceError) Error() string { return e.Err.Error() }

// Unwrap returns it.
func (e *DeviceError) Unwrap() error { return e.Err }

// place is a parsed device.
type place struct {
	kind    string // "cpu", "cuda" or "auto"
	numbers []int  // of the GPUs; none means the first
}

func parseDevice(s string) (place, error) {
	bad := fmt.Errorf("want cpu, cuda, cuda:N, cuda:N,N,… or auto, got %q", s)
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

// GPU reports whether the settings ask for one by name.
func (g Engine) GPU() bool { return g.Device == "cuda" || strings.HasPrefix(g.Device, "cuda:") }

// Precise reports whether products are exact.
func (g Engine) Precise() bool { return lower.Precision(g.Precision) == lower.F32 }

// Workers returns the number of threads.
func (g Engine) Workers() int {
	if g.Threads == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return g.Threads
}

// Backend opens the engine that trains. A GPU that was asked for and cannot be used is a
// *DeviceError.
func (h *Host) Backend(ctx context.Context, g Engine) (engine.Backend, error) {
	d, err := parseDevice(g.Device)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	if d.kind == "cuda" || (d.kind == "auto" && xla.Built && plugin.GPU()) {
		be, err := h.GPU(ctx, g)
		if err == nil {
			h.logf(0, "engine: %s", be.Describe())
			return be, nil
		}
		if d.kind == "cuda" {
			return nil, err
		}
		level := 0
		if errors.Is(err, plugin.ErrNone) {
			level = 1
		}
		h.logf(level, "engine: the processor: %v", err)
	}
	if !g.Precise() {
		return nil, &DeviceError{fmt.Errorf("precision %s: no GPU can be used, and the processor computes in %s", g.Precision, lower.F32)}
	}
	return cpu.New(cpu.Options{Threads: g.Workers()}), nil
}

// GPU finds a plugin and starts it on the GPU that the settings name, else the first, once.
// Errors are *DeviceErrors but for an interrupt.
func (h *Host) GPU(ctx context.Context, g Engine) (*xla.Backend, error) {
	if !xla.Built {
		return nil, &DeviceError{xla.ErrNotBuilt}
	}
	d, err := parseDevice(g.Device)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	found, err := h.Plugin(ctx, g.Plugin)
	if err != nil {
		return nil, &DeviceError{err}
	}
	key := fmt.Sprint(found.Path, d.numbers, g.Precision)
	if be := h.gpus[key]; be != nil {
		return be, nil
	}
	h.logf(1, "plugin: %s (%s)", found.Path, found.Origin)
	modules, err := CacheFolder("xla")
	if err != nil {
		modules = ""
	}
	o := xla.Options{Cache: modules, Plugin: found.Path, Libraries: found.Libraries(), CUDAData: found.CUDAData(), Devices: d.numbers, Precision: lower.Precision(g.Precision)}
	if err := h.memoryOptions(&o); err != nil {
		return nil, err
	}
	be, err := xla.Open(ctx, o)
	switch {
	case err != nil && ctx.Err() == nil:
		return nil, &DeviceError{err}
	case err != nil:
		return nil, err
	case h.gpus == nil:
		h.gpus = map[string]*xla.Backend{}
	}
	h.gpus[key] = be
	return be, nil
}

// memoryOptions reads the variables by which users of JAX say how much memory of a GPU a
// process takes.
func (h *Host) memoryOptions(o *xla.Options) error {
	if s := h.getenv("XLA_PYTHON_CLIENT_PREALLOCATE"); s == "false" || s == "0" {
		o.Grow = true
	}
	s := h.getenv("XLA_PYTHON_CLIENT_MEM_FRACTION")
	if s == "" {
		return nil
	}
	var err error
	if o.MemoryShare, err = strconv.ParseFloat(s, 64); err != nil || !(o.MemoryShare > 0 && o.MemoryShare <= 1) {
		return &JobError{Faults: []error{fmt.Errorf("XLA_PYTHON_CLIENT_MEM_FRACTION: want a share of the memory in (0, 1], got %q", s)}}
	}
	return nil
}

// Plugin finds the PJRT plugin for CUDA; path, when not empty, names it.
func (h *Host) Plugin(ctx context.Context, path string) (plugin.Found, error) {
	cache, err := CacheFolder("cuda")
	if err != nil {
		cache = ""
	}
	return plugin.Find(ctx, plugin.Search{Path: path, Getenv: h.getenv, Cache: cache})
}

// CacheFolder is a folder of the user's cache: "cuda" holds what doctor --install-cuda
// installs, "xla" compiled modules.
func CacheFolder(name string) (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "entangle", name), err
}

// processor names what an engine runs on, and the machine's processor where the system tells.
func processor(be engine.Backend) string {
	out := be.Name()
	if d, ok := be.(interface{ Describe() string }); ok {
		out = d.Describe()
	}
	if name := processorName(); name != "" {
		return out + "; " + name
	}
	return out
}

// processorName is what the system calls the processor; "" where it does not say.
func processorName() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(string(info), "\n") {
		if key, name, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// deviceData returns DeviceData as net.Network takes it. Unset, it is none on the processor,
// where a copy of the samples saves nothing.
func (g Engine) deviceData(be engine.Backend) (int, error) {
	n, given, err := g.DeviceData.bytes(0)
	if !given && err == nil && be.Name() != "cpu" {
		n = 4 << 30
	}
	return n, err
}
