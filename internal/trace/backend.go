package trace

import (
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// Largest returns be with r keeping the latest run of the program that has the most
// kernels: of a training run, that is a training step. Programs must run one at a time.
func Largest(be engine.Backend, r *Recorder) engine.Backend {
	return watched{be, func() {
		r.Begin()
		r.NextRun()
	}, r.Keep}
}

// EachRun returns be with the runs of programs numbered in r, in the order they are made.
func EachRun(be engine.Backend, r *Recorder) engine.Backend {
	return watched{be, r.NextRun, func() {}}
}

type watched struct {
	engine.Backend
	before, after func()
}

// Compile compiles on the backend itself.
func (w watched) Compile(p *prim.Program) (engine.Executable, error) {
	exe, err := w.Backend.Compile(p)
	if err != nil {
		return nil, err
	}
	return watchedExe{exe, w}, nil
}

type watchedExe struct {
	engine.Executable
	w watched
}

func (x watchedExe) Run(in []engine.Buffer) ([]engine.Buffer, error) {
	x.w.before()
	out, err := x.Executable.Run(in)
	if err == nil {
		x.w.after()
	}
	return out, err
}
