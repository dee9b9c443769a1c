package entangle

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// targetMetrics are the metrics that a target may name: latency, too, which has its prices
// later.
func targetMetrics(extra []space.Metric) []space.Metric {
	out := slices.Concat(space.Metrics, extra)
	if !slices.ContainsFunc(out, func(m space.Metric) bool { return m.Name == latency.Name }) {
		out = append(out, space.Metric{Name: latency.Name, Unit: latency.Unit})
	}
	return out
}

// Unpriced reports whether a target names the latency and Price is still to come.
func (p *Plan) Unpriced() bool {
	return p.Cost[latency.Name] == nil && slices.ContainsFunc(p.Job.Target, func(t Target) bool { return t.Metric == latency.Name })
}

// LatencyRuntime is what latency is measured on: Options.Runtime, else what the job names,
// else ONNX Runtime where it is found, and this program's engine where it is not.
func (j *Job) LatencyRuntime(o Options) (runtimes.Runtime, error) {
	if o.Runtime != nil {
		return o.Runtime, nil
	}
	host := o.Host
	if host == nil {
		host = &Host{}
	}
	if j.Latency.Runtime != "cpu" {
		rt := ort.New(ort.Options{Library: cmp.Or(j.ORTLib, host.getenv("ONNXRUNTIME_LIB")), Threads: j.Workers()})
		_, err := rt.Describe()
		if err == nil {
			return rt, nil
		}
		if j.Latency.Runtime != "" {
			return nil, &JobError{[]error{&keyed{"latency.runtime", err}}}
		}
		host.logf(0, "note: latency is measured on this program's engine: %v", err)
	}
	return native.New(cpu.New(cpu.Options{Threads: j.Workers()}), native.Options{Float: prim.F32, Threads: j.Workers()}), nil
}

// timing makes of a job what is measured with.
func (j *Job) timing(rt runtimes.Runtime, host *Host) (latency.Options, error) {
	o := latency.Options{Runtime: rt, Processor: processorName(), Cache: j.Latency.Cache, Calibrate: j.Latency.Calibrate, Check: j.Latency.Check, Seed: j.Seed}
	if o.Cache == "" {
		// Where the user has no folder for it, nothing is kept.
		if dir, err := os.UserCacheDir(); err == nil {
			o.Cache = filepath.Join(dir, "entangle", "latency")
		}
	}
	if host == nil {
		return o, nil
	}
	last := -1
	o.Progress = func(what string, done, total int) {
		if tenth := 10 * done / max(total, 1); tenth != last {
			last = tenth
			host.logf(0, "latency: %s, %d of %d", what, done, total)
		}
	}
	o.Note = func(line string) { host.logf(0, "note: latency: %s", line) }
	return o, nil
}

// timed is what of a supernet is timed. Batch counts where the model does not fix its own.
func (m *Model) timed(super *space.Supernet, batch int, bind func(batch int) (map[string]int, error)) (latency.Source, error) {
	for _, v := range m.Normal.Graph.Inputs {
		if m.Normal.Graph.Init(v.Name) == nil && len(v.Type.Shape) > 0 {
			if d := v.Type.Shape[0]; d.Known() {
				batch = d.Size
			}
			break
		}
	}
	sizes, err := bind(batch)
	return latency.Source{Net: super, Whole: m.written, Bind: sizes, Batch: batch}, err
}

// LatencySource is what of the plan is timed.
func (p *Plan) LatencySource() (latency.Source, error) {
	super, err := p.supernet()
	if err != nil {
		return latency.Source{}, err
	}
	return p.Source.timed(super, p.Job.Latency.Batch, func(batch int) (map[string]int, error) {
		return net.BindingOn(p.Model, batch, p.Set)
	})
}

