package xla

import "strings"

// xlaFlags returns the value of XLA_FLAGS with the toolkit's folder in it, unless
// the given flags name one or there is none.
func xlaFlags(given, cudaData string) string {
	const flag = "--xla_gpu_cuda_data_dir="
	if cudaData == "" || strings.Contains(given, flag) {
		return given
	}
	return strings.TrimSpace(given + " " + flag + cudaData)
}
