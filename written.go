package entangle

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/subnet"
)

// Written is what a run wrote, and what was measured on it.
type Written struct {
	Files        [2]File                 `json:"files"` // original, result
	Verification *exporter.Verification  `json:"verification,omitempty"`
	Latency      *exporter.LatencyReport `json:"latency,omitempty"`
	LatencyOn    string                  `json:"latency_on,omitempty"`
	Nodes        *latency.ByNode         `json:"latency_by_node,omitempty"` // where the time goes
	Unverified   string                  `json:"unverified,omitempty"`      // why the result was not checked
	Tail         string                  `json:"tail,omitempty"`            // of a model with a tail: where it was compared, and how the whole ran
	Seconds      float64                 `json:"seconds"`
	PeakBytes    int64                   `json:"peak_memory_bytes,omitempty"`
	DataWait     float64                 `json:"data_wait_seconds"` // of all steps
}

// File is a file with its digest. Bytes counts the files beside it that hold its weights; the
// digest is of the file alone.
type File struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Digest reads a file's size and SHA-256, without holding its content.
func Digest(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return File{}, err
	}
	return File{path, n, hex.EncodeToString(h.Sum(nil))}, nil
}

// Folder returns the run folder: Run, else Out with .run for its extension, or behind a
// family's folder.
func (j *Job) Folder() string {
	if j.Family() && j.Run == "" {
		return filepath.Clean(j.Out) + ".run"
	}
	return cmp.Or(j.Run, strings.TrimSuffix(j.Out, filepath.Ext(j.Out))+".run")
}

// Begin makes the run folder and the output's, refuses an existing output without force, and
// writes job.yaml: every setting of what a verb runs on an engine, with what it is made with. A
// folder with checkpoints of other settings is refused; with force they go.
func (p *Plan) Begin(be engine.Backend, host *Host, verb string, force bool) error {
	host.say(p.Says())
	host.warn(p.Warnings)
	return begin(p.Job, p.Source, p.Teacher, p.Set, be, host, verb, force)
}

func begin(j Job, m, teacher *Model, set *data.Set, be engine.Backend, host *Host, verb string, force bool) error {
	if j.Out == "" {
		return &JobError{[]error{&keyed{"out", errors.New("want a file to write, got none")}}}
	}
	if j.Record.Verb != "" && j.Record.Verb != verb {
		return &JobError{[]error{&keyed{"record.verb", fmt.Errorf("the job is one of %s: want another, or --set record.verb=", j.Record.Verb)}}}
	}
	if err := j.Writable(force); err != nil {
		return err
	}
	if err := os.MkdirAll(j.Folder(), 0o777); err != nil {
		return &JobError{[]error{&keyed{"run", err}}}
	}
	whole, err := j.complete(m, teacher, set, be)
	if err != nil {
		return err
	}
	whole.Record.Verb, whole.Member = verb, 0
	if err := whole.clear(j.Folder(), force); err != nil {
		return err
	}
	for _, x := range []struct{ what, then, now string }{{"version", j.Record.Version, whole.Record.Version}, {"processor", j.Record.Processor, whole.Record.Processor}} {
		if x.then != "" && x.then != x.now {
			host.logf(0, "the job was made with another %s, %s (here: %s): its result may differ by rounding", x.what, x.then, x.now)
		}
	}
	text, err := whole.Marshal()
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(j.Folder(), "job.yaml"), text)
}

// free are keys whose change leaves a run the same: where things lie and what is done with
// the result.
var free = []string{"model", "teacher", "out", "run", "data.source", "every", "verify", "ort_lib", "pjrt_plugin", "baselines", "member", "threads", "latency.cache", "record.version", "record.processor",
	"evaluate.command", "evaluate.name", "evaluate.better", "evaluate.timeout", "max_drop"}

// clear makes a run folder ready for a job: checkpoints of a run with other settings are
// refused, all of which are named, or go with force.
func (j *Job) clear(folder string, force bool) error {
	marks, err := filepath.Glob(filepath.Join(folder, "*.checkpoint*")) // of a search's other paths, too
	if err != nil || len(marks) == 0 {
		return err
	}
	var old Job
	if err := old.Read(filepath.Join(folder, "job.yaml")); err != nil && !force {
		return &JobError{[]error{&keyed{"run", fmt.Errorf("%s holds checkpoints of an unknown run: want another folder, or --force to begin anew", folder)}}}
	}
	var other []string
	was := old.Keys()
	for i, k := range j.Keys() {
		if k.Value != was[i].Value && !slices.Contains(free, k.Path) {
			other = append(other, fmt.Sprintf("%s was %s, is %s", k.Path, was[i].Value, k.Value))
		}
	}
	switch {
	case other == nil:
		return nil
	case !force:
		return &JobError{[]error{&keyed{"run", fmt.Errorf("%s holds checkpoints of a run with other settings (%s): want another folder, the old settings, or --force to begin anew", folder, strings.Join(other, "; "))}}}
	}
	timed, err := filepath.Glob(filepath.Join(folder, "*"+settledSuffix))
	if err != nil {
		return err
	}
	for _, path := range append(slices.Concat(marks, timed), filepath.Join(folder, "log.jsonl"), filepath.Join(folder, evaluated)) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Writable makes the folder of a file that is to be written, and refuses one that exists,
// unless forced.
func Writable(path string, force bool) error {
	if err := unwritten(path, force); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Dir(path), 0o777)
}

