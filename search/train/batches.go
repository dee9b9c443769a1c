package train

import (
	"slices"
	"time"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/search/net"
)

// Batches brings batches to the programs of a loop and counts the time that this takes.
type Batches struct {
	Be     engine.Backend
	Feed   *net.Feed
	Loader *data.Loader // of weight steps; its batches hold all micro-batches of a step
	seed   uint64
	waited time.Duration
}

// openBatches opens a view for weight steps of a network. The stream of its draws is told
// by seed and name.
func openBatches(be engine.Backend, n, teach *net.Network, view data.View, c Weights, seed uint64, name string) (b Batches, err error) {
	b = Batches{Be: be, seed: seed}
	aug, err := data.ParseAugments(c.Augment)
	if err != nil {
		return b, err
	}
	if b.Feed, err = net.NewFeed(be, n, teach, c.Objective, view.Set(), labelled(view)); err != nil {
		return b, err
	}
	if err = b.Feed.Hold(view, aug, n.DataLimit); err != nil {
		return b, err
	}
	b.Loader, err = view.Loader(data.LoaderOptions{Moves: b.Feed.Holds(view.Part()), Batch: n.Batch * c.Parts(), Shuffle: true, Shift: true, DropLast: true, Augment: aug, Seed: seed, Name: name})
	return b, err
}

// labelled reports whether the samples of a view have labels.
func labelled(view data.View) bool { return view.Part() != nil && view.Part().Labelled() }

// Take returns the next batch of a loader, prepared for a feed.
func (b *Batches) Take(from *data.Loader, f *net.Feed) (*net.Batch, error) {
	defer b.waiting(time.Now())
	x, err := from.Next()
	if err != nil {
		return nil, err
	}
	return f.Prepare(x)
}

// Upload uploads micro-batch i of a batch. The buffers are the caller's to free.
func (b *Batches) Upload(x *net.Batch, i int) (net.Env, error) {
	defer b.waiting(time.Now())
	return b.Feed.Upload(x, i)
}

func (b *Batches) waiting(since time.Time) { b.waited += time.Since(since) }

// MicroBatch uploads micro-batch i of a batch, unless it is the one that is Ready, with
// what the teacher says of it, and draw as the second half of the seed. The buffers are
// the caller's to free.
func (b *Batches) MicroBatch(x *net.Batch, i int, draw int64) (net.Env, error) {
	in := x.Ready
	if x.Ready = nil; in == nil {
		var err error
		if in, err = b.Upload(x, i); err != nil {
			return nil, err
		}
	}
	if err := b.Feed.Teach(in); err != nil {
		return nil, err
	}
	var err error
	in[net.SeedName], err = b.Be.Upload(prim.I64Tensor([]int64{int64(b.seed), draw}, 2))
	return in, err
}

// More uploads whether micro-batch i adds to sums, for programs that have some; nil for
// others. The buffer is the caller's to free.
func (b *Batches) More(p *net.Step, i int) (net.Env, error) {
	if p.Program.Input(net.MoreName) < 0 {
		return nil, nil
	}
	return b.Number(net.MoreName, float32(min(i, 1)))
}

// Number uploads a scalar input. The buffer is the caller's to free.
func (b *Batches) Number(name string, v float32) (net.Env, error) {
	buf, err := b.Be.Upload(prim.F32Tensor([]float32{v}))
	return net.Env{name: buf}, err
}

// RunPart runs a program on micro-batch i of a batch, with draw as in MicroBatch. Env and
// extra are as in Step.Run; the buffers of out are the caller's to free.
func (b *Batches) RunPart(p *net.Step, env net.Env, x *net.Batch, i int, draw int64, extra ...net.Env) (out net.Env, err error) {
	in, err := b.MicroBatch(x, i, draw)
	if err != nil {
		return nil, err
	}
	more, err := b.More(p, i)
	if err != nil {
		return nil, err
	}
	if out, err = p.Run(env, slices.Concat([]net.Env{in, more}, extra)...); err != nil {
		return nil, err
	}
	in.Free()
	more.Free()
	return out, nil
}
