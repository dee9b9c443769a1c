//go:build xla && !linux

package xla

// preload does nothing where the loader finds libraries by itself.
func preload([]string) {}
