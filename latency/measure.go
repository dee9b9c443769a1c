package latency

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// Subnets are whole models that are timed when nothing else is said: those that calibrate
// the sum of the pieces, and those that it is judged on.
const (
	Calibrating = 40
	Checking    = 20
)

// Options say how prices are measured.
type Options struct {
	Runtime   runtimes.Runtime
	Processor string // in words; times of another are not taken from the cache
	Cache     string // folder in which times are kept; "" keeps none
	Calibrate int    // random subnets that calibrate; 0: Calibrating
	Check     int    // others that the error is told of; 0: Checking
	Seed      uint64
	Progress  func(what string, done, total int) // nil: nobody listens
	Note      func(line string)                  // likewise
}

func (o Options) progress(what string, done, total int) {
	if o.Progress != nil {
		o.Progress(what, done, total)
	}
}

// work is what is to be timed for a source.
type work struct {
	src       Source
	groups    [][]*ir.Node
	classes   []*class
	of        []*class
	calibrate [][]int // the largest and the smallest first
	check     [][]int
}

// plan lists the groups, and draws the subnets, whose costs are spread from 0.3 of the
// original's multiply-accumulates to all of them.
func plan(src Source, groups [][]*ir.Node, o Options) (*work, error) {
	w := &work{src: src, groups: groups}
	var err error
	if w.classes, w.of, err = src.classes(groups); err != nil {
		return nil, err
	}
	cost, err := src.Net.Cost(space.MACs)
	if err != nil {
		return nil, err
	}
	s := src.Net.Space
	if cost.At(s.Largest()) == cost.At(s.Smallest()) {
		if cost, err = src.Net.Cost(space.Params); err != nil {
			return nil, err
		}
	}
	low := max(cost.At(s.Smallest())/cost.At(s.Largest()), 0.3)
	draw := func(n int, name string) [][]int {
		r := rng.New(o.Seed, name).Rand
		var out [][]int
		for i := range n {
			share := low + (1-low)*(float64(i)+r.Float64())/float64(n)
			out = append(out, spread(s, cost, share, r))
		}
		return out
	}
	if o.Calibrate == 0 {
		o.Calibrate = Calibrating
	}
	if o.Check == 0 {
		o.Check = Checking
	}
	w.calibrate = append([][]int{s.Largest(), s.Smallest()}, draw(o.Calibrate, "latency/calibrate")...)
	w.check = draw(o.Check, "latency/check")
	return w, nil
}

// together is how many models are timed in turn.
const together = 8

// Measure times pieces and subnets of a source on a runtime, and returns what follows from
// them. What the cache has is not timed again. An interrupt is the context's error; what
// was timed until then is kept.
func Measure(ctx context.Context, src Source, o Options) (*Prices, error) {
	info, err := o.Runtime.Describe()
	if err != nil {
		return nil, err
	}
	kept, err := openCache(o.Cache, "entangle latency 2; ", info.Name, "; ", info.Version, "; ", info.Threads, " threads; ", o.Processor)
	if err != nil {
		return nil, err
	}
	defer kept.close()
	groups, err := Groups(src.Net.An.Model, o.Runtime)
	if err != nil {
		return nil, err
	}
	w, err := plan(src, groups, o)
	if err != nil {
		return nil, err
	}
	p := &Prices{Source: src.Net.Space.Source, Runtime: info.Version, Threads: info.Threads, Processor: o.Processor, Batch: src.Batch}
	m := &measuring{Options: o, ctx: ctx, work: w, kept: kept, out: p}
	if err := m.pieces(); err != nil {
		return nil, err
	}
	ratios, err := m.subnets(slices.Concat(w.calibrate, w.check))
	if err != nil {
		return nil, err
	}
	return p, w.calibrated(p, ratios)
}

type measuring struct {
	Options
	*work
	ctx  context.Context
	kept *cache
	out  *Prices
}

func (m *measuring) note(format string, a ...any) {
	if m.Note != nil {
		m.Note(fmt.Sprintf(format, a...))
	}
}

