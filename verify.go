package entangle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/ops"
)

// Verification of a result: so many samples in batches of so many.
const (
	verifySamples = 32
	verifyBatch   = 4
)

// Verifier returns ONNX Runtime as the job and the host name it, nil where the job says not to
// verify. One that cannot be loaded is a *JobError, a source that it does not take a *ModelError:
// what is cut from it could not be verified.
func (p *Plan) Verifier(host *Host) (runtimes.Runtime, error) {
	if !p.Job.Verify {
		return nil, nil
	}
	named := cmp.Or(p.Job.ORTLib, host.getenv("ONNXRUNTIME_LIB"))
	rt := ort.New(ort.Options{Library: named, Threads: p.Job.Workers()})
	_, err := rt.Describe()
	switch {
	case err == nil:
		return rt, p.taken(rt)
	case p.Job.ORTLib != "":
		return nil, &JobError{[]error{&keyed{"ort_lib", err}}}
	case named != "":
		return nil, &JobError{[]error{&keyed{"ort_lib", fmt.Errorf("ONNXRUNTIME_LIB: %w", err)}}}
	}
	return nil, &JobError{[]error{&keyed{"verify", fmt.Errorf("the result cannot be verified; --no-verify does without: %w", err)}}}
}

// taken reports a source's file that a runtime does not load.
func (p *Plan) taken(rt runtimes.Runtime) error {
	if t := p.Source.Tail; p.Source.Path == "" || t != nil && t.Foreign {
		return nil // the head is what is compared
	}
	s, err := rt.Open(runtimes.Source{Path: p.Source.Path, Model: p.Source.Raw})
	if err != nil {
		return &ModelError{fmt.Errorf("the result cannot be verified, since ONNX Runtime does not take the original; --no-verify does without: %w", err)}
	}
	return s.Close()
}

// verify compares the written file on ONNX Runtime with the engine, on samples of the data, and
// times both models there.
func (p *Plan) verify(ctx context.Context, foreign runtimes.Runtime, out *Outcome) error {
	if foreign == nil {
		out.Unverified = "verify is off"
		return nil
	}
	small, err := Import(out.File)
	if err != nil {
		return err
	}
	// A tail need not run on the engine, nor give the same choice after rounding: what is before
	// it is compared, and the whole file is run.
	whole := small
	if t := p.Source.Tail; t != nil {
		small = &Model{Path: whole.Path, Raw: whole.Raw, Normal: t.HeadOf(whole.Normal), Tail: t}
	}
	mine, err := small.Source(true)
	if err != nil {
		return err
	}
	own := exporter.Subject{Source: mine, Runtime: native.New(cpu.New(cpu.Options{Threads: p.Job.Workers()}), native.Options{Float: prim.F32, Threads: p.Job.Workers()})}
	onORT := func(m *Model) exporter.Subject {
		return exporter.Subject{Source: runtimes.Source{Path: m.Path, Model: m.Raw}, Runtime: foreign}
	}
	candidate := exporter.Subject{Runtime: foreign}
	if candidate.Source, err = small.Source(false); err != nil {
		return err
	}
	view := p.Views.Val
	if view.Len() == 0 {
		view = p.Views.Both
	}
	view = view.Head(verifySamples)
	feed := func(a, b exporter.Subject) (exporter.VerifyOptions, error) {
		f, err := NewFeeder(view, verifyBatch, a.Source, b.Source)
		if err != nil {
			return exporter.VerifyOptions{}, err
		}
		return exporter.VerifyOptions{Inputs: f.Pairs()}, nil
	}
	o, err := feed(own, candidate)
	if err != nil {
		return err
	}
	o.Sizes = true
	if p.Source.Path != "" {
		original := exporter.Subject{Runtime: foreign}
		if original.Source, err = p.Source.Source(false); err != nil {
			return err
		}
		o.Original = &original
	}
	v, err := Verify(ctx, own, candidate, o)
	out.Verification = v
	var mismatch *exporter.MismatchError
	if err != nil && !errors.As(err, &mismatch) {
		out.Unverified = err.Error()
		return err
	}
	if p.Source.Tail != nil {
		small = whole
		fault, rerr := p.runWhole(ctx, onORT, small, view, out)
		switch {
		case rerr != nil:
			out.Unverified = rerr.Error()
			return rerr
		case fault != nil:
			v.Pass, v.Failures = false, append(v.Failures, fault.Error())
			err = &exporter.MismatchError{Result: v}
		}
	}
	if p.Source.Path == "" {
		return err
	}
	view = view.Head(verifyBatch)
	timed, lerr := feed(onORT(p.Source), onORT(small))
	if lerr != nil {
		return err
	}
	timed.Part, timed.Informative, timed.Latency = ops.PartOf(p.Source.Raw, small.Raw), true, exporter.LatencyOptions{Batch: 1, Warmup: 20, Runs: 200}
	if both, lerr := Verify(ctx, onORT(p.Source), onORT(small), timed); lerr == nil {
		out.Latency, out.LatencyOn = both.Latency, both.Candidate.Runtime.Version+Threads(both.Candidate.Runtime)
	}
	out.Nodes = p.nodes(foreign, onORT(small), view, onORT)
	return err
}

// nodes says where the time of the original and of a smaller model goes, on one sample; nil where
// the runtime does not tell.
func (p *Plan) nodes(rt runtimes.Runtime, small exporter.Subject, view data.View, onORT func(*Model) exporter.Subject) *latency.ByNode {
	original := onORT(p.Source)
	f, err := NewFeeder(view.Head(1), 1, original.Source, small.Source)
	if err != nil {
		return nil
	}
	for in, err := range f.Pairs() {
		if err != nil {
			return nil
		}
		x, err := latency.MeasureNodes(rt, [2]runtimes.Source{original.Source, small.Source}, [2]map[string]*ir.Tensor{in[0], in[1]})
		if err != nil || x == nil {
			return nil
		}
		x.Batch = 1
		return x
	}
	return nil
}

// runWhole runs the written file with its tail on samples, in batches or one by one, and says in
// out how that went. Fault says that it does not run where the original does.
func (p *Plan) runWhole(ctx context.Context, on func(*Model) exporter.Subject, small *Model, view data.View, out *Outcome) (fault, err error) {
	text := fmt.Sprintf("compared at %s; ", strings.Join(p.Source.Tail.At, ", "))
	for _, batch := range []int{verifyBatch, 1} {
		f, err := NewFeeder(view, batch, on(p.Source).Source, on(small).Source)
		if err != nil {
			return nil, err
		}
		n, err := exporter.Execute(ctx, on(small), f.Pairs())
		if err == nil {
			out.Tail = text + fmt.Sprintf("the whole file ran on %d samples", n)
			return nil, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		fault = err
		if p.Source.Path == "" {
			break
		}
		if _, err := exporter.Execute(ctx, on(p.Source), swapped(f.Pairs())); err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if batch == 1 {
			out.Tail = text + "the whole file was not run, nor does the original run there: " + fault.Error()
			return nil, nil
		}
	}
	return fault, nil
}

// swapped gives each side what the other has.
func swapped(pairs iter.Seq2[[2]exporter.Feed, error]) iter.Seq2[[2]exporter.Feed, error] {
	return func(yield func([2]exporter.Feed, error) bool) {
		for in, err := range pairs {
			if !yield([2]exporter.Feed{in[1], in[0]}, err) {
				return
			}
		}
	}
}
