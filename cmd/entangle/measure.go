package main

import (
	"fmt"
	"math"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/latency"
)

func (e *env) measureCommand() *cli.Command {
	return &cli.Command{
		Name:      "measure",
		Usage:     "measure what a model's subnets take on a runtime, or write the pieces that another device is to time",
		UsageText: "entangle measure model.onnx --threads 1",
		ArgsUsage: "MODEL",
		Description: "Times the pieces that the runtime runs as one, at a grid of their sizes, and random subnets that calibrate the\n" +
			"sum; predicts others, and prints how far that is off. Everything timed is kept and not timed again.\n" +
			"With --pieces DIR nothing is timed: DIR gets the pieces and subnets as ONNX, and manifest.json; see docs/latency.md.",
		Flags: concat(optionFlags("space", "elastic", "keep", "operations", "kinds", "divisor", "latency-table", "seed", "threads", "ort-lib"), []cli.Flag{
			&cli.StringFlag{Name: "pieces", Usage: "folder to write pieces, subnets and manifest.json to", TakesFile: true},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "also write the prices, as JSON", TakesFile: true},
			forceFlag(), dimFlag(),
		}, jobFlags()),
		Action: e.measure,
	}
}

// measured is what measure prints.
type measured struct {
	Runtime   string  `json:"runtime"`
	Threads   int     `json:"threads,omitempty"`
	Processor string  `json:"processor,omitempty"`
	Batch     int     `json:"batch"`
	Original  float64 `json:"original_ms"`
	Smallest  float64 `json:"smallest_ms"`
	Noise     float64 `json:"noise"`
	Timed     int     `json:"timed"`
	New       int     `json:"new"`
	Groups    int     `json:"groups"`
	Classes   int     `json:"classes"`
	latency.Quality
	Subnets []latency.Check `json:"subnets"`
}

func (e *env) measure(c *cli.Context) error {
	j, err := checkedJob(c, "model", "space", "latency", engineKeys)
	if err != nil {
		return err
	}
	if err := oneModel(c, j); err != nil {
		return err
	}
	dims, err := bindings(c, "dim")
	if err != nil {
		return err
	}
	if err := otherFile(c, "out", j.Inputs()); err != nil {
		return err
	}
	m, err := entangle.Import(j.Model)
	if err != nil {
		return err
	}
	if err := e.checkDims(dims, m); err != nil {
		return err
	}
	m = m.Learned()
	if err := j.Check(m, nil); err != nil {
		return err
	}
	for name, n := range e.defaultSizes(m, dims) {
		if dims == nil {
			dims = map[string]int{}
		}
		dims[name] = n
	}
	src, err := m.LatencySource(j, dims)
	if err != nil {
		return err
	}
	if dir := c.String("pieces"); dir != "" {
		n, err := j.WritePieces(dir, src, c.Bool("force"))
		if err != nil {
			return err
		}
		if c.Bool("json") {
			return e.printJSON(map[string]any{"folder": dir, "files": n})
		}
		_, err = fmt.Fprintf(e.stdout, "%s  %d files to time; manifest.json names them\n", dir, n)
		return err
	}
	p, err := j.MeasureLatency(c.Context, src, entangle.Options{Host: e.host()})
	if err != nil {
		return err
	}
	if out := c.String("out"); out != "" {
		if err := entangle.Writable(out, c.Bool("force")); err != nil {
			return err
		}
		text, err := p.Marshal()
		if err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(out, append(text, '\n')); err != nil {
			return err
		}
	}
	q := p.Quality()
	if c.Bool("json") {
		return e.printJSON(measured{p.Runtime, p.Threads, p.Processor, p.Batch, p.Original, p.Smallest * p.Original, p.Noise, p.Timed, p.New, len(p.Groups), len(p.Classes), q, p.Checks})
	}
	t := columns(">predicted ms", ">measured ms", ">error", ">of the original")
	for _, x := range p.Checks {
		t.Add(fmt.Sprintf("%.4g", x.Predicted), fmt.Sprintf("%.4g", x.Measured), fmt.Sprintf("%+.1f %%", 100*x.Error()), fmt.Sprintf("%.3f", x.Measured/p.Original))
	}
	if err := t.Text(e.stdout); err != nil {
		return err
	}
	threads := ""
	if p.Threads > 0 {
		threads = fmt.Sprintf(", %d threads", p.Threads)
	}
	fmt.Fprintf(e.stdout, "\n%s%s, batch %d, %s\n", p.Runtime, threads, p.Batch, p.Processor)
	fmt.Fprintf(e.stdout, "original %.4g ms, smallest subnet %.4g ms; %d groups of nodes in %d classes, %d times (%d new)\n", p.Original, p.Smallest*p.Original, len(p.Groups), len(p.Classes), p.Timed, p.New)
	within := 0
	limit := math.Max(0.1, 2*p.Noise)
	for _, x := range p.Checks {
		if math.Abs(x.Error()) <= limit {
			within++
		}
	}
	_, err = fmt.Fprintf(e.stdout, "error of %d subnets: median %.1f %%, nine of ten %.1f %%, worst %.1f %%; %d within %.0f %%; rank correlation %.3f; noise, the original against itself, %.1f %%\n",
		len(p.Checks), 100*q.Median, 100*q.P90, 100*q.Worst, within, 100*limit, q.Rank, 100*p.Noise)
	return err
}
