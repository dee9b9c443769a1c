package entangle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/internal/keys"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/search/train/optim"
	"github.com/entangle-nas/entangle/space"
)

// lists are the words that keys choose from.
var lists = keys.Lists{
	"latency runtime": func() []string { return []string{"", ort.Name, "cpu"} },
	"method":          func() []string { return Methods },
	"verb":            func() []string { return []string{"", "compress", "search", "train", "finetune", "family"} },
	"inherit":         func() []string { return Inherit },
	"better":          func() []string { return Better },
	"importance":      func() []string { return net.Importance },
	"superposition":   func() []string { return []string{string(space.Reader), string(space.Every)} },
	"kind":            func() []string { return names(space.Kinds, func(k space.Kind) string { return k.Name }) },
	"relaxation": func() []string {
		return append([]string{search.InRounds}, names(relax.All(), func(r relax.Relaxation) string { return r.Name })...)
	},
	"optimizer": func() []string { return names(optim.All(), func(m optim.Method) string { return m.Name }) },
	"schedule":  func() []string { return names(optim.Schedules(), func(s optim.Schedule) string { return s.Name }) },
	"precision": func() []string { return names(lower.Precisions, func(p lower.Precision) string { return string(p) }) },
	"scale":     func() []string { return []string{string(data.ScaleUnit), string(data.ScaleRaw)} },
	"layout":    func() []string { return []string{"", string(data.NCHW), string(data.NHWC)} },
}

func names[T any](list []T, name func(T) string) []string {
	var out []string
	for _, x := range list {
		out = append(out, name(x))
	}
	return out
}

// Check returns a *JobError with everything that is wrong with the job, cheap faults first,
// or nil; a model that cannot be run at a right job's batch is a *ModelError. With a model and a data set, which may be nil, it also says what does not go
// together with them. Extra are metrics that targets may name beside space.Metrics. It takes no
// step and reads no sample.
func (j *Job) Check(m *Model, set *data.Set, extra ...space.Metric) error {
	var f faults
	f = append(f, keys.Check(j, lists)...)
	for _, err := range j.Target.check(targetMetrics(extra)) {
		f.add("target", err)
	}
	j.checkWords(&f)
	j.checkFamily(&f)
	j.Evaluate.check(&f)
	j.checkFiles(&f)
	if set != nil && len(f) == 0 {
		settled := *j
		settled.settle(set, m.fixedBatch())
		j = &settled
	}
	if m != nil {
		split, err := m.Split(j.LearnAt...)
		var job *JobError
		switch {
		case errors.As(err, &job):
			f = append(f, job.Faults...)
		case err != nil:
			return err
		default:
			m = split
		}
		j.checkModel(&f, m)
	}
	if set != nil {
		j.checkData(&f, set)
	}
	if m != nil && set != nil && (len(f) == 0 || len(f) == 1 && f.has("data.batch") && j.Data.Batch > 1) {
		run := *j
		if len(f) > 0 { // what else is wrong does not hang on it
			run.Data.Batch = 1
		}
		if err := run.checkBoth(&f, m, set); err != nil {
			return err
		}
	}
	return f.err()
}

// section is settings of weights with the key that theirs begin with.
type section struct {
	key string
	w   *train.Weights
}

func (j *Job) sections() []section {
	return []section{{"search.weights", &j.Search.Weights}, {"tune", &j.Tune}}
}

// trains reports whether the settings of weights are used.
func (j *Job) trains(s section) bool {
	return s.w.Epochs != 0 && (s.key == "tune" || j.searches() && !j.Search.FreezeWeights)
}

// searches reports whether the method runs a supernet.
func (j *Job) searches() bool {
	return j.Method == "search" || j.Method == "evolution" || j.Method == Reconstruct
}

// gradients reports whether the ranking of units takes gradients.
func (j *Job) gradients() bool { return j.Space.Order == "obs" || j.Space.Order == "taylor" }

// searchesByRounds reports whether the method is a search along subnets.
func (j *Job) searchesByRounds() bool {
	return j.Method == Reconstruct || j.Method == "search" && j.Search.ByRounds()
}