// LatencySource is the model with a space as what is timed; dims is as in Infer, and gives
// every open size behind the batch.
func (m *Model) LatencySource(j Job, dims map[string]int) (latency.Source, error) {
	m = m.Learned()
	if err := m.CheckTrainable(); err != nil {
		return latency.Source{}, err
	}
	o := net.Open(m.Normal)
	bind := func(batch int) (map[string]int, error) {
		out := map[string]int{}
		for _, v := range o.Model.Graph.Inputs {
			if o.Model.Graph.Init(v.Name) == nil && len(v.Type.Shape) > 0 && v.Type.Shape[0].Param != "" {
				out[v.Type.Shape[0].Param] = batch
			}
		}
		for k, v := range dims {
			out[k] = v
		}
		return out, nil
	}
	two, _ := bind(cmp.Or(o.Fixed, 2))
	facts, err := ops.InferModel(o.Model, two)
	if err != nil {
		return latency.Source{}, &ModelError{err}
	}
	an, err := space.Analyse(o.Model, facts, j.Space.Kinds...)
	if err != nil {
		return latency.Source{}, &ModelError{err}
	}
	m.mark(an)
	given, err := j.Space.given()
	if err != nil {
		return latency.Source{}, err
	}
	if given == nil {
		if given, err = space.New(an, j.Space.Options); err != nil {
			return latency.Source{}, &ModelError{err}
		}
	}
	super, err := space.Entangle(an, given, j.Space.Superposition)
	if err != nil {
		return latency.Source{}, err
	}
	return m.timed(super, j.Latency.Batch, bind)
}

// MeasureLatency has the prices of a source, as the job says: from a table that was measured
// elsewhere, else timed on the runtime.
func (j *Job) MeasureLatency(ctx context.Context, src latency.Source, o Options) (*latency.Prices, error) {
	lo, err := j.timing(nil, o.Host)
	if err != nil {
		return nil, err
	}
	if j.Latency.Table != "" {
		p, err := latency.ReadTable(j.Latency.Table, src, lo)
		if err != nil {
			return nil, &JobError{[]error{&keyed{"latency.table", err}}}
		}
		return p, nil
	}
	if lo.Runtime, err = j.LatencyRuntime(o); err != nil {
		return nil, err
	}
	return latency.Measure(ctx, src, lo)
}

// Price measures what the metric latency needs, where a target names it and it has no prices
// yet. A limit that the smallest subnet was measured to miss is a *decide.TargetError.
func (p *Plan) Price(ctx context.Context, o Options) error {
	if !p.Unpriced() {
		return nil
	}
	src, err := p.LatencySource()
	if err != nil {
		return err
	}
	if p.Prices, err = p.Job.MeasureLatency(ctx, src, o); err != nil {
		return err
	}
	m, err := p.Prices.Metric(src)
	if err != nil {
		return err
	}
	p.Metrics = append(slices.Clip(p.Metrics), m)
	super, err := p.supernet()
	if err != nil {
		return err
	}
	if p.Cost, err = super.Costs(); err != nil {
		return err
	}
	if o.Host != nil {
		q := p.Prices.Quality()
		o.Host.logf(0, "latency: %.4g ms on %s; prediction of %d other subnets off by %.1f %% (median), %.1f %% (nine of ten); rank correlation %.3f; noise %.1f %%",
			p.Prices.Original, p.Prices.Runtime, len(p.Prices.Checks), 100*q.Median, 100*q.P90, q.Rank, 100*p.Prices.Noise)
	}
	return p.limitMeasured()
}

// limitMeasured is limit where the latency, if a target names it, was measured. A limit that the
// smallest subnet was measured to miss is a *decide.TargetError.
func (p *Plan) limitMeasured() error {
	if p.Prices == nil {
		return p.limit()
	}
	for _, t := range p.Job.Target {
		if want := p.wanted(t); t.Metric == latency.Name && !t.free() && p.Prices.Smallest > want*(1+p.slack()) {
			return &decide.TargetError{Metric: t.Metric, Limit: want * p.Prices.Original, Smallest: p.Cost[latency.Name].At(p.Space.Smallest()), Whole: p.Prices.Original, Measured: p.Prices.Smallest * p.Prices.Original}
		}
	}
	err := p.limit()
	// The smallest subnet was measured to meet the limit, whatever is predicted for it.
	var unmet *decide.TargetError
	for errors.As(err, &unmet) && unmet.Metric == latency.Name && p.Prices.Smallest > 0 {
		p.raise(unmet.Smallest)
		err, unmet = p.Budget.Check(p.Space), nil
	}
	return err
}

// raise makes the limits of the latency at least this one.
func (p *Plan) raise(limit float64) {
	for i := range p.Budget {
		if p.Budget[i].Metric == latency.Name {
			p.Budget[i].Limit = max(p.Budget[i].Limit, limit)
		}
	}
}

