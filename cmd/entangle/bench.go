package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/trace"
	"github.com/entangle-nas/entangle/internal/workloads"
)

// warmup is the number of steps that run before the timed ones.
const warmup = 2

func (e *env) benchCommand() *cli.Command {
	var what strings.Builder
	for _, w := range append(workloads.All(), workloads.Large()...) {
		fmt.Fprintf(&what, "\n  %-19s  %s", w.Name, w.Doc)
		if !w.Product {
			fmt.Fprintf(&what, ", batch %d", w.Batch)
		}
	}
	return &cli.Command{
		Name:      "bench",
		Usage:     "time training steps and matrix products on the engine",
		ArgsUsage: "[WORKLOAD ...]",
		Description: "Each workload runs in a process of its own, so that its peak memory is its own. A step of a _super\n" +
			"workload is one architecture step and one weight step. Without a name, all training steps run.\n" +
			"With --json one value a line. Workloads:\n" + what.String() +
			"\n\nA program given by --peer is run beside, with the arguments --threads N --steps N WORKLOAD; it prints one\n" +
			"JSON object with median_ms, min_ms and peak_rss_mb.",
		Flags: concat(optionFlags("threads", "device", "precision", "pjrt-plugin"), []cli.Flag{
			&cli.IntFlag{Name: "steps", Usage: "timed steps", Value: 5},
			&cli.IntFlag{Name: "rounds", Usage: "times that everything is measured; the median of the rounds counts", Value: 1},
			&cli.IntFlag{Name: "batch", Usage: "images per batch; 0: as the workload is defined", DefaultText: "the workload's"},
			&cli.BoolFlag{Name: "portable", Usage: "without assembly"},
			&cli.StringFlag{Name: "peer", Usage: "command of another program to compare with"},
			&cli.BoolFlag{Name: "here", Usage: "measure in this process; for one WORKLOAD", Hidden: true},
			&cli.StringFlag{Name: "gate", Usage: "with --here: make PATH.ready when the clock could start, and start it when PATH.go is there", Hidden: true},
			e.traceFlag(), jsonFlag(),
		}),
		Action: e.bench,
	}
}

// timing is what one program measured of one workload.
type timing struct {
	Workload string  `json:"workload"`
	Form     *string `json:"form"` // of a supernet: how choices are mixed
	Device   string  `json:"device"`
	Threads  int     `json:"threads"`
	Program  string  `json:"entangle,omitempty"`
	Kernels  string  `json:"kernels,omitempty"`
	Batch    int     `json:"batch,omitempty"`
	MedianMS float64 `json:"median_ms"`
	MinMS    float64 `json:"min_ms"`
	PeakMB   float64 `json:"peak_rss_mb"`
	DeviceMB float64 `json:"device_mb,omitempty"` // of a GPU
	Peer     *timing `json:"peer,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"` // of the medians, this program's to the peer's
}

