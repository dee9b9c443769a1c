package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/keys"
)

// Groups of options.
const (
	groupData   = "Data"
	groupTarget = "Target and space"
	groupSearch = "Search"
	groupTrain  = "Training"
	groupRun    = "Run"
	groupJob    = "Settings and output"
)

// groups lists them in the order of help texts.
var groups = []string{groupData, groupTarget, groupSearch, groupTrain, groupRun, groupJob}

// option is an option for everyday use: a name for one or more keys of the job. What has no
// option is set with --set.
type option struct {
	name, alias string
	group       string
	keys        []string
	usage       string
	file        bool // the value is a file's name
	alone       bool // not offered with its group
	// switches, when not "", makes an option without a value that sets its keys to this.
	switches string
	// value, when not nil, makes of the option's value those of its keys, in their order.
	value func(text string) ([]string, error)
}

// options lists the options of every verb that has a job.
var options = []option{
	{name: "data", group: groupData, keys: []string{"data.source"}, usage: "data set KIND:PATH, ?OPTION=VALUE behind it if wished"},
	{name: "mean", group: groupData, keys: []string{"data.mean"}, usage: "mean per channel, comma-separated, on the scale of 0…1"},
	{name: "std", group: groupData, keys: []string{"data.std"}, usage: "standard deviation per channel, likewise"},
	{name: "scale", group: groupData, keys: []string{"data.scale"}, usage: "pixels that the model takes: unit (0…1) or raw255 (0…255)"},
	{name: "seq", group: groupData, keys: []string{"data.seq"}, usage: "tokens per sample of lm, words per sample of tsv"},
	{name: "tokenizer", group: groupData, keys: []string{"data.tokenizer"}, usage: "tokenizer for the text of lm", file: true},
	{name: "classes", group: groupData, keys: []string{"data.classes"}, usage: "file with the name of a class a line, which numbers the folders of classes", file: true},
	{name: "skip-bad", group: groupData, keys: []string{"data.skip_bad"}, usage: "go on without files that cannot be read", switches: "true"},
	{name: "limit", group: groupData, keys: []string{"data.limit"}, usage: "at most so many samples of each part"},
	{name: "batch", group: groupData, keys: []string{"data.batch"}, usage: "samples per batch; else 128, fewer on few samples"},

	{name: "target", group: groupTarget, keys: []string{"target"}, usage: "METRIC=LIMIT,…: macs=0.5, params=20M, bytes=1MiB, latency=2ms; several sizes of one search: macs=0.75,0.5,0.25; within a loss of points: drop=1.0"},
	{name: "latency-table", group: groupTarget, keys: []string{"latency.table"}, usage: "CSV of times from another device, of what measure --pieces wrote", file: true},
	{name: "learn-at", group: groupTarget, keys: []string{"learn_at"}, usage: "tensors to learn at, in place of the outputs behind them, which stay as they are"},
	{name: "space", group: groupTarget, keys: []string{"space.file"}, usage: "space.yaml to search instead of all that the model offers", file: true},
	{name: "elastic", group: groupTarget, keys: []string{"space.elastic"}, usage: "globs of nodes that may change"},
	{name: "keep", group: groupTarget, keys: []string{"space.keep"}, usage: "globs of nodes that must not change"},
	{name: "operations", group: groupTarget, keys: []string{"space.operations"}, usage: "globs of nodes that add alternatives, of which one is to remain"},
	{name: "kinds", group: groupTarget, keys: []string{"space.kinds"}, usage: "dimensions to offer"},
	{name: "divisor", group: groupTarget, keys: []string{"space.divisor"}, usage: "widths are multiples of it"},

	{name: "method", group: groupSearch, keys: []string{"method"}, usage: "what chooses: search, reconstruct (without training), uniform, random, evolution"},
	{name: "search-epochs", group: groupSearch, keys: []string{"search.weights.epochs"}, usage: "passes over the weights split during the search"},
	{name: "search-lr", group: groupSearch, keys: []string{"search.weights.lr"}, usage: "learning rate of the weights during the search; else 0.02, less on few samples"},

	{name: "epochs", group: groupTrain, keys: []string{"tune.epochs"}, usage: "passes over the training samples, fractions allowed"},
	{name: "lr", group: groupTrain, keys: []string{"tune.lr"}, usage: "learning rate; else 0.05, less on few samples"},
	{name: "optimizer", group: groupTrain, keys: both("optimizer"), usage: "optimiser of the weights, of the search's too"},
	{name: "weight-decay", group: groupTrain, keys: both("weight_decay"), usage: "weight decay of matrices and kernels, likewise"},
	{name: "augment", group: groupTrain, keys: both("augment"), usage: "augmentation of images: flip, crop, mixup, cutout; none"},
	{name: "distill", group: groupTrain, keys: slices.Concat(both("objective.labels"), both("objective.distill")), usage: "share of distillation from the original, 0…1; 1 needs no labels", value: shares},
	{name: "output", group: groupTrain, keys: []string{"outputs"}, usage: "what outputs are, NAME=KIND[:WEIGHT],…, instead of what is found"},
	{name: "teacher", group: groupTrain, keys: []string{"teacher"}, usage: "larger model to learn from, for finetune the original", file: true, alone: true},
	{name: "calibrate", group: groupTrain, keys: []string{"calibrate"}, usage: "batches that recalibrate running statistics"},

	{name: "out", alias: "o", group: groupRun, keys: []string{"out"}, usage: "file to write; of several sizes the folder", file: true},
	{name: "member", group: groupRun, keys: []string{"member"}, usage: "of several sizes, the one that is tuned, by its place in --target: 1, 2, …", alone: true},
	{name: "run", group: groupRun, keys: []string{"run"}, usage: "run folder; OUT with .run for its extension", file: true},
	{name: "seed", group: groupRun, keys: []string{"seed"}, usage: "seed of every random stream"},
	{name: "threads", group: groupRun, keys: []string{"threads"}, usage: "threads; 0: all cores"},
	{name: "device", group: groupRun, keys: []string{"device"}, usage: "cpu, cuda, cuda:N, cuda:N,N,…, or auto: a GPU if there is one"},
	{name: "precision", group: groupRun, keys: []string{"precision"}, usage: "products on a GPU, from exact to fast: f32, tf32, bf16"},
	{name: "pjrt-plugin", group: groupRun, keys: []string{"pjrt_plugin"}, usage: "PJRT plugin for CUDA; see docs/gpu.md", file: true},
	{name: "ort-lib", group: groupRun, keys: []string{"ort_lib"}, usage: "shared library of ONNX Runtime; else $ONNXRUNTIME_LIB, else the usual places", file: true},
	{name: "baselines", group: groupRun, keys: []string{"baselines"}, usage: "also fine-tune the uniform and a random choice of the same cost", switches: "true"},
	{name: "evaluate", group: groupRun, keys: []string{"evaluate.command"}, usage: "command that measures a model: {model} is its file, the last line it prints a number; docs/own-measure.md"},
	{name: "max-drop", group: groupRun, keys: []string{"max_drop"}, usage: "points that quality may lose: of --evaluate's number, else percentage points; more ends with code 6"},
	{name: "no-verify", group: groupRun, keys: []string{"verify"}, usage: "do not run the result on ONNX Runtime", switches: "false"},
}

