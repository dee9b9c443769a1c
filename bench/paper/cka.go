package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/subnet"
)

// alike is the linear centred kernel alignment of two layers' values for the same samples, a row a
// sample (Kornblith et al., "Similarity of Neural Network Representations Revisited", 2019, equation 4), within [0, 1]: for centred X and Y,
//
//	‖XᵀY‖² / (‖XᵀX‖·‖YᵀY‖) = ⟨XXᵀ, YYᵀ⟩ / (‖XXᵀ‖·‖YYᵀ‖)
//
// in Frobenius norms, of which the second form has matrices of samples by samples. It is NaN where
// a layer has the same values for all samples.
func alike(x, y [][]float32) (float64, error) {
	if len(x) != len(y) || len(x) < 2 {
		return 0, fmt.Errorf("alignment: want values of at least two samples, of the same in both layers, got %d and %d", len(x), len(y))
	}
	k, err := gram(x)
	if err != nil {
		return 0, err
	}
	l, err := gram(y)
	if err != nil {
		return 0, err
	}
	var kl, kk, ll float64
	for i := range k {
		kl, kk, ll = kl+k[i]*l[i], kk+k[i]*k[i], ll+l[i]*l[i]
	}
	return kl / math.Sqrt(kk*ll), nil
}

// gram is the matrix of the products of centred rows.
func gram(x [][]float32) ([]float64, error) {
	width := len(x[0])
	mean := make([]float64, width)
	for _, row := range x {
		if len(row) != width {
			return nil, fmt.Errorf("alignment: want rows of %d values, got one of %d", width, len(row))
		}
		for i, v := range row {
			mean[i] += float64(v) / float64(len(x))
		}
	}
	centred := make([][]float64, len(x))
	for r, row := range x {
		centred[r] = make([]float64, width)
		for i, v := range row {
			centred[r][i] = float64(v) - mean[i]
		}
	}
	out := make([]float64, len(x)*len(x))
	for r, a := range centred {
		for c, b := range centred[:r+1] {
			sum := 0.0
			for i, v := range a {
				sum += v * b[i]
			}
			out[r*len(x)+c], out[c*len(x)+r] = sum, sum
		}
	}
	return out, nil
}

// aligned is how many test samples two networks are compared on, at most.
const aligned = 512

// layers lists the values that layers with weights make.
func layers(m *ir.Model) (out []string) {
	for _, n := range m.Graph.Nodes {
		if slices.Contains([]string{"Conv", "Gemm", "MatMul"}, n.OpType) {
			out = append(out, n.Output(0))
		}
	}
	return out
}

// alignment is the mean over layers of the alignment of two networks of one graph; layers that say the
// same of all samples are left out.
func alignment(ctx context.Context, be engine.Backend, a, b *net.Network, view data.View) (float64, error) {
	names := layers(a.Model)
	var of [2]map[string][][]float32
	for i, n := range []*net.Network{a, b} {
		var err error
		if of[i], err = valuesOf(ctx, be, n, names, view); err != nil {
			return 0, err
		}
	}
	sum, count := 0.0, 0.0
	for _, name := range names {
		v, err := alike(of[0][name], of[1][name])
		if err != nil {
			return 0, fmt.Errorf("%q: %w", name, err)
		}
		if !math.IsNaN(v) {
			sum, count = sum+v, count+1
		}
	}
	if count == 0 {
		return 0, fmt.Errorf("alignment: every layer has the same values for all samples")
	}
	return sum / count, nil
}

// valuesOf runs a network in inference and keeps values, a row a sample.
func valuesOf(ctx context.Context, be engine.Backend, n *net.Network, names []string, view data.View) (map[string][][]float32, error) {
	fwd, err := n.Forward(be, names...)
	if err != nil {
		return nil, err
	}
	env := net.Env{}
	if err := n.Load(be, env); err != nil {
		return nil, err
	}
	f, err := net.NewFeed(be, n, nil, net.Objective{}, view.Set(), false)
	if err != nil {
		return nil, err
	}
	l, err := view.Loader(data.LoaderOptions{Batch: n.Batch, Name: "alignment"})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	out := map[string][][]float32{}
	return out, l.Each(func(b *data.Batch) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := f.Prepare(b)
		if err != nil {
			return err
		}
		in, err := f.Upload(x, 0)
		if err != nil {
			return err
		}
		defer in.Free()
		got, err := fwd.Run(env, in)
		if err != nil {
			return err
		}
		defer got.Free()
		for _, name := range names {
			v, err := got[net.OutName(name)].Read()
			if err != nil {
				return err
			}
			size := len(v.F32) / n.Batch
			for r := range b.Valid {
				out[name] = append(out[name], slices.Clone(v.F32[r*size:(r+1)*size]))
			}
		}
		return nil
	})
}

// retrain trains what a search found anew, from weights of another seed, with the settings of
// its weight steps on both halves, and says what it reaches on the test part, in percent, and how
// much its layers are like those of the subnet that inherits the supernet's weights.
func (b *bench) retrain(ctx context.Context, be engine.Backend, a arena, m method, n *net.Network, choice []int, d *search.Decision, views *search.Views, seed uint64, r *row) error {
	inherited, err := cut(n, choice, d)
	if err != nil {
		return err
	}
	fresh, err := a.network(seed+retrainSeeds, m)
	if err != nil {
		return err
	}
	raw, err := subnet.Cut(fresh.Super, choice, fresh.Chosen(choice, map[string]*ir.Tensor{}))
	if err != nil {
		return err
	}
	again, err := net.NewNetwork(raw, n.Batch, nil)
	if err != nil {
		return err
	}
	c := b.config(a, m).Weights
	c.Epochs = train.Epochs(b.again)
	t, err := train.Train(ctx, be, again, nil, views.Both, data.View{}, c, seed, train.Hooks{Stage: "retrain"})
	if err != nil {
		return err
	}
	if _, again, err = again.With(t.Weights); err != nil {
		return err
	}
	s, err := net.Evaluate(ctx, be, again, views.Test.Head(judged))
	if err != nil {
		return err
	}
	r.Retrained = &retrained{Epochs: b.again, Accuracy: 100 * s.Figure().Value}
	r.Retrained.Alike, err = alignment(ctx, be, inherited, again, views.Test.Head(aligned))
	return err
}

// retrainSeeds is how far seeds of retraining are from those of the search.
const retrainSeeds = 1000
