package workloads

import (
	"fmt"
	"runtime"
	"sort"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/entangle-nas/entangle/engine/cpu"
)

// BenchmarkEntangledStep prints what an entangled step (architecture step and weight
// step) costs over two plain steps, in processor time and in temporary storage, by the
// number of choices per dimension.
func BenchmarkEntangledStep(b *testing.B) {
	small := vitTiny
	small.depth = 6
	for _, w := range []struct {
		name  string
		batch int
		plain forward
		super func(choices int) forward
	}{
		{"resnet20", 32, resnet(16, 3, 0), func(k int) forward { return resnet(16, 3, k) }},
		{"vit", 16, small.forward(false), func(k int) forward {
			v := small
			v.hiddens = nil
			for i := range k {
				v.hiddens = append(v.hiddens, (i+1)*v.hidden/k)
			}
			return v.forward(true)
		}},
	} {
		for _, k := range []int{2, 4, 8, 16} {
			b.Run(fmt.Sprintf("%s/%d", w.name, k), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				var steps [2]*Runner
				for i, super := range []bool{false, true} {
					f := w.plain
					if super {
						f = w.super(k)
					}
					s, err := build(w.batch, super, f)
					if err != nil {
						b.Fatal(err)
					}
					if steps[i], err = NewRunner(cpu.New(cpu.Options{Threads: 1}), s); err != nil {
						b.Fatal(err)
					}
				}
				var times [2][]float64
				step := func(i int) float64 {
					start := threadTime()
					if err := steps[i].Step(); err != nil {
						b.Fatal(err)
					}
					return (threadTime() - start).Seconds()
				}
				step(0)
				step(1)
				for b.Loop() {
					times[0] = append(times[0], step(0)+step(0))
					times[1] = append(times[1], step(1))
				}
				for i := range times {
					sort.Float64s(times[i])
				}
				mid := len(times[0]) / 2
				arena := func(r *Runner) (n int) {
					for _, ph := range r.phases {
						n = max(n, ph.exe.Memory())
					}
					return n
				}
				b.ReportMetric(1e3*times[0][mid]/2, "plain-cpu-ms")
				b.ReportMetric(times[1][mid]/times[0][mid], "time-ratio")
				b.ReportMetric(float64(arena(steps[1]))/float64(arena(steps[0])), "memory-ratio")
			})
		}
	}
}

func threadTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
