//go:build xla && !linux

package xla

import "github.com/gomlx/go-xla/pkg/pjrt"

// preload does nothing where the loader finds libraries by itself.
func preload([]string) {}

// loadPlugin loads a plugin that is as old as the binding.
func loadPlugin(path string) (*pjrt.Plugin, error) { return pjrt.GetPlugin(path) }

// deviceRoom knows nothing.
func deviceRoom() (int, bool) { return 0, false }

// adaptedCompile calls compile, and keeps nothing.
func adaptedCompile(_ []byte, _ bool, compile func() error) ([]byte, bool, error) {
	return nil, false, compile()
}
