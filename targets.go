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

// Drop names the target that limits what quality loses, in points of its measure (Limit), instead
// of what a subnet costs. Beside it, one metric may stand without a limit: the one that is made
// as small as can be; the MACs where none does.
const Drop = "drop"

// Target is a limit of one metric: a share of the original's cost (Share), or, when Limit is
// not 0, a number of the metric's units.
type Target struct {
	Metric string
	Share  float64
	Limit  float64
	Unit   string // that stood behind the limit, "" for none, B for all multiples of bytes
}

// Targets are limits that a subnet must meet together. Their text is METRIC=LIMIT,…; a limit
// alone is another one of the metric before it, or of macs where none stands before. One metric
// may have several limits: those of a family, whose members meet one of them each, and the limits
// of the other metrics all.
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
	metric := space.MACs
	for _, item := range strings.Split(string(text), ",") {
		one, err := parseTarget(strings.TrimSpace(item), metric)
		if err != nil {
			return err
		}
		if one.Metric == Drop && out.index(Drop) >= 0 {
			return fmt.Errorf("drop: want one loss, got %s and %s", out[out.index(Drop)].text(), one.text())
		}
		if strings.Contains(item, "=") && out.index(one.Metric) >= 0 {
			return fmt.Errorf("want every metric once, got %s twice (several values of one stand behind one name: %s=0.75,0.5,0.25)", one.Metric, one.Metric)
		}
		metric = one.Metric
		out = append(out, one)
	}
	if free := out.free(); free >= 0 && out.index(Drop) < 0 {
		return wantLimit(out[free].Metric)
	}
	*t = out
	return nil
}

// limitText is a number with what stands behind it.
var limitText = regexp.MustCompile(`^([0-9.]+(?:[eE][+-]?[0-9]+)?) ?([A-Za-z%]*)$`)

func wantLimit(text string) error {
	return fmt.Errorf("want METRIC=LIMIT such as macs=0.5, macs=50%% or macs=20M, got %q", text)
}

// metricText is a metric without a limit.
var metricText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// parseTarget reads a limit, which is one of the metric unless it names another, or a metric
// alone.
func parseTarget(text, metric string) (Target, error) {
	name, value, named := strings.Cut(text, "=")
	switch {
	case !named && text != Drop && metricText.MatchString(text):
		return Target{Metric: text}, nil
	case !named && metric == Drop && text != Drop:
		return Target{Metric: Drop}, fmt.Errorf("drop: want one loss, and a name before every limit beside it, got %q", text)
	case strings.TrimSpace(name) == Drop:
		v, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(value, "points")), 64)
		if err != nil || !(v > 0) || v > 1e300 {
			return Target{Metric: Drop}, fmt.Errorf("drop: want points above 0 that the measure may lose, such as drop=1.0, got %q", value)
		}
		return Target{Metric: Drop, Limit: v}, nil
	}
	if !named {
		name, value = metric, text
	}
	t := Target{Metric: strings.TrimSpace(name)}
	bad := wantLimit(text)
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
	for i, x := range t {
		if t.index(x.Metric) < i {
			continue
		}
		for k, y := range t.of(x.Metric) {
			text := y.text()
			switch {
			case k == 0 && y.free():
				text = x.Metric
			case k == 0:
				text = x.Metric + "=" + text
			}
			parts = append(parts, text)
		}
	}
	return []byte(strings.Join(parts, ",")), nil
}

// text writes the limit without its metric.
func (t Target) text() string {
	switch {
	case t.Limit == 0:
		return strconv.FormatFloat(t.Share, 'g', -1, 64)
	case t.Metric == Drop:
		return strconv.FormatFloat(t.Limit, 'g', -1, 64)
	case t.Limit <= 1 && t.Unit == "":
		return strconv.FormatFloat(t.Limit/1e3, 'g', -1, 64) + "k" // a count of at most 1 is no share
	}
	return strconv.FormatFloat(t.Limit, 'g', -1, 64) + t.Unit
}

// index returns the first limit of a metric, −1 without one.
func (t Targets) index(metric string) int {
	return slices.IndexFunc(t, func(x Target) bool { return x.Metric == metric })
}

// free reports whether a metric stands alone.
func (t Target) free() bool { return t.Share == 0 && t.Limit == 0 }

// free returns the first metric that stands alone, −1 without one.
func (t Targets) free() int { return slices.IndexFunc(t, Target.free) }

// Drop returns how many points the measure may lose, where a target says so.
func (t Targets) Drop() (points float64, ok bool) {
	at := t.index(Drop)
	if at < 0 {
		return 0, false
	}
	return t[at].Limit, true
}

// Shrinks returns the metric that is made as small as can be: the one that stands without a
// limit, or else the MACs.
func (t Targets) Shrinks() string {
	if at := t.free(); at >= 0 {
		return t[at].Metric
	}
	return space.MACs
}

// of returns the limits of a metric.
func (t Targets) of(metric string) (out Targets) {
	for _, x := range t {
		if x.Metric == metric {
			out = append(out, x)
		}
	}
	return out
}

// Sizes returns the metric that has several limits, and those: one per member of a family. None
// for the targets of a single subnet.
func (t Targets) Sizes() (metric string, limits Targets) {
	for _, x := range t {
		if all := t.of(x.Metric); len(all) > 1 {
			return x.Metric, all
		}
	}
	return "", nil
}

// check reports targets that no number can meet, or of a metric that is not among those given.
func (t Targets) check(metrics []space.Metric) []error {
	var out []error
	if len(t) == 0 {
		out = append(out, errors.New("want at least one METRIC=LIMIT, got none"))
	}
	_, drops := t.Drop()
	if metric, sizes := t.Sizes(); drops && sizes != nil {
		return append(out, fmt.Errorf("drop: want one value of each metric beside it, got %d of %s: the sizes are found", len(sizes), metric))
	}
	for i, x := range t {
		m, err := metricOf(metrics, x.Metric)
		switch {
		case x.Metric == Drop && x.Share == 0 && x.Limit > 0:
			continue
		case x.Metric == Drop:
			out = append(out, fmt.Errorf("drop: want a limit of points above 0, got %g", x.Limit))
			continue
		case err == nil && drops && x.free() && t.free() == i:
			continue
		case err == nil && drops && x.free():
			out = append(out, fmt.Errorf("want one metric without a limit beside drop, the one that shrinks, got %s and %s", t[t.free()].Metric, x.Metric))
			continue
		case err != nil:
			out = append(out, err)
		case x.Unit != "" && x.Unit != m.Unit && !(x.Unit == "B" && m.Unit == "bytes"):
			out = append(out, fmt.Errorf("%s: want a number, with k, M or G behind it if wished%s, got the unit %q", x.Metric, orUnit(m), x.Unit))
		case !(x.Share >= 0 && x.Share <= 1) || !(x.Limit >= 0) || (x.Share == 0) == (x.Limit == 0):
			out = append(out, fmt.Errorf("%s: want a share of the original in (0, 1] or a limit above 0, got share %g and limit %g", x.Metric, x.Share, x.Limit))
		}
		if slices.Contains(t[:i], x) {
			out = append(out, fmt.Errorf("%s: want sizes that differ, got %s twice", x.Metric, x.text()))
		}
		if metric, _ := t.Sizes(); metric != x.Metric && t.index(x.Metric) == i && len(t.of(x.Metric)) > 1 {
			out = append(out, fmt.Errorf("want several values of one metric only, got those of %s and of %s", metric, x.Metric))
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
