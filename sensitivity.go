package entangle

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// Sensitivity is what each choice of a space would cost if it alone were taken, measured on
// the alpha split without training.
type Sensitivity struct {
	Model   string             `json:"model"`
	Data    string             `json:"data"`
	Samples int                `json:"samples"` // that losses are means over
	Whole   net.Trial          `json:"original"`
	Cost    map[string]float64 `json:"cost"` // the original's, by metric
	Rows    []Sensitive        `json:"choices"`
}

// Sensitive is one choice of a dimension, the others whole.
type Sensitive struct {
	Dimension string `json:"dimension"`
	Choice    int    `json:"choice"`
	Of        int    `json:"of"`                  // the original's
	Candidate string `json:"candidate,omitempty"` // that remains, of operations
	// Saved is the share of the original's cost that goes, by metric.
	Saved map[string]float64 `json:"saved"`
	// Cut is with the weights as they are, Fitted with those of the layers that read what goes
	// fitted by least squares, on as many other samples as there are; nil where none can be, or
	// where the job's search.refit is off. Both normalise by the batch.
	Cut    net.Trial  `json:"cut"`
	Fitted *net.Trial `json:"fitted,omitempty"`
}

// Sensitivity measures every choice of every dimension alone. The job's target and method are
// not looked at; units are ranked as it says, losses are its search's objective.
func (p *Plan) Sensitivity(ctx context.Context, be engine.Backend, o Options) (*Sensitivity, error) {
	if p.Views.Alpha.Len() < p.Job.Data.Batch {
		return nil, &JobError{[]error{&keyed{"data.batch", errors.New("want at most as many as the alpha split has")}}}
	}
	r, err := p.begin(ctx, be, o)
	if err != nil {
		return nil, err
	}
	if err := r.order(); err != nil {
		return nil, err
	}
	mixture, err := r.network(r.Model, r.super)
	if err != nil {
		return nil, err
	}
	v, err := net.NewVertices(be, mixture, r.teach, nil, p.Views.Alpha, p.Job.Search.Weights.Objective, r.judged(), p.Job.Seed)
	if err != nil {
		return nil, err
	}
	whole := p.Space.Largest()
	out := &Sensitivity{Model: p.Job.Model, Data: p.Job.Data.Source, Samples: v.Samples(), Cost: p.price(whole)}
	if out.Whole, err = v.Trial(whole); err != nil {
		return nil, err
	}
	total, done, start := 0, 0, time.Now()
	for _, d := range p.Space.Dims {
		total += len(d.Choices) - 1
	}
	for i, d := range p.Space.Dims {
		for k := len(d.Choices) - 1; k >= 0; k-- {
			if k == whole[i] || d.Candidates != nil && k >= d.Final() {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			choice := slices.Clone(whole)
			choice[i] = k
			x := Sensitive{Dimension: d.Name, Choice: d.Choices[k], Of: d.Choices[whole[i]], Saved: map[string]float64{}}
			if d.Candidates != nil {
				x.Candidate = space.Kept(d.Candidates, d.Kernels, d.Choices[k])
			}
			for metric, c := range p.price(choice) {
				x.Saved[metric] = 1 - c/out.Cost[metric]
			}
			if x.Cut, err = v.Trial(choice); err != nil {
				return nil, err
			}
			if p.Job.Search.Refit {
				if x.Fitted, err = v.Fitted(whole, choice); err != nil {
					return nil, err
				}
			}
			out.Rows = append(out.Rows, x)
			done++
			if o.Observe != nil {
				o.Observe(train.Event{Stage: "sensitivity", Kind: "step", Step: done, Total: total, Loss: x.Cut.Loss, Seconds: time.Since(start).Seconds()})
			}
		}
	}
	return out, nil
}
