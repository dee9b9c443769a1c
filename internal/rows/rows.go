// Package rows keeps what benchmarks of the project measured: files of JSON lines that grow by
// one line at a time, and pages of docs/ whose tables are rebuilt from them.
package rows

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/internal/atomicfile"
)

// Read returns the lines of a file, empty ones left out. Errors name the line.
func Read[T any](file string) ([]T, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []T
	scan := bufio.NewScanner(bytes.NewReader(text))
	scan.Buffer(nil, 1<<20)
	for n := 1; scan.Scan(); n++ {
		if len(bytes.TrimSpace(scan.Bytes())) == 0 {
			continue
		}
		var v T
		if err := json.Unmarshal(scan.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
		out = append(out, v)
	}
	return out, scan.Err()
}

// Append adds a line to a file, whole or not at all.
func Append(file string, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return atomicfile.Write(file, func(w io.Writer) error {
		_, err := w.Write(append(append(text, line...), '\n'))
		return err
	})
}

// Marks between which Rebuild writes.
const (
	Begin = "<!-- rows: begin -->\n"
	End   = "<!-- rows: end -->\n"
)

// Rebuild writes what stands between the marks of a page anew; what stands around them stays.
func Rebuild(page, tables string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), Begin)
	_, after, ok2 := strings.Cut(rest, End)
	if !ok || !ok2 {
		return fmt.Errorf("%s: want the lines %q and %q", page, strings.TrimSpace(Begin), strings.TrimSpace(End))
	}
	return atomicfile.Write(page, func(w io.Writer) error {
		_, err := io.WriteString(w, before+Begin+tables+End+after)
		return err
	})
}

// State names the version of the working tree: its commit, and whether files differ from it.
func State() string {
	text, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// PeakMemory is the most memory that the process has had, in MiB; 0 where the system does not
// tell.
func PeakMemory() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

// Values are the figures of seeds, in the order of the seeds.
func Values(bySeed map[uint64]float64) (out []float64) {
	for _, seed := range slices.Sorted(maps.Keys(bySeed)) {
		out = append(out, bySeed[seed])
	}
	return out
}
