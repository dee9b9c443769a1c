package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/internal/rows"
)

// row is a finished line of the comparison. Architectures are not in it: beside their
// accuracies they would be lines of tables that are not ours to publish.
type row struct {
	Space  string  `json:"space"`
	Method string  `json:"method"`
	Seed   uint64  `json:"seed"`
	Epochs float64 `json:"epochs"` // of weight steps
	// State is the version of the program, Settings what was changed by flags.
	State    string   `json:"state"`
	Settings []string `json:"settings,omitempty"`

	// Curve holds the accuracy in the table, in percent, of the architecture after every epoch;
	// the last is that of the end. Methods that choose at the end have that alone.
	Curve  []float64 `json:"curve"`
	Rank   int       `json:"rank"`   // of the last, 1 the best
	Regret float64   `json:"regret"` // points below the best
	// Optimum says whether the end is the best architecture of the paper's table, where that is known.
	Optimum bool `json:"optimum,omitempty"`
	// Held is the number of last epochs whose architecture is that of the end.
	Held int `json:"held,omitempty"`
	// Entropy is that of the mean coefficients at the end, as a share of the largest.
	Entropy float64 `json:"entropy,omitempty"`

	Gap gap `json:"gap"`
	// Retrained is what was found, trained anew by -retrain; nil: it was not.
	Retrained *retrained `json:"retrained,omitempty"`

	Steps   int     `json:"steps"`   // of weights
	Seconds effort  `json:"seconds"` // wall time
	Trials  int     `json:"trials,omitempty"`
	StepMiB float64 `json:"step_mib"` // what the largest program of a step works on
	Memory  float64 `json:"memory"`   // peak of the process, MiB
	// Params counts trained numbers of the supernet.
	Params int `json:"params"`
}

// gap is the accuracy on the test part of what the supernet holds, in percent: of the mixture at the mean coefficients, of
// the subnet of the end with inherited weights, and after its running statistics were
// recalibrated. 0 is not measured.
type gap struct {
	Mixture      float64 `json:"mixture,omitempty"`
	Inherited    float64 `json:"inherited"`
	Recalibrated float64 `json:"recalibrated"`
}

// retrained is a found architecture with weights of its own.
type retrained struct {
	Epochs   float64 `json:"epochs"`
	Accuracy float64 `json:"accuracy"` // on the test part, in percent
	// Alike is the mean over layers of the alignment (CKA) with the subnet that inherits the supernet's weights.
	Alike float64 `json:"alike"`
}

type effort struct {
	Train  float64 `json:"train"`
	Choose float64 `json:"choose,omitempty"` // of a second stage
}

// id tells rows apart.
func (r row) id() string {
	return strings.Join(append([]string{fmt.Sprintf("%s@%g/%s/%d", r.Space, r.Epochs, r.Method, r.Seed)}, r.Settings...), "+")
}

// last is the accuracy of the end.
func (r row) last() float64 { return r.Curve[len(r.Curve)-1] }

// line says a row in words.
func (r row) line() string {
	return fmt.Sprintf("%s: %.2f %% (rank %d, regret %.2f); mixture %.2f, inherited %.2f, recalibrated %.2f; %d steps, seconds %.0f + %.0f, %.0f MiB a step",
		r.id(), r.last(), r.Rank, r.Regret, r.Gap.Mixture, r.Gap.Inherited, r.Gap.Recalibrated, r.Steps, r.Seconds.Train, r.Seconds.Choose, r.StepMiB)
}

// cost is a line of what steps take: one of a space's supernet, entangled or with weights of their own
// for every choice.
type cost struct {
	Space    string  `json:"space"`
	Shared   bool    `json:"shared"` // weight sharing in place of entanglement
	State    string  `json:"state"`
	Batch    int     `json:"batch"`
	Params   int     `json:"params"`
	StepMiB  float64 `json:"step_mib"`
	Weight   float64 `json:"weight_seconds"` // of a weight step, median
	Arch     float64 `json:"arch_seconds"`   // of an architecture step, median
	Measured int     `json:"measured"`       // times
}

// store is the folder of finished rows: a file per space, a row per line.
type store string

// costLog is the file of costs.
const costLog = "steps.jsonl"

// rows reads every row; of rows with the same id the last counts.
func (s store) rows() ([]row, error) {
	files, err := filepath.Glob(filepath.Join(string(s), "*.jsonl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []row
	for _, f := range files {
		if filepath.Base(f) == costLog {
			continue
		}
		lines, err := rows.Read[row](f)
		if err != nil {
			return nil, err
		}
		for _, r := range lines {
			if len(r.Curve) == 0 {
				return nil, fmt.Errorf("%s: %s: want an accuracy, got none", f, r.id())
			}
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
func (s store) add(r row) error { return rows.Append(filepath.Join(string(s), r.Space+".jsonl"), r) }

// appendCost adds a cost.
func appendCost(s store, c cost) error { return rows.Append(filepath.Join(string(s), costLog), c) }

// costs reads the costs of steps; of lines that speak of the same the last counts.
func (s store) costs() ([]cost, error) {
	file := filepath.Join(string(s), costLog)
	if found, err := filepath.Glob(file); err != nil || found == nil {
		return nil, err
	}
	lines, err := rows.Read[cost](file)
	var out []cost
	for _, c := range lines {
		if i := slices.IndexFunc(out, func(o cost) bool { return o.Space == c.Space && o.Shared == c.Shared }); i >= 0 {
			out[i] = c
		} else {
			out = append(out, c)
		}
	}
	return out, err
}
