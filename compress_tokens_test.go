package entangle_test

import (
	"context"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// TestCompressLanguageModel runs the whole of compress on small decoders: trained
// on a Markov chain, cut to 0.6 of the MACs, tuned.
func TestCompressLanguageModel(t *testing.T) {
	if testing.Short() {
		t.Skip("trains and compresses two networks: skipped by -short")
	}
	set, err := data.Open("lm:"+nettest.Chain(t), data.Options{Seq: 8, Stride: 4})
	if err != nil {
		t.Fatal(err)
	}
	be, ctx := cpu.New(cpu.Options{Threads: 2}), context.Background()
	for _, name := range []string{"decoder-tiny", "llama-tiny"} {
		t.Run(name, func(t *testing.T) {
			m := modeltest.Normal(t, name, models.Options{Vocab: 12})
			n, err := net.NewNetworkOn(m, 32, set, nil)
			if err != nil {
				t.Fatal(err)
			}
			all := set.Part("train").All()
			r, err := train.Train(ctx, be, n, nil, all, data.View{}, nettest.Adam(4, 0.01), 1, train.Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			j := entangle.DefaultJob()
			j.Data.Batch, j.Seed, j.Space.Options = 32, 3, space.Options{Divisor: 2, MinRatio: 0.25}
			j.Target = entangle.Targets{{Metric: space.MACs, Share: 0.6}}
			j.Search.Weights, j.Tune = nettest.Adam(3, 0.003), nettest.Adam(4, 0.005)
			for _, w := range []*train.Weights{&j.Search.Weights, &j.Tune} {
				w.Objective = net.Objective{Labels: 0.5, Distill: 0.5, Temperature: 2}
			}
			p, err := entangle.Prepare(runtest.Wrap(net.WithWeights(m, r.Weights)), set, j)
			if err != nil {
				t.Fatal(err)
			}
			o, err := p.Compress(ctx, be, entangle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			c := o.Candidates[0]
			t.Logf("MACs %.3f, nats %.3f original, %.3f inherited, %.3f tuned; %v", c.Cost[space.MACs]/o.Cost[space.MACs], o.Original.Test.Loss, c.Test.Inherited.Loss, c.Test.Tuned.Loss, c.Choice)
			if c.Cost[space.MACs] > 0.6*o.Cost[space.MACs] || c.Test.Tuned.Positions != 1192 {
				t.Errorf("want at most 0.6 of the MACs and 1192 scored positions, got %g and %d", c.Cost[space.MACs]/o.Cost[space.MACs], c.Test.Tuned.Positions)
			}
			if o.Original.Test.Loss > 0.6 || c.Test.Tuned.Loss > 0.8 {
				t.Errorf("want at most 0.6 nats before and 0.8 after, got %.3f and %.3f", o.Original.Test.Loss, c.Test.Tuned.Loss)
			}
		})
	}
}
