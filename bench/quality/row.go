package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/atomicfile"
)

// row is a finished line of the scoreboard.
type row struct {
	Task   string `json:"task"`
	Budget string `json:"budget"`
	Method string `json:"method"`
	Seed   uint64 `json:"seed"`
	// State is the version of the program, Settings what the method was run with beside the
	// task's settings.
	State    string   `json:"state"`
	Settings []string `json:"settings,omitempty"`
	Nats     bool     `json:"nats,omitempty"`

	MACs   float64 `json:"macs"`   // shares of the original's
	Params float64 `json:"params"` // likewise
	// Val is the quality on validation: shares of right answers, or nats, at the three points
	// of a subnet's life; 0 where there is nothing to recalibrate.
	Val     points            `json:"val"`
	Loss    points            `json:"loss"` // on labels, nats
	Decided *entangle.Decided `json:"decided,omitempty"`

	Passes  effort  `json:"passes"`  // samples times passes
	Seconds effort  `json:"seconds"` // wall time
	Epochs  float64 `json:"epochs"`  // of tuning, with those that stand for the search
	Memory  float64 `json:"memory"`  // peak of the process, MiB
	SHA256  string  `json:"sha256"`  // of the tuned subnet's file
}

type points struct {
	Inherited    float64 `json:"inherited"`
	Recalibrated float64 `json:"recalibrated,omitempty"`
	Tuned        float64 `json:"tuned"`
}

type effort struct {
	Choose float64 `json:"choose"`
	Tune   float64 `json:"tune"`
}

// id tells rows apart.
func (r row) id() string { return fmt.Sprintf("%s@%s/%s/%d", r.Task, r.Budget, r.Method, r.Seed) }

// store is the folder of finished rows: a file per task, a row per line.
type store string

// rows reads every row; of rows with the same id the last counts.
func (s store) rows() ([]row, error) {
	files, err := filepath.Glob(filepath.Join(string(s), "*.jsonl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []row
	for _, f := range files {
		if filepath.Base(f) == testLog {
			continue
		}
		lines, err := readLines[row](f)
		if err != nil {
			return nil, err
		}
		for _, r := range lines {
			if i := slices.IndexFunc(out, func(o row) bool { return o.id() == r.id() }); i >= 0 {
				out[i] = r
			} else {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// add appends a row.
func (s store) add(r row) error {
	return appendLine(filepath.Join(string(s), r.Task+".jsonl"), r)
}

func readLines[T any](file string) ([]T, error) {
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

// appendLine adds a line to a file of lines, whole or not at all.
func appendLine(file string, v any) error {
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