// both lists a key of the weights' settings in search and tuning.
func both(key string) []string { return []string{"search.weights." + key, "tune." + key} }

// shares divides the objective between labels and distillation.
func shares(text string) ([]string, error) {
	d, err := strconv.ParseFloat(text, 64)
	if err != nil || !(d >= 0 && d <= 1) {
		return nil, fmt.Errorf("want a share from 0 to 1, got %q", text)
	}
	labels := strconv.FormatFloat(1-d, 'g', -1, 64)
	return []string{labels, labels, text, text}, nil
}

// optionFlags returns the options of that name, or of all names in a group.
func optionFlags(names ...string) []cli.Flag { return optionFlagsOver(entangle.DefaultJob(), names...) }

// optionFlagsOver is optionFlags with other defaults.
func optionFlagsOver(d entangle.Job, names ...string) []cli.Flag {
	var out []cli.Flag
	values := map[string]string{}
	for _, k := range d.Keys() {
		values[k.Path] = k.Value
	}
	for _, o := range options {
		if !slices.Contains(names, o.name) && (o.alone || !slices.Contains(names, o.group)) {
			continue
		}
		var alias []string
		if o.alias != "" {
			alias = []string{o.alias}
		}
		if o.switches != "" {
			out = append(out, &cli.BoolFlag{Name: o.name, Aliases: alias, Usage: o.usage, Category: o.group})
			continue
		}
		// 0 and nothing say what the usage says of them.
		text := values[o.keys[len(o.keys)-1]]
		if text == "0" || text == "[]" || text == "null" {
			text = ""
		}
		out = append(out, &cli.GenericFlag{Name: o.name, Aliases: alias, Usage: o.usage, Category: o.group, DefaultText: text, TakesFile: o.file, Value: &once{}})
	}
	return out
}

