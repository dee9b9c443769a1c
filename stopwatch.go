package entangle

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// Stopwatch measures a run.
type Stopwatch struct{ start time.Time }

// NewStopwatch starts one.
func NewStopwatch() Stopwatch { return Stopwatch{time.Now()} }

// Read returns the seconds since the start and the process's peak resident
// memory in bytes, 0 where the system does not tell.
func (s Stopwatch) Read() (seconds float64, peak int64) {
	seconds = time.Since(s.start).Seconds()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return seconds, 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err == nil {
				return seconds, kb << 10
			}
		}
	}
	return seconds, 0
}
