package entangle

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// Within is how the smallest model within a loss of quality was found.
type Within struct {
	Drop    float64 `json:"drop"`   // most points that may be lost
	Figure  string  `json:"figure"` // that decides
	Unit    string  `json:"unit,omitempty"`
	Lower   bool    `json:"lower_is_better,omitempty"`
	Before  float64 `json:"before"`            // the figure of the original
	Samples int     `json:"samples,omitempty"` // of validation that the figure is of; 0: the user's command gave it
	Tried   []Tried `json:"tried"`             // in turn
	Answer  string  `json:"answer,omitempty"`  // the smallest size within the drop; "": none is
	Next    string  `json:"next,omitempty"`    // the next smaller one that was tried, which lost more; "": the answer is the smallest subnet
}

// Tried is a size with its quality after tuning.
type Tried struct {
	Name    string             `json:"name"`
	Cost    map[string]float64 `json:"cost"`
	Limit   float64            `json:"limit"` // share of the original's cost in the metric that shrinks
	Share   float64            `json:"share"` // that it has
	Quality float64            `json:"quality"`
	Lost    float64            `json:"lost"` // points
	Holds   bool               `json:"within"`
	Test    *float64           `json:"lost_on_test,omitempty"` // points; told, and never decides
	As      string             `json:"as,omitempty"`           // an earlier size, whose subnet this one is, too
}

// NoneWithinError says that no size that was tried is within the drop.
type NoneWithinError struct {
	Drop    float64 // points
	Figure  Figure  // of the largest size that was tried
	Largest Tried
}

// Error gives the largest size that was tried.
func (e *NoneWithinError) Error() string {
	f := e.Figure
	return fmt.Sprintf("search: target drop ≤ %g: no size is within it, %s (%.3g of the original) lost %.4g points: %s: %s before, %s after", e.Drop, e.Largest.Name, e.Largest.Share, e.Largest.Lost, f.Name, f.Text(f.Before), f.Text(f.After))
}

// Text says what was found, in a metric.
func (w *Within) Text(metric string) string {
	of := func(name string) string {
		t := w.Tried[slices.IndexFunc(w.Tried, func(t Tried) bool { return t.Name == name })]
		return fmt.Sprintf("%s (%.3g of the original's %s) loses %.4g points", name, t.Share, metric, t.Lost)
	}
	text := fmt.Sprintf("at most %g points lost, %s", w.Drop, w.Figure)
	if w.Samples > 0 {
		text += fmt.Sprintf(" (%d samples)", w.Samples)
	}
	switch {
	case w.Answer == "":
		return text + ": no size is within it; " + of(w.Next)
	case w.Next == "":
		return text + ": " + of(w.Answer) + ", and is the smallest subnet"
	}
	return text + ": " + of(w.Answer) + ", the next smaller one, " + of(w.Next)
}

// Subnet is the size whose subnet a size that was tried is: itself, or an earlier one; "" for none.
func (w *Within) Subnet(name string) string {
	at := slices.IndexFunc(w.Tried, func(t Tried) bool { return t.Name == name })
	if at < 0 {
		return ""
	}
	return cmp.Or(w.Tried[at].As, name)
}

// halfSteps is how many sizes it takes until the cost has halved.
const halfSteps = 8

// ladder holds the sizes among which the smallest within a drop is looked for.
type ladder struct {
	metric string
	limits []float64 // shares of the original's cost, the largest first
	halves []int     // sizes of the rungs, but for the first: those that are tried until one fails
	rungs  []*sized  // that the search falls through
}

// ladderTarget has the limits of a size of the ladder.
func (p *Plan) ladderTarget(l *ladder, k int) Targets {
	out := Targets{{Metric: l.metric, Share: l.limits[k]}}
	for _, t := range p.Job.Target {
		if t.Metric != Drop && t.Metric != l.metric {
			out = append(out, t)
		}
	}
	return out
}

