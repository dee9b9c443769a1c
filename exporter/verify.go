package exporter

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
)

// Subject is one side of a verification: a model on a runtime.
type Subject struct {
	Source  runtimes.Source
	Runtime runtimes.Runtime
}

// Tolerance is the largest difference that counts as equal: elements a and b are equal when
// |a−b| ≤ Abs + Rel·max(|a|, s). Here a is the reference's, and s the scale of its output in
// the batch: the median size of the elements that are not 0. Sums that cancel leave small
// elements with the rounding errors of large ones, so an element's own size is no measure.
// Integers of 8 bits may differ by 1, which is a step of quantised numbers, others not at all.
type Tolerance struct {
	Abs float64 `json:"abs"`
	Rel float64 `json:"rel"`
}

// Rule prints the tolerance as a rule.
func (t Tolerance) Rule() string {
	return fmt.Sprintf("|a−b| ≤ %g + %g·max(|a|, median |a|)", t.Abs, t.Rel)
}

// ToleranceOf is what models on two runtimes are held to, by the coarsest floats in their
// graphs: runtimes round after every node to what it gives.
func ToleranceOf(graphs ...*ir.Graph) Tolerance {
	t := Tolerance{Abs: 1e-6, Rel: 1e-3}
	see := func(d ir.DType) {
		switch {
		case d == ir.BFloat16:
			t = Tolerance{Abs: 1e-2, Rel: 1e-1}
		case d == ir.Float16 && t.Rel < 2e-2:
			t = Tolerance{Abs: 1e-3, Rel: 2e-2}
		}
	}
	for _, g := range graphs {
		for _, v := range slices.Concat(g.Inputs, g.Outputs) {
			see(v.Type.Elem)
		}
		for _, x := range g.Inits {
			see(x.DType)
		}
		for _, n := range g.Nodes {
			if n.OpType == "Cast" {
				see(ir.DType(n.Int("to", 0)))
			}
		}
	}
	return t
}

// Feed holds one tensor per model input, by name.
type Feed = map[string]*ir.Tensor

// Part returns what a model that was cut from another has of the value of that name there.
type Part func(t *ir.Tensor) (*ir.Tensor, error)

func (p Part) take(t *ir.Tensor) (*ir.Tensor, error) {
	if p == nil {
		return t, nil
	}
	return p(t)
}

// VerifyOptions say what Verify runs and what it demands. The zero value
// compares one batch of one random sample at ToleranceOf the graphs without timing.
type VerifyOptions struct {
	// Inputs gives the batches to run: what the reference takes, and what the candidate
	// does. Nil: Cases random ones.
	Inputs iter.Seq2[[2]Feed, error]
	// Cases, Batch, Dims and Seed shape random inputs, see RandomInputs. Cases and
	// Batch count as 1 when 0.
	Cases int
	Batch int
	Dims  map[string]int
	Seed  uint64
	// Part is what the candidate has of the reference's inputs and outputs; nil: all.
	Part Part
	// Sizes also runs the first batch at another number of samples and at other lengths, where
	// both models leave them open and their inputs have the same names.
	Sizes bool
	// Original is the model that the candidate was made from, on its runtime. Other sizes at
	// which it does not run either are left out; nil: the candidate runs where the reference does.
	Original *Subject
	// Limit bounds one run, DefaultLimit when 0; a run may always take 20 times as long as the
	// slowest before it.
	Limit time.Duration
	// Tolerance, ToleranceOf the two graphs when zero.
	Tolerance Tolerance
	// Informative reports differences without demanding that they are small: the
	// two models are meant to differ.
	Informative bool
	// MinAgreement is the smallest top-1 agreement that passes, 0…1.
	MinAgreement float64
	// Latency is measured when Latency.Runs > 0.
	Latency LatencyOptions
}

