package entangle

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
)

// TestSpare: the least of what the system has available and what a control group leaves.
func TestSpare(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
		ok    bool
	}{
		{"nothing is told", nil, 0, false},
		{"system", map[string]string{"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    4000 kB\n"}, 4000 << 10, true},
		{"group without a limit", map[string]string{"proc/meminfo": "MemAvailable: 4000 kB\n", "proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.current": "5\n"}, 4000 << 10, true},
		{"group of version 2", map[string]string{"proc/meminfo": "MemAvailable: 4000 kB\n", "proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/memory.max": "1000000\n", "sys/fs/cgroup/a/memory.current": "600000\n", "sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 100000\n"}, 500000, true},
		{"group seen as the root of the tree", map[string]string{"proc/meminfo": "MemAvailable: 4000 kB\n", "proc/self/cgroup": "0::/docker/x\n",
			"sys/fs/cgroup/memory.max": "1000000\n", "sys/fs/cgroup/memory.current": "600000\n"}, 400000, true},
		{"group of version 1", map[string]string{"proc/meminfo": "MemAvailable: 4000 kB\n", "proc/self/cgroup": "9:memory:/b\n0::/\n",
			"sys/fs/cgroup/memory/b/memory.limit_in_bytes": "2000000\n", "sys/fs/cgroup/memory/b/memory.usage_in_bytes": "1500000\n"}, 500000, true},
		{"a group that leaves more than there is", map[string]string{"proc/meminfo": "MemAvailable: 4 kB\n",
			"sys/fs/cgroup/memory.max": "1000000\n", "sys/fs/cgroup/memory.current": "600000\n"}, 4096, true},
		{"a group above its limit", map[string]string{"sys/fs/cgroup/memory.max": "10\n", "sys/fs/cgroup/memory.current": "20\n"}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range c.files {
				path = filepath.Join(root, path)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			if got, ok := spare(root); got != c.want || ok != c.ok {
				t.Errorf("want %d, %t, got %d, %t", c.want, c.ok, got, ok)
			}
		})
	}
}

// TestWithin: what does not fit is a fault of the batch, with one that does.
func TestWithin(t *testing.T) {
	r := &run{Plan: &Plan{Job: DefaultJob()}, plain: &net.Network{Model: &ir.Model{Graph: &ir.Graph{Inits: []*ir.Tensor{ir.NewFloat32("w", []int{1000}, make([]float32, 1000))}}}}}
	r.Job.Data.Batch = 1000
	if err := r.within(need{"search", 1 << 30}, 1<<30); err != nil {
		t.Errorf("want what fits to pass, got %v", err)
	}
	err := r.within(need{"search", 8 << 30}, 1<<30)
	var job *JobError
	if !errors.As(err, &job) {
		t.Fatalf("want a *JobError, got %v", err)
	}
	for _, want := range []string{"data.batch: ", "a step of search at batch 1000 works on 8.0 GiB, and 1.0 GiB of memory are available", "--batch 64 ", "accumulate=16", "step_memory=512MiB"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
	if err := r.within(need{"search", 8 << 30}, 1<<12); err == nil || strings.Contains(err.Error(), "--batch") {
		t.Errorf("want no batch proposed where not one sample fits, got %v", err)
	}
}

// TestTeacherTakesMemory: a dry run counts the teacher's weights beside a step, and its forward
// pass where that is the largest.
func TestTeacherTakesMemory(t *testing.T) {
	m, set := modeltest.WithImages(t, "fashion-tiny", 64, 16)
	j := DefaultJob()
	j.Data.Batch, j.Space.Divisor, j.Method = 16, 2, "uniform"
	needs := func(o models.Options) (need, int) {
		if o.Width > 0 {
			j.Teacher = filepath.Join(t.TempDir(), "teacher.onnx")
			if err := Export(j.Teacher, modeltest.Normal(t, "fashion-tiny", o)); err != nil {
				t.Fatal(err)
			}
		}
		p, err := Prepare(&Model{Raw: m, Normal: m}, set, j)
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.begin(context.Background(), cpu.New(cpu.Options{Threads: 1}), Options{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := r.needs()
		if err != nil {
			t.Fatal(err)
		}
		weights := 0
		for _, x := range r.teach.Model.Graph.Inits {
			weights += 4 * x.Len()
		}
		return n, weights
	}
	alone, _ := needs(models.Options{})
	small, weights := needs(models.Options{Classes: 4, Width: 4, Seed: 2})
	if alone.step != "fine-tuning" || small.step != alone.step || small.bytes != alone.bytes+weights {
		t.Errorf("want %d bytes and the teacher's %d, got %+v", alone.bytes, weights, small)
	}
	if large, _ := needs(models.Options{Classes: 4, Width: 256, Seed: 2}); large.step != "the teacher" || large.bytes < 2*alone.bytes {
		t.Errorf("want the teacher's pass as the largest step, got %+v", large)
	}
}