// newLadder divides what lies between the original, or the metric's own limit, and the smallest
// subnet into sizes by equal factors.
func (p *Plan) newLadder() (*ladder, error) {
	l := &ladder{metric: p.Job.Target.Shrinks()}
	cost := p.Cost[l.metric]
	whole := cost.Whole
	smallest, top := decide.Smallest(cost, p.Space)/whole, 1.0
	if l.metric == latency.Name && p.Prices != nil {
		smallest = max(smallest, p.Prices.Smallest)
	}
	if at := p.Job.Target.index(l.metric); at >= 0 && !p.Job.Target[at].free() {
		if top = p.Job.Target[at].Share; top == 0 {
			top = p.Job.Target[at].Limit / whole
		}
	}
	top = min(top, 1)
	// A share of so many digits names the size.
	digits := func(share float64, round func(float64) float64) float64 {
		scale := math.Pow(10, 3-math.Ceil(math.Log10(share)))
		return round(share*scale) / scale
	}
	least := digits(smallest, math.Ceil)
	var rungs []int
	for k := 0; ; k++ {
		share := digits(top*math.Pow(2, -float64(k)/halfSteps), math.Round)
		if k == 0 && top == 1 {
			continue // the original
		}
		if share <= least {
			break
		}
		if k == halfSteps/2 || k > 0 && k%halfSteps == 0 {
			rungs = append(rungs, len(l.limits))
		}
		l.limits = append(l.limits, share)
	}
	if least < 1 {
		l.limits = append(l.limits, least)
	}
	if len(l.limits) == 0 {
		return nil, &JobError{[]error{&keyed{"target", fmt.Errorf("drop: the space has no subnet with less %s than the original", l.metric)}}}
	}
	if len(rungs) < 2 {
		rungs = append(rungs, len(l.limits)-1)
	}
	for i, k := range rungs {
		s, err := p.ladderSize(l, k)
		if err != nil {
			return nil, err
		}
		l.rungs = append(l.rungs, s)
		if i > 0 || len(rungs) == 1 {
			l.halves = append(l.halves, k)
		}
	}
	return l, nil
}

// ladderSize makes the plan of a size.
func (p *Plan) ladderSize(l *ladder, k int) (*sized, error) {
	t := p.ladderTarget(l, k)
	return p.size(t[:1].name(), t)
}

// next is the size to try where one holds (−1: the original) and a smaller one does not
// (len(limits): none was tried): the next half of the cost until one fails, then the middle; −1
// where nothing lies between.
func (l *ladder) next(holds, fails int) int {
	if fails-holds < 2 {
		return -1
	}
	if fails == len(l.limits) {
		for _, k := range l.halves {
			if k > holds {
				return k
			}
		}
	}
	return (holds + fails) / 2
}

// tries is how many sizes are tried where the answer has about half of the cost.
func (l *ladder) tries() int { return min(2+bits.Len(halfSteps-1), len(l.limits)) }

// judgeable refuses a drop that nothing can measure.
func (p *Plan) judgeable() error {
	if _, drops := p.Job.Target.Drop(); !drops || p.Job.Evaluate.Command != "" {
		return nil
	}
	why := ""
	switch {
	case !slices.ContainsFunc(p.Outputs, func(m net.Meaning) bool { return m.Labels }):
		why = "the data has no labels for the model's outputs"
	case p.Views.Val.Len() == 0:
		why = "there are no samples of validation"
	default:
		return nil
	}
	return &JobError{[]error{&keyed{"target", fmt.Errorf("drop: want quality that can be measured, with labels on samples of validation or by evaluate.command: %s", why)}}}
}

// deciding is the figure that a drop is held against: the user's, or the score on validation.
func (o *Outcome) deciding() (Figure, error) {
	c := o.Candidates[0]
	if e := o.Evaluate; e != nil {
		was, is := o.Original.Evaluated, c.Evaluated.Last()
		if was == nil || is == nil {
			return Figure{}, errors.New("BUG: a tuned network without a number of the user's command")
		}
		return Figure{Name: e.Name, Before: *was, After: *is, Lower: e.Better == "lower", Own: true}, nil
	}
	was, is := o.Original.Val, c.Val.Last()
	if was == nil || is == nil {
		return Figure{}, &JobError{[]error{&keyed{"target", errors.New("drop: want quality that can be measured: nothing scores the model on the samples of validation")}}}
	}
	return scored(was, is, "validation"), nil
}

// scored is the figure of two scores on a split.
func scored(was, is *net.Score, on string) Figure {
	a, b := was.Figure(), is.Figure()
	f := Figure{Name: a.Name + ", " + on, Before: a.Value, After: b.Value, Lower: a.Lower}
	if a.Points {
		f.Unit, f.Before, f.After = "%", 100*f.Before, 100*f.After
	}
	return f
}