// once is the text of an option that may be given once.
type once struct {
	text  string
	given bool
}

// Set takes the text; a second one is an error.
func (o *once) Set(text string) error {
	if o.given {
		return fmt.Errorf("given twice, first as %q", o.text)
	}
	o.text, o.given = text, true
	return nil
}

func (o *once) String() string { return o.text }

// unusedFlags are the options that other verbs with a job have: scripts share one list of options
// between verbs, so they are taken, and what has no use here is said.
func unusedFlags(own []cli.Flag) []cli.Flag {
	taken := map[string]bool{}
	for _, f := range own {
		for _, n := range f.Names() {
			taken[n] = true
		}
	}
	var out []cli.Flag
	for _, f := range append(optionFlags(groups...), partFlag()) {
		name := f.Names()[0]
		if taken[name] {
			continue
		}
		if _, bare := f.(*cli.BoolFlag); bare {
			out = append(out, &cli.BoolFlag{Name: name, Aliases: f.Names()[1:], Usage: "not used here", Hidden: true})
		} else {
			out = append(out, &cli.GenericFlag{Name: name, Aliases: f.Names()[1:], Usage: "not used here", Hidden: true, Value: &once{}})
		}
	}
	return out
}

// noteUnused says which options that were given have no use.
func (e *env) noteUnused(c *cli.Context) {
	for _, f := range c.Command.Flags {
		if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() && c.IsSet(f.Names()[0]) {
			if d, ok := f.(cli.DocGenerationFlag); ok && d.GetUsage() == "not used here" {
				e.logf("note: %s does not use --%s", c.Command.Name, f.Names()[0])
			}
		}
	}
}

// jobFlags are the options that give a whole job.
func jobFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "job", Usage: "YAML or JSON file of settings; what else is given wins over it", Category: groupJob, TakesFile: true},
		setFlag(),
		jsonFlag(),
	}
}

func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Usage: "KEY=VALUE: any setting by its key; may be repeated. entangle schema lists them", Category: groupJob}
}

// engineKeys stands for the keys of entangle.Engine and the seed, in lists of keys.
const engineKeys = "engine"

// reads reports whether a verb reads a key.
func reads(uses []string, key string) bool {
	first, _, _ := strings.Cut(key, ".")
	engine := []string{"seed", "threads", "device", "precision", "pjrt_plugin", "ort_lib", "step_memory", "device_data"}
	return uses == nil || slices.Contains(uses, first) || slices.Contains(uses, engineKeys) && slices.Contains(engine, first)
}

// readJob makes the job of a command line: the defaults, then the file of --job, then options,
// then --set, each over what was before. The argument, if any, is the model. Uses are the
// first words of the keys that the verb reads, none for all: --set of another is refused, and
// what a file has of others is left alone.
func readJob(c *cli.Context, uses ...string) (entangle.Job, error) {
	return readJobOver(c, entangle.DefaultJob(), uses...)
}

// readJobOver is readJob over other defaults.
func readJobOver(c *cli.Context, j entangle.Job, uses ...string) (entangle.Job, error) {
	if path := c.String("job"); path != "" {
		if err := j.Read(path); err != nil {
			return j, err
		}
	}
	var faults []error
	for _, o := range options {
		if !offers(c, o) || !c.IsSet(o.name) {
			continue
		}
		values := slices.Repeat([]string{c.String(o.name)}, len(o.keys))
		switch {
		case o.switches != "" && c.Bool(o.name):
			values[0] = o.switches
		case o.switches != "":
			continue
		case o.value != nil:
			var err error
			if values, err = o.value(c.String(o.name)); err != nil {
				faults = append(faults, fmt.Errorf("--%s: %w", o.name, err))
				continue
			}
		}
		for i, key := range o.keys {
			if err := j.Set(key, values[i]); err != nil {
				faults = append(faults, fmt.Errorf("--%s: %w", o.name, err))
				break
			}
		}
	}
	for _, s := range c.StringSlice("set") {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			faults = append(faults, fmt.Errorf("--set: want KEY=VALUE, got %q", s))
		} else if err := j.Set(strings.TrimSpace(key), value); err != nil {
			faults = append(faults, fmt.Errorf("--set: %w", err))
		} else if !reads(uses, strings.TrimSpace(key)) {
			faults = append(faults, fmt.Errorf("--set: %s: %s does not read it", key, c.Command.Name))
		}
	}
	if c.NArg() > 0 && strings.HasPrefix(c.Command.ArgsUsage, "MODEL") {
		j.Model = c.Args().First()
	}
	if faults != nil {
		return j, &entangle.JobError{Faults: faults}
	}
	return j, nil
}

