package entangle

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/search/net"
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
// command, and on test, else on validation, by what scores them and by the distances of the outputs.
func (o *Outcome) figures() (out []Figure) {
	c := o.Candidates[0]
	if e, was, is := o.Evaluate, o.Original.Evaluated, c.Evaluated.Last(); e != nil && was != nil && is != nil {
		out = append(out, Figure{Name: e.Name, Before: *was, After: *is, Lower: e.Better == "lower", Own: true})
	}
	on, original, q := "test", o.Original.Test, c.Test
	if original == nil && q.Distance == nil {
		on, original, q = "validation", o.Original.Val, c.Val
	}
	add := func(name string, f measure.Figure, before, after float64) {
		x := Figure{Name: name, Before: before, After: after, Lower: f.Lower}
		if f.Points {
			x.Unit, x.Before, x.After = "%", 100*before, 100*after
		}
		out = append(out, x)
	}
	if after := q.Last(); original != nil && after != nil {
		was, is := original.Figure(), after.Figure()
		add(was.Name+", "+on, was, was.Value, is.Value)
	}
	if q.Distance == nil || q.Distance.Last() == nil {
		return out
	}
	for _, x := range q.Distance.Last().Outputs {
		scored := func(m net.Meaning) bool { return m.Labels && m.Output == x.Name }
		if original != nil && slices.ContainsFunc(o.Outputs, scored) {
			continue
		}
		f, same := x.Figure(), 1.0
		if f.Lower {
			f.Points, same = true, 0
		}
		add(fmt.Sprintf("%s of %q, %s", f.Name, x.Name, on), f, same, f.Value)
	}
	return out
}
