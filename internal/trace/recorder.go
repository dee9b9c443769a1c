package trace

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"
)

// Recorder keeps the kernels of a run. It is safe for concurrent use.
type Recorder struct {
	mu   sync.Mutex
	runs int
	list []kernel // since Begin
	kept []kernel
}

type kernel struct {
	run, node    int
	name         string
	start, end   time.Time
	flops, bytes float64
}

// Kernel records a kernel; it has the signature of the engine's trace hook. node is
// the kernel's place in the compiled program; flops and bytes are the arithmetic
// and the memory traffic that it stands for.
func (r *Recorder) Kernel(node int, name string, start, end time.Time, flops, bytes float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, kernel{r.runs, node, name, start, end, flops, bytes})
}

// Begin forgets what was recorded and not kept.
func (r *Recorder) Begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs, r.list = 0, r.list[:0]
}

// NextRun says that the kernels from here on belong to another program.
func (r *Recorder) NextRun() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs++
}

// Keep sets what was recorded aside if it has at least as many kernels as what was
// kept before, which it replaces.
func (r *Recorder) Keep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) > 0 && len(r.list) >= len(r.kept) {
		r.list, r.kept = r.kept[:0], r.list
	}
}

// Empty reports whether there is nothing to write.
func (r *Recorder) Empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.list) == 0 && len(r.kept) == 0
}

// event is one entry of the trace event format.
type event struct {
	Name  string         `json:"name"`
	Cat   string         `json:"cat,omitempty"`
	Phase string         `json:"ph"`
	TS    float64        `json:"ts"`
	Dur   float64        `json:"dur,omitempty"`
	PID   int            `json:"pid"`
	TID   int            `json:"tid"`
	Args  map[string]any `json:"args,omitempty"`
}

// Write writes what was kept, else what was recorded since Begin, as one JSON object
// with one event a line. title names the process; other is kept under otherData.
func (r *Recorder) Write(w io.Writer, title string, other map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.kept
	if len(list) == 0 {
		list = r.list
	}
	if len(list) == 0 {
		return errors.New("trace: want a step that ran, got none")
	}
	buf := bufio.NewWriter(w)
	head, err := json.Marshal(other)
	if err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	fmt.Fprintf(buf, "{\"displayTimeUnit\":\"ms\",\"otherData\":%s,\"traceEvents\":[\n", head)
	put := func(e event, last bool) error {
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("trace: %w", err)
		}
		buf.Write(line)
		if !last {
			buf.WriteByte(',')
		}
		return buf.WriteByte('\n')
	}
	if err := put(event{Name: "process_name", Phase: "M", PID: 1, TID: 1, Args: map[string]any{"name": title}}, false); err != nil {
		return err
	}
	zero := list[0].start
	for i, k := range list {
		seconds := k.end.Sub(k.start).Seconds()
		e := event{
			Name: k.name, Cat: "kernel", Phase: "X", TS: micro(k.start.Sub(zero)), Dur: micro(k.end.Sub(k.start)), PID: 1, TID: 1,
			Args: map[string]any{"run": k.run, "node": k.node, "gflop_per_s": rate(k.flops, seconds), "gb_per_s": rate(k.bytes, seconds)},
		}
		if err := put(e, i == len(list)-1); err != nil {
			return err
		}
	}
	buf.WriteString("]}\n")
	return buf.Flush()
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// rate returns giga-units a second to two decimals, 0 where the clock did not move.
func rate(n, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return math.Round(n/seconds/1e7) / 100
}
