package main

import "golang.org/x/sys/cpu"

// cpuFeatures lists the vector features that the engine's kernels look for.
func cpuFeatures() []string {
	out := []string{}
	for _, f := range []struct {
		name string
		has  bool
	}{{"avx", cpu.X86.HasAVX}, {"avx2", cpu.X86.HasAVX2}, {"fma", cpu.X86.HasFMA}, {"avx512f", cpu.X86.HasAVX512F}} {
		if f.has {
			out = append(out, f.name)
		}
	}
	return out
}