// wanted is a target of the latency as a share of what the original was measured at.
func (p *Plan) wanted(t Target) float64 {
	if t.Limit > 0 {
		return t.Limit / p.Prices.Original
	}
	return t.Share
}

// slack is how far above its limit a measured latency still meets it.
func (p *Plan) slack() float64 { return min(max(0.02, p.Prices.Noise), 0.1) }

// Timed is what became of a limit of the latency. Times are in milliseconds; measured ones are the
// subnet's time over the original's, turn by turn, times what the original takes undisturbed.
type Timed struct {
	Runtime   string  `json:"runtime"`
	Threads   int     `json:"threads,omitempty"`
	Batch     int     `json:"batch"`
	Wanted    float64 `json:"wanted_ms"`
	Original  float64 `json:"original_ms"`
	Predicted float64 `json:"predicted_ms"`
	Measured  float64 `json:"measured_ms,omitempty"` // 0: the runtime is elsewhere
	Noise     float64 `json:"noise"`                 // of the original beside itself
	Tries     []Try   `json:"tries,omitempty"`       // the first choice, and those with a corrected limit
}

// Try is a choice within a limit of the predicted latency, in milliseconds.
type Try struct {
	Limit     float64 `json:"limit_ms"`
	Predicted float64 `json:"predicted_ms"`
	Measured  float64 `json:"measured_ms"`
}

// corrections is how often a limit of the latency is corrected.
const corrections = 3

// settled is a choice that was timed, as the run folder keeps it: times differ from run to run, and
// a run that goes on is to tune what it had begun with.
type settled struct {
	Original float64   `json:"original_ms"`
	Limits   []float64 `json:"limits"` // of the budget
	Limit    float64   `json:"limit"`  // of the latency, under which the choice is made
	Choice   []int     `json:"choice"`
	Timed    *Timed    `json:"latency"`
}

// settledSuffix ends the names of files with a settled choice.
const settledSuffix = ".timed.json"

// settled returns the choice that a stage had timed in the run folder under the same budget, nil
// without one.
func (r *run) settled(stage string) *settled {
	text, err := os.ReadFile(filepath.Join(r.dir, stage+settledSuffix))
	x := &settled{}
	if r.dir == "" || err != nil || json.Unmarshal(text, x) != nil || x.Timed == nil || x.Original != r.Prices.Original || !slices.Equal(x.Limits, limitsOf(r.Budget)) {
		return nil
	}
	return x
}

// settle keeps a choice that was timed.
func (r *run) settle(stage string, x *settled) error {
	if r.dir == "" {
		return nil
	}
	text, err := json.MarshalIndent(x, "", "  ")
	return errors.Join(err, atomicfile.WriteBytes(filepath.Join(r.dir, stage+settledSuffix), append(text, '\n')))
}

func limitsOf(b decide.Budget) (out []float64) {
	for _, l := range b {
		out = append(out, l.Limit)
	}
	return out
}