// checkWords reports settings that do not go together.
func (j *Job) checkWords(f *faults) {
	for _, s := range j.sections() {
		for _, key := range []string{"epochs", "min_lr", "augment"} {
			f.add(s.key+"."+key, s.w.Check()[key])
		}
		if s.w.Objective.Labels+s.w.Objective.Distill == 0 {
			f.addf(s.key+".objective.labels", "want labels or distill above 0, got 0 and 0")
		}
	}
	if j.searches() && j.Method != Reconstruct && j.Search.Weights.Epochs == 0 {
		f.addf("search.weights.epochs", "want a number above 0, got 0")
	}
	if err := j.Data.Split.Check(); err != nil && !f.has("data.split.weights") && !f.has("data.split.alpha") && !f.has("data.split.val") {
		f.add("data.split.weights", err)
	}
	if n := j.Data.Channels; n == 2 {
		f.addf("data.channels", "want 1 or 3, got 2")
	}
	if s := j.Data.Resize; s[0] < 0 || s[1] < 0 || (s[0] == 0) != (s[1] == 0) {
		f.addf("data.resize", "want a height and a width above 0, got %d×%d", s[0], s[1])
	}
	if _, _, err := j.StepMemory.bytes(net.LeastMemory); err != nil {
		f.add("step_memory", err)
	}
	if _, _, err := j.DeviceData.bytes(0); err != nil {
		f.add("device_data", err)
	}
	d, err := parseDevice(j.Device)
	if f.add("device", err); err == nil && d.kind == "cpu" && !j.Precise() {
		f.addf("precision", "the processor computes in %s, got %q", lower.F32, j.Precision)
	}
	if j.Space.Separate && j.Space.Superposition != space.Every {
		f.addf("space.separate_weights", "want space.superposition %s, got %q", space.Every, j.Space.Superposition)
	}
	if j.Space.File != "" {
		d := space.DefaultOptions()
		for _, x := range []struct {
			key string
			set bool
		}{{"divisor", j.Space.Divisor != d.Divisor && j.Space.Divisor != 0}, {"min_ratio", j.Space.MinRatio != d.MinRatio && j.Space.MinRatio != 0}, {"max_choices", j.Space.MaxChoices != d.MaxChoices && j.Space.MaxChoices != 0},
			{"kinds", j.Space.Kinds != nil}, {"elastic", j.Space.Elastic != nil}, {"keep", j.Space.Keep != nil}, {"operations", j.Space.Operations != nil}} {
			if x.set {
				f.addf("space."+x.key, "want it or space.file: the file says what may change")
			}
		}
	}
	if j.Space.Kinds != nil && len(j.Space.Kinds) == 0 {
		f.addf("space.kinds", "want at least one kind, or null for all but those on request")
	}
	if j.Method == "search" && j.Search.Weights.Epochs > 0 && j.Search.AlphaFrom >= float64(j.Search.Weights.Epochs) {
		f.addf("search.alpha_from", "want less than search.weights.epochs %g, so that there are architecture steps, got %g", float64(j.Search.Weights.Epochs), j.Search.AlphaFrom)
	}
	if j.Search.Unrolled && j.Search.FreezeWeights {
		f.addf("search.unrolled", "want it or search.freeze_weights: a weight step is unrolled")
	}
	if j.Method == Reconstruct {
		if !j.Search.ByRounds() {
			f.addf("search.relaxation", "want %s beside the method %s, which searches in rounds, got %q", search.InRounds, Reconstruct, j.Search.Relaxation)
		}
		if !j.Search.Refit {
			f.addf("search.refit", "want true beside the method %s, which is made of it, got false: the method search can do without", Reconstruct)
		}
	}
	if j.searchesByRounds() {
		if j.Search.Rounds == 1 {
			f.addf("search.rounds", "want 0 or at least 2, got 1")
		}
		for _, x := range []struct {
			key string
			set bool
		}{{"hard", j.Search.Hard > 0}, {"alpha_from", j.Search.AlphaFrom > 0}, {"unrolled", j.Search.Unrolled}} {
			if x.set {
				f.addf("search."+x.key, "want search.relaxation beside it, one of %s: a search in rounds has no coefficients", strings.Join(names(relax.All(), func(r relax.Relaxation) string { return r.Name }), ", "))
			}
		}
	}
	if _, _, err := j.Data.open(); err != nil {
		f.add("data.source", err)
	}
}

