package keys

import (
	"math"
	"regexp"
	"strconv"
)

// want is what a want tag asks for.
type want struct {
	tag      string
	nonempty bool
	phrase   string // the range in words: " > 0"; "" is no range
	// The range is low…high, less the ends that are open.
	low, high         float64
	openLow, openHigh bool
}

var (
	comparison = regexp.MustCompile(`^([<>]=?)([^,]+)$`)
	interval   = regexp.MustCompile(`^([[(])([^,]+),([^,]+)([])])$`)
)

// parseWant reports whether the tag is understood.
func parseWant(tag string) (want, bool) {
	w := want{tag: tag, nonempty: tag == "nonempty", low: math.Inf(-1), high: math.Inf(1)}
	ok := true
	read := func(s string) float64 {
		x, err := strconv.ParseFloat(s, 64)
		ok = ok && err == nil && !math.IsInf(x, 0) && !math.IsNaN(x)
		return x
	}
	if m := comparison.FindStringSubmatch(tag); m != nil {
		w.phrase = " " + m[1] + " " + m[2]
		if open := len(m[1]) == 1; m[1][0] == '>' {
			w.low, w.openLow = read(m[2]), open
		} else {
			w.high, w.openHigh = read(m[2]), open
		}
		return w, ok
	}
	if m := interval.FindStringSubmatch(tag); m != nil {
		w.phrase = " in " + m[1] + m[2] + ", " + m[3] + m[4]
		w.low, w.openLow, w.high, w.openHigh = read(m[2]), m[1] == "(", read(m[3]), m[4] == ")"
		return w, ok && w.low < w.high
	}
	return w, tag == "" || w.nonempty
}

// holds reports whether a number is in the range.
func (w want) holds(x float64) bool {
	return (x > w.low || x == w.low && !w.openLow) && (x < w.high || x == w.high && !w.openHigh)
}

// wanted says what a key takes, of a list what its elements are: "a number > 0", "numbers > 0".
func (n *node) wanted() string {
	noun := string(n.shape) + "s"
	if !n.list {
		noun = map[shape]string{boolean: "true or false", integer: "an integer", number: "a number", text: "text"}[n.shape]
	}
	if n.want.nonempty && !n.list {
		noun += " that is not empty"
	}
	return noun + n.want.phrase
}
