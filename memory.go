package entangle

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// spare returns how many bytes of memory the process can still take: what the system has
// available, and no more than what the control group that it runs in leaves. Root is where
// the system's files are; ok is false where it does not tell.
func spare(root string) (free int64, ok bool) {
	if text, err := os.ReadFile(filepath.Join(root, "proc/meminfo")); err == nil {
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			if rest, found := strings.CutPrefix(lines.Text(), "MemAvailable:"); found {
				if kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64); err == nil {
					free, ok = kb<<10, true
				}
			}
		}
	}
	group := ""
	if text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup")); err == nil {
		for _, line := range strings.Split(string(text), "\n") {
			if f := strings.SplitN(line, ":", 3); len(f) == 3 && (f[1] == "" || f[1] == "memory") {
				group = f[2]
				if f[1] == "memory" {
					break
				}
			}
		}
	}
	number := func(path string) (int64, bool) {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return n, err == nil // "max" is no number
	}
	// Inside a container the group's own folder is often the root of the tree.
	for _, files := range [][3]string{{"sys/fs/cgroup", "memory.max", "memory.current"}, {"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"}} {
		for _, at := range []string{group, ""} {
			dir := filepath.Join(root, files[0], at)
			limit, limited := number(filepath.Join(dir, files[1]))
			used, known := number(filepath.Join(dir, files[2]))
			if !limited || !known || limit > 1<<60 {
				continue
			}
			if left := max(limit-used+cached(dir), 0); !ok || left < free {
				free, ok = left, true
			}
		}
	}
	return free, ok
}

// cached returns what a control group uses for files, which the system takes back when it has to.
func cached(dir string) int64 {
	text, err := os.ReadFile(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		for _, key := range []string{"inactive_file ", "total_inactive_file "} {
			if rest, found := strings.CutPrefix(line, key); found {
				if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
					return n
				}
			}
		}
	}
	return 0
}

// need is what one kind of step works on.
type need struct {
	step  string
	bytes int
}

// ahead is about how many batches of samples are held beside the one in use.
const ahead = 3

// needs compiles the steps of a run without running them, the largest first. Steps take
// turns in one workspace, so the largest counts.
func (r *run) needs() (largest need, err error) {
	add := func(step string, bytes int) {
		if bytes > largest.bytes {
			largest = need{step, bytes}
		}
	}
	forward, err := r.plain.Forward(r.be)
	if err != nil {
		return need{}, err
	}
	add("evaluation", forward.Footprint())
	labelled := r.Views.Weights.Part().Labelled()
	if r.Job.searches() {
		if r.super, err = r.supernet(); err != nil {
			return need{}, err
		}
		n, err := r.entangled()
		if err != nil {
			return need{}, err
		}
		bytes, err := search.Memory(r.be, n, r.Job.Search, labelled)
		if err != nil {
			return need{}, err
		}
		add("search", bytes)
	}
	if r.Job.Tune.Epochs > 0 {
		plain := *r.plain
		plain.Memory = r.memory
		bytes, err := train.Memory(r.be, &plain, r.Job.Tune, labelled)
		if err != nil {
			return need{}, err
		}
		add("fine-tuning", bytes)
	}
	largest.bytes += ahead * r.samples()
	return largest, nil
}

// samples returns the bytes of the samples of a step: those of all its micro-batches.
func (r *run) samples() int {
	n := 0
	for _, name := range r.plain.Inputs {
		t := r.plain.Facts.Values[name].Type
		size := 4
		for _, k := range t.Sizes() {
			size *= max(k, 1)
		}
		n += size
	}
	parts := 1
	if r.Job.searches() {
		parts = r.Job.Search.Weights.Parts()
	}
	if r.Job.Tune.Epochs > 0 {
		parts = max(parts, r.Job.Tune.Parts())
	}
	return n * parts
}

// roomy reports whether the values of one forward pass are so far below the memory at hand
// that no step needs to be looked at.
func (r *run) roomy(free int64) bool {
	values := int64(0)
	for _, f := range r.plain.Facts.Values {
		size := int64(4)
		for _, k := range f.Type.Sizes() {
			size *= int64(max(k, 1))
		}
		if values += size; values > free/16 {
			return false
		}
	}
	return true
}

// fits refuses a batch whose steps take more memory than there is, before they take it. Of a
// GPU's memory its own plugin tells.
func (r *run) fits() error {
	if r.be.Name() != "cpu" {
		return nil
	}
	free, ok := spare("/")
	if !ok || r.roomy(free) {
		return nil
	}
	n, err := r.needs()
	if err != nil {
		return memoryFault(err)
	}
	return r.within(n, free)
}

func (r *run) within(n need, free int64) error {
	if int64(n.bytes) <= free {
		return nil
	}
	batch := r.Job.Data.Batch
	fixed := 0
	for _, t := range r.plain.Model.Graph.Inits {
		fixed += 4 * 3 * t.Len()
	}
	helps := fmt.Sprintf("--set step_memory=%dMiB computes parts of the forward pass again", max(free/2>>20, 1))
	if fits := int(float64(batch) * (0.8*float64(free) - float64(fixed)) / float64(max(n.bytes-fixed, 1))); fits >= 1 {
		small := 1
		for 2*small <= fits {
			small *= 2
		}
		parts := (batch + small - 1) / small
		helps = fmt.Sprintf("--batch %d should fit, with --set search.weights.accumulate=%d --set tune.accumulate=%d for steps on as many samples; %s", small, parts, parts, helps)
	}
	return &JobError{[]error{&keyed{"data.batch", fmt.Errorf("a step of %s at batch %d works on %s, and %s of memory are available: %s", n.step, batch, binary(int64(n.bytes)), binary(free), helps)}}}
}

// memoryFault makes a step that cannot be made as small as the job says a fault of the job.
func memoryFault(err error) error {
	var least *net.MemoryError
	if errors.As(err, &least) || errors.Is(err, engine.ErrMemory) {
		return &JobError{[]error{&keyed{"step_memory", err}}}
	}
	return err
}

// binary prints bytes with a unit.
func binary(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
