package main

import (
	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter/runtimes"
)

// source returns a model as a runtime takes it: the file for foreign runtimes, the normal
// graph for the module's own engines.
func source(m *entangle.Model, runtime string) runtimes.Source {
	if isNative(runtime) {
		return runtimes.Source{Path: m.Path, Model: m.Normal}
	}
	return runtimes.Source{Path: m.Path, Model: m.Raw}
}
