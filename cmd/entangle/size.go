package main

import (
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search/net"
)

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

// parseSize reads a positive number of bytes such as 1.5GiB; ok is false for other text.
func parseSize(text string) (bytes int, ok bool) {
	for _, u := range sizeUnits {
		number, found := strings.CutSuffix(text, u.suffix)
		if !found {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		v *= u.bytes
		return int(v), err == nil && v >= 1 && v < math.MaxInt64
	}
	return 0, false
}

// stepMemory reads --step-memory as Network.Memory takes it.
func stepMemory(c *cli.Context) (int, error) {
	switch text := c.String("step-memory"); text {
	case "":
		return 0, nil
	case "least":
		return net.LeastMemory, nil
	default:
		n, ok := parseSize(text)
		if !ok {
			return 0, usagef("--step-memory: want a size such as 2GiB, or least, got %q", text)
		}
		return n, nil
	}
}

// deviceData reads --device-data as Network.DataLimit takes it. On the processor,
// where a copy of the samples saves nothing, the default is none.
func deviceData(c *cli.Context, be engine.Backend) (int, error) {
	switch text := c.String("device-data"); {
	case text == "" && be.Name() == "cpu", text == "0":
		return 0, nil
	case text == "":
		return 4 << 30, nil
	default:
		n, ok := parseSize(text)
		if !ok {
			return 0, usagef("--device-data: want a size such as 2GiB, or 0, got %q", text)
		}
		return n, nil
	}
}
