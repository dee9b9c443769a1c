package report

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Number is a float64 that JSON can hold: values that are not finite are the
// strings "NaN", "+Inf" and "-Inf".
type Number float64

// MarshalJSON writes the shortest form that reads back equal.
func (n Number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.AppendQuote(nil, strconv.FormatFloat(v, 'g', -1, 64)), nil
	}
	return json.Marshal(v)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		switch s {
		case "NaN", "+Inf", "-Inf":
			v, err := strconv.ParseFloat(s, 64)
			*n = Number(v)
			return err
		}
		return fmt.Errorf("report: number: want a number, \"NaN\", \"+Inf\" or \"-Inf\", got %s", text)
	}
	return json.Unmarshal(text, (*float64)(n))
}

// Values are named numbers.
type Values map[string]Number

// Numbers converts a slice.
func Numbers(v []float64) []Number {
	out := make([]Number, len(v))
	for i, x := range v {
		out[i] = Number(x)
	}
	return out
}
