package exporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
)

// sizes are the open dimensions of a graph's inputs in a feed, by name, or by "input:axis"
// where they have none.
type sizes struct {
	samples int
	batch   map[string]bool // leading ones of as many positions as there are samples
	lengths map[string]int
}

// dimKey is what an axis of an input is called by.
func dimKey(v ir.Value, axis int) string {
	if p := v.Type.Shape[axis].Param; p != "" {
		return p
	}
	return fmt.Sprintf("%s:%d", v.Name, axis)
}

// openSizes finds the dimensions of a feed that every graph leaves open.
func openSizes(in Feed, graphs ...*ir.Graph) sizes {
	s := sizes{samples: samples(graphs[0], in), batch: map[string]bool{}, lengths: map[string]int{}}
	fixed := map[string]bool{}
	for _, g := range graphs {
		for _, v := range g.Inputs {
			t := in[v.Name]
			if t == nil || len(t.Dims) != len(v.Type.Shape) {
				continue
			}
			for axis, d := range v.Type.Shape {
				key := dimKey(v, axis)
				switch {
				case d.Known():
					fixed[key], fixed[fmt.Sprintf("%s:%d", v.Name, axis)] = true, true
				case axis == 0 && t.Dims[0] == s.samples:
					s.batch[key] = true
				default:
					s.lengths[key] = t.Dims[axis]
				}
			}
		}
	}
	// What one graph names and another fixes is fixed in both.
	for _, v := range graphs[0].Inputs {
		for axis := range v.Type.Shape {
			if fixed[fmt.Sprintf("%s:%d", v.Name, axis)] {
				fixed[dimKey(v, axis)] = true
			}
		}
	}
	for key := range fixed {
		delete(s.batch, key)
		delete(s.lengths, key)
	}
	for key := range s.batch {
		delete(s.lengths, key)
	}
	return s
}

// at is how many positions the open dimensions get for n samples and lengths that f changes.
func (s sizes) at(n int, f func(int) int) map[string]int {
	to := map[string]int{}
	for key := range s.batch {
		to[key] = n
	}
	for key, size := range s.lengths {
		to[key] = f(size)
	}
	return to
}

// resized is a feed with other sizes: axes take their first positions, and begin again where
// they are too short.
func resized(g *ir.Graph, in Feed, to map[string]int) (Feed, error) {
	out := maps.Clone(in)
	for _, v := range g.Inputs {
		t := in[v.Name]
		if t == nil || len(t.Dims) != len(v.Type.Shape) {
			continue
		}
		for axis := range v.Type.Shape {
			if n, ok := to[dimKey(v, axis)]; ok && !v.Type.Shape[axis].Known() && n != t.Dims[axis] {
				if t.DType.Bits()%8 != 0 || t.DType == ir.String || t.Dims[axis] == 0 || ir.Prod(t.Dims)/t.Dims[axis] > maxInputBytes/8/n {
					return nil, fmt.Errorf("input %q: want %d positions on axis %d, %s has no such", v.Name, n, axis, t.Type())
				}
				t = along(t, axis, n)
			}
		}
		out[v.Name] = t
	}
	return out, nil
}

// along takes n positions of an axis.
func along(t *ir.Tensor, axis, n int) *ir.Tensor {
	outer, row := ir.Prod(t.Dims[:axis]), ir.Prod(t.Dims[axis+1:])*t.DType.Bits()/8
	dims := slices.Clone(t.Dims)
	dims[axis] = n
	raw := make([]byte, 0, outer*n*row)
	for o := range outer {
		for k := range n {
			at := (o*t.Dims[axis] + k%t.Dims[axis]) * row
			raw = append(raw, t.Raw[at:at+row]...)
		}
	}
	return &ir.Tensor{Name: t.Name, DType: t.DType, Dims: dims, Raw: raw}
}

// otherSizes runs the first feed at another number of samples, and at other lengths: half of
// them, or twice as many where the reference does not run at half. Sizes at which it runs at
// neither are left out and told.
func (r *run) otherSizes(ctx context.Context, first [2]Feed) error {
	s := openSizes(first[0], r.graphs[0], r.graphs[1])
	same := func(n int) int { return n }
	fewer := (s.samples + 1) / 2
	if s.samples == 1 {
		fewer = 2
	}
	if len(s.batch) > 0 {
		if err := r.tries(ctx, first, func(map[string]int) string { return fmt.Sprintf("batch %d", fewer) }, s.at(fewer, same)); err != nil {
			return err
		}
	}
	if len(s.lengths) == 0 {
		return nil
	}
	var tries []map[string]int
	for _, f := range []func(int) int{func(n int) int { return max(n/2, 1) }, func(n int) int { return 2 * n }} {
		if to := s.at(s.samples, f); !maps.Equal(to, s.at(s.samples, same)) {
			tries = append(tries, to)
		}
	}
	return r.tries(ctx, first, s.lengthNames, tries...)
}

// tries runs a feed at the first sizes at which both sides run. A candidate that runs at none
// of those at which the reference does has failed.
func (r *run) tries(ctx context.Context, first [2]Feed, label func(to map[string]int) string, to ...map[string]int) error {
	var refused, failed error
	for _, sizes := range to {
		name := label(sizes)
		var in [2]Feed
		var err error
		for i := range in {
			if in[i], err = resized(r.graphs[i], first[i], sizes); err != nil {
				break
			}
		}
		var outs [2]map[string]*ir.Tensor
		if err == nil {
			outs[0], err = r.side(ctx, 0, in[0])
		}
		if err != nil {
			if fatal(err) {
				return err
			}
			refused = errors.Join(refused, fmt.Errorf("%s: %w", name, err))
			continue
		}
		if outs[1], err = r.side(ctx, 1, in[1]); err != nil {
			if fatal(err) {
				return err
			}
			err = fmt.Errorf("%s: the candidate does not run: %w", name, err)
			if r.original != nil && !r.originalRuns(ctx, in[1]) {
				refused = errors.Join(refused, err)
			} else {
				failed = errors.Join(failed, err)
			}
			continue
		}
		r.v.Sizes = append(r.v.Sizes, name)
		if err := r.cmp.add(outs[0], outs[1]); err != nil {
			r.v.Failures = append(r.v.Failures, fmt.Sprintf("%s: %v", name, err))
		}
		return nil
	}
	if failed != nil {
		r.v.Failures = append(r.v.Failures, failed.Error())
	} else if refused != nil {
		r.v.Skipped = append(r.v.Skipped, refused.Error())
	}
	return nil
}

// originalRuns reports whether the model that the candidate was made from runs where the
// candidate does not.
func (r *run) originalRuns(ctx context.Context, in Feed) bool {
	if r.original.Source.Model == r.candidate.Source.Model {
		return false
	}
	s, err := guard(ctx, *r.original, r.limit)
	if err != nil {
		return false
	}
	defer s.Close()
	_, _, err = s.run(ctx, in, r.slowest)
	return err == nil
}

// fatal reports an error that ends a verification, whatever it was trying.
func fatal(err error) bool {
	var limit *LimitError
	return errors.As(err, &limit) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// lengthNames prints lengths in order of name.
func (s sizes) lengthNames(to map[string]int) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(s.lengths)) {
		parts = append(parts, fmt.Sprintf("%s %d", key, to[key]))
	}
	return strings.Join(parts, ", ")
}

// samples is the length of the first axis of the first input; 1 where it has none.
func samples(g *ir.Graph, in Feed) int {
	if t := in[runtimes.FeedNames(g)[0]]; t != nil && len(t.Dims) > 0 {
		return t.Dims[0]
	}
	return 1
}