// pieces times the points of every class.
func (m *measuring) pieces() error {
	failed := 0
	for i, c := range m.classes {
		m.progress("pieces", i, len(m.classes))
		note, err := m.src.pieces(c, m.Seed)
		if err != nil {
			return err
		}
		if note != "" {
			m.note("%s", note)
		}
		var open []*point
		for _, p := range c.points {
			if _, ok := m.kept.known[p.signature]; !ok {
				open = append(open, p)
			}
		}
		m.out.Timed += len(c.points)
		for some := range slices.Chunk(open, together) {
			var models []*ir.Model
			for _, p := range some {
				models = append(models, p.model)
			}
			times, errs, err := pieceTimes(m.ctx, m.Runtime, models)
			if err != nil {
				return fmt.Errorf("latency: pieces of %s: %w; %d of %d kinds of pieces were timed and are kept", c.kind, err, i, len(m.classes))
			}
			for k, p := range some {
				if errs[k] != nil {
					if failed++; failed == 1 {
						m.note("a piece (%s) does not run by itself: %v", short(p.signature), errs[k])
					}
					continue
				}
				m.out.New++
				if err := m.kept.put(p.signature, times[k]); err != nil {
					return err
				}
			}
		}
		for _, p := range c.points {
			p.model = nil
		}
	}
	m.progress("pieces", len(m.classes), len(m.classes))
	return nil
}

// curves fits every class that has times, by signature.
func (w *work) curves(times map[string]float64) map[*class]*Curve {
	out := map[*class]*Curve{}
	for _, c := range w.classes {
		var points []CurvePoint
		for _, p := range c.points {
			if ms, ok := times[p.signature]; ok {
				points = append(points, CurvePoint{p.at, ms})
			}
		}
		if points != nil {
			out[c] = fit(points)
		}
	}
	return out
}

// subnets gives the ratios of subnets to the original.
func (m *measuring) subnets(choices [][]int) ([]float64, error) {
	original, err := m.src.cut(m.src.Net.Space.Largest())
	if err != nil {
		return nil, err
	}
	whole := m.src.key(m.src.Net.Space.Largest())
	known := func(choice []int) bool { _, ok := m.kept.known[m.src.key(choice)+" ratio"]; return ok }
	var left [][]int
	for _, c := range choices {
		if !known(c) && !slices.ContainsFunc(left, func(o []int) bool { return slices.Equal(o, c) }) {
			left = append(left, c)
		}
	}
	// What a machine does meanwhile must not tell the calibrating from the others.
	rng.New(m.Seed, "latency/order").Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	m.out.Timed += len(choices)
	done := len(choices) - len(left)
	for some := range slices.Chunk(left, together) {
		m.progress("subnets", done, len(choices))
		var models []*ir.Model
		for _, c := range some {
			s, err := m.src.cut(c)
			if err != nil {
				return nil, fmt.Errorf("latency: %w", err)
			}
			models = append(models, s)
		}
		x, err := Compare(m.ctx, m.Runtime, original, models, m.src.Batch, m.src.dims())
		if err != nil {
			return nil, fmt.Errorf("%w; %d of %d subnets were timed and are kept", err, done, len(choices))
		}
		done += len(some)
		m.out.New += len(some)
		best, again := m.kept.known[whole+" ms"]
		if !again || x.Reference < best {
			best = x.Reference
		}
		err = errors.Join(m.kept.put(whole+" ms", best), m.kept.put(whole+" noise", max(m.kept.known[whole+" noise"], x.Noise, 1e-9)))
		for k, c := range some {
			err = errors.Join(err, m.kept.put(m.src.key(c)+" ratio", x.Ratios[k]))
		}
		if err != nil {
			return nil, err
		}
	}
	m.progress("subnets", len(choices), len(choices))
	m.out.Original, m.out.Noise = m.kept.known[whole+" ms"], m.kept.known[whole+" noise"]
	m.price(m.curves(m.kept.known))
	var out []float64
	for _, c := range choices {
		out = append(out, m.kept.known[m.src.key(c)+" ratio"])
	}
	return out, nil
}

// dims are the sizes of a run by the names that files and their normal graphs have for them.
func (s Source) dims() map[string]int {
	out := map[string]int{}
	for k, v := range s.Bind {
		out[k] = v
	}
	for _, v := range s.Net.An.Model.Graph.Inputs {
		for axis, d := range v.Type.Shape {
			if n, ok := s.Bind[d.Param]; ok && !d.Known() {
				out[fmt.Sprintf("%s:%d", v.Name, axis)] = n
			}
		}
	}
	return out
}
