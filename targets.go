package entangle

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/space"
)

// Target is a limit of one metric: a share of the original's cost (Share), or, when Limit is
// not 0, a number in the metric's unit.
type Target struct {
	Metric string
	Share  float64
	Limit  float64
}

// Targets are limits that a subnet must meet together. Their text is METRIC=LIMIT,…; a limit
// alone is one of macs.
type Targets []Target

// limitUnits are what may stand behind a limit's number; the first that fits counts.
var limitUnits = []struct {
	suffix string
	size   float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}}

// UnmarshalText reads targets: shares up to 1 (0.5, 50%), and counts above it, in the
// metric's unit or with k, M, G, T, of bytes also KiB, MiB, GiB.
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
		for _, o := range out {
			if o.Metric == one.Metric {
				return fmt.Errorf("want every metric once, got %s twice", o.Metric)
			}
		}
		out = append(out, one)
	}
	*t = out
	return nil
}

func parseTarget(text string) (Target, error) {
	name, value, named := strings.Cut(text, "=")
	if !named {
		name, value = space.MACs, text
	}
	t := Target{Metric: strings.TrimSpace(name)}
	m, err := space.MetricByName(t.Metric)
	if err != nil {
		return t, err
	}
	value = strings.TrimSpace(value)
	bad := fmt.Errorf("want METRIC=LIMIT such as %s=0.5, %s=50%% or %s=20M, got %q", t.Metric, t.Metric, t.Metric, text)
	number, size, absolute := value, 1.0, false
	if n, ok := strings.CutSuffix(value, "%"); ok {
		number, size = n, 0.01
	} else if n, ok := strings.CutSuffix(value, m.Unit); ok && m.Unit != "" {
		number, absolute = n, true
	} else {
		for _, u := range limitUnits {
			if n, ok := strings.CutSuffix(value, u.suffix); ok {
				number, size, absolute = n, u.size, true
				break
			}
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if v *= size; err != nil || !(v > 0) || v > 1e300 {
		return t, bad
	}
	switch {
	case size == 0.01 && v > 1:
		return t, fmt.Errorf("%w: a share is at most 100%%", bad)
	case absolute || v > 1:
		t.Limit = v
	default:
		t.Share = v
	}
	return t, nil
}

// MarshalText writes targets as UnmarshalText reads them.
func (t Targets) MarshalText() ([]byte, error) {
	var parts []string
	for _, x := range t {
		v, unit := x.Share, ""
		if x.Limit != 0 {
			if v = x.Limit; v <= 1 {
				m, err := space.MetricByName(x.Metric)
				if err != nil || m.Unit == "" {
					return nil, fmt.Errorf("target %s: want a count above 1, got %g", x.Metric, v)
				}
				unit = m.Unit
			}
		}
		parts = append(parts, x.Metric+"="+strconv.FormatFloat(v, 'g', -1, 64)+unit)
	}
	return []byte(strings.Join(parts, ",")), nil
}

// check reports a target that no number can meet.
func (t Targets) check() []string {
	var out []string
	if len(t) == 0 {
		out = append(out, "want at least one METRIC=LIMIT, got none")
	}
	for _, x := range t {
		if _, err := space.MetricByName(x.Metric); err != nil {
			out = append(out, err.Error())
		}
		if !(x.Share >= 0 && x.Share <= 1) || !(x.Limit >= 0) || (x.Share == 0) == (x.Limit == 0) {
			out = append(out, fmt.Sprintf("%s: want a share of the original in (0, 1] or a limit above 0, got share %g and limit %g", x.Metric, x.Share, x.Limit))
		}
	}
	return out
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
