package net

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/measure"
)

// Setting says what an output means instead of what is found. Weight 0 leaves an output
// untaught.
type Setting struct {
	Output string
	Kind   measure.Kind
	Weight float64
	// Axis is that of the classes, from the end where it is below 0; 0 where it is to be found.
	Axis int
	// Reason, where it is not "", says by what this was found behind the output: it counts for
	// less than the operator that makes the output, and more than labels.
	Reason string
}

// Settings is a list whose text is NAME=KIND[:WEIGHT],…
type Settings []Setting

// UnmarshalText reads settings; a weight that is not given is 1.
func (s *Settings) UnmarshalText(text []byte) error {
	*s = nil
	if len(text) == 0 {
		return nil
	}
	for _, item := range strings.Split(string(text), ",") {
		at := strings.LastIndex(item, "=")
		if at < 1 {
			return fmt.Errorf("want NAME=KIND or NAME=KIND:WEIGHT, got %q", item)
		}
		kind, weight, weighted := strings.Cut(item[at+1:], ":")
		x := Setting{Output: strings.TrimSpace(item[:at]), Kind: measure.Kind(strings.TrimSpace(kind)), Weight: 1}
		if !slices.Contains(measure.Kinds, x.Kind) {
			return fmt.Errorf("output %q: want one of the kinds %v, got %q", x.Output, measure.Kinds, x.Kind)
		}
		if weighted {
			w, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
			if err != nil || !(w >= 0) || w > 1e6 {
				return fmt.Errorf("output %q: want a weight of 0 or more, got %q", x.Output, weight)
			}
			x.Weight = w
		}
		if slices.ContainsFunc(*s, func(y Setting) bool { return y.Output == x.Output }) {
			return fmt.Errorf("output %q: given twice", x.Output)
		}
		*s = append(*s, x)
	}
	return nil
}

// of returns the setting of an output, or nil.
func (s Settings) of(output string) *Setting {
	if at := slices.IndexFunc(s, func(x Setting) bool { return x.Output == output }); at >= 0 {
		return &s[at]
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Settings) MarshalText() ([]byte, error) {
	var out []string
	for _, x := range s {
		text := x.Output + "=" + string(x.Kind)
		if x.Weight != 1 {
			text += ":" + strconv.FormatFloat(x.Weight, 'g', -1, 64)
		}
		out = append(out, text)
	}
	return []byte(strings.Join(out, ",")), nil
}