// checkFiles reports files that cannot be read or written.
func (j *Job) checkFiles(f *faults) {
	readable := func(key, path string) {
		if path == "" {
			return
		}
		if info, err := os.Stat(path); err != nil {
			f.add(key, err)
		} else if info.IsDir() {
			f.addf(key, "want a file, %s is a folder", path)
		}
	}
	readable("model", j.Model)
	readable("teacher", j.Teacher)
	if j.Teacher == "" && j.Record.Teacher != "" {
		f.addf("record.teacher_sha256", "want the teacher that the job was made with, of SHA-256 %q, got none", j.Record.Teacher)
	}
	readable("data.tokenizer", j.Data.Tokenizer)
	readable("data.classes", j.Data.Classes)
	readable("pjrt_plugin", j.Plugin)
	readable("ort_lib", j.ORTLib)
	readable("space.file", j.Space.File)
	readable("latency.table", j.Latency.Table)
	if j.Space.File != "" && !f.has("space.file") {
		_, err := j.Space.given()
		f.add("space.file", err)
	}
	if j.Family() {
		j.checkFolder(f)
	} else {
		f.add("out", CheckOut(j.Out, j.Inputs()...))
	}
	if in, err := filepath.Rel(j.Folder(), j.Out); j.Out != "" && err == nil && filepath.IsLocal(in) {
		f.addf("out", "want a file outside the run folder %s, got %s", j.Folder(), j.Out)
	}
	if j.Run != "" {
		if info, err := os.Stat(j.Run); err == nil && !info.IsDir() {
			f.addf("run", "want a folder, %s is a file", j.Run)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.add("run", err)
		}
	}
}

// Inputs lists the files and folders that the job reads.
func (j *Job) Inputs() []string {
	spec, _, _ := strings.Cut(j.Data.Source, "?")
	_, data, _ := strings.Cut(spec, ":")
	return []string{j.Model, j.Teacher, j.Space.File, j.Latency.Table, j.Data.Tokenizer, j.Data.Classes, data}
}

