// Command paper repeats the comparison of the paper that this project implements (Sukthanker et al.,
// "Weight-Entanglement Meets Gradient-Based Neural Architecture Search", AutoML-Conf 2024): its spaces, searched from random weights,
// and judged by published tables of what every architecture reaches. make paper runs it.
//
//	paper -spaces toy-cell -methods drnas,spos-rs -seeds 1,2
//	paper -full -device cuda
//	paper -steps
//
// Finished rows are kept, a file per space and a line per row, and are not run again; a row that is
// interrupted goes on from its last epoch. -steps measures what a step takes with entangled and with shared weights.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/rows"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := compare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "paper:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context) error {
	b := &bench{folders: map[string]string{}, engine: entangle.DefaultJob().Engine}
	var spaces, names, seeds, one, page, plots, out string
	var list, steps, only bool
	var turns int
	flag.StringVar(&spaces, "spaces", "", "spaces, comma-separated; empty: all")
	flag.StringVar(&names, "methods", "", "methods, comma-separated; empty: all that the protocol has")
	flag.StringVar(&seeds, "seeds", "", "seeds, comma-separated; empty: those of the protocol")
	flag.BoolVar(&b.full, "full", false, "the paper's own number of epochs and seeds")
	flag.Float64Var(&b.epochs, "epochs", 0, "epochs of weight steps; 0: those of the protocol")
	flag.Float64Var(&b.rate, "lr", 0, "learning rate of the weights; 0: the space's")
	flag.Float64Var(&b.alphaRate, "alpha-lr", 0, "learning rate of the architecture; 0: 3e-4")
	flag.Float64Var(&b.again, "retrain", 0, "train what is found anew for so many epochs, and say how like the supernet's its layers are; 0: do not")
	flag.IntVar(&b.trials, "trials", 0, "architectures that a second stage measures; 0: the space's")
	flag.IntVar(&b.samples, "samples", usualSamples, "samples of the validation half on which it measures them, at most")
	flag.IntVar(&b.calibrate, "calibrate", usualCalibration, "batches that recalibrate running statistics of what is found")
	flag.IntVar(&b.limit, "limit", 0, "at most so many samples of each part; 0: all")
	flag.StringVar(&b.tables, "tables", "../shared/real/paper", "folder of the tables of accuracies")
	flag.StringVar(&b.cache, "cache", ".cache/paper", "folder of checkpoints and architectures")
	flag.StringVar(&out, "out", "bench/results/paper", "folder of finished rows")
	flag.StringVar(&page, "page", "docs/paper.md", "page whose tables are rebuilt")
	flag.StringVar(&plots, "plots", "docs/paper", "folder of the page's plots")
	flag.StringVar(&b.engine.Device, "device", "cpu", "where it runs: cpu, cuda, cuda:N")
	flag.IntVar(&b.engine.Threads, "threads", 1, "threads of the engine")
	flag.BoolVar(&list, "list", false, "print the rows that are not finished, and stop")
	flag.BoolVar(&only, "rebuild", false, "rebuild the page, and stop")
	flag.BoolVar(&steps, "steps", false, "measure what steps take, entangled and shared, and stop")
	flag.IntVar(&turns, "turns", 5, "steps of either kind that -steps times; 0: memory alone")
	flag.StringVar(&b.state, "state", "", "version that rows name; empty: the working tree's")
	flag.StringVar(&one, "one", "", "run the row of this JSON request, and print it")
	for name, doc := range map[string]string{"fashion": "Fashion-MNIST, IDX files", "cifar": "CIFAR-10, unpacked"} {
		flag.Func(name, "folder with "+doc, func(s string) error { b.folders[name] = s; return nil })
	}
	flag.Parse()
	if b.out = store(out); b.state == "" {
		b.state = rows.State()
	}
	if flag.NArg() > 0 {
		return fmt.Errorf("want flags only, got %q", flag.Args())
	}
	if one != "" {
		return b.one(ctx, one)
	}
	if only {
		return rebuild(page, plots, b.out)
	}
	if steps {
		if err := b.measure(ctx, spaces, turns); err != nil {
			return err
		}
		return rebuild(page, plots, b.out)
	}
	work, err := b.plan(spaces, names, seeds)
	if err != nil {
		return err
	}
	var failed int
	for _, w := range work {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch added, err := b.next(ctx, w, list); {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			fmt.Fprintln(os.Stderr, "paper:", err)
			failed++
		case added:
			if err := rebuild(page, plots, b.out); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d rows failed", failed, len(work))
	}
	return nil
}

