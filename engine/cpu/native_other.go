//go:build !amd64 || purego

package cpu

// nativeKernels returns nil: there is no assembly for this build.
func nativeKernels() *kernels { return nil }
