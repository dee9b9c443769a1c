package net

import (
	"context"
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
)

// Judge says how good weights of a plain network are on a view: by the score of its only
// output where that has labels, else by the objective, in inference.
type Judge struct {
	be    engine.Backend
	net   *Network
	view  data.View
	score *Evaluator
	loss  *Step
	feed  *Feed
}

// Verdict is what a judge says.
type Verdict struct {
	Loss  float64 `json:"loss"`
	Score *Score  `json:"score,omitempty"`
}

// Better reports whether a verdict is not worse than another of the same judge; a loss that is
// no number is worse than any.
func (v Verdict) Better(than Verdict) bool {
	bad := func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
	switch {
	case bad(v.Loss) || bad(than.Loss):
		return bad(than.Loss)
	case v.Score == nil || than.Score == nil:
		return v.Loss <= than.Loss
	}
	drop := than.Score.Figure().Drop(v.Score.Figure())
	return drop < 0 || drop == 0 && v.Loss <= than.Loss
}

// NewJudge compiles what a judge runs. teach may be nil unless the objective distils.
func NewJudge(be engine.Backend, n, teach *Network, o Objective, view data.View) (*Judge, error) {
	j := &Judge{be: be, net: n, view: view}
	labelled := n.Learns(view.Part())
	var err error
	if labelled && len(n.Outputs) == 1 {
		j.score, err = NewEvaluator(be, n)
		return j, err
	}
	if err := o.Check(n, labelled); err != nil {
		return nil, err
	}
	g, err := n.Lower(false)
	if err != nil {
		return nil, err
	}
	loss, _ := n.Loss(g, o, labelled)
	g.Builder.Output(LossName, loss)
	if j.loss, err = Compile(be, "validation loss", g.Builder); err != nil {
		return nil, err
	}
	j.feed, err = NewFeed(be, n, teach, o, view.Set(), labelled)
	return j, err
}

// Of judges the weights of env. A view of less than a batch is padded, what does not fill a
// last batch is left out.
func (j *Judge) Of(ctx context.Context, env Env) (Verdict, error) {
	if j.score != nil {
		s, err := j.score.Score(ctx, env, j.view)
		if err != nil {
			return Verdict{}, err
		}
		return Verdict{s.Loss, s}, nil
	}
	l, err := j.view.Loader(data.LoaderOptions{Batch: j.net.Batch, DropLast: j.view.Len() >= j.net.Batch, Name: "judge"})
	if err != nil {
		return Verdict{}, err
	}
	defer l.Close()
	sum := 0.0
	for range l.Batches() {
		if err := ctx.Err(); err != nil {
			return Verdict{}, err
		}
		b, err := l.Next()
		if err != nil {
			return Verdict{}, err
		}
		in, err := j.feed.batch(b)
		if err != nil {
			return Verdict{}, err
		}
		out, err := j.loss.Run(env, in)
		if err != nil {
			return Verdict{}, err
		}
		v, err := Scalar(out[LossName])
		if err != nil {
			return Verdict{}, err
		}
		in.Free()
		out.Free()
		sum += v / float64(l.Batches())
	}
	return Verdict{Loss: sum}, nil
}

// Own judges the network's own weights.
func (j *Judge) Own(ctx context.Context) (Verdict, error) {
	env := Env{}
	if err := j.net.Load(j.be, env); err != nil {
		return Verdict{}, err
	}
	v, err := j.Of(ctx, env)
	if err != nil {
		return v, fmt.Errorf("search: validation: %w", err)
	}
	return v, nil
}
