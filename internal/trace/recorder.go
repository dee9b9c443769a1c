package trace

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sync"
	"time"
)

// Recorder keeps the kernels of a run. It is safe for concurrent use.
type Recorder struct {
	mu     sync.Mutex
	frozen bool
	runs   int
	list   []kernel
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
	if !r.frozen {
		r.list = append(r.list, kernel{r.runs, node, name, start, end, flops, bytes})
	}
}

// Begin forgets what was recorded, unless the recorder is frozen.
func (r *Recorder) Begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.frozen {
		r.runs, r.list = 0, r.list[:0]
	}
}

// NextRun says that the kernels from here on belong to another program.
func (r *Recorder) NextRun() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs++
}

// Freeze keeps what was recorded until now and records nothing more.
func (r *Recorder) Freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = true
}

// Len returns the number of kernels recorded.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.list)
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

// Write writes one JSON object, one event a line. title names the process; other is
// kept under otherData.
func (r *Recorder) Write(w io.Writer, title string, other map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return fmt.Errorf("trace: want a step that ran, got none")
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
	zero := r.list[0].start
	for i, k := range r.list {
		seconds := k.end.Sub(k.start).Seconds()
		e := event{
			Name: k.name, Cat: "kernel", Phase: "X", TS: micro(k.start.Sub(zero)), Dur: micro(k.end.Sub(k.start)), PID: 1, TID: 1,
			Args: map[string]any{"run": k.run, "node": k.node, "gflop_per_s": rate(k.flops, seconds), "gb_per_s": rate(k.bytes, seconds)},
		}
		if err := put(e, i == len(r.list)-1); err != nil {
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