// unwritten refuses a file that exists, unless forced.
func unwritten(path string, force bool) error {
	if _, err := os.Stat(path); err == nil && !force {
		return &JobError{[]error{&keyed{"out", fmt.Errorf("%s exists: --force writes over it", path)}}}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Run does everything: run folder, search, cut, tuning, files, verification, report.json. A
// difference on ONNX Runtime is an *exporter.MismatchError beside the outcome, a quality below
// the job's limit a *DropError, a tuned network that the user's command fails on an
// *EvaluateError; without ONNX Runtime nothing is done unless the job says not to verify.
func (p *Plan) Run(ctx context.Context, o Options) (*Outcome, error) {
	if err := p.single(); err != nil {
		return nil, err
	}
	watch, host := NewStopwatch(), o.Host
	if host == nil {
		host = &Host{}
	}
	verifier, err := p.Verifier(host)
	if err != nil {
		return nil, err
	}
	be, err := host.Backend(ctx, p.Job.Engine)
	if err != nil {
		return nil, err
	}
	if err := p.Begin(be, host, "compress", o.Force); err != nil {
		return nil, err
	}
	if o.Begun != nil {
		if err := o.Begun(); err != nil {
			return nil, err
		}
	}
	dir := p.Job.Folder()
	o.Checkpoints = cmp.Or(o.Checkpoints, dir)
	waits := waiting{}
	o.Observe = waits.hear(o.Observe)
	out, failed := p.Compress(ctx, be, o)
	if out == nil {
		return nil, failed
	}
	if err := p.writePrices(dir); err != nil {
		return nil, err
	}
	out, err = p.write(ctx, verifier, out, watch, waits)
	return out, errors.Join(err, failed)
}

// waiting is the seconds that steps waited for data, by stage.
type waiting map[string]float64

// hear notes what passes on its way to observe, which may be nil.
func (w waiting) hear(observe func(train.Event)) func(train.Event) {
	return func(ev train.Event) {
		w[ev.Stage] = max(w[ev.Stage], ev.Wait)
		if observe != nil {
			observe(ev)
		}
	}
}

func (w waiting) total() (sum float64) {
	for _, stage := range sorted(w) {
		sum += w[stage]
	}
	return sum
}

// writePrices writes latency.json where latency has prices.
func (p *Plan) writePrices(dir string) error {
	if p.Prices == nil {
		return nil
	}
	text, err := p.Prices.Marshal()
	return errors.Join(err, atomicfile.WriteBytes(filepath.Join(dir, "latency.json"), append(text, '\n')))
}

// write writes and verifies the file of a tuned outcome, and what the run folder has of it.
// Beside an outcome, the error is of what was verified or of its quality.
func (p *Plan) write(ctx context.Context, verifier runtimes.Runtime, out *Outcome, watch Stopwatch, waits waiting) (*Outcome, error) {
	dir := p.Job.Folder()
	out.File = p.Job.Out
	best := out.Candidates[0]
	text, err := best.Recipe.Marshal()
	if err != nil {
		return nil, err
	}
	kept, err := best.Kept.Marshal()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(Export(out.File, best.Model), atomicfile.WriteBytes(filepath.Join(dir, "recipe.json"), text), atomicfile.WriteBytes(filepath.Join(dir, "kept.json"), kept)); err != nil {
		return nil, err
	}
	for _, b := range out.Candidates[1:] {
		if err := Export(filepath.Join(dir, b.Name+".onnx"), b.Model); err != nil {
			return nil, err
		}
	}
	for i, path := range []string{cmp.Or(p.Source.Path, out.File), out.File} {
		if out.Files[i], err = Digest(path); err != nil {
			return nil, err
		}
	}
	if p.Source.Path != "" {
		out.Files[0].Bytes += p.Source.Beside
	}
	out.Seconds, out.PeakBytes = watch.Read()
	out.DataWait = waits.total()
	mismatch := p.verify(ctx, verifier, out)
	drop := out.gate(p.Job.MaxDrop)
	body, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, err
	}
	return out, errors.Join(atomicfile.WriteBytes(filepath.Join(dir, "report.json"), append(body, '\n')), mismatch, drop)
}

// Threads says how many threads a runtime has, as it stands behind its name.
func Threads(i runtimes.Info) string {
	switch i.Threads {
	case 0:
		return ""
	case 1:
		return ", 1 thread"
	}
	return fmt.Sprintf(", %d threads", i.Threads)
}

// Describe puts a recipe and its costs into a model's metadata.
func Describe(m *ir.Model, r *subnet.Recipe) error {
	text, err := r.Compact()
	if err != nil {
		return err
	}
	set := func(key, value string) {
		for i := range m.Meta {
			if m.Meta[i].Key == key {
				m.Meta[i].Value = value
				return
			}
		}
		m.Meta = append(m.Meta, ir.Prop{Key: key, Value: value})
	}
	set("entangle.version", Version())
	set("entangle.source", r.Source)
	set("entangle.recipe", text)
	set("entangle.seed", fmt.Sprint(r.Seed))
	for _, k := range sorted(r.Cost) {
		digits := 0
		if k == latency.Name {
			digits = 4
		}
		set("entangle.cost."+k, fmt.Sprintf("%.*f", digits, r.Cost[k]))
		set("entangle.source_cost."+k, fmt.Sprintf("%.*f", digits, r.From[k]))
	}
	return nil
}