// Smallest looks for the smallest model within the target's drop, over sizes whose costs fall by
// equal factors from the original, or the limit of the metric that shrinks, to the smallest
// subnet: halves of the cost until one loses more, then by bisection. The halves are members of a
// family, whose search falls through them no further than it is needed; rounds that train nothing
// lead from them to the others. Each is tuned, written into its part of the run folder and verified as Run does, and
// what it loses on validation, or by the user's command, decides; Job.Out gets the answer's file.
// Where no size is within the drop, the family stands beside a *NoneWithinError; other errors are
// those of Run.
func (p *Plan) Smallest(ctx context.Context, o Options) (*Family, error) {
	points, drops := p.Job.Target.Drop()
	if !drops {
		return nil, &JobError{[]error{&keyed{"target", errors.New("want a drop, such as drop=1.0")}}}
	}
	watch := NewStopwatch()
	if err := p.Price(ctx, o); err != nil {
		return nil, err
	}
	l, err := p.newLadder()
	if err != nil {
		return nil, err
	}
	m, err := p.opened(ctx, &o, func(r *maker) error { return p.Begin(r.be, r.host, "compress", o.Force) })
	if err != nil {
		return nil, err
	}
	o.Checkpoints = p.Job.Folder()
	waits := waiting{}
	o.Observe = waits.hear(o.Observe)
	r, original, err := p.measured(ctx, m.be, o)
	if err != nil {
		return nil, err
	}
	if err := p.writePrices(p.Job.Folder()); err != nil {
		return nil, err
	}
	if err := r.order(); err != nil {
		return nil, err
	}
	out := &Family{Model: original.Model, Teacher: original.Teacher, Data: original.Data, Seed: original.Seed, Folder: p.Job.Folder(), Metric: l.metric, Cost: original.Cost, Original: original.Original, Warnings: original.Warnings,
		Within: &Within{Drop: points}}
	if original.Original.Val != nil && original.Evaluate == nil {
		out.Within.Samples = p.Views.Val.Len()
	}
	if w := seen(original.Original.Val, original.Original.Test); w != "" && original.Evaluate == nil {
		m.host.warn([]string{w})
		out.Warnings = append(slices.Clip(out.Warnings), w)
	}
	holds, fails := -1, len(l.limits)
	var figure Figure // of the size that failed last
	answer, next := "", ""
	var unmet *decide.TargetError
	for {
		k := l.next(holds, fails)
		if k < 0 {
			break
		}
		s, err := p.ladderSize(l, k)
		if err != nil {
			return nil, err
		}
		f, err := r.try(m, l, s, *original, out)
		if errors.As(err, &unmet) {
			fails = k // not reached, as it was measured
			continue
		}
		if err != nil {
			return nil, err
		}
		if t := out.Within.Tried[len(out.Within.Tried)-1]; t.Holds {
			holds, answer = k, t.Name
		} else {
			fails, next, figure = k, t.Name, f
		}
	}
	out.Within.Answer, out.Within.Next = answer, next
	out.Front = p.front(l.metric, out.Members)
	out.Seconds, out.PeakBytes = watch.Read()
	out.DataWait = waits.total()
	var failed error
	if answer == "" && next == "" {
		return nil, unmet
	}
	if answer == "" {
		at := slices.IndexFunc(out.Within.Tried, func(t Tried) bool { return t.Name == next })
		failed = &NoneWithinError{Drop: points, Figure: figure, Largest: out.Within.Tried[at]}
	} else {
		at, err := p.answer(out)
		if err != nil {
			return nil, err
		}
		failed = m.found[at]
	}
	body, err := json.MarshalIndent(out, "", "  ")
	if err := errors.Join(err, atomicfile.WriteBytes(filepath.Join(p.Job.Folder(), "report.json"), append(body, '\n'))); err != nil {
		return nil, err
	}
	return out, failed
}

// seen warns of an original that is better on validation than on test by more than three standard
// errors: it knows those samples, and no subnet is tuned on them. "" is no warning.
func seen(val, test *net.Score) string {
	if val == nil || test == nil || val.Figure().Name != "accuracy" || val.Samples == 0 || test.Samples == 0 {
		return ""
	}
	a, b := val.Accuracy, test.Accuracy
	if a-b <= 3*math.Sqrt(a*(1-a)/float64(val.Samples)+b*(1-b)/float64(test.Samples)) {
		return ""
	}
	return fmt.Sprintf("the original is right on %.2f %% of validation and %.2f %% of test: it was probably trained on the samples of validation, and what is lost there comes out too large; data with a part val that it has not seen, or evaluate.command, does without", 100*a, 100*b)
}