// checkedJob is readJob with what can be checked without model and data.
func checkedJob(c *cli.Context, uses ...string) (entangle.Job, error) {
	j, err := readJob(c, uses...)
	if err != nil {
		return j, err
	}
	return j, j.Check(nil, nil)
}

// argument returns the only argument, a model.
func argument(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", usagef("%s: want one MODEL, got %d arguments", c.Command.Name, c.NArg())
	}
	return c.Args().First(), nil
}

// oneModel refuses a command line that does not name one model.
func oneModel(c *cli.Context, j entangle.Job) error {
	if c.NArg() > 1 || j.Model == "" {
		return usagef("%s: want one MODEL, got %d arguments", c.Command.Name, c.NArg())
	}
	return nil
}

// offers reports whether a command has the option, and not another of its name.
func offers(c *cli.Context, o option) bool {
	return slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool {
		g, ok := f.(cli.CategorizableFlag)
		return ok && g.GetCategory() == o.group && slices.Contains(f.Names(), o.name)
	})
}

// unknownOption says what may be meant by an option that a command does not have.
func unknownOption(name string, flags []cli.Flag) string {
	var words []string
	for _, f := range flags {
		words = append(words, f.Names()...)
	}
	var of []string
	j := entangle.DefaultJob()
	for _, k := range j.Keys() {
		if slices.Contains(strings.Split(k.Path, "."), strings.ReplaceAll(name, "-", "_")) {
			of = append(of, k.Path)
		}
	}
	switch near := keys.Nearest(name, words); {
	case of != nil:
		return fmt.Sprintf("it is a key: --set %s=VALUE", strings.Join(of, "=VALUE, --set "))
	case len(near) > 0:
		return "did you mean --" + strings.Join(near, " or --") + "?"
	}
	return ""
}

// bindings reads NAME=SIZE options.
func bindings(c *cli.Context, name string) (map[string]int, error) {
	out := map[string]int{}
	for _, s := range c.StringSlice(name) {
		k, v, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(v)
		if !ok || k == "" || err != nil || n < 0 {
			return nil, usagef("--%s: want NAME=SIZE with a size of 0 or more, got %q", name, s)
		}
		out[k] = n
	}
	return out, nil
}

// otherFile refuses the file of an option that is one of the command's other files, or exists
// without --force; it makes its folder.
func otherFile(c *cli.Context, name string, files []string) error {
	path := c.String(name)
	if path == "" {
		return nil
	}
	for _, f := range append(files, c.String("job")) {
		if f != "" && filepath.Clean(f) == filepath.Clean(path) {
			return usagef("--%s: want another file than %s", name, f)
		}
	}
	if err := entangle.CheckOut(path, files...); err != nil {
		return usagef("--%s: %v", name, err)
	}
	return entangle.Writable(path, c.Bool("force"))
}

// defaultSizes adds to dims what m leaves open, and says so; it returns what it added.
func (e *env) defaultSizes(m *entangle.Model, dims map[string]int) map[string]int {
	sizes := m.OpenSizes(dims)
	if len(sizes) > 0 {
		var list []string
		for _, name := range sortedKeys(sizes) {
			list = append(list, fmt.Sprintf("%q=%d", name, sizes[name]))
		}
		e.logf("note: the model leaves sizes open; taken for them: %s (--dim NAME=SIZE)", strings.Join(list, ", "))
	}
	maps.Copy(dims, sizes)
	return sizes
}

// checkDims refuses --dim of sizes that no input of the models leaves open, and says what of the
// names is not taken as it stands.
func (e *env) checkDims(dims map[string]int, models ...*entangle.Model) error {
	for i, m := range models {
		if s := m.Symbols(); s != "" && (i == 0 || m.Path != models[0].Path) {
			e.logf("note: %s: %s", m.Path, s)
		}
	}
	if err := entangle.CheckDims(dims, models...); err != nil {
		return usagef("--dim: %v", err)
	}
	return nil
}

func dimFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "dim", Usage: "size of a dynamic dimension, NAME=SIZE; may be repeated"}
}

func concat(lists ...[]cli.Flag) []cli.Flag {
	var out []cli.Flag
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}