// CheckOut refuses an output that cannot be written, or that is one of the inputs or lies in
// one as a file of it; "" is none.
func CheckOut(path string, inputs ...string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("want a file, %s is a folder", path)
	case err == nil:
		for _, input := range inputs {
			if reads(input, path, info) {
				return fmt.Errorf("want another file than the input %s, got %s", input, path)
			}
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return err
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil {
			if !info.IsDir() {
				return fmt.Errorf("want a folder above %s, %s is a file", path, dir)
			}
			return nil
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// reads reports whether an existing file is an input, or lies in one that is a folder.
func reads(input, path string, file fs.FileInfo) bool {
	in, err := os.Stat(input)
	if input == "" || err != nil {
		return false
	}
	if os.SameFile(in, file) {
		return true
	}
	rel, err := filepath.Rel(input, path)
	return in.IsDir() && err == nil && filepath.IsLocal(rel) && filepath.Dir(rel) == "."
}

// checkModel reports what the model does not have.
func (j *Job) checkModel(f *faults, m *Model) {
	if m.Path != "" && j.Model != "" && m.Path != j.Model {
		f.addf("model", "want the opened model's file %q, got %q", m.Path, j.Model)
	}
	var labels []string
	for _, n := range m.Normal.Graph.Nodes {
		labels = append(labels, n.Label())
	}
	if m.Tail != nil {
		for _, n := range m.Tail.Nodes {
			labels = append(labels, n.Label())
		}
	}
	for _, x := range []struct {
		key   string
		globs []string
	}{{"space.elastic", j.Space.Elastic}, {"space.keep", j.Space.Keep}, {"space.operations", j.Space.Operations}} {
		for _, g := range x.globs {
			if !slices.ContainsFunc(labels, func(l string) bool { return space.Matches([]string{g}, l) }) {
				f.addf(x.key, "want globs that match a node, %q matches none of %d%s", g, len(labels), meant(g, labels))
			}
		}
	}
	if j.Record.Model == "" && j.Record.Weights == "" {
		return
	}
	weights, file, err := space.Fingerprint(m.Raw), "no file", error(nil)
	if m.Path != "" {
		file, weights, err = m.Digest()
		f.add("record.model_sha256", err)
	}
	for _, x := range []struct{ key, want, got string }{{"record.model_sha256", j.Record.Model, file}, {"record.weights_sha256", j.Record.Weights, weights}} {
		if err == nil && x.want != "" && x.want != x.got {
			f.addf(x.key, "%q is another model than the job was made for: want %s, got %s", m.Path, x.want, x.got)
		}
	}
}

// meant proposes words that are near, in parentheses.
func meant(word string, among []string) string {
	near := keys.Nearest(word, among)
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", strings.Join(near, ", "))
}

// checkData reports what the data set does not have.
func (j *Job) checkData(f *faults, set *data.Set) {
	if j.Data.Source != "" && j.Data.Source != set.Spec {
		if source, _, err := j.Data.open(); err != nil || source != set.Spec {
			f.addf("data.source", "want the opened set's %q, got %q", set.Spec, j.Data.Source)
		}
	}
	if f.has("data.split.weights") || f.has("data.batch") {
		return
	}
	views, err := j.Data.Split.View(set, j.Seed)
	if err != nil {
		f.add("data.source", err)
		return
	}
	if j.MaxDrop != nil && j.Evaluate.Command == "" && views.Test.Len() == 0 && views.Val.Len() == 0 {
		f.addf("max_drop", "want samples of test or validation to measure on, or evaluate.command, got none of them")
	}
	for i, s := range j.sections() {
		samples := []int{views.Weights.Len(), views.Both.Len()}[i]
		batch := j.Data.Batch * s.w.Parts()
		switch steps := samples / max(batch, 1); {
		case !j.trains(s):
		case samples < batch:
			key := "data.batch"
			if s.w.Parts() > 1 {
				key = s.key + ".accumulate"
			}
			if !f.has(key) {
				f.addf(key, "%s: want at most the %d samples of a pass in a step, got %d", s.key, samples, batch)
			}
		case s.w.Epochs != train.Auto && float64(s.w.Epochs)*float64(steps) < 0.5:
			f.addf(s.key+".epochs", "want at least one step of %d samples, got %g epochs of %d samples", batch, float64(s.w.Epochs), samples)
		}
	}
	if batch := j.Data.Batch * j.Search.Weights.Parts(); j.searches() && views.Alpha.Len() < batch && !f.has("data.batch") {
		f.addf("data.batch", "search: want at most the %d samples of the alpha split in a step, got %d", views.Alpha.Len(), batch)
	}
	if want := j.Record.Data; want != "" {
		if got, err := set.Digest(); err != nil {
			f.add("record.data_sha256", err)
		} else if got != want {
			f.addf("record.data_sha256", "%s holds other data than the job was made for: want SHA-256 %s, got %s", set.Spec, want, got)
		}
	}
}

// checkBoth reports objectives that the model's outputs and the data's labels do not allow.
func (j *Job) checkBoth(f *faults, m *Model, set *data.Set) error {
	run := *j
	if _, _, err := run.samples(m, nil); err != nil {
		*f = append(*f, err)
		return nil
	}
	if _, err := net.BindingOn(net.Open(m.Normal).Model, run.Data.Batch, set); err != nil {
		f.add("data.source", err)
		return nil
	}
	n, err := net.NewNetworkOn(m.Normal, run.Data.Batch, set, nil)
	if err != nil {
		return &ModelError{err}
	}
	if err := n.Means(m.Means(j.Outputs)); err != nil {
		f.add("outputs", err)
		return nil
	}
	if err := n.CheckTarget(); err != nil {
		f.add("outputs", err)
		return nil
	}
	if _, err := m.CheckClasses(set, j.Outputs); err != nil {
		f.add("data.source", err)
	}
	labelled := set.Part("train") != nil && set.Part("train").Labelled()
	for _, s := range j.sections() {
		// The search's objective ranks units as well.
		if j.trains(s) || s.key == "search.weights" && j.gradients() {
			err := s.w.Objective.Check(n, labelled)
			f.add(s.key+".objective.labels", err)
		}
		if steps, err := data.ParseAugments(s.w.Augment); err == nil && j.trains(s) && labelled && s.w.Objective.Labels > 0 {
			f.add(s.key+".augment", set.CheckAugment(steps))
		}
	}
	return nil
}
