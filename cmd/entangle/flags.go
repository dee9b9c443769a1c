package main

import (
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/optim"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/space"
)

func threadsFlag() cli.Flag {
	return &cli.IntFlag{Name: "threads", Usage: "threads of the engine and of each runtime; 0: all cores", DefaultText: "all cores"}
}

func threads(c *cli.Context) (int, error) {
	n := c.Int("threads")
	if n < 0 {
		return 0, usagef("--threads: want 0 or more, got %d", n)
	}
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return n, nil
}

func seedFlag() cli.Flag {
	return &cli.Uint64Flag{Name: "seed", Usage: "seed of every random stream"}
}

// dataFlags are the options of the data section.
func dataFlags() []cli.Flag {
	var kinds []string
	for _, s := range data.Sources() {
		kinds = append(kinds, s.Name+":PATH")
	}
	return []cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "data set: " + strings.Join(kinds, ", ")},
		&cli.StringFlag{Name: "mean", Usage: "mean per channel, comma-separated, on the scale of 0…1"},
		&cli.StringFlag{Name: "std", Usage: "standard deviation per channel, likewise"},
		&cli.StringFlag{Name: "scale", Usage: "range of the pixels that the model takes: unit (0…1) or raw255 (0…255)", Value: "unit"},
		&cli.StringFlag{Name: "layout", Usage: "axis order of images: nchw or nhwc", Value: "nchw"},
		&cli.StringFlag{Name: "resize", Usage: "HEIGHTxWIDTH that images of a folder are brought to"},
		&cli.IntFlag{Name: "channels", Usage: "channels of images of a folder: 3 or 1", Value: 3},
		&cli.IntFlag{Name: "seq", Usage: "tokens per sample of lm, words per sample of tsv", DefaultText: "256 and 64"},
		&cli.IntFlag{Name: "stride", Usage: "how far apart training samples of lm begin; 0: --seq, so that none overlap"},
		&cli.StringFlag{Name: "tokenizer", Usage: "tokenizer for the text of lm: tokenizer.json, or llama2.c's .bin", TakesFile: true},
		&cli.IntFlag{Name: "vocab", Usage: "most words that tsv keeps", DefaultText: "8192"},
		&cli.IntFlag{Name: "limit", Usage: "at most so many samples of each part; 0: all"},
		&cli.StringFlag{Name: "split", Usage: "fractions of the training part: weights,alpha,val", Value: "0.45,0.45,0.1"},
		&cli.StringFlag{Name: "part", Usage: "part to measure on: test, val or train", Value: "test"},
		&cli.IntFlag{Name: "batch", Usage: "samples per batch", Value: 128},
	}
}

// dataOptions reads the flags of dataFlags into data.Options.
func dataOptions(c *cli.Context) (data.Options, error) {
	var o data.Options
	var err error
	if o.Mean, err = numbers(c, "mean"); err != nil {
		return o, err
	}
	if o.Std, err = numbers(c, "std"); err != nil {
		return o, err
	}
	switch s := c.String("scale"); s {
	case "unit":
	case string(data.ScaleRaw):
		o.Scale = data.ScaleRaw
	default:
		return o, usagef("--scale: want unit or raw255, got %q", s)
	}
	switch s := c.String("layout"); s {
	case "nchw":
	case string(data.NHWC):
		o.Layout = data.NHWC
	default:
		return o, usagef("--layout: want nchw or nhwc, got %q", s)
	}
	if s := c.String("resize"); s != "" {
		h, w, ok := strings.Cut(s, "x")
		a, errA := strconv.Atoi(h)
		b, errB := strconv.Atoi(w)
		if !ok || errA != nil || errB != nil || a < 1 || b < 1 {
			return o, usagef("--resize: want HEIGHTxWIDTH, for example 32x32, got %q", s)
		}
		o.Resize = [2]int{a, b}
	}
	if n := c.Int("channels"); n != 1 && n != 3 {
		return o, usagef("--channels: want 1 or 3, got %d", n)
	}
	o.Channels = c.Int("channels")
	if n := c.Int("limit"); n < 0 {
		return o, usagef("--limit: want 0 or more, got %d", n)
	}
	o.Limit = c.Int("limit")
	for _, name := range []string{"seq", "stride", "vocab"} {
		if n := c.Int(name); n < 0 {
			return o, usagef("--%s: want 0 or more, got %d", name, n)
		}
	}
	o.Seq, o.Stride, o.Vocab, o.Tokenizer = c.Int("seq"), c.Int("stride"), c.Int("vocab"), c.String("tokenizer")
	if n := c.Int("batch"); n < 1 {
		return o, usagef("--batch: want 1 or more, got %d", n)
	}
	return o, nil
}

