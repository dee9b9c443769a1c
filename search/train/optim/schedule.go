package optim

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Schedule is a shape of the learning rate over a run.
type Schedule struct {
	Name string
	Doc  string
	// Factor returns the rate at t in [0, 1] as a fraction between the plan's
	// minimum (0) and its base (1).
	Factor func(p Plan, t float64) float64
}

// Schedules lists the shapes.
func Schedules() []Schedule {
	return []Schedule{
		{"cosine", "half a cosine from the base rate to the minimum", func(_ Plan, t float64) float64 { return (1 + math.Cos(math.Pi*t)) / 2 }},
		{"linear", "straight line from the base rate to the minimum", func(_ Plan, t float64) float64 { return 1 - t }},
		{"constant", "the base rate throughout", func(Plan, float64) float64 { return 1 }},
		{"step", "multiplied by gamma at the end of each of drops+1 equal parts", func(p Plan, t float64) float64 {
			return math.Pow(p.Gamma, math.Floor(min(t*float64(p.Drops+1), float64(p.Drops))))
		}},
	}
}

// Plan is the learning rate of a run.
type Plan struct {
	Schedule string  `json:"schedule"`
	Base     float64 `json:"base"`
	Min      float64 `json:"min"`
	// Warmup is the number of first steps over which the rate rises linearly from
	// Base/Warmup to Base.
	Warmup int `json:"warmup"`
	// Total is the number of steps of the run; the rate stays at its end beyond.
	Total int `json:"total"`
	// Gamma and Drops belong to "step".
	Gamma float64 `json:"gamma,omitempty"`
	Drops int     `json:"drops,omitempty"`
}

// Check reports a plan that At cannot follow.
func (p Plan) Check() error {
	var errs []error
	if _, err := p.schedule(); err != nil {
		errs = append(errs, err)
	}
	if !(p.Base >= 0) || math.IsInf(p.Base, 0) || !(p.Min >= 0) || p.Min > p.Base {
		errs = append(errs, fmt.Errorf("learning rate: want 0 ≤ min ≤ base, got min %v and base %v", p.Min, p.Base))
	}
	if p.Total < 1 || p.Warmup < 0 || p.Warmup > p.Total {
		errs = append(errs, fmt.Errorf("learning rate: want at least 1 step and a warm-up no longer than it, got %d steps and warm-up %d", p.Total, p.Warmup))
	}
	if p.Schedule == "step" && (!(p.Gamma > 0 && p.Gamma <= 1) || p.Drops < 0) {
		errs = append(errs, fmt.Errorf("learning rate: step: want gamma in (0, 1] and drops of at least 0, got %v and %d", p.Gamma, p.Drops))
	}
	return errors.Join(errs...)
}

func (p Plan) schedule() (Schedule, error) {
	var names []string
	for _, s := range Schedules() {
		if s.Name == p.Schedule {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Schedule{}, fmt.Errorf("learning rate: schedule: want one of %s, got %q", strings.Join(names, ", "), p.Schedule)
}

// At returns the rate of step, counted from 0. The plan must have passed Check.
func (p Plan) At(step int) float64 {
	if step < p.Warmup {
		return p.Base * float64(step+1) / float64(p.Warmup)
	}
	s, err := p.schedule()
	if err != nil {
		panic("BUG: optim: unchecked plan: " + err.Error())
	}
	t := 1.0
	if n := p.Total - p.Warmup; step-p.Warmup < n {
		t = float64(step-p.Warmup) / float64(n)
	}
	return p.Min + (p.Base-p.Min)*s.Factor(p, t)
}

// ValidateSchedules reports every schedule that is incomplete or listed twice.
func ValidateSchedules(list []Schedule) error {
	var errs []error
	seen := map[string]bool{}
	for i, s := range list {
		if s.Name == "" || s.Doc == "" || s.Factor == nil {
			errs = append(errs, fmt.Errorf("schedule %d (%q): want Name, Doc and Factor", i, s.Name))
		}
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("schedule %q: listed twice", s.Name))
		}
		seen[s.Name] = true
	}
	return errors.Join(errs...)
}
