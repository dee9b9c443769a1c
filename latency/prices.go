package latency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// Name is the metric's.
const Name = "latency"

// Unit is the metric's.
const Unit = "ms"

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

// Prices are the times of a source's subnets on a runtime.
type Prices struct {
	Source    string `json:"source"` // fingerprint of the model
	Runtime   string `json:"runtime"`
	Threads   int    `json:"threads,omitempty"` // 0: not known
	Processor string `json:"processor,omitempty"`
	Batch     int    `json:"batch"`
	// Original is the original's time, undisturbed, in milliseconds; Smallest is what the
	// smallest subnet took of it, 0 where it was not measured.
	Original float64 `json:"original_ms"`
	Smallest float64 `json:"smallest_ratio"`
	// Noise is how far the original is from itself, the largest of all comparisons.
	Noise   float64 `json:"noise"`
	Offset  float64 `json:"offset_ms"` // paid by every subnet
	Each    float64 `json:"each_ms"`   // paid for every group that a subnet has, beside its curve
	Classes []Class `json:"classes"`
	Groups  []Group `json:"groups"`
	Checks  []Check `json:"checks"`
	// Timed counts the pieces and subnets behind the prices, New those that were not in the cache.
	Timed int `json:"timed"`
	New   int `json:"new"`
}

// Class is the price of groups of nodes that do the same.
type Class struct {
	Kind   string  `json:"kind"`
	Factor float64 `json:"factor"` // of the curve, in a whole subnet
	Curve  *Curve  `json:"curve"`
}

// Group is a set of nodes that the runtime runs as one.
type Group struct {
	Nodes []string `json:"nodes"` // labels
	Class int      `json:"class"` // index; -1: it is not timed and costs nothing
}

// Check is a subnet that was predicted and measured, in milliseconds.
type Check struct {
	Choice    []int   `json:"choice"`
	Predicted float64 `json:"predicted_ms"`
	Measured  float64 `json:"measured_ms"`
}

// Error is the prediction's relative error.
func (c Check) Error() float64 { return c.Predicted/c.Measured - 1 }

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

// price puts curves into the prices, with a factor of 1.
func (m *measuring) price(curves map[*class]*Curve) { m.work.price(m.out, curves) }

func (w *work) price(p *Prices, curves map[*class]*Curve) {
	at := map[*class]int{}
	for _, c := range w.classes {
		at[c] = -1
		if curves[c] != nil {
			at[c] = len(p.Classes)
			p.Classes = append(p.Classes, Class{c.kind, 1, curves[c]})
		}
	}
	for i, g := range w.groups {
		var labels []string
		for _, n := range g {
			labels = append(labels, n.Label())
		}
		p.Groups = append(p.Groups, Group{labels, at[w.of[i]]})
	}
}

// Strength of the priors, as squares of the noise of a subnet over the spread of a factor.
const (
	kindRidge  = 0.01
	classRidge = 0.02
)

