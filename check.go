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
	"github.com/entangle-nas/entangle/internal/keys"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/search/train/optim"
	"github.com/entangle-nas/entangle/space"
)

// lists are the words that keys choose from.
var lists = keys.Lists{
	"method":        func() []string { return Methods },
	"inherit":       func() []string { return Inherit },
	"importance":    func() []string { return net.Importance },
	"superposition": func() []string { return []string{string(space.Reader), string(space.Every)} },
	"kind":          func() []string { return names(space.Kinds, func(k space.Kind) string { return k.Name }) },
	"relaxation":    func() []string { return names(relax.All(), func(r relax.Relaxation) string { return r.Name }) },
	"optimizer":     func() []string { return names(optim.All(), func(m optim.Method) string { return m.Name }) },
	"schedule":      func() []string { return names(optim.Schedules(), func(s optim.Schedule) string { return s.Name }) },
	"precision":     func() []string { return names(lower.Precisions, func(p lower.Precision) string { return string(p) }) },
	"scale":         func() []string { return []string{string(data.ScaleUnit), string(data.ScaleRaw)} },
	"layout":        func() []string { return []string{"", string(data.NCHW), string(data.NHWC)} },
}

func names[T any](list []T, name func(T) string) []string {
	var out []string
	for _, x := range list {
		out = append(out, name(x))
	}
	return out
}

// Check returns a *JobError with everything that is wrong with the job, cheap faults first,
// or nil. With a model and a data set, which may be nil, it also says what does not go
// together with them. Extra are metrics that targets may name beside space.Metrics. It takes no
// step and reads no sample.
func (j *Job) Check(m *Model, set *data.Set, extra ...space.Metric) error {
	var f faults
	f = append(f, keys.Check(j, lists)...)
	for _, err := range j.Target.check(slices.Concat(space.Metrics, extra)) {
		f.add("target", err)
	}
	j.checkWords(&f)
	j.checkFiles(&f)
	if m != nil {
		j.checkModel(&f, m)
	}
	if set != nil {
		j.checkData(&f, set)
	}
	if m != nil && set != nil && len(f) == 0 {
		j.checkBoth(&f, m, set)
	}
	return f.err()
}

// training lists the settings of weights with their keys.
func (j *Job) training() map[string]*train.Weights {
	return map[string]*train.Weights{"search.weights": &j.Search.Weights, "tune": &j.Tune}
}

// checkWords reports settings that do not go together.
func (j *Job) checkWords(f *faults) {
	for _, section := range []string{"search.weights", "tune"} {
		w := j.training()[section]
		for _, key := range []string{"min_lr", "augment"} {
			f.add(section+"."+key, w.Check()[key])
		}
		if w.Objective.Labels+w.Objective.Distill == 0 {
			f.addf(section+".objective.labels", "want labels or distill above 0, got 0 and 0")
		}
	}
	if j.Search.Weights.Epochs == 0 {
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
	if j.Search.Unrolled && j.Search.FreezeWeights {
		f.addf("search.unrolled", "want it or search.freeze_weights: a weight step is unrolled")
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
	readable("data.tokenizer", j.Data.Tokenizer)
	readable("pjrt_plugin", j.Plugin)
	readable("ort_lib", j.ORTLib)
	readable("space.file", j.Space.File)
	if j.Space.File != "" && !f.has("space.file") {
		_, err := j.Space.given()
		f.add("space.file", err)
	}
	f.add("out", CheckOut(j.Out, j.Model))
	if j.Run != "" {
		if info, err := os.Stat(j.Run); err == nil && !info.IsDir() {
			f.addf("run", "want a folder, %s is a file", j.Run)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.add("run", err)
		}
	}
}

// CheckOut refuses an output that cannot be written, or that is the input; "" is none.
func CheckOut(path, input string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("want a file, %s is a folder", path)
	case err == nil && input != "":
		if in, err := os.Stat(input); err == nil && os.SameFile(in, info) {
			return fmt.Errorf("want another file than the model, got %s", path)
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

// checkModel reports what the model does not have.
func (j *Job) checkModel(f *faults, m *Model) {
	if m.Path != "" && j.Model != "" && m.Path != j.Model {
		f.addf("model", "want the opened model's file %q, got %q", m.Path, j.Model)
	}
	var labels []string
	for _, n := range m.Normal.Graph.Nodes {
		labels = append(labels, n.Label())
	}
	for key, globs := range map[string][]string{"space.elastic": j.Space.Elastic, "space.keep": j.Space.Keep} {
		for _, g := range globs {
			if !slices.ContainsFunc(labels, func(l string) bool { return space.Matches([]string{g}, l) }) {
				f.addf(key, "want globs that match a node, %q matches none of %d%s", g, len(labels), meant(g, labels))
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
	for section, view := range map[string]data.View{"search.weights": views.Weights, "tune": views.Both} {
		w := j.training()[section]
		batch := j.Data.Batch * w.Parts()
		switch steps := view.Len() / max(batch, 1); {
		case w.Epochs == 0 || (section == "search.weights" && !j.trains()):
		case view.Len() < batch:
			key := "data.batch"
			if w.Parts() > 1 {
				key = section + ".accumulate"
			}
			if !f.has(key) {
				f.addf(key, "%s: want at most the %d samples of a pass in a step, got %d", section, view.Len(), batch)
			}
		case w.Epochs*float64(steps) < 0.5:
			f.addf(section+".epochs", "want at least one step of %d samples, got %g epochs of %d samples", batch, w.Epochs, view.Len())
		}
	}
	if batch := j.Data.Batch * j.Search.Weights.Parts(); j.trains() && views.Alpha.Len() < batch && !f.has("data.batch") {
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

// trains reports whether the method trains a supernet.
func (j *Job) trains() bool { return j.Method == "search" || j.Method == "evolution" }

// checkBoth reports objectives that the model's outputs and the data's labels do not allow.
func (j *Job) checkBoth(f *faults, m *Model, set *data.Set) {
	run := *j
	if _, _, err := run.samples(m); err != nil {
		*f = append(*f, err)
		return
	}
	n, err := net.NewNetworkOn(m.Normal, run.Data.Batch, set, nil)
	if err != nil {
		f.add("data.source", err)
		return
	}
	labelled := set.Part("train") != nil && set.Part("train").Labelled()
	for _, section := range []string{"search.weights", "tune"} {
		w := j.training()[section]
		if w.Epochs > 0 && (section == "tune" || j.trains() || j.Space.Order == "taylor") {
			f.add(section+".objective.labels", w.Objective.Check(n, labelled))
		}
	}
}