// trainFlags are the options of the train section.
func trainFlags() []cli.Flag {
	var methods, schedules []string
	for _, m := range optim.All() {
		methods = append(methods, m.Name)
	}
	for _, s := range optim.Schedules() {
		schedules = append(schedules, s.Name)
	}
	return []cli.Flag{
		&cli.Float64Flag{Name: "epochs", Usage: "passes over the training samples, fractions allowed; for compress, of fine-tuning", Value: 10},
		&cli.Float64Flag{Name: "lr", Usage: "base learning rate of the weights", Value: 0.05},
		&cli.StringFlag{Name: "optimizer", Usage: "optimiser of the weights: " + strings.Join(methods, ", "), Value: "sgd", Action: oneOf("optimizer", methods...)},
		&cli.Float64Flag{Name: "momentum", Usage: "momentum of sgd (Nesterov's)", Value: 0.9},
		&cli.Float64Flag{Name: "weight-decay", Usage: "weight decay of matrices and kernels; vectors have none", Value: 1e-4},
		&cli.StringFlag{Name: "schedule", Usage: "learning rate over the run: " + strings.Join(schedules, ", "), Value: "cosine", Action: oneOf("schedule", schedules...)},
		&cli.Float64Flag{Name: "warmup", Usage: "epochs over which the learning rate rises", Value: 0.25},
		&cli.Float64Flag{Name: "clip", Usage: "largest norm of the gradient; 0: no limit", Value: 5},
		&cli.IntFlag{Name: "accumulate", Usage: "micro-batches of --batch samples per step; their gradients make one step", Value: 1},
		&cli.StringFlag{Name: "step-memory", Usage: "most temporary memory of a training step, such as 2GiB, or least: blocks of the forward pass are computed again to keep it", DefaultText: "no limit"},
		&cli.StringFlag{Name: "device-data", Usage: "most memory of a GPU for training images, such as 2GiB, which are then uploaded once; 0: none", DefaultText: "4GiB"},
		&cli.StringFlag{Name: "augment", Usage: "augmentation, comma-separated: flip, crop, mixup, cutout; none", Value: "flip,crop"},
		&cli.Float64Flag{Name: "smoothing", Usage: "label smoothing"},
		&cli.Float64Flag{Name: "distill", Usage: "share of distillation from the original in the loss, 0…1; 1 needs no labels", Value: 0.5},
		&cli.Float64Flag{Name: "temperature", Usage: "temperature of distillation", Value: 4},
	}
}

// spaceFlags are the options that say what may change.
func spaceFlags() []cli.Flag {
	var kinds, onRequest []string
	for _, k := range space.Kinds {
		if kinds = append(kinds, k.Name); k.OnRequest() {
			onRequest = append(onRequest, k.Name)
		}
	}
	return []cli.Flag{
		&cli.StringFlag{Name: "elastic", Usage: "globs of node names that may change, comma-separated", DefaultText: "all"},
		&cli.StringFlag{Name: "keep", Usage: "globs of node names that must not change, comma-separated"},
		&cli.StringFlag{Name: "kinds", Usage: "dimensions to offer, comma-separated: " + strings.Join(kinds, ", "), DefaultText: "all but " + strings.Join(onRequest, ", ")},
		&cli.IntFlag{Name: "divisor", Usage: "widths are multiples of it", Value: 8},
		&cli.Float64Flag{Name: "min-ratio", Usage: "smallest width as a fraction of the original", Value: 0.25},
	}
}

