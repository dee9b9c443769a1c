//go:build !cgo

package ort

import "github.com/entangle-nas/entangle/exporter/runtimes"

const reason = "this program was built without cgo (CGO_ENABLED=0), which ONNX Runtime needs; build it with a C compiler, or verify with --runtime cpu, ref or gorgonnx"

// New returns a runtime that reports how to get a program with ONNX Runtime.
func New(Options) runtimes.Runtime { return absent{} }

type absent struct{}

func (absent) Name() string { return Name }

func (absent) Describe() (runtimes.Info, error) {
	return runtimes.Info{}, &runtimes.UnavailableError{Runtime: Name, Reason: reason}
}

func (absent) Open(runtimes.Source) (runtimes.Session, error) {
	return nil, &runtimes.UnavailableError{Runtime: Name, Reason: reason}
}