// try tunes a size and notes what it loses. A subnet that was tuned before is not tuned again.
func (r *run) try(m *maker, l *ladder, s *sized, original Outcome, out *Family) (Figure, error) {
	start := time.Now()
	if err := os.MkdirAll(r.Job.memberFolder(s.name), 0o777); err != nil {
		return Figure{}, err
	}
	q := r.as(s)
	var c *Candidate
	var err error
	if at := slices.IndexFunc(l.rungs, func(x *sized) bool { return x.name == s.name }); at >= 0 {
		err = r.descend(l.rungs[:at+1], func(x *sized, n *net.Network, d *search.Decision) (bool, error) {
			if !slices.ContainsFunc(out.Measured, func(m Measured) bool { return m.For == x.name }) {
				out.Measured = append(out.Measured, r.measuredOn(l.metric, x.name, d.Rounds)...)
			}
			if x.name != s.name {
				return true, nil
			}
			var err error
			c, err = q.chosen(n, d)
			return false, err
		})
	} else {
		var rounds []train.Round
		c, rounds, err = q.between(r.Plan, l.rungs)
		out.Measured = append(out.Measured, r.measuredOn(l.metric, s.name, rounds)...)
	}
	if err != nil {
		return Figure{}, err
	}
	out.SearchTime += time.Since(start).Seconds()
	w := out.Within
	for i, t := range w.Tried {
		if t.As != "" {
			continue
		}
		x := &out.Members[slices.IndexFunc(out.Members, func(x *Member) bool { return x.Name == t.Name })].Outcome
		if equalChoice(x.Candidates[0].Choice, c.Choice) {
			f, err := x.deciding()
			t = w.Tried[i]
			t.Name, t.As, t.Limit = s.name, t.Name, s.plan.Job.Target[0].Share
			w.Tried = append(w.Tried, t)
			m.host.logf(0, "drop: %s is the subnet of %s", t.Name, t.As)
			return f, err
		}
	}
	original.SearchTime = time.Since(start).Seconds()
	x, failed := m.member(q, original, c)
	var mine *EvaluateError
	if x == nil || errors.As(failed, &mine) || r.ctx.Err() != nil {
		return Figure{}, failed
	}
	out.Members, m.found = append(out.Members, x), append(m.found, failed)
	f, err := x.deciding()
	if err != nil {
		return Figure{}, err
	}
	w.Figure, w.Unit, w.Lower, w.Before = f.Name, f.Unit, f.Lower, f.Before
	slack := 1e-9 * (math.Abs(f.Before) + math.Abs(f.After))
	t := Tried{Name: s.name, Cost: c.Cost, Limit: s.plan.Job.Target[0].Share, Share: c.Cost[l.metric] / original.Cost[l.metric], Quality: f.After, Lost: f.Drop(), Holds: f.Drop() <= w.Drop+slack}
	if was, is := x.Original.Test, x.Candidates[0].Test.Last(); was != nil && is != nil {
		lost := scored(was, is, "").Drop()
		t.Test = &lost
	}
	w.Tried = append(w.Tried, t)
	verdict := "within"
	if !t.Holds {
		verdict = "beyond"
	}
	m.host.logf(0, "drop: %s (%.3g of the original's %s): %s %s, %.4g points lost, %s the %g", t.Name, t.Share, l.metric, f.Name, f.Text(f.After), t.Lost, verdict, w.Drop)
	return f, nil
}

func equalChoice(a, b map[string]int) bool {
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return len(a) == len(b)
}

// answer writes the answer's file, recipe and positions where a run of a single subnet has them,
// and returns which member it is.
func (p *Plan) answer(f *Family) (at int, err error) {
	name := f.Within.Subnet(f.Within.Answer)
	at = slices.IndexFunc(f.Members, func(m *Member) bool { return m.Name == name })
	f.File = p.Job.Out
	if err := Export(f.File, f.Members[at].Candidates[0].Model); err != nil {
		return at, err
	}
	for _, file := range []string{"recipe.json", "kept.json"} {
		text, err := os.ReadFile(filepath.Join(p.Job.memberFolder(name), file))
		if err == nil {
			err = atomicfile.WriteBytes(filepath.Join(p.Job.Folder(), file), text)
		}
		if err != nil {
			return at, err
		}
	}
	return at, nil
}
