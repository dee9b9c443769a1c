package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine/xla/plugin"
)

func installFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "install-cuda", Usage: "download JAX's PJRT plugin and NVIDIA's libraries into the user's cache, after asking"},
		&cli.StringFlag{Name: "index", Usage: "simple interface of the Python package index to download from, as pip takes it", DefaultText: "$PIP_INDEX_URL"},
		&cli.IntFlag{Name: "cuda", Usage: "CUDA version to install: 13 or 12; the driver must know it", Value: 13},
		&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
	}
}

// installCUDA shows what would be downloaded and from where, asks, and installs it.
func (e *env) installCUDA(c *cli.Context) error {
	index := c.String("index")
	if index == "" {
		index = e.getenv("PIP_INDEX_URL")
	}
	if index == "" {
		return usagef("--install-cuda: want --index URL or $PIP_INDEX_URL, got neither: name the index that pip uses here (pip config get global.index-url)")
	}
	dir, err := entangle.CacheFolder("cuda")
	if err != nil {
		return err
	}
	in := plugin.Installer{Index: index, CUDA: c.Int("cuda")}
	plan, err := in.Plan(c.Context)
	if err != nil {
		return err
	}
	total := int64(0)
	t := columns("package", "version", ">size", "from")
	for _, w := range plan {
		total += w.Size
		t.Add(w.Project, w.Version, megabytes(w.Size), w.URL)
	}
	if err := t.Text(e.stderr); err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "%d packages, %s, into %s\n", len(plan), megabytes(total), dir)
	if !c.Bool("yes") {
		fmt.Fprint(e.stderr, "download them? [y/N] ")
		line, _ := bufio.NewReader(e.stdin).ReadString('\n')
		if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
			e.logf("nothing was downloaded")
			return nil
		}
	}
	err = in.Install(c.Context, plan, dir, func(w plugin.Wheel) { e.logf("%s %s", w.Project, w.Version) })
	if err != nil {
		return err
	}
	found, err := e.host().Plugin(c.Context, dir)
	if err == nil && c.Bool("json") {
		return e.printJSON(found)
	}
	if err == nil {
		_, err = fmt.Fprintf(e.stdout, "installed  %s\n", found.Path)
	}
	return err
}

func megabytes(n int64) string {
	if n == 0 {
		return "unknown size"
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
