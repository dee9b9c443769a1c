// Command build writes a reference network of package models as ONNX, untrained:
//
//	go run ./models/build -seed 1 fashion fashion.onnx
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/models"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var o models.Options
	flag.Uint64Var(&o.Seed, "seed", 0, "seed of the initial weights")
	flag.IntVar(&o.Width, "width", 0, "base width; 0: the network's default")
	flag.IntVar(&o.Depth, "depth", 0, "blocks per stage; 0: the network's default")
	flag.IntVar(&o.Classes, "classes", 0, "classes; 0: the network's default")
	flag.IntVar(&o.Size, "size", 0, "length of the image's side or of the sequence; 0: the network's default")
	flag.IntVar(&o.Heads, "heads", 0, "attention heads; 0: the network's default")
	flag.IntVar(&o.Patch, "patch", 0, "side of a vision transformer's patches; 0: the network's default")
	flag.IntVar(&o.Vocab, "vocab", 0, "tokens that the model knows; 0: the network's default")
	flag.Parse()
	if flag.NArg() != 2 {
		return fmt.Errorf("build: want NAME FILE, got %d arguments", flag.NArg())
	}
	build := models.Entry{}.Build
	if s, ok := models.LookupSupernet(flag.Arg(0)); ok {
		build = s.Build
	} else if e, ok := models.Lookup(flag.Arg(0)); ok {
		build = e.Build
	} else {
		return fmt.Errorf("build: no network %q in package models", flag.Arg(0))
	}
	m, err := build(o)
	if err != nil {
		return err
	}
	return exporter.Write(flag.Arg(1), m, exporter.Options{})
}
