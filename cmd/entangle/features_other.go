//go:build !amd64

package main

// cpuFeatures lists the vector features that the engine's kernels look for:
// none on this architecture.
func cpuFeatures() []string { return []string{} }