// Verification is the outcome of Verify.
type Verification struct {
	Reference Side           `json:"reference"`
	Candidate Side           `json:"candidate"`
	Batches   int            `json:"batches"`
	Samples   int            `json:"samples"`           // positions along the first axis of the first input, over all batches
	Random    bool           `json:"random"`            // inputs were drawn, not given
	Sizes     []string       `json:"sizes,omitempty"`   // others that the first batch was run at
	Skipped   []string       `json:"skipped,omitempty"` // sizes at which the models do not run, and why
	Outputs   []OutputReport `json:"outputs"`
	Tolerance Tolerance      `json:"tolerance"`
	Latency   *LatencyReport `json:"latency,omitempty"`
	Pass      bool           `json:"pass"`
	Failures  []string       `json:"failures,omitempty"`
}

// Side names one side.
type Side struct {
	Model   string        `json:"model"`
	Runtime runtimes.Info `json:"runtime"`
}

// MismatchError says that a verification failed; Result holds the figures.
type MismatchError struct {
	Result *Verification
}

// Error lists what failed, with both sides named.
func (e *MismatchError) Error() string {
	r := e.Result
	return fmt.Sprintf("verify: %s on %s against %s on %s: %s", r.Candidate.Model, r.Candidate.Runtime.Name, r.Reference.Model, r.Reference.Runtime.Name, strings.Join(r.Failures, "; "))
}

// Verify runs both subjects on the same inputs and compares every output by
// name. A difference beyond the options gives the full result together with a
// *MismatchError; any other error means that a side could not run.
//
// Both models must have the same output names and, unless inputs are given, the same
// input names. Of caches that the candidate keeps some heads of, those are compared.
func Verify(ctx context.Context, reference, candidate Subject, o VerifyOptions) (*Verification, error) {
	r := &run{original: o.Original, candidate: candidate, limit: o.Limit, graphs: [2]*ir.Graph{reference.Source.Model.Graph, candidate.Source.Model.Graph}}
	if o.Tolerance == (Tolerance{}) {
		o.Tolerance = ToleranceOf(r.graphs[:]...)
	}
	if err := sameNames(r.graphs, o.Inputs != nil); err != nil {
		return nil, err
	}
	inputs := o.Inputs
	if inputs == nil {
		random, err := RandomInputs(r.graphs[0], o)
		if err != nil {
			return nil, err
		}
		inputs = each(random, o.Part)
	}
	v := &Verification{Random: o.Inputs == nil, Tolerance: o.Tolerance}
	r.v, r.cmp = v, newComparison(r.graphs[0], o.Part, o.Tolerance, o.Informative)
	for i, s := range []Subject{reference, candidate} {
		info, err := s.Runtime.Describe()
		if err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
		*[]*Side{&v.Reference, &v.Candidate}[i] = Side{Model: s.Source.Label(), Runtime: info}
	}
	defer r.close()
	var first [2]Feed
	for in, err := range inputs {
		if err != nil {
			return nil, err
		}
		if v.Batches++; v.Batches == 1 {
			first = in
		}
		var outs [2]map[string]*ir.Tensor
		for i, s := range []Subject{reference, candidate} {
			if err := r.open(ctx, i, s); err != nil {
				return nil, err
			}
			if outs[i], err = r.side(ctx, i, in[i]); err != nil {
				return nil, err
			}
		}
		v.Samples += samples(r.graphs[0], in[0])
		if err := r.cmp.add(outs[0], outs[1]); err != nil {
			return nil, err
		}
	}
	if v.Batches == 0 {
		return nil, fmt.Errorf("verify: inputs: want at least one batch, got none")
	}
	if o.Sizes && sameNames(r.graphs, false) == nil {
		if err := r.otherSizes(ctx, first); err != nil {
			return nil, err
		}
	}
	v.Outputs = r.cmp.outputs
	v.judge(o)
	if o.Latency.Runs > 0 {
		var timed [2]Feed
		for i, g := range r.graphs {
			s := openSizes(first[i], g)
			var err error
			if timed[i], err = resized(g, first[i], s.at(max(o.Latency.Batch, 1), func(n int) int { return n })); err != nil {
				return nil, fmt.Errorf("verify: latency: %w", err)
			}
		}
		var err error
		if v.Latency, err = r.latency(ctx, timed, o.Latency); err != nil {
			return nil, err
		}
	}
	if !v.Pass {
		return v, &MismatchError{v}
	}
	return v, nil
}