func (e *env) bench(c *cli.Context) error {
	j, err := checkedJob(c)
	if err != nil {
		return err
	}
	n := j.Workers()
	for _, f := range []string{"steps", "rounds"} {
		if c.Int(f) < 1 {
			return usagef("--%s: want 1 or more, got %d", f, c.Int(f))
		}
	}
	if c.Int("batch") < 0 {
		return usagef("--batch: want 0 or more, got %d", c.Int("batch"))
	}
	names := c.Args().Slice()
	if len(names) == 0 {
		names = workloads.Training()
	}
	for _, name := range names {
		if _, err := workloads.ByName(name); err != nil {
			return usagef("bench: %v", err)
		}
	}
	if (c.Bool("here") || c.String("trace") != "") && len(names) != 1 {
		return usagef("bench: want one WORKLOAD with --trace, got %d", len(names))
	}
	if c.Bool("here") {
		t, err := e.benchHere(c, names[0], n)
		if err != nil {
			return err
		}
		return e.printLine(t)
	}
	head := []string{"workload", ">ms", ">min ms", ">MB"}
	if c.String("peer") != "" {
		head = append(head, ">peer ms", ">min ms", ">MB", ">time ratio", ">memory ratio")
	}
	tab := columns(head...)
	for _, name := range names {
		t, err := e.benchRounds(c, name, n)
		if err != nil {
			return err
		}
		if c.Bool("json") {
			if err := e.printLine(t); err != nil {
				return err
			}
			continue
		}
		row := []string{t.Workload, fmt.Sprintf("%.1f", t.MedianMS), fmt.Sprintf("%.1f", t.MinMS), fmt.Sprintf("%.0f", t.PeakMB)}
		if p := t.Peer; p != nil {
			row = append(row, fmt.Sprintf("%.1f", p.MedianMS), fmt.Sprintf("%.1f", p.MinMS), fmt.Sprintf("%.0f", p.PeakMB), fmt.Sprintf("%.2f", t.Ratio), fmt.Sprintf("%.2f", ratio(t.PeakMB, p.PeakMB)))
		}
		tab.Rows = append(tab.Rows, row)
	}
	if c.Bool("json") {
		return nil
	}
	return tab.Text(e.stdout)
}

func (e *env) printLine(t *timing) error {
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n", b)
	return err
}

// benchRounds measures a workload, and the peer beside it, in processes of their own.
func (e *env) benchRounds(c *cli.Context, name string, threads int) (*timing, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("bench: this program's file: %w", err)
	}
	args := []string{"bench", name, "--here", "--quiet", "--threads", strconv.Itoa(threads), "--steps", strconv.Itoa(c.Int("steps")), "--batch", strconv.Itoa(c.Int("batch"))}
	for _, f := range []string{"device", "precision", "pjrt-plugin"} {
		if v := c.String(f); v != "" {
			args = append(args, "--"+f, v)
		}
	}
	if c.Bool("portable") {
		args = append(args, "--portable")
	}
	if f := c.String("trace"); f != "" {
		args = append(args, "--trace", f)
	}
	peer := strings.Fields(c.String("peer"))
	var ours, theirs []*timing
	for round := range c.Int("rounds") {
		e.debugf("bench: %s, round %d", name, round+1)
		t, err := e.measured(c.Context, name, self, os.Args[0], args)
		if err != nil {
			return nil, err
		}
		ours = append(ours, t)
		if len(peer) == 0 {
			continue
		}
		t, err = e.measured(c.Context, name, peer[0], peer[0], append(slices.Clone(peer[1:]), "--threads", strconv.Itoa(threads), "--steps", strconv.Itoa(c.Int("steps")), name))
		if err != nil {
			return nil, fmt.Errorf("--peer: %w", err)
		}
		theirs = append(theirs, t)
	}
	t := overRounds(ours)
	if len(theirs) > 0 {
		t.Peer = overRounds(theirs)
		t.Ratio = ratio(t.MedianMS, t.Peer.MedianMS)
	}
	return t, nil
}

// measured runs a program that prints one timing as JSON.
func (e *env) measured(ctx context.Context, name, path, arg0 string, args []string) (*timing, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Args[0] = arg0
	cmd.Stderr = e.stderr
	out, err := cmd.Output()
	if cause := ctx.Err(); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %s: %w", name, path, err)
	}
	t := &timing{}
	if err := json.Unmarshal(bytes.TrimSpace(out), t); err != nil || t.Workload != name || !(t.MedianMS > 0) {
		return nil, fmt.Errorf("bench: %s: %s: want one JSON object with the workload's name and median_ms, got %q", name, path, out)
	}
	return t, nil
}