// calibrated finds the offset and the factors that make of the curves' sums what the
// calibrating subnets took, and predicts the others. Ratios are of both lists.
func (w *work) calibrated(p *Prices, ratios []float64) error {
	if !(p.Original > 0) || len(ratios) != len(w.calibrate)+len(w.check) {
		return fmt.Errorf("latency: want the original's time and those of %d subnets, got %g ms and %d", len(w.calibrate)+len(w.check), p.Original, len(ratios))
	}
	terms, err := p.terms(w.src)
	if err != nil {
		return err
	}
	var x [][]float64
	var y, weight []float64
	n := len(p.Classes)
	sums := func(choice []int) []float64 {
		row := make([]float64, n+1) // last, how many groups there are
		for j, t := range terms {
			row[j] = t.At(choice)
		}
		return row
	}
	for i, c := range w.calibrate {
		ms := ratios[i] * p.Original
		x, y, weight = append(x, sums(c)), append(y, ms), append(weight, 1/(ms*ms))
	}
	// Each step starts from the one before: one scale, then one per kind, then per class. The
	// offset, and what each group pays, are shares of the original.
	share := p.Original / max(float64(len(p.Groups)), 1)
	fold := func(to []int, most int) [][]float64 {
		var out [][]float64
		for _, row := range x {
			sum := make([]float64, most+2)
			sum[0], sum[1] = p.Original, share*row[n]
			for j, v := range row[:n] {
				sum[to[j]+2] += v
			}
			out = append(out, sum)
		}
		return out
	}
	one, kinds, own := make([]int, n), make([]int, n), make([]int, n)
	number := map[string]int{}
	for j, c := range p.Classes {
		if _, ok := number[c.Kind]; !ok {
			number[c.Kind] = len(number)
		}
		kinds[j], own[j] = number[c.Kind], j
	}
	scale := nonNegative(fold(one, 1), y, weight, []float64{1e-3, 1e-3, 1e-6}, []float64{0, 0, 1})
	step := func(to []int, most int, from, prior []float64, strength float64) []float64 {
		ridge := make([]float64, most+2)
		for j := range ridge {
			ridge[j] = strength / max(scale[2]*scale[2], 1e-12)
		}
		ridge[0], ridge[1] = 1e-3, 1e-3
		return nonNegative(fold(to, most), y, weight, ridge, slices.Concat(from[:2], prior))
	}
	byKind := step(kinds, len(number), scale, slices.Repeat([]float64{scale[2]}, len(number)), kindRidge)
	prior := make([]float64, n)
	for j := range prior {
		prior[j] = byKind[kinds[j]+2]
	}
	all := step(own, n, byKind, prior, classRidge)
	p.Offset, p.Each = all[0]*p.Original, all[1]*share
	for j := range p.Classes {
		p.Classes[j].Factor = all[j+2]
	}
	p.Smallest = ratios[1]
	for i, c := range w.check {
		row := sums(c)
		ms := p.Offset + p.Each*row[n]
		for j, v := range row[:n] {
			ms += p.Classes[j].Factor * v
		}
		p.Checks = append(p.Checks, Check{c, ms, ratios[len(w.calibrate)+i] * p.Original})
	}
	return nil
}

// terms are the costs of the classes, by their curves alone, and behind them how many groups
// a subnet has.
func (p *Prices) terms(src Source) ([]*space.CostModel, error) {
	net := *src.Net
	net.Metrics = nil
	for j := range len(p.Classes) + 1 {
		one := *p
		one.Offset, one.Each, one.Classes, one.Groups = 0, 0, slices.Clone(p.Classes), nil
		for i, g := range p.Groups {
			if g.Class == j || j == len(p.Classes) && g.Class >= 0 {
				one.Groups = append(one.Groups, p.Groups[i])
			}
		}
		if j < len(p.Classes) {
			one.Classes[j].Factor = 1
		} else {
			one.Each = 1
			for k := range one.Classes {
				one.Classes[k].Factor = 0
			}
		}
		m, err := one.Metric(src)
		if err != nil {
			return nil, err
		}
		m.Name = fmt.Sprint(j)
		net.Metrics = append(net.Metrics, m)
	}
	costs, err := net.Costs()
	var out []*space.CostModel
	for j := range net.Metrics {
		out = append(out, costs[fmt.Sprint(j)])
	}
	return out, err
}

// Metric is what subnets of the source are priced in: milliseconds of one run. Prices of another
// model are an error.
func (p *Prices) Metric(src Source) (space.Metric, error) {
	threads := ""
	if p.Threads > 0 {
		threads = fmt.Sprintf(", %d threads", p.Threads)
	}
	m := space.Metric{Name: Name, Title: "latency, ms", Unit: Unit, Doc: fmt.Sprintf("milliseconds of one run of batch %d on %s%s, as predicted from the times of its pieces", p.Batch, p.Runtime, threads)}
	if p.Source != src.Net.Space.Source {
		return m, fmt.Errorf("latency: want prices of the model with fingerprint %.16s…, got those of %.16s…", src.Net.Space.Source, p.Source)
	}
	if p.Batch != src.Batch {
		return m, fmt.Errorf("latency: want prices of batch %d, got those of %d", src.Batch, p.Batch)
	}
	scale, err := src.scales()
	if err != nil {
		return m, err
	}
	nodes := map[string]*ir.Node{}
	g := src.Net.An.Model.Graph
	for _, n := range g.Nodes {
		nodes[n.Label()] = n
	}
	var sum []*space.Piece
	for _, group := range p.Groups {
		if group.Class < 0 {
			continue
		}
		if group.Class >= len(p.Classes) || p.Classes[group.Class].Curve == nil {
			return m, fmt.Errorf("latency: group %v: want a class below %d, got %d", group.Nodes, len(p.Classes), group.Class)
		}
		c := p.Classes[group.Class]
		var set []*ir.Node
		for _, label := range group.Nodes {
			if nodes[label] == nil {
				return m, fmt.Errorf("latency: want nodes of the model, got %q", label)
			}
			set = append(set, nodes[label])
		}
		known := map[features]float64{}
		sum = append(sum, &space.Piece{Nodes: set, Parts: func() []*space.Piece { return products(set, c, scale) }, Price: func(at *space.View) (float64, error) {
			f := scale.of(at.Sites())
			v, ok := known[f]
			if !ok {
				v = p.Each + c.Factor*c.Curve.at(f)
				known[f] = v
			}
			return v, nil
		}})
	}
	if p.Offset > 0 {
		sum = append(sum, &space.Piece{Value: g.Inputs[0].Name, Price: func(*space.View) (float64, error) { return p.Offset, nil }})
	}
	m.Sums = func(*space.Supernet) ([][]*space.Piece, error) { return [][]*space.Piece{sum}, nil }
	return m, nil
}

