package entangle

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/space"
)

// Target is a limit of one metric: a share of the original's cost (Share), or, when Limit is
// not 0, a number of the metric's units.
type Target struct {
	Metric string
	Share  float64
	Limit  float64
	Unit   string // that stood behind the limit, "" for none, B for all multiples of bytes
}

// Targets are limits that a subnet must meet together. Their text is METRIC=LIMIT,…; a limit
// alone is one of macs.
type Targets []Target

// limitUnits are what may stand behind a limit's number, beside the metric's unit; the first
// that fits counts.
var limitUnits = []struct {
	suffix string
	size   float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}}

// UnmarshalText reads targets: shares up to 1 (0.5, 50%), and counts above it, or with the
// metric's unit, or with k, M, G, T, of bytes also KiB, MiB, GiB.
func (t *Targets) UnmarshalText(text []byte) error {
	var out Targets
	if len(text) == 0 {
		*t = nil
		return nil
	}
	for _, item := range strings.Split(string(text), ",") {
		one, err := parseTarget(strings.TrimSpace(item))
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	*t = out
	return nil
}

// limitText is a number with what stands behind it.
var limitText = regexp.MustCompile(`^([0-9.]+(?:[eE][+-]?[0-9]+)?) ?([A-Za-z%]*)$`)

func parseTarget(text string) (Target, error) {
	name, value, named := strings.Cut(text, "=")
	if !named {
		name, value = space.MACs, text
	}
	t := Target{Metric: strings.TrimSpace(name)}
	bad := fmt.Errorf("want METRIC=LIMIT such as macs=0.5, macs=50%% or macs=20M, got %q", text)
	m := limitText.FindStringSubmatch(strings.TrimSpace(value))
	if m == nil || t.Metric == "" {
		return t, bad
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil || !(v > 0) || v > 1e300 {
		return t, bad
	}
	switch {
	case m[2] == "%" && v <= 100:
		t.Share = v / 100
	case m[2] == "%":
		return t, fmt.Errorf("want a share of at most 100%%, got %q", text)
	case m[2] == "" && v <= 1:
		t.Share = v
	default:
		t.Limit, t.Unit = v, m[2]
		for _, u := range limitUnits {
			if m[2] == u.suffix {
				t.Limit, t.Unit = v*u.size, ""
				if strings.HasSuffix(u.suffix, "B") {
					t.Unit = "B"
				}
				break
			}
		}
	}
	return t, nil
}

// MarshalText writes targets as UnmarshalText reads them.
func (t Targets) MarshalText() ([]byte, error) {
	var parts []string
	for _, x := range t {
		v := x.Share
		if x.Limit != 0 {
			v = x.Limit
		}
		text := strconv.FormatFloat(v, 'g', -1, 64) + x.Unit
		if x.Limit != 0 && v <= 1 && x.Unit == "" {
			text = strconv.FormatFloat(v/1e3, 'g', -1, 64) + "k" // a count of at most 1 is no share
		}
		parts = append(parts, x.Metric+"="+text)
	}
	return []byte(strings.Join(parts, ",")), nil
}

// check reports targets that no number can meet, or of a metric that is not among those given.
func (t Targets) check(metrics []space.Metric) []error {
	var out []error
	if len(t) == 0 {
		out = append(out, errors.New("want at least one METRIC=LIMIT, got none"))
	}
	for i, x := range t {
		m, err := metricOf(metrics, x.Metric)
		switch {
		case err != nil:
			out = append(out, err)
		case x.Unit != "" && x.Unit != m.Unit && !(x.Unit == "B" && m.Unit == "bytes"):
			out = append(out, fmt.Errorf("%s: want a number, with k, M or G behind it if wished%s, got the unit %q", x.Metric, orUnit(m), x.Unit))
		case !(x.Share >= 0 && x.Share <= 1) || !(x.Limit >= 0) || (x.Share == 0) == (x.Limit == 0):
			out = append(out, fmt.Errorf("%s: want a share of the original in (0, 1] or a limit above 0, got share %g and limit %g", x.Metric, x.Share, x.Limit))
		}
		if slices.ContainsFunc(t[:i], func(o Target) bool { return o.Metric == x.Metric }) {
			out = append(out, fmt.Errorf("want every metric once, got %s twice", x.Metric))
		}
	}
	return out
}

func orUnit(m space.Metric) string {
	switch m.Unit {
	case "":
		return ""
	case "bytes":
		return ", or KiB, MiB, GiB, kB, MB, GB"
	}
	return ", or " + m.Unit
}

// metricOf returns the metric of a name.
func metricOf(metrics []space.Metric, name string) (space.Metric, error) {
	var known []string
	for _, m := range metrics {
		if m.Name == name {
			return m, nil
		}
		known = append(known, m.Name)
	}
	return space.Metric{}, fmt.Errorf("metric: want one of %s, got %q%s", strings.Join(known, ", "), name, meant(name, known))
}

// Memory is a number of bytes as settings have it. The zero value is unset.
type Memory string

// Least is the memory that asks for as little as can be had.
const Least Memory = "least"

// bytes returns the number; given is false when unset. least says whether the word Least is
// allowed, and is net.LeastMemory then.
func (m Memory) bytes(least int) (n int, given bool, err error) {
	switch {
	case m == "":
		return 0, false, nil
	case m == "0":
		return 0, true, nil
	case m == Least && least != 0:
		return least, true, nil
	}
	for _, u := range limitUnits[:7] {
		if number, ok := strings.CutSuffix(string(m), u.suffix); ok {
			return size(number, u.size, m, least)
		}
	}
	return size(string(m), 1, m, least)
}

func size(number string, unit float64, m Memory, least int) (int, bool, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if v *= unit; err == nil && v >= 1 && v < 1<<62 {
		return int(v), true, nil
	}
	or := "0"
	if least != 0 {
		or = string(Least)
	}
	return 0, false, fmt.Errorf("want a size such as 2GiB, or %s, got %q", or, string(m))
}