// request is a row to run.
type request struct {
	Space, Method string
	Seed          uint64
}

// plan lists the rows, all methods of a seed before the next seed. Seeds of a protocol that a
// method has none of leave it out; one that is asked for by name has them all.
func (b *bench) plan(spaces, names, seeds string) ([]request, error) {
	var asked []uint64
	for _, s := range strings.FieldsFunc(seeds, func(r rune) bool { return r == ',' }) {
		seed, err := strconv.ParseUint(s, 10, 32)
		if err != nil || seed == 0 {
			return nil, fmt.Errorf("-seeds: want numbers above 0, got %q", s)
		}
		asked = append(asked, seed)
	}
	var in []arena
	for _, s := range strings.FieldsFunc(spaces, func(r rune) bool { return r == ',' }) {
		a, err := find(s)
		if err != nil {
			return nil, fmt.Errorf("-spaces: %w", err)
		}
		in = append(in, a)
	}
	if in == nil {
		in = arenas
	}
	var by []method
	for _, s := range strings.FieldsFunc(names, func(r rune) bool { return r == ',' }) {
		m, err := methodByName(s)
		if err != nil {
			return nil, fmt.Errorf("-methods: %w", err)
		}
		by = append(by, m)
	}
	named := by != nil
	if !named {
		by = methods
	}
	var out []request
	for _, a := range in {
		var seeds []uint64
		of := map[string][]uint64{}
		for _, m := range by {
			own := a.seeds[m.name]
			switch {
			case asked != nil && (named || own != nil):
				own = asked
			case b.full:
				own = []uint64{1, 2, 3, 4}
			case named && own == nil:
				own = []uint64{1}
			}
			of[m.name] = own
			for _, s := range own {
				if !slices.Contains(seeds, s) {
					seeds = append(seeds, s)
				}
			}
		}
		slices.Sort(seeds)
		for _, s := range seeds {
			for _, m := range by {
				if slices.Contains(of[m.name], s) {
					out = append(out, request{a.name, m.name, s})
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the protocol has no rows of these spaces and methods")
	}
	return out, nil
}

// next runs a row in a process of its own, unless it is finished.
func (b *bench) next(ctx context.Context, w request, list bool) (added bool, err error) {
	a, err := find(w.Space)
	if err != nil {
		return false, err
	}
	m, err := methodByName(w.Method)
	if err != nil {
		return false, err
	}
	have, err := b.out.rows()
	if err != nil {
		return false, err
	}
	want := row{Space: w.Space, Method: w.Method, Seed: w.Seed, Epochs: b.epochsOf(a, m), Settings: b.settings()}
	if slices.ContainsFunc(have, func(r row) bool { return r.id() == want.id() }) {
		return false, nil
	}
	if list {
		fmt.Println(want.id())
		return false, nil
	}
	text, err := json.Marshal(w)
	if err != nil {
		return false, err
	}
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	// An interrupt reaches the row's process too, which keeps a checkpoint.
	cmd := exec.CommandContext(ctx, self, append(os.Args[1:], "-state", b.state, "-one", string(text))...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	got, err := cmd.Output()
	if err != nil {
		return false, fmt.Errorf("%s: %w", want.id(), err)
	}
	var r row
	if err := json.Unmarshal(got, &r); err != nil {
		return false, fmt.Errorf("%s: %w", want.id(), err)
	}
	fmt.Println(r.line())
	return true, b.out.add(r)
}

// one runs the row of a request and prints it as JSON.
func (b *bench) one(ctx context.Context, text string) error {
	var w request
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return fmt.Errorf("-one: %w", err)
	}
	a, err := find(w.Space)
	if err != nil {
		return err
	}
	m, err := methodByName(w.Method)
	if err != nil {
		return err
	}
	r, err := b.run(ctx, a, m, w.Seed)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
