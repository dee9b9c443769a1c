package trace

import (
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// LastRun returns be with every run of a program beginning r anew, so that r holds
// the kernels of the latest one.
func LastRun(be engine.Backend, r *Recorder) engine.Backend {
	return watched{be, func() {
		r.Begin()
		r.NextRun()
	}}
}

// EachRun returns be with the runs of programs numbered in r, in the order they are made.
func EachRun(be engine.Backend, r *Recorder) engine.Backend { return watched{be, r.NextRun} }

type watched struct {
	engine.Backend
	before func()
}

// Compile compiles on the backend itself.
func (w watched) Compile(p *prim.Program) (engine.Executable, error) {
	exe, err := w.Backend.Compile(p)
	if err != nil {
		return nil, err
	}
	return watchedExe{exe, w.before}, nil
}

type watchedExe struct {
	engine.Executable
	before func()
}

func (w watchedExe) Run(in []engine.Buffer) ([]engine.Buffer, error) {
	w.before()
	return w.Executable.Run(in)
}
