package xla

import "testing"

func TestXLAFlags(t *testing.T) {
	for _, c := range []struct{ name, given, data, want string }{
		{"none", "", "", ""},
		{"set", "", "/x/cu13", "--xla_gpu_cuda_data_dir=/x/cu13"},
		{"added", "--xla_dump_to=d", "/x/cu13", "--xla_dump_to=d --xla_gpu_cuda_data_dir=/x/cu13"},
		{"the user's own wins", "--xla_gpu_cuda_data_dir=/mine", "/x/cu13", "--xla_gpu_cuda_data_dir=/mine"},
		{"kept without a toolkit", "--xla_dump_to=d", "", "--xla_dump_to=d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := xlaFlags(c.given, c.data); got != c.want {
				t.Errorf("want %q, got %q", c.want, got)
			}
		})
	}
}
