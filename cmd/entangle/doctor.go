package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/xla"
	"github.com/entangle-nas/entangle/engine/xla/plugin"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
)

func (e *env) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "show what this program finds on this machine: processor, engines, runtimes, versions",
		Description: "A runtime that is missing is no failure: the report says how to get it.\n" +
			"With --install-cuda it downloads, after asking, what XLA needs for NVIDIA GPUs; nothing else ever downloads.",
		Flags: concat(optionFlags("threads", "device", "precision", "pjrt-plugin", "ort-lib"), installFlags(), []cli.Flag{
			&cli.BoolFlag{Name: "engine", Usage: "what the engine chose: kernels, threads, blocks, vector functions"},
			jsonFlag(),
		}),
		Action: e.doctor,
	}
}

type diagnosis struct {
	Program  string           `json:"program"`
	Go       string           `json:"go"`
	System   string           `json:"system"`
	Cgo      bool             `json:"cgo"`
	Cores    int              `json:"cores"`
	Features []string         `json:"cpu_features"`
	Kernels  string           `json:"kernels"`
	Engine   *cpu.Info        `json:"engine,omitempty"`
	XLA      bool             `json:"xla"` // built with it
	Plugin   *plugin.Found    `json:"plugin,omitempty"`
	Runtimes []runtimeFinding `json:"runtimes"`
}

type runtimeFinding struct {
	Name    string         `json:"name"`
	Doc     string         `json:"doc"`
	Found   bool           `json:"found"`
	Info    *runtimes.Info `json:"info,omitempty"`
	Missing string         `json:"missing,omitempty"` // why it was not found
}

func (e *env) doctor(c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("doctor: want no arguments, got %d", c.NArg())
	}
	j, err := readJob(c)
	if err != nil {
		return err
	}
	// A library that is not there is a finding.
	library := j.ORTLib
	j.ORTLib = ""
	if err := j.Check(nil, nil); err != nil {
		return err
	}
	j.ORTLib = library
	n := j.Workers()
	if c.Bool("install-cuda") {
		return e.installCUDA(c)
	}
	d := diagnosis{XLA: xla.Built, Program: entangle.Version(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cgo: ort.Built, Cores: runtime.NumCPU(), Features: cpuFeatures(), Kernels: cpu.New(cpu.Options{Threads: n}).Describe()}
	absent := ""
	if found, err := e.host().Plugin(c.Context, j.Plugin); err == nil {
		d.Plugin = &found
	} else {
		absent = err.Error()
	}
	if c.Bool("engine") {
		info := cpu.New(cpu.Options{Threads: n}).Info()
		d.Engine = &info
	}
	for _, k := range runtimeKinds() {
		f := runtimeFinding{Name: k.name, Doc: k.doc}
		info, err := k.open(e, c.Context, j).Describe()
		var missing *runtimes.UnavailableError
		switch {
		case err == nil:
			f.Found, f.Info = true, &info
		case errors.As(err, &missing):
			f.Missing = missing.Reason
		default:
			return err
		}
		d.Runtimes = append(d.Runtimes, f)
	}
	if c.Bool("json") {
		return e.printJSON(d)
	}
	fmt.Fprintf(e.stdout, "entangle   %s\ngo         %s, %s, cgo %t\nprocessor  %d cores, %s\nengine     %s\n\n", d.Program, d.Go, d.System, d.Cgo, d.Cores, strings.Join(d.Features, " "), d.Kernels)
	built := map[bool]string{true: "built in", false: "not built in: make build-gpu"}[d.XLA]
	if d.Plugin != nil {
		absent = d.Plugin.Path + " (" + d.Plugin.Origin + ")"
	}
	fmt.Fprintf(e.stdout, "xla        %s\nplugin     %s\n\n", built, absent)
	if i := d.Engine; i != nil {
		fmt.Fprintf(e.stdout, "kernels    %s, %d threads\nproduct    tiles of %d×%d in registers, blocks of %d×%d×%d in the caches (rows, columns, depth)\nvectors    %s\n\n",
			i.Kernels, i.Threads, i.Tile[0], i.Tile[1], i.Block[0], i.Block[1], i.Block[2], strings.Join(i.Vector, " "))
	}
	t := columns("runtime", "found", "")
	for _, r := range d.Runtimes {
		switch {
		case r.Found && r.Info.Location != "":
			t.Add(r.Name, "yes", r.Info.Version+", "+r.Info.Location)
		case r.Found:
			t.Add(r.Name, "yes", r.Info.Version)
		default:
			t.Add(r.Name, "no", r.Missing)
		}
	}
	return t.Text(e.stdout)
}