// overRounds is the median of the medians, the least minimum and the largest peak.
func overRounds(list []*timing) *timing {
	t := *list[0]
	medians := make([]float64, len(list))
	for i, r := range list {
		medians[i] = r.MedianMS
		t.MinMS, t.PeakMB = min(t.MinMS, r.MinMS), max(t.PeakMB, r.PeakMB)
	}
	t.MedianMS = median(medians)
	return &t
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// benchHere measures a workload in this process.
func (e *env) benchHere(c *cli.Context, name string, threads int) (*timing, error) {
	w, err := workloads.ByName(name)
	if err != nil {
		return nil, err
	}
	if n := c.Int("batch"); n > 0 {
		w.Batch = n
	}
	step, err := w.Build(w.Batch)
	if err != nil {
		return nil, err
	}
	opt := cpu.Options{Threads: threads, Portable: c.Bool("portable")}
	path, rec := c.String("trace"), &trace.Recorder{}
	var be benchmarked = cpu.New(opt)
	if path == "" && !opt.Portable {
		if be, err = e.benchBackend(c); err != nil {
			return nil, err
		}
	}
	if w.Product && be.Name() != "cpu" {
		return nil, usagef("bench: %s: products are timed on the processor: want --device cpu, got %q", name, c.String("device"))
	}
	r, err := workloads.NewRunner(be, step)
	if err != nil {
		return nil, err
	}
	ms := make([]float64, 0, c.Int("steps"))
	for i := range warmup + c.Int("steps") {
		if err := c.Context.Err(); err != nil {
			return nil, err
		}
		if i == warmup {
			if err := pass(c.Context, c.String("gate")); err != nil {
				return nil, err
			}
		}
		start := time.Now()
		if err := r.Step(); err != nil {
			return nil, err
		}
		// A GPU is done when the loss is there.
		if _, err := r.Losses(); err != nil {
			return nil, err
		}
		if i >= warmup {
			ms = append(ms, float64(time.Since(start).Nanoseconds())/1e6)
		}
	}
	losses, err := r.Losses()
	if err != nil {
		return nil, err
	}
	for _, l := range losses {
		if math.IsNaN(l) {
			return nil, errors.New("bench: " + name + ": the loss is not a number")
		}
	}
	_, peak := entangle.NewStopwatch().Read()
	t := &timing{
		Workload: name, Device: "cpu", Threads: threads, Program: entangle.Version(), Kernels: be.Describe(), Batch: w.Batch,
		MedianMS: rounded(median(ms)), MinMS: rounded(slices.Min(ms)), PeakMB: rounded(float64(peak) / (1 << 20)),
	}
	if w.Super {
		mask := "mask"
		t.Form = &mask
	}
	if be.Name() != "cpu" {
		t.Device, t.DeviceMB = "cuda", rounded(float64(r.Memory())/(1<<20))
	}
	if path == "" {
		return t, nil
	}
	opt.Trace = rec.Kernel
	if r, err = workloads.NewRunner(trace.EachRun(cpu.New(opt), rec), step); err != nil {
		return nil, err
	}
	for range warmup {
		rec.Begin()
		if err := r.Step(); err != nil {
			return nil, err
		}
	}
	return t, writeTrace(path, rec, "entangle bench "+name, map[string]string{"engine": be.Describe()})
}

// pass says that the clock could start, and waits until it may; "" is no gate.
func pass(ctx context.Context, gate string) error {
	if gate == "" {
		return nil
	}
	if err := os.WriteFile(gate+".ready", nil, 0o666); err != nil {
		return fmt.Errorf("--gate: %w", err)
	}
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if _, err := os.Stat(gate + ".go"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// benchmarked is a backend that says what it runs on.
type benchmarked interface {
	engine.Backend
	Describe() string
}

func (e *env) benchBackend(c *cli.Context) (benchmarked, error) {
	j, err := checkedJob(c)
	if err != nil {
		return nil, err
	}
	be, err := e.host().Backend(c.Context, j.Engine)
	if err != nil {
		return nil, err
	}
	return be.(benchmarked), nil
}

// rounded keeps two decimals.
func rounded(v float64) float64 { return math.Round(100*v) / 100 }