// searchFlags are the options of the search section.
func searchFlags() []cli.Flag {
	var relaxations []string
	for _, r := range relax.All() {
		relaxations = append(relaxations, r.Name)
	}
	var metrics []string
	for _, m := range space.Metrics {
		metrics = append(metrics, m.Name)
	}
	d := search.DefaultConfig()
	return append([]cli.Flag{
		&cli.StringFlag{Name: "target", Usage: "cost to reach (" + strings.Join(metrics, ", ") + "), as a share of the original up to 1 or a number above", Value: "macs=0.5"},
		&cli.StringFlag{Name: "space", Usage: "space.yaml to search instead of all that the model offers", TakesFile: true},
		&cli.StringFlag{Name: "relaxation", Usage: "relaxation of the choices: " + strings.Join(relaxations, ", "), Value: d.Relaxation, Action: oneOf("relaxation", relaxations...)},
		&cli.Float64Flag{Name: "search-epochs", Usage: "passes over the weights split during the search", Value: d.Weights.Epochs},
		&cli.Float64Flag{Name: "search-lr", Usage: "base learning rate of the weights during the search", Value: d.Weights.Rate},
		&cli.Float64Flag{Name: "alpha-lr", Usage: "learning rate of the architecture parameters", Value: d.AlphaRate},
		&cli.Float64Flag{Name: "alpha-decay", Usage: "weight decay of the architecture parameters; draws the choices of a dimension together", Value: d.AlphaHyper.WeightDecay},
		&cli.Float64Flag{Name: "alpha-start", Usage: "share of probability that the original begins with; 0 begins uniform", Value: d.AlphaStart},
		&cli.Float64Flag{Name: "alpha-from", Usage: "epochs of weight steps before the first architecture step"},
		&cli.StringFlag{Name: "order", Usage: "importance that ranks a width's units: " + strings.Join(search.Importance, ", "), Value: search.Importance[0], Action: oneOf("order", search.Importance...)},
		&cli.StringFlag{Name: "superposition", Usage: "weights that carry a width's coefficients: every (as in TangleNAS) or reader (once per unit)", Value: string(space.Reader)},
		&cli.BoolFlag{Name: "separate-weights", Usage: "give every choice weights of its own, as in weight sharing without entanglement; wants --superposition every"},
		&cli.Float64Flag{Name: "hard", Usage: "share of weight steps on one drawn subnet, rising from 0 to it over the search", Value: d.Hard},
		&cli.BoolFlag{Name: "sandwich", Usage: "of four weight steps, one on the largest and one on the smallest subnet"},
		&cli.BoolFlag{Name: "unrolled", Usage: "take the gradient of the architecture through one weight step (DARTS, second order): five forward and backward passes per step instead of two"},
		&cli.BoolFlag{Name: "overlap", Usage: "take the weight step with the coefficients from before the architecture step beside it, so that a GPU need not wait for the host", DefaultText: "on a GPU"},
		&cli.BoolFlag{Name: "freeze-weights", Usage: "move only the architecture parameters"},
		&cli.StringFlag{Name: "method", Usage: "what chooses: " + strings.Join(search.Methods, ", "), Value: search.Methods[0]},
		&cli.IntFlag{Name: "trials", Usage: "subnets that evolution measures", DefaultText: "as many as cost what the architecture steps of a search would"},
		&cli.IntFlag{Name: "refine", Usage: "subnets within the target whose loss on the alpha split decides after the search; 0: the coefficients alone decide", Value: search.DefaultJob().Refine},
		&cli.StringFlag{Name: "inherit", Usage: "weights that the subnet starts from: search or original", Value: search.Inherit[0]},
		&cli.IntFlag{Name: "calibrate", Usage: "batches that recalibrate running statistics after the cut", Value: 100},
	}, spaceFlags()...)
}

// oneOf returns a check that an option has one of the given values.
func oneOf(name string, values ...string) func(*cli.Context, string) error {
	return func(_ *cli.Context, s string) error {
		if !slices.Contains(values, s) {
			return usagef("--%s: want one of %s, got %q", name, strings.Join(values, ", "), s)
		}
		return nil
	}
}

// numbers reads a comma-separated option as finite numbers.
func numbers(c *cli.Context, name string) ([]float64, error) {
	var out []float64
	for _, s := range list(c.String(name)) {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, usagef("--%s: want comma-separated numbers, got %q", name, c.String(name))
		}
		out = append(out, v)
	}
	return out, nil
}

// list splits at commas and drops blanks around and empty parts.
func list(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

// bindings reads NAME=SIZE options.
func bindings(c *cli.Context, name string) (map[string]int, error) {
	out := map[string]int{}
	for _, s := range c.StringSlice(name) {
		k, v, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(v)
		if !ok || k == "" || err != nil || n < 1 {
			return nil, usagef("--%s: want NAME=SIZE with a size of 1 or more, got %q", name, s)
		}
		out[k] = n
	}
	return out, nil
}

func dimFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "dim", Usage: "size of a dynamic dimension, NAME=SIZE; may be repeated"}
}

// oneModel returns the only argument, or the job's model.
func oneModel(c *cli.Context, j *job) (string, error) {
	switch {
	case c.NArg() == 1:
		return c.Args().First(), nil
	case c.NArg() == 0 && j.model != "":
		return j.model, nil
	}
	return "", usagef("%s: want one MODEL, got %d arguments", c.Command.Name, c.NArg())
}
