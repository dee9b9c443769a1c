package train

import (
	"errors"
	"fmt"

	"github.com/entangle-nas/entangle/search/net"
)

// Event is one line of a run's log.
type Event struct {
	Stage    string  `json:"stage"` // "search", "train", "finetune", …
	Kind     string  `json:"kind"`  // "step", "eval", "done"; "progress" of work without a loss, which is not recorded
	Step     int     `json:"step"`
	Total    int     `json:"total"`
	Epoch    float64 `json:"epoch"`
	Loss     float64 `json:"loss"`              // of the weight step, mean since the last event
	Accuracy float64 `json:"accuracy"`          // on the weight batches since the last event, or of an eval what Measure says
	Measure  string  `json:"measure,omitempty"` // name of the figure of an eval; "" where there is none
	Rate     float64 `json:"lr,omitempty"`      // weights' learning rate
	Seconds  float64 `json:"seconds,omitempty"` // since the run began in this process
	// Wait is the part of Seconds that steps spent waiting for batches and uploading them.
	Wait float64 `json:"data_wait,omitempty"`
	// Architecture, of a search:
	AlphaLoss  float64              `json:"alpha_loss,omitempty"`
	Cost       map[string]float64   `json:"expected_cost,omitempty"` // share of the original's, by metric
	Multiplier map[string]float64   `json:"multiplier,omitempty"`    // of the limit, by metric
	Coef       map[string][]float64 `json:"coefficients,omitempty"`  // mean coefficients per dim
	Entropy    float64              `json:"entropy,omitempty"`       // mean over dims, share of the largest
}

// scored takes the figure of a score, which may be nil.
func (e *Event) scored(s *net.Score) {
	if s != nil {
		f := s.Figure()
		e.Accuracy, e.Measure = f.Value, f.Name
	}
}

// Interrupted says that a run stopped at the caller's wish and can go on.
type Interrupted struct {
	Stage      string
	Step       int
	Checkpoint string // "" when the run keeps none
}

// Error names where the run stands.
func (e *Interrupted) Error() string {
	if e.Checkpoint == "" {
		return fmt.Sprintf("%s: interrupted at step %d; no checkpoint was asked for", e.Stage, e.Step)
	}
	return fmt.Sprintf("%s: interrupted at step %d; run the same command again to resume from %s", e.Stage, e.Step, e.Checkpoint)
}

// ErrDiverged says that the loss is no longer a number.
var ErrDiverged = errors.New("the loss is not finite")
