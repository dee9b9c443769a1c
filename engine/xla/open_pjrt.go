//go:build xla

package xla

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomlx/go-xla/pkg/pjrt"
	"k8s.io/klog/v2"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/xla/lower"
)

// Built reports whether this program can open a device.
const Built = true

// Open loads the plugin and starts a client on the devices. It gives up after
// Options.Timeout or when ctx ends; what hangs then hangs until the process ends.
//
// It sets environment variables that the plugin reads, unless they are set: XLA_FLAGS,
// the toolkit's folder, and TF_CPP_MIN_LOG_LEVEL. The binding would name a folder of the
// toolkit that is not there; it does so only for plugins that it loads itself.
func Open(ctx context.Context, o Options) (*Backend, error) {
	if !filepath.IsAbs(o.Plugin) {
		return nil, fmt.Errorf("xla: plugin: want an absolute path, got %q", o.Plugin)
	}
	if _, err := os.Stat(o.Plugin); err != nil {
		return nil, fmt.Errorf("xla: plugin: %w", err)
	}
	if len(o.Devices) == 0 {
		o.Devices = []int{0}
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := environment(o); err != nil {
		return nil, err
	}
	klog.SetLogger(klog.New(nil))
	type opened struct {
		d   *pjrtDevice
		err error
	}
	done := make(chan opened, 1)
	go func() {
		d, err := start(o)
		done <- opened{d, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("xla: device %s: %s: %w", numbers(o.Devices), o.Plugin, problem(r.err))
		}
		return newBackend(r.d, lower.Options{Precision: o.Precision, Devices: r.d.devices}), nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("xla: device %s: %s: no answer within %v", numbers(o.Devices), o.Plugin, timeout)
		}
		return nil, context.Cause(ctx)
	}
}

// environment prepares what the plugin reads from the environment.
func environment(o Options) error {
	if os.Getenv("TF_CPP_MIN_LOG_LEVEL") == "" {
		if err := os.Setenv("TF_CPP_MIN_LOG_LEVEL", "2"); err != nil {
			return err
		}
	}
	return os.Setenv("XLA_FLAGS", xlaFlags(os.Getenv("XLA_FLAGS"), o.CUDAData, o.Precision))
}

func start(o Options) (*pjrtDevice, error) {
	preload(o.Libraries)
	plugin, err := loadPlugin(o.Plugin)
	if err != nil {
		return nil, err
	}
	client, err := plugin.NewClient(clientOptions(o))
	if err != nil {
		return nil, err
	}
	n := 1
	if isCUDA(o.Plugin) {
		n = len(o.Devices)
	}
	switch {
	case client.NumDevices() == 0:
		return nil, errors.New("the plugin sees no device")
	case client.NumDevices() < n:
		return nil, fmt.Errorf("want %d devices, the plugin sees %d", n, client.NumDevices())
	}
	name := client.Platform()
	if d, err := client.AddressableDevices()[0].GetDescription(); err == nil {
		name = d.DebugString()
	}
	major, minor := plugin.Version()
	text := fmt.Sprintf("%s, PJRT %d.%d of %s", name, major, minor, o.Plugin)
	if n > 1 {
		text = fmt.Sprintf("%d devices, the first %s", n, text)
	}
	return &pjrtDevice{client: client, devices: n, text: text, cache: cache{o.Cache, cacheLimit}, plugin: circumstances(o.Plugin)}, nil
}

// cacheLimit is how many bytes the cache of compiled modules keeps.
const cacheLimit = 2 << 30

// circumstances tells plugins apart: the file, its size and its age.
func circumstances(plugin string) string {
	info, err := os.Stat(plugin)
	if err != nil {
		return plugin
	}
	return fmt.Sprint(plugin, info.Size(), info.ModTime().UnixNano())
}

func isCUDA(plugin string) bool {
	return strings.Contains(strings.ToLower(filepath.Base(plugin)), "cuda")
}

func numbers(devices []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(devices), " ", ","), "[]")
}

// clientOptions shows a CUDA plugin its GPUs alone, so that memory of others is not taken.
func clientOptions(o Options) pjrt.NamedValuesMap {
	if !isCUDA(o.Plugin) {
		return nil
	}
	var visible []int64
	for _, d := range o.Devices {
		visible = append(visible, int64(d))
	}
	m := pjrt.NamedValuesMap{"visible_devices": visible}
	if o.MemoryShare > 0 {
		m["memory_fraction"] = float32(o.MemoryShare)
	}
	if o.Grow {
		m["preallocate"] = false
	}
	return m
}

// problem makes one line of an error of the binding, which prints a stack behind it. It
// wraps engine.ErrMemory where that is what the plugin says, by PJRT's code 8.
func problem(err error) error {
	s, _, _ := strings.Cut(err.Error(), "\n")
	if strings.Contains(s, "(code=8)") {
		return fmt.Errorf("%w: %s", engine.ErrMemory, s)
	}
	return errors.New(s)
}
