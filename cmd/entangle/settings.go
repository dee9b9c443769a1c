package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// openSet opens --data whole.
func openSet(c *cli.Context) (*data.Set, error) {
	if c.String("data") == "" {
		return nil, usagef("%s: want --data KIND:PATH, got none", c.Command.Name)
	}
	o, err := dataOptions(c)
	if err != nil {
		return nil, err
	}
	return data.Open(c.String("data"), o)
}

// splits reads --split.
func splits(c *cli.Context) (search.Splits, error) {
	v, err := numbers(c, "split")
	if err != nil {
		return search.Splits{}, err
	}
	if len(v) != 3 {
		return search.Splits{}, usagef("--split: want weights,alpha,val, for example 0.45,0.45,0.1, got %q", c.String("split"))
	}
	s := search.Splits{Weights: v[0], Alpha: v[1], Val: v[2]}
	if err := s.Check(); err != nil {
		return s, usagef("--split: %v", err)
	}
	return s, nil
}

// weightSettings reads the train section.
func weightSettings(c *cli.Context) (train.Weights, error) {
	w := train.DefaultWeights()
	w.Epochs = c.Float64("epochs")
	w.Optimiser, w.Schedule = c.String("optimizer"), c.String("schedule")
	w.Hyper.Momentum, w.Hyper.WeightDecay = c.Float64("momentum"), c.Float64("weight-decay")
	w.Hyper.Nesterov = w.Hyper.Momentum > 0
	w.Rate, w.Warmup, w.Clip = c.Float64("lr"), c.Float64("warmup"), c.Float64("clip")
	if w.Augment = c.String("augment"); w.Augment == "none" {
		w.Augment = ""
	}
	if _, err := data.ParseAugments(w.Augment); err != nil {
		return w, usagef("--augment: %v", err)
	}
	switch n := c.Int("accumulate"); {
	case n < 1:
		return w, usagef("--accumulate: want 1 or more, got %d", n)
	case n > 1:
		w.Accumulate = n
	}
	d := c.Float64("distill")
	if !(d >= 0 && d <= 1) {
		return w, usagef("--distill: want a share from 0 to 1, got %g", d)
	}
	w.Objective = net.Objective{Labels: 1 - d, Distill: d, Temperature: c.Float64("temperature"), Smoothing: c.Float64("smoothing")}
	switch {
	case !(w.Epochs >= 0):
		return w, usagef("--epochs: want 0 or more, got %g", w.Epochs)
	case !(w.Rate > 0):
		return w, usagef("--lr: want a positive number, got %g", w.Rate)
	case w.Clip < 0 || w.Warmup < 0:
		return w, usagef("--clip, --warmup: want 0 or more, got %g and %g", w.Clip, w.Warmup)
	case !(w.Objective.Temperature > 0):
		return w, usagef("--temperature: want a positive number, got %g", w.Objective.Temperature)
	}
	return w, nil
}

// spaceOptions reads what the space offers.
func spaceOptions(c *cli.Context) (space.Options, error) {
	o := space.Options{Divisor: c.Int("divisor"), MinRatio: c.Float64("min-ratio"), Elastic: list(c.String("elastic")), Keep: list(c.String("keep"))}
	o.Kinds = list(c.String("kinds"))
	for _, k := range o.Kinds {
		if _, err := space.KindByName(k); err != nil {
			return o, usagef("--kinds: %v", err)
		}
	}
	if len(o.Kinds) == 0 {
		o.Kinds = nil
	}
	if o.Divisor < 1 || !(o.MinRatio > 0 && o.MinRatio <= 1) {
		return o, usagef("--divisor, --min-ratio: want at least 1 and a number in (0, 1], got %d and %g", o.Divisor, o.MinRatio)
	}
	return o, nil
}

// target reads --target METRIC=VALUE: a share of the original up to 1, a count above.
func target(c *cli.Context) (entangle.Target, error) {
	text := c.String("target")
	name, value, ok := strings.Cut(text, "=")
	v, err := strconv.ParseFloat(value, 64)
	if !ok || err != nil || !(v > 0) {
		return entangle.Target{}, usagef("--target: want METRIC=VALUE, for example macs=0.5, got %q", text)
	}
	t := entangle.Target{Metric: name}
	if _, err := space.MetricByName(name); err != nil {
		return t, usagef("--target: %v", err)
	}
	if t.Share = v; v > 1 {
		t.Share, t.Limit = 0, v
	}
	return t, nil
}

