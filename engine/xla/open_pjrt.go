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
)

// Built reports whether this program can open a device.
const Built = true

// Open loads the plugin and starts a client on one device. It gives up after
// Options.Timeout or when ctx ends; what hangs then hangs until the process ends.
//
// It sets environment variables that the plugin and its Go binding read, unless they
// are set: GOPJRT_CUDA_CHECKS, without which the binding names a folder of the
// toolkit that is not there; XLA_FLAGS, the toolkit's folder; TF_CPP_MIN_LOG_LEVEL.
func Open(ctx context.Context, o Options) (*Backend, error) {
	if !filepath.IsAbs(o.Plugin) {
		return nil, fmt.Errorf("xla: plugin: want an absolute path, got %q", o.Plugin)
	}
	if _, err := os.Stat(o.Plugin); err != nil {
		return nil, fmt.Errorf("xla: plugin: %w", err)
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := environment(o.CUDAData); err != nil {
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
			return nil, fmt.Errorf("xla: device %d: %s: %s", o.Device, o.Plugin, firstLine(r.err))
		}
		return newBackend(r.d, o.Precision), nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("xla: device %d: %s: no answer within %v", o.Device, o.Plugin, timeout)
		}
		return nil, context.Cause(ctx)
	}
}

// environment prepares what plugin and binding read from the environment.
func environment(cudaData string) error {
	set := map[string]string{"GOPJRT_CUDA_CHECKS": "no", "TF_CPP_MIN_LOG_LEVEL": "2"}
	for name, v := range set {
		if os.Getenv(name) == "" {
			if err := os.Setenv(name, v); err != nil {
				return err
			}
		}
	}
	return os.Setenv("XLA_FLAGS", xlaFlags(os.Getenv("XLA_FLAGS"), cudaData))
}

func start(o Options) (*pjrtDevice, error) {
	preload(o.Libraries)
	plugin, err := pjrt.GetPlugin(o.Plugin)
	if err != nil {
		return nil, err
	}
	client, err := plugin.NewClient(clientOptions(o))
	if err != nil {
		return nil, err
	}
	if client.NumDevices() == 0 {
		return nil, errors.New("the plugin sees no device")
	}
	name := client.Platform()
	if d, err := client.AddressableDevices()[0].GetDescription(); err == nil {
		name = d.DebugString()
	}
	major, minor := plugin.Version()
	return &pjrtDevice{client: client, text: fmt.Sprintf("%s, PJRT %d.%d of %s", name, major, minor, o.Plugin)}, nil
}

// clientOptions shows a CUDA plugin one GPU alone, so that memory of others is not taken.
func clientOptions(o Options) pjrt.NamedValuesMap {
	if !strings.Contains(strings.ToLower(filepath.Base(o.Plugin)), "cuda") {
		return nil
	}
	m := pjrt.NamedValuesMap{"visible_devices": []int64{int64(o.Device)}}
	if o.MemoryShare > 0 {
		m["memory_fraction"] = float32(o.MemoryShare)
	}
	if o.Grow {
		m["preallocate"] = false
	}
	return m
}

// firstLine drops the stack that errors of the binding print.
func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}