// Execute runs a subject on the candidate's side of inputs, within DefaultLimit or 20 times the
// slowest run before, and counts the samples. Outputs may have any sizes.
func Execute(ctx context.Context, s Subject, inputs iter.Seq2[[2]Feed, error]) (int, error) {
	ses, err := guard(ctx, s, 0)
	if err != nil {
		return 0, fmt.Errorf("verify: %w", err)
	}
	defer ses.Close()
	count, slowest := 0, time.Duration(0)
	for in, err := range inputs {
		if err != nil {
			return count, err
		}
		_, took, err := ses.run(ctx, in[1], slowest)
		if err != nil {
			return count, fmt.Errorf("verify: %w", err)
		}
		slowest = max(slowest, took)
		count += samples(s.Source.Model.Graph, in[1])
	}
	return count, nil
}

// run is a verification under way.
type run struct {
	original  *Subject
	candidate Subject
	limit     time.Duration
	graphs    [2]*ir.Graph
	sessions  [2]*guarded
	cmp       *comparison
	v         *Verification
	slowest   time.Duration // of all runs
}

// open makes the session of a side, once. What the side before it took to get ready, beyond what
// it holds, is given back first: models of most of a machine's memory are verified, too.
func (r *run) open(ctx context.Context, i int, s Subject) (err error) {
	if r.sessions[i] != nil {
		return nil
	}
	if i > 0 {
		debug.FreeOSMemory()
	}
	if r.sessions[i], err = guard(ctx, s, r.limit); err != nil {
		r.sessions[i] = nil
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

func (r *run) close() {
	for _, s := range r.sessions {
		if s != nil {
			s.Close()
		}
	}
}

// side runs one side.
func (r *run) side(ctx context.Context, i int, in Feed) (map[string]*ir.Tensor, error) {
	out, took, err := r.sessions[i].run(ctx, in, r.slowest)
	r.slowest = max(r.slowest, took)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return out, nil
}

func (v *Verification) judge(o VerifyOptions) {
	for _, out := range v.Outputs {
		if out.Exceeding > 0 && !o.Informative {
			v.Failures = append(v.Failures, fmt.Sprintf("output %q: want %s, got %d of %d elements beyond it, the largest difference %.3g where the scale is %.3g", out.Name, o.Tolerance.Rule(), out.Exceeding, out.Elements, out.MaxAbs, out.Scale))
		}
		if out.Top1 != nil && out.Top1.Agreement < o.MinAgreement {
			v.Failures = append(v.Failures, fmt.Sprintf("output %q: want a top-1 agreement of %g or more, got %.4f", out.Name, o.MinAgreement, out.Top1.Agreement))
		}
	}
	v.Pass = len(v.Failures) == 0
}

// each gives both sides the same feeds, the candidate the part of them that it has.
func each(feeds []Feed, of Part) iter.Seq2[[2]Feed, error] {
	return func(yield func([2]Feed, error) bool) {
		for _, f := range feeds {
			pair := [2]Feed{f, {}}
			for name, t := range f {
				part, err := of.take(t)
				if err != nil {
					yield(pair, fmt.Errorf("verify: input %q: %w", name, err))
					return
				}
				pair[1][name] = part
			}
			if !yield(pair, nil) {
				return
			}
		}
	}
}

// sameNames compares the names of outputs and, of inputs that are not given, theirs.
func sameNames(g [2]*ir.Graph, given bool) error {
	want, got := runtimes.FeedNames(g[0]), runtimes.FeedNames(g[1])
	slices.Sort(want)
	slices.Sort(got)
	if !given && !slices.Equal(want, got) {
		return fmt.Errorf("verify: inputs: want %q, got %q", want, got)
	}
	if len(want) == 0 {
		return fmt.Errorf("verify: inputs: want a model with at least one, got none")
	}
	names := func(g *ir.Graph) (s []string) {
		for _, v := range g.Outputs {
			s = append(s, v.Name)
		}
		slices.Sort(s)
		return s
	}
	if want, got := names(g[0]), names(g[1]); !slices.Equal(want, got) {
		return fmt.Errorf("verify: outputs: want %q, got %q", want, got)
	}
	return nil
}

// String returns the result as indented JSON.
func (v *Verification) String() string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("BUG: verify: " + err.Error())
	}
	return string(b)
}
