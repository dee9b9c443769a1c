package train

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/space"
)

// Position is where a run stands between two steps, beside its tensors; a checkpoint holds
// both. A plain run leaves the fields of the architecture empty.
type Position struct {
	Run     string                `json:"run"`  // fingerprint of model, data split and configuration
	Step    int                   `json:"step"` // steps taken
	Loaders map[string]data.State `json:"loaders"`
	Streams map[string][]byte     `json:"streams"`                   // of random draws
	Alpha   [][]float64           `json:"alpha,omitempty"`           // per dim and choice
	Early   [][]float64           `json:"early,omitempty"`           // mean coefficients at search.EarlyShare of the steps
	Choice  []int                 `json:"choice,omitempty"`          // of a search in rounds: the subnet that stands
	Round   int                   `json:"round,omitempty"`           // rounds taken
	Rounds  []Round               `json:"rounds,omitempty"`          // what they measured
	Slots   [][][]float64         `json:"alpha_optimiser,omitempty"` // state of α's optimiser
	Lambda  []float64             `json:"multipliers,omitempty"`     // per limit of the budget
	Curve   []Event               `json:"curve,omitempty"`           // "eval" events
	Best    *Best                 `json:"best,omitempty"`            // so far; nil without validation
}

// Round is what a round measured: losses of the objective on architecture batches, normalised by
// the batch, of the subnet that stood and of others, each of which differs from it in one dim.
// Those that are not finite are left out.
type Round struct {
	Path   int      `json:"path,omitempty"` // that it is of, from 0 on
	Choice []int    `json:"choice"`         // that stood
	Loss   *float64 `json:"loss,omitempty"`
	Trials []Trial  `json:"trials,omitempty"`
}

// Trial is a subnet that has another choice of one dim.
type Trial struct {
	Dim    int     `json:"dim"`
	Choice int     `json:"choice"`
	Loss   float64 `json:"loss"`
}

// ofWeights names the loader of weight steps in a Position.
const ofWeights = "weights"

// Fingerprint identifies a run on a view for resuming: runs that may go on from each
// other's checkpoints have the same. more is what else the caller's run depends on, as JSON.
func (l *Loop) Fingerprint(view data.View, more ...any) string {
	text, err := json.Marshal([]any{l.settings, l.seed, l.Hooks.Stage, l.Net.Batch, view.Index, view.Set().Spec, more})
	if err != nil {
		panic("BUG: search: " + err.Error())
	}
	h := sha256.Sum256(append(text, space.Fingerprint(l.Net.Model)...))
	return hex.EncodeToString(h[:])
}

// Resume goes on from the run's checkpoint, when it keeps one and there is one. A
// checkpoint of another run, by Pos.Run, is an error and changes nothing.
func (l *Loop) Resume() error {
	if l.Hooks.Checkpoint == "" {
		return nil
	}
	pos, found, err := loadCheckpoint(l.Be, l.Hooks.Checkpoint, l.Pos.Run, l.Env)
	if err != nil || !found {
		return err
	}
	l.Pos = pos
	return l.Loader.Restore(pos.Loaders[ofWeights])
}

// save writes a checkpoint. What is unread is read first: it must not get lost, nor may a
// diverged run be kept.
func (l *Loop) save() error {
	if err := l.losses.read(l.Hooks.Stage); err != nil {
		return err
	}
	l.Pos.Loaders[ofWeights] = l.Loader.State()
	if l.best != nil {
		if err := l.best.save(); err != nil {
			return err
		}
	}
	return saveCheckpoint(l.Hooks.Checkpoint, l.Pos, l.Net, l.Env, l.Pos.Step == l.Total)
}
