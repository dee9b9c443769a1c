package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/rows"
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
		lines, err := rows.Read[row](f)
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
	return rows.Append(filepath.Join(string(s), r.Task+".jsonl"), r)
}
