package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
)

// gpuRuntime is the native runtime over a GPU, which starts when it is first used.
type gpuRuntime struct {
	host   *entangle.Host
	ctx    context.Context
	engine entangle.Engine

	native   runtimes.Runtime
	location string
}

func (r *gpuRuntime) Name() string { return "xla" }

// Ends marks a runtimes.Ending.
func (r *gpuRuntime) Ends() {}

// start opens the GPU of the device; for auto and cpu, the first.
func (r *gpuRuntime) start() error {
	if r.native != nil {
		return nil
	}
	be, err := r.host.GPU(r.ctx, r.engine)
	var missing *entangle.DeviceError
	if errors.As(err, &missing) {
		return &entangle.DeviceError{Err: &runtimes.UnavailableError{Runtime: r.Name(), Reason: missing.Error()}}
	}
	if err != nil {
		return err
	}
	r.location = be.Describe()
	r.native = native.New(be, native.Options{Float: prim.F32})
	return nil
}

func (r *gpuRuntime) Describe() (runtimes.Info, error) {
	if err := r.start(); err != nil {
		return runtimes.Info{}, err
	}
	info, err := r.native.Describe()
	info.Location = r.location
	return info, err
}

func (r *gpuRuntime) Open(src runtimes.Source) (runtimes.Session, error) {
	if err := r.start(); err != nil {
		return nil, err
	}
	return r.native.Open(src)
}

// runtimeUnderTest names the runtime of --runtime, which is xla where it is not given and
// --device asks for a GPU. Against is the other runtime of the command, "" for none: what
// neither would heed is refused.
func runtimeUnderTest(c *cli.Context, j entangle.Job, against string) (string, error) {
	name := c.String("runtime")
	if j.GPU() && !c.IsSet("runtime") {
		name = "xla"
	}
	if heeded := name == "xla" || against == "xla"; !heeded {
		switch {
		case j.GPU():
			return "", usagef("--device %s: only the runtime xla runs on a GPU, got --runtime %s", j.Device, name)
		case !j.Precise():
			return "", usagef("--precision %s: only the runtime xla has it, got --runtime %s", j.Precision, name)
		}
	}
	return name, nil
}
