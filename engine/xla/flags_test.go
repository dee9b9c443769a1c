package xla

import (
	"testing"

	"github.com/entangle-nas/entangle/engine/xla/lower"
)

func TestXLAFlags(t *testing.T) {
	for _, c := range []struct {
		name, given, data string
		precision         lower.Precision
		want              string
	}{
		{"none", "", "", "", ""},
		{"set", "", "/x/cu13", lower.F32, "--xla_gpu_cuda_data_dir=/x/cu13"},
		{"added", "--xla_dump_to=d", "/x/cu13", lower.TF32, "--xla_dump_to=d --xla_gpu_cuda_data_dir=/x/cu13"},
		{"the user's own wins", "--xla_gpu_cuda_data_dir=/mine", "/x/cu13", "", "--xla_gpu_cuda_data_dir=/mine"},
		{"kept without a toolkit", "--xla_dump_to=d", "", "", "--xla_dump_to=d"},
		{"bfloat16 is kept", "--xla_dump_to=d", "/x/cu13", lower.BF16, "--xla_dump_to=d --xla_gpu_cuda_data_dir=/x/cu13 --xla_allow_excess_precision=false"},
		{"unless the user lets it go", "--xla_allow_excess_precision=true", "", lower.BF16, "--xla_allow_excess_precision=true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := xlaFlags(c.given, c.data, c.precision); got != c.want {
				t.Errorf("want %q, got %q", c.want, got)
			}
		})
	}
}
