package main

import (
	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter/runtimes"
)

// source returns a model as a runtime takes it.
func source(m *entangle.Model, runtime string) (runtimes.Source, error) {
	return m.Source(isNative(runtime))
}
