package enginetest

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
)

// Function builds a value from inputs; it is what Grad differentiates.
type Function func(b *prim.Builder, in []prim.ID) prim.ID

// Grad compares the gradients of Σ w·f(in), w random weights, in every float input with
// central differences on engine/ref. Inputs are F64, I64 or Bool; it returns an
// error when a relative difference exceeds rel. At most 24 elements per input are probed.
func Grad(f Function, in []*prim.Tensor, seed uint64, rel float64) error {
	random := rng.New(seed, "enginetest/grad")
	b := prim.NewBuilder()
	feed := map[string]*prim.Tensor{}
	var ids, wrt []prim.ID
	for i, t := range in {
		name := fmt.Sprint("in", i)
		feed[name] = t
		ids = append(ids, b.Input(name, t.Type))
		if t.DType.Float() {
			wrt = append(wrt, ids[i])
		}
	}
	y := f(b, ids)
	if err := b.Err(); err != nil {
		return err
	}
	w := prim.NewTensor(b.Type(y))
	for i := range w.F64 {
		w.F64[i] = random.NormFloat64()
	}
	axes := make([]int, len(w.Shape))
	for i := range axes {
		axes[i] = i
	}
	b.Output("loss", b.Reduce(prim.ReduceSum, axes, prim.Op(prim.Mul, prim.A(0), prim.A(1)), y, b.Const(w)))
	plain, err := b.Program()
	if err != nil {
		return err
	}
	exe, err := ref.New().Compile(plain)
	if err != nil {
		return err
	}
	d := prim.Extend(plain)
	grads, err := engine.Grad(d, plain.Outputs[0].ID, wrt)
	if err != nil {
		return err
	}
	for i, g := range grads {
		d.Output(fmt.Sprint("grad", i), g)
	}
	p, err := d.Program()
	if err != nil {
		return err
	}
	got, err := engine.RunHost(ref.New(), p, feed)
	if err != nil {
		return err
	}
	loss := func() (float64, error) {
		out, err := engine.ExecHost(ref.New(), exe, plain, feed)
		if err != nil {
			return 0, err
		}
		return out["loss"].F64[0], nil
	}
	k := 0
	for i, t := range in {
		if !t.DType.Float() {
			continue
		}
		if err := probe(t, got[fmt.Sprint("grad", k)], random, loss, rel); err != nil {
			return fmt.Errorf("gradient of input %d %s: %w", i, t.Type, err)
		}
		k++
	}
	return nil
}

// probe compares g, the gradient in t, with fourth-order central differences of loss.
func probe(t, g *prim.Tensor, random *rng.Stream, loss func() (float64, error), rel float64) error {
	const h = 1e-3
	scale := 0.0
	for _, v := range g.F64 {
		scale = max(scale, math.Abs(v))
	}
	for _, i := range random.Perm(t.Len())[:min(t.Len(), 24)] {
		x := t.F64[i]
		var at [4]float64
		for k, step := range []float64{-2, -1, 1, 2} {
			t.F64[i] = x + step*h
			v, err := loss()
			if err != nil {
				return err
			}
			at[k] = v
		}
		t.F64[i] = x
		want := (at[0] - 8*at[1] + 8*at[2] - at[3]) / (12 * h)
		if diff := math.Abs(g.F64[i] - want); !(diff <= rel*max(scale, 0.01)) {
			return fmt.Errorf("element %d: finite difference %.12g, gradient %.12g (difference %.3g, largest gradient %.3g)", i, want, g.F64[i], diff, scale)
		}
	}
	return nil
}