// products prices a group that hangs on too many choices for a table: the line behind its curve.
func products(set []*ir.Node, c Class, scale *scales) []*space.Piece {
	var out []*space.Piece
	seen := map[string]bool{"": true}
	made := map[string]bool{}
	for _, n := range set {
		for _, o := range n.Outputs {
			made[o] = true
		}
	}
	value := func(v string, each float64) {
		if seen[v] || each == 0 || math.IsNaN(each) {
			return
		}
		seen[v] = true
		out = append(out, &space.Piece{Value: v, Product: true, Price: func(at *space.View) (float64, error) {
			return each * float64(ir.Prod(at.Shape())), nil
		}})
	}
	for _, n := range set {
		if each := c.Factor * (c.Curve.Coef[1] + c.Curve.Coef[4] + c.Curve.Coef[5]) * scale.macs[n]; each > 0 {
			out = append(out, &space.Piece{Nodes: []*ir.Node{n}, Product: true, Price: func(at *space.View) (float64, error) {
				return each * at.Sites()[0].Price().MACs, nil
			}})
		}
		for _, v := range n.Inputs {
			switch {
			case made[v]:
			case scale.weight[v]:
				value(v, c.Factor*c.Curve.Coef[3]*scale.value[v])
			default:
				value(v, c.Factor*c.Curve.Coef[2]*scale.value[v])
			}
		}
	}
	for _, o := range set[len(set)-1].Outputs {
		value(o, c.Factor*c.Curve.Coef[2]*scale.value[o])
	}
	return out
}

// Quality is how good the prediction is.
type Quality struct {
	Median float64 `json:"median_error"` // of the relative errors' sizes
	P90    float64 `json:"p90_error"`
	Worst  float64 `json:"worst_error"`
	Rank   float64 `json:"rank_correlation"` // Spearman's
}

// Quality judges the prediction by the subnets that it was not calibrated on.
func (p *Prices) Quality() Quality {
	var errs, a, b []float64
	for _, c := range p.Checks {
		errs = append(errs, math.Abs(c.Error()))
		a, b = append(a, c.Predicted), append(b, c.Measured)
	}
	if errs == nil {
		return Quality{}
	}
	slices.Sort(errs)
	at := int(math.Ceil(0.9*float64(len(errs)))) - 1
	return Quality{median(errs), errs[max(at, 0)], errs[len(errs)-1], correlation(ranks(a), ranks(b))}
}

func ranks(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		for j, y := range v {
			if y < x || y == x && j < i {
				out[i]++
			}
		}
	}
	return out
}

func correlation(a, b []float64) float64 {
	n := float64(len(a))
	var sa, sb, saa, sbb, sab float64
	for i := range a {
		sa, sb, saa, sbb, sab = sa+a[i], sb+b[i], saa+a[i]*a[i], sbb+b[i]*b[i], sab+a[i]*b[i]
	}
	d := math.Sqrt((saa - sa*sa/n) * (sbb - sb*sb/n))
	if d == 0 {
		return 0
	}
	return (sab - sa*sb/n) / d
}

// Marshal writes prices as JSON.
func (p *Prices) Marshal() ([]byte, error) { return json.Marshal(p) }

// Unmarshal reads what Marshal wrote.
func Unmarshal(text []byte) (*Prices, error) {
	p := &Prices{}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("latency: prices: %w", err)
	}
	return p, nil
}
