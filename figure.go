package entangle

import (
	"fmt"
	"math"
	"strconv"
)

// Figure is one measure of the original and of what was made of it.
type Figure struct {
	Name   string  `json:"name"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	Unit   string  `json:"unit,omitempty"` // of both, %; "" is none
	Lower  bool    `json:"lower_is_better,omitempty"`
	Own    bool    `json:"own,omitempty"` // the user's command printed it
}

// Drop returns by how many points the figure is worse than before: one is one of its unit.
// It is below 0 where it is better.
func (f Figure) Drop() float64 {
	if f.Lower {
		return f.After - f.Before
	}
	return f.Before - f.After
}

// Text prints a value of the figure.
func (f Figure) Text(v float64) string {
	if f.Unit == "%" {
		return fmt.Sprintf("%.2f %%", v)
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// Gate is the job's max_drop, held against the figures that it is for: the user's where there
// is one, else all of them.
type Gate struct {
	MaxDrop float64 `json:"max_drop"` // points
	Drop    float64 `json:"drop"`     // of the figure that dropped most
	Figure  string  `json:"figure"`
	Pass    bool    `json:"pass"`
}

// DropError is a result whose quality is further below the original's than the job allows.
type DropError struct {
	Figure Figure
	Most   float64 // points
}

// Error gives the figure before and after.
func (e *DropError) Error() string {
	f := e.Figure
	return fmt.Sprintf("quality: %s: want a drop of at most %g points, got %.6g: %s before, %s after", f.Name, e.Most, f.Drop(), f.Text(f.Before), f.Text(f.After))
}

// gate holds max_drop against the outcome's figures; a *DropError where one dropped further.
func (o *Outcome) gate(most *float64) error {
	if most == nil {
		return nil
	}
	var worst *Figure
	for i := range o.Figures {
		f := &o.Figures[i]
		if f.Own == (o.Evaluate != nil) && (worst == nil || f.Drop() > worst.Drop()) {
			worst = f
		}
	}
	if worst == nil {
		return nil
	}
	// Shares that differ by max_drop itself are computed with rounding.
	slack := 1e-9 * (math.Abs(worst.Before) + math.Abs(worst.After))
	o.Gate = &Gate{MaxDrop: *most, Drop: worst.Drop(), Figure: worst.Name, Pass: worst.Drop() <= *most+slack}
	if o.Gate.Pass {
		return nil
	}
	return &DropError{*worst, *most}
}

// figures compares the original with the first candidate as it was written: by the user's
// command, and on test, else on validation, by accuracy or by the distance of the outputs.
func (o *Outcome) figures() (out []Figure) {
	c := o.Candidates[0]
	if e, was, is := o.Evaluate, o.Original.Evaluated, c.Evaluated.Last(); e != nil && was != nil && is != nil {
		out = append(out, Figure{Name: e.Name, Before: *was, After: *is, Lower: e.Better == "lower", Own: true})
	}
	on, original, q := "test", o.Original.Test, c.Test
	if original == nil && q.Distance == nil {
		on, original, q = "validation", o.Original.Val, c.Val
	}
	if after := q.Last(); original != nil && after != nil {
		out = append(out, Figure{Name: "accuracy, " + on, Unit: "%", Before: 100 * original.Accuracy, After: 100 * after.Accuracy})
	}
	if q.Distance == nil || q.Distance.Last() == nil {
		return out
	}
	for _, x := range q.Distance.Last().Outputs {
		if x.Rows > 0 {
			out = append(out, Figure{Name: fmt.Sprintf("agreement of %q, %s", x.Name, on), Unit: "%", Before: 100, After: 100 * x.Agreement})
		} else {
			out = append(out, Figure{Name: fmt.Sprintf("distance of %q, %s", x.Name, on), Unit: "%", After: 100 * x.Error, Lower: true})
		}
	}
	return out
}
