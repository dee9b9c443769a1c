package net

import (
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// Names of the gathering program's inputs: what is small goes to the device in every
// step, the samples once.
const (
	samplesName = "@samples"
	indexName   = "@index" // i64 [batch]
	flipName    = "@flip"  // i64 [batch, moves]; the others likewise
	downName    = "@down"
	rightName   = "@right"
)

// resident is a part of a data set on the device, of which batches are made there.
type resident struct {
	part    *data.Part
	input   string
	samples engine.Buffer
	gather  *Step
}

// newResident uploads the part of a view for a network's only input. It is nil without
// an error when the part is larger than limit bytes, does not fit the input, or its
// batches cannot be made by moves.
func newResident(be engine.Backend, n *Network, input string, view data.View, steps []data.Step, limit int) (*resident, error) {
	part := view.Part()
	if part.Movable(steps) != nil || !slices.Equal(view.Set().BatchType(0, n.Batch).Shape, n.Facts.Values[input].Shape()) {
		return nil, nil
	}
	if view.Set().BatchType(0, part.Len()).Bytes() > limit {
		return nil, nil
	}
	samples, black, err := part.Whole()
	if err != nil {
		return nil, err
	}
	r := &resident{part: part, input: input}
	if r.samples, err = be.Upload(samples); err != nil {
		return nil, err
	}
	b := prim.NewBuilder()
	b.Output(OutName(input), gathered(b, samples.Shape, black, n.Batch, len(steps), part.Last()))
	r.gather, err = Compile(be, "gathering of samples", b)
	return r, err
}

// gathered appends a batch of samples [all, …] picked by index and moved. Channels are
// the last axis when last says so, else the first behind the samples.
func gathered(b *prim.Builder, shape []int, black []float32, batch, moves int, last bool) prim.ID {
	ints := func(d ...int) prim.Type { return prim.Type{DType: prim.I64, Shape: d} }
	all := b.Input(samplesName, prim.Type{DType: prim.F32, Shape: shape})
	index := batchInput(b, indexName, ints(batch))
	if moves == 0 {
		return b.Add(prim.Gather{Axis: 0}, all, index)
	}
	channel, row, column := 1, 2, 3
	if last {
		channel, row, column = 3, 1, 2
	}
	c, h, w := shape[channel], shape[row], shape[column]
	along := func(axis, n int) prim.ID {
		t := prim.NewTensor(ints(1, 1, 1, 1))
		t.Shape[axis] = n
		t.I64 = make([]int64, n)
		for i := range t.I64 {
			t.I64[i] = int64(i)
		}
		return b.Const(t)
	}
	i64 := func(e *prim.X, in ...prim.ID) prim.ID { return b.MapAs(prim.I64, prim.I64, e, in...) }
	flip, down, right := batchInput(b, flipName, ints(batch, moves)), batchInput(b, downName, ints(batch, moves)), batchInput(b, rightName, ints(batch, moves))
	y, x, inside := along(row, h), along(column, w), prim.Invalid
	// From the last move to the first: where a pixel was before each.
	for k := moves - 1; k >= 0; k-- {
		at := func(m prim.ID) prim.ID {
			return b.Reshape(b.Add(prim.Slice{Start: []int{0, k}, Size: []int{batch, 1}, Step: []int{1, 1}}, m), batch, 1, 1, 1)
		}
		y, x = i64(prim.Op(prim.Add, prim.A(0), prim.A(1)), y, at(down)), i64(prim.Op(prim.Add, prim.A(0), prim.A(1)), x, at(right))
		within := func(i, n int) *prim.X {
			return prim.Op(prim.And, prim.Op(prim.Le, prim.L(0), prim.A(i)), prim.Op(prim.Lt, prim.A(i), prim.L(float64(n))))
		}
		in := i64(prim.Op(prim.And, within(0, h), within(1, w)), y, x)
		if inside == prim.Invalid {
			inside = in
		} else {
			inside = i64(prim.Op(prim.And, prim.A(0), prim.A(1)), inside, in)
		}
		x = i64(prim.Op(prim.Select, prim.A(1), prim.Op(prim.Sub, prim.L(float64(w-1)), prim.A(0)), prim.A(0)), x, at(flip))
	}
	clamp := func(v prim.ID, n int) prim.ID {
		return i64(prim.Op(prim.Min, prim.Op(prim.Max, prim.A(0), prim.L(0)), prim.L(float64(n-1))), v)
	}
	sizes := map[int]int{channel: c, row: h, column: w}
	at := map[int]prim.ID{channel: along(channel, c), row: clamp(y, h), column: clamp(x, w)}
	flat := b.Reshape(index, batch, 1, 1, 1)
	for axis := 1; axis < 4; axis++ {
		flat = i64(prim.Op(prim.Add, prim.Op(prim.Mul, prim.A(0), prim.L(float64(sizes[axis]))), prim.A(1)), flat, at[axis])
	}
	fill := prim.F32Tensor(black, 1, 1, 1, 1)
	fill.Shape[channel] = c
	picked := b.Add(prim.Gather{Axis: 0}, b.Reshape(all, prim.Prod(shape)), flat)
	return b.MapAs(prim.F32, prim.F32, prim.Op(prim.Select, prim.A(0), prim.A(1), prim.A(2)), inside, picked, b.Const(fill))
}

// add puts the small inputs of a batch into x.
func (r *resident) add(x *Batch, b *data.Batch) {
	n := len(b.Index)
	index := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{n}})
	for i, at := range b.Index {
		index.I64[i] = int64(at)
	}
	x.add(indexName, index)
	if len(b.Moves[0]) == 0 {
		return
	}
	t := prim.Type{DType: prim.I64, Shape: []int{n, len(b.Moves[0])}}
	flip, down, right := prim.NewTensor(t), prim.NewTensor(t), prim.NewTensor(t)
	at := 0
	for _, moves := range b.Moves {
		for _, m := range moves {
			if m.Flip {
				flip.I64[at] = 1
			}
			down.I64[at], right.I64[at] = int64(m.DY), int64(m.DX)
			at++
		}
	}
	x.add(flipName, flip)
	x.add(downName, down)
	x.add(rightName, right)
}

// make replaces the small inputs by the samples.
func (r *resident) make(env Env) error {
	small := Env{}
	for _, name := range []string{indexName, flipName, downName, rightName} {
		if env[name] != nil {
			small[name] = env[name]
			delete(env, name)
		}
	}
	out, err := r.gather.Run(Env{samplesName: r.samples}, small)
	if err != nil {
		return err
	}
	env[r.input] = out[OutName(r.input)]
	small.Free()
	return nil
}
