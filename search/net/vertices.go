package net

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// VertexBatches is how many batches, at most, judge a subnet in Vertices.
const VertexBatches = 2

// Vertices compares subnets by the loss that a supernet has at their vertices: an
// objective's, on the same batches for all, normalisation by the
// batch. Mean coefficients say how much the mixture minds each dim alone; what a
// subnet loses with several of them gone is seen at its vertex only.
type Vertices struct {
	be      engine.Backend
	net     *Network
	fwd     *Step
	env     Env
	batches []Env
	// more loads as many other batches, on which weights are fitted; the same where there are none.
	more   func() ([]Env, error)
	others []Env // that more loaded
	known  map[string]float64
	refit  *Refit // nil: not asked for yet
	fitted string // subnet that refit has run
	// Trials counts the subnets whose loss was measured.
	Trials int
}

// NewVertices prepares a supernet with its trained weights on so many batches of a view, the
// first in a seeded order, augmented as steps say, if any. teach may be nil unless the
// objective distils.
func NewVertices(be engine.Backend, n, teach *Network, weights map[string]*ir.Tensor, view data.View, o Objective, batches int, seed uint64, augment ...data.Step) (*Vertices, error) {
	if n.Super == nil {
		return nil, fmt.Errorf("search: vertices: want a supernet, got a plain network")
	}
	_, n, err := n.With(weights)
	if err != nil {
		return nil, err
	}
	labelled := n.Learns(view.Part())
	if err := o.Check(n, labelled); err != nil {
		return nil, err
	}
	g, err := n.Lower(true)
	if err != nil {
		return nil, err
	}
	loss, correct := n.Loss(g, o, labelled)
	EmitLoss(g.Builder, loss, correct)
	r := &Vertices{be: be, net: n, env: Env{}, known: map[string]float64{}}
	if r.fwd, err = Compile(be, "vertex loss", g.Builder); err != nil {
		return nil, err
	}
	if err := n.Load(be, r.env); err != nil {
		return nil, err
	}
	if r.env[SeedName], err = be.Upload(prim.I64Tensor([]int64{int64(seed), 0}, 2)); err != nil {
		return nil, err
	}
	f, err := NewFeed(be, n, teach, o, view.Set(), labelled)
	if err != nil {
		return nil, err
	}
	load := func(from, to int) (out []Env, err error) {
		l, err := view.Loader(data.LoaderOptions{Batch: n.Batch, Shuffle: true, DropLast: true, Seed: seed, Name: "refine", Augment: augment})
		if err != nil {
			return nil, err
		}
		defer l.Close()
		for i := range min(to, l.Batches()) {
			b, err := l.Next()
			if err != nil {
				return nil, err
			}
			if i < from {
				continue
			}
			in, err := f.batch(b)
			if err != nil {
				return nil, err
			}
			out = append(out, in)
		}
		return out, nil
	}
	if r.batches, err = load(0, batches); err != nil {
		return nil, err
	}
	r.more = func() ([]Env, error) {
		others, err := load(batches, 2*batches)
		if len(others) == 0 {
			return r.batches, err
		}
		return others, err
	}
	return r, nil
}

// Loss returns the mean loss at the vertex of a choice, by index per dim; +Inf when it is
// not a number. A choice is measured once.
func (v *Vertices) Loss(choice []int) (float64, error) {
	if err := v.net.Super.Space.CheckChoice(choice); err != nil {
		return 0, err
	}
	key := fmt.Sprint(choice)
	if loss, ok := v.known[key]; ok {
		return loss, nil
	}
	loss, err := v.Mixture(v.net.Super.Space.OneHot(choice))
	if err != nil {
		return 0, err
	}
	v.known[key] = loss
	v.Trials++
	return loss, nil
}

// Mixture returns the mean loss at coefficients per dim and choice; +Inf when it is not a
// number.
func (v *Vertices) Mixture(mean [][]float64) (float64, error) {
	x, err := v.at(mean, nil)
	return x.Loss, err
}

// Trial is what a subnet was measured at.
type Trial struct {
	Loss float64 `json:"loss"`
	// Right is the share of labels that are met; nil where the objective has none.
	Right *float64 `json:"right,omitempty"`
}

// MarshalJSON writes a loss without end as null.
func (t Trial) MarshalJSON() ([]byte, error) {
	type plain Trial
	if !math.IsInf(t.Loss, 0) {
		return json.Marshal(plain(t))
	}
	return json.Marshal(struct {
		Loss  *float64 `json:"loss"`
		Right *float64 `json:"right,omitempty"`
	}{nil, t.Right})
}

// Samples counts those that a trial is the mean over.
func (v *Vertices) Samples() int { return len(v.batches) * v.net.Batch }

// Trial measures the vertex of a choice.
func (v *Vertices) Trial(choice []int) (Trial, error) {
	if err := v.net.Super.Space.CheckChoice(choice); err != nil {
		return Trial{}, err
	}
	return v.at(v.net.Super.Space.OneHot(choice), nil)
}

// Fitted measures the vertex of a choice with its weights fitted on the way from another one
// (Refit); nil where there is nothing to fit.
func (v *Vertices) Fitted(from, choice []int) (*Trial, error) {
	for _, c := range [][]int{from, choice} {
		if err := v.net.Super.Space.CheckChoice(c); err != nil {
			return nil, err
		}
	}
	if err := v.run(from); err != nil {
		return nil, err
	}
	weights, err := v.refit.To(v.env, from, choice)
	if err != nil || len(weights) == 0 {
		return nil, err
	}
	defer weights.Free()
	x, err := v.at(v.net.Super.Space.OneHot(choice), weights)
	return &x, err
}

// run prepares refit for a subnet.
func (v *Vertices) run(subnet []int) (err error) {
	if v.refit == nil {
		if v.refit, err = NewRefit(v.be, v.net); err != nil {
			return err
		}
	}
	key := fmt.Sprint(subnet)
	if v.fitted == key {
		return nil
	}
	if v.others == nil {
		if v.others, err = v.more(); err != nil {
			return err
		}
	}
	if err := v.refit.Run(v.env, subnet, v.others); err != nil {
		return err
	}
	v.fitted = key
	return nil
}

// at measures at coefficients, with other weights where there are some.
func (v *Vertices) at(mean [][]float64, weights Env) (Trial, error) {
	coef, err := UploadCoef(v.be, mean)
	if err != nil {
		return Trial{}, err
	}
	defer coef.Free()
	var x Trial
	right, n := 0.0, 0
	for _, in := range v.batches {
		out, err := v.fwd.Run(v.env, weights, coef, in)
		if err != nil {
			return x, err
		}
		loss, err := Scalar(out[LossName])
		if err != nil {
			return x, err
		}
		x.Loss += loss / float64(len(v.batches))
		if c := out[CorrectName]; c != nil {
			k, err := Scalar(c)
			if err != nil {
				return x, err
			}
			right += k
			n += v.net.Batch * max(v.net.Positions, 1)
		}
		out.Free()
	}
	if math.IsNaN(x.Loss) {
		x.Loss = math.Inf(1)
	}
	if n > 0 {
		share := right / float64(n)
		x.Right = &share
	}
	return x, nil
}

// UploadCoef uploads coefficients, per dim and choice, as CoefName takes them. The buffer is
// the caller's to free.
func UploadCoef(be engine.Backend, coef [][]float64) (Env, error) {
	var v []float32
	for _, row := range coef {
		for _, x := range row {
			v = append(v, float32(x))
		}
	}
	b, err := be.Upload(prim.F32Tensor(v, len(v)))
	return Env{CoefName: b}, err
}