// met lets a method choose within the budget. Where a latency is limited, the choice is timed
// beside the original, and as long as it misses, the limit is corrected by as much and the
// choice made again. Pick chooses within a budget; stage names what comes of it.
func (r *run) met(stage string, pick picker) ([]int, map[string]*ir.Tensor, *Timed, error) {
	at := slices.IndexFunc(r.Job.Target, func(t Target) bool { return t.Metric == latency.Name })
	if at < 0 || r.Prices == nil {
		choice, weights, err := pick(r.Budget)
		return choice, weights, nil, err
	}
	share := r.wanted(r.Job.Target[at])
	out := &Timed{Runtime: r.Prices.Runtime, Threads: r.Prices.Threads, Batch: r.Prices.Batch, Wanted: share * r.Prices.Original, Original: r.Prices.Original, Noise: r.Prices.Noise}
	cost := r.Cost[latency.Name]
	if r.Job.Latency.Table != "" {
		choice, weights, err := pick(r.Budget)
		if err == nil {
			out.Predicted = cost.At(choice)
		}
		return choice, weights, out, err
	}
	rt, err := r.Job.LatencyRuntime(Options{Host: r.host, Runtime: r.runtime})
	if err != nil {
		return nil, nil, nil, err
	}
	budget := slices.Clone(r.Budget)
	limit := &budget[slices.IndexFunc(budget, func(l decide.Limit) bool { return l.Metric == latency.Name })]
	if was := r.settled(stage); was != nil {
		limit.Limit = was.Limit
		choice, weights, err := pick(budget)
		if err != nil || slices.Equal(choice, was.Choice) {
			return choice, weights, was.Timed, err
		}
		limit.Limit = limitsOf(r.Budget)[slices.IndexFunc(budget, func(l decide.Limit) bool { return l.Metric == latency.Name })]
	}
	type tried struct {
		choice  []int
		weights map[string]*ir.Tensor
		ratio   float64
		limit   float64
	}
	var best tried
	var seen [][]int
	better := func(x tried) bool {
		holds, held := x.ratio <= share*(1+r.slack()), best.ratio <= share*(1+r.slack())
		switch {
		case best.choice == nil || holds != held:
			return best.choice == nil || holds
		case holds:
			return x.ratio > best.ratio
		}
		return x.ratio < best.ratio
	}
	for range corrections + 1 {
		choice, weights, err := pick(budget)
		if err != nil {
			return nil, nil, nil, err
		}
		if slices.ContainsFunc(seen, func(s []int) bool { return slices.Equal(s, choice) }) {
			break
		}
		seen = append(seen, choice)
		c, err := r.compare(rt, choice)
		if err != nil {
			return nil, nil, nil, err
		}
		x := tried{choice, weights, c.Ratios[0], limit.Limit}
		predicted := cost.At(choice)
		out.Tries = append(out.Tries, Try{limit.Limit, predicted, x.ratio * r.Prices.Original})
		if better(x) {
			best = x
			out.Predicted, out.Measured, out.Noise = predicted, x.ratio*r.Prices.Original, c.Noise
		}
		if r.host != nil {
			r.host.logf(0, "latency: predicted %.4g ms, measured %.4g ms (%.3f of the original, %.3f wanted, noise %.1f %%)", predicted, x.ratio*r.Prices.Original, x.ratio, share, 100*c.Noise)
		}
		over := x.ratio > share*(1+r.slack())
		under := x.ratio < share*(1-max(0.03, r.slack())) && predicted > 0.97*limit.Limit
		if !over && !under {
			break
		}
		limit.Limit = max(math.Min(limit.Limit, predicted*1.03)*share/x.ratio, cost.At(r.Space.Smallest()))
	}
	if best.ratio > share*(1+r.slack()) && slices.Equal(best.choice, r.Space.Smallest()) {
		return nil, nil, nil, &decide.TargetError{Metric: latency.Name, Limit: out.Wanted, Smallest: cost.At(best.choice), Whole: r.Prices.Original, Measured: out.Measured}
	}
	return best.choice, best.weights, out, r.settle(stage, &settled{r.Prices.Original, limitsOf(r.Budget), best.limit, best.choice, out})
}

// compare times a choice beside the original, both as files.
func (r *run) compare(rt runtimes.Runtime, choice []int) (*latency.Comparison, error) {
	src, err := r.LatencySource()
	if err != nil {
		return nil, err
	}
	return src.Compare(r.ctx, rt, choice)
}

// Text says whether the limit is met.
func (t *Timed) Text() string {
	text := fmt.Sprintf("latency: at most %.4g ms wanted, %.4g ms predicted", t.Wanted, t.Predicted)
	if t.Measured == 0 {
		return text + ", not measured: the times are of another device"
	}
	text += fmt.Sprintf(", %.4g ms measured (%.3f of the original's %.4g ms) on %s, batch %d, noise %.1f %%", t.Measured, t.Measured/t.Original, t.Original, t.Runtime, t.Batch, 100*t.Noise)
	if n := len(t.Tries) - 1; n > 0 {
		text += fmt.Sprintf("; the limit was corrected %d times", n)
	}
	if t.Measured > t.Wanted*(1+max(0.05, 2*t.Noise)) {
		text += ": MISSED"
	}
	return text
}

// WritePieces writes what another device is to time, see latency.WritePieces.
func (j *Job) WritePieces(dir string, src latency.Source, force bool) (int, error) {
	o, err := j.timing(nil, nil)
	if err != nil {
		return 0, err
	}
	return latency.WritePieces(dir, src, o, force)
}
