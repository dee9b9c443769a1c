package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestSVG(t *testing.T) {
	p := Plot{Title: "accuracy <%>", Series: []Series{
		{Name: "one & two", Family: "a", X: []float64{1, 2, 3}, Y: []float64{90, 91, 90.5}},
		{Name: "three", Family: "b", X: []float64{1, 3}, Y: []float64{math.NaN(), 89}},
	}}
	out, err := SVG(p)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(out))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("want well-formed XML: %v\n%s", err, out)
		}
	}
	for _, want := range []string{`xmlns="http://www.w3.org/2000/svg"`, "accuracy &lt;%&gt;", "one &amp; two", "three", palette[0], palette[1]} {
		if !strings.Contains(string(out), want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	for _, bad := range []Plot{{Title: "none"}, {Series: []Series{{X: []float64{1}, Y: []float64{math.Inf(1)}}}}, {Series: []Series{{X: []float64{1}, Y: []float64{1, 2}}}}} {
		if _, err := SVG(bad); err == nil {
			t.Errorf("%+v: want an error", bad)
		}
	}
}
