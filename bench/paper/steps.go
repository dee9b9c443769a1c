package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/search"
)

// priced lists the spaces whose steps are measured.
func priced() []arena { return slices.Concat(arenas, large) }

// measure says what the larger program of a step works on, of DrNAS with entangled and with shared
// weights, and times so many steps of either, turn by turn; with no turns none runs.
func (b *bench) measure(ctx context.Context, spaces string, turns int) error {
	be, err := (&entangle.Host{Getenv: os.Getenv}).Backend(ctx, b.engine)
	if err != nil {
		return err
	}
	var pair [2]method
	for i, name := range []string{"drnas", "drnas-ws"} {
		if pair[i], err = methodByName(name); err != nil {
			return err
		}
	}
	var names []string
	for _, a := range priced() {
		names = append(names, a.name)
	}
	asked := strings.FieldsFunc(spaces, func(r rune) bool { return r == ',' })
	for _, s := range asked {
		if !slices.Contains(names, s) {
			return fmt.Errorf("-spaces: want one of %s, got %q", strings.Join(names, ", "), s)
		}
	}
	for _, a := range priced() {
		if asked != nil && !slices.Contains(asked, a.name) {
			continue
		}
		set, err := a.set(b.folders, b.limit)
		if err != nil {
			return err
		}
		views, err := search.Splits{Weights: 0.5, Alpha: 0.5}.View(set, 1)
		if err != nil {
			return err
		}
		c := b.config(a, pair[0])
		if c.Weights.Epochs == 0 {
			c.Weights.Epochs = 1
		}
		var out [2]cost
		var weight, arch [2][]float64
		for i, m := range pair {
			n, err := a.network(1, m)
			if err != nil {
				return err
			}
			bytes, err := search.Memory(be, n, c, views.Weights)
			if err != nil {
				return err
			}
			out[i] = cost{Space: a.name, Shared: m.shared, State: b.state, Batch: a.batch, Params: params(n), StepMiB: float64(bytes) / (1 << 20), Measured: turns}
		}
		for range turns {
			for i, m := range pair {
				if err := ctx.Err(); err != nil {
					return err
				}
				n, err := a.network(1, m)
				if err != nil {
					return err
				}
				w, x, err := search.Measure(be, n, nil, views.Weights, views.Alpha, c, nil, 1, "paper/steps")
				if err != nil {
					return err
				}
				weight[i], arch[i] = append(weight[i], w.Seconds), append(arch[i], x.Seconds)
			}
		}
		for i := range out {
			if turns > 0 {
				out[i].Weight, out[i].Arch = median(weight[i]), median(arch[i])
			}
			fmt.Printf("%s, shared %t: %d parameters, %.1f MiB a step, %.3f + %.3f s\n", a.name, out[i].Shared, out[i].Params, out[i].StepMiB, out[i].Weight, out[i].Arch)
			if err := appendCost(b.out, out[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
