package xla

import (
	"strings"

	"github.com/entangle-nas/entangle/engine/xla/lower"
)

// xlaFlags returns the value of XLA_FLAGS with the toolkit's folder in it, where there
// is one, and for BF16 that what is held in bfloat16 stays so: XLA would drop a value's
// way into bfloat16 and back, and move all of its bytes. Given flags win.
func xlaFlags(given, cudaData string, p lower.Precision) string {
	add := func(flag, value string) {
		if !strings.Contains(given, flag) {
			given = strings.TrimSpace(given + " " + flag + value)
		}
	}
	if cudaData != "" {
		add("--xla_gpu_cuda_data_dir=", cudaData)
	}
	if p == lower.BF16 {
		add("--xla_allow_excess_precision=", "false")
	}
	return given
}