// jobSettings reads everything that a search needs; tune says whether the train
// section speaks of fine-tuning after it.
func jobSettings(c *cli.Context, tune bool) (entangle.Job, error) {
	j := entangle.Job{Batch: c.Int("batch"), Seed: c.Uint64("seed"), Order: c.String("order"), Super: space.Superposition(c.String("superposition")), Calibrate: c.Int("calibrate")}
	var err error
	if j.Splits, err = splits(c); err != nil {
		return j, err
	}
	if j.Space, err = spaceOptions(c); err != nil {
		return j, err
	}
	if j.Target, err = target(c); err != nil {
		return j, err
	}
	if j.Memory, err = stepMemory(c); err != nil {
		return j, err
	}
	if path := c.String("space"); path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return j, err
		}
		if j.Given, err = space.Unmarshal(b); err != nil {
			return j, usagef("%s: %v", path, err)
		}
	}
	w, err := weightSettings(c)
	if err != nil {
		return j, err
	}
	if tune {
		j.Tune = w
	}
	s := search.DefaultConfig()
	s.Weights = w
	s.Weights.Epochs, s.Weights.Rate = c.Float64("search-epochs"), c.Float64("search-lr")
	s.AlphaHyper.WeightDecay = c.Float64("alpha-decay")
	s.Relaxation, s.AlphaRate, s.AlphaFrom = c.String("relaxation"), c.Float64("alpha-lr"), c.Float64("alpha-from")
	s.AlphaStart, j.Inherit, j.Method = c.Float64("alpha-start"), c.String("inherit"), c.String("method")
	s.Hard = c.Float64("hard")
	if !(s.Hard >= 0 && s.Hard <= 1) {
		return j, usagef("--hard: want a share in [0, 1], got %g", s.Hard)
	}
	if j.Evolution.Trials = c.Int("trials"); j.Evolution.Trials < 0 {
		return j, usagef("--trials: want 0 or more, got %d", j.Evolution.Trials)
	}
	if j.Refine = c.Int("refine"); j.Refine < 0 {
		return j, usagef("--refine: want 0 or more, got %d", j.Refine)
	}
	s.Sandwich, s.FreezeWeights, s.Unrolled = c.Bool("sandwich"), c.Bool("freeze-weights"), c.Bool("unrolled")
	if s.Unrolled && s.FreezeWeights {
		return j, usagef("--unrolled, --freeze-weights: want one of them: a weight step is unrolled")
	}
	if !(s.Weights.Epochs > 0) || !(s.Weights.Rate > 0) || !(s.AlphaRate >= 0) || !(s.AlphaFrom >= 0) {
		return j, usagef("--search-epochs, --search-lr, --alpha-lr, --alpha-from: want positive numbers (0 is allowed for the last two), got %g, %g, %g, %g",
			s.Weights.Epochs, s.Weights.Rate, s.AlphaRate, s.AlphaFrom)
	}
	j.Search = s
	if j.Super != space.Every && j.Super != space.Reader {
		return j, usagef("--superposition: want %s or %s, got %q", space.Every, space.Reader, j.Super)
	}
	if j.Separate = c.Bool("separate-weights"); j.Separate && j.Super != space.Every {
		return j, usagef("--separate-weights: want --superposition %s, got %q", space.Every, j.Super)
	}
	if !(s.AlphaStart >= 0 && s.AlphaStart < 1) {
		return j, usagef("--alpha-start: want a share in [0, 1), got %g", s.AlphaStart)
	}
	if !contains(entangle.Methods, j.Method) {
		return j, usagef("--method: want one of %s, got %q", strings.Join(entangle.Methods, ", "), j.Method)
	}
	if !contains(entangle.Inherit, j.Inherit) {
		return j, usagef("--inherit: want one of %s, got %q", strings.Join(entangle.Inherit, ", "), j.Inherit)
	}
	if !contains(net.Importance, j.Order) {
		return j, usagef("--order: want one of %s, got %q", strings.Join(net.Importance, ", "), j.Order)
	}
	return j, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// runFolder returns --run, else OUT with ".run" for its extension, made when missing.
func runFolder(c *cli.Context, out string) (string, error) {
	dir := c.String("run")
	if dir == "" {
		dir = strings.TrimSuffix(out, filepath.Ext(out)) + ".run"
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	return dir, nil
}

// checkOut refuses an output that cannot be written before hours of work.
func checkOut(path string) error {
	if path == "" {
		return usagef("want --out FILE, got none")
	}
	info, err := os.Stat(filepath.Dir(path))
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return usagef("--out: %s is not a folder", filepath.Dir(path))
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return usagef("--out: %s is a folder", path)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
