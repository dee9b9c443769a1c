package report

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Size of a line plot and its margins, in pixels.
const (
	plotWidth, plotHeight                   = 560.0, 230.0
	marginLeft, marginRight                 = 58.0, 12.0
	marginTop, marginBottom                 = 12.0, 34.0
	maxPoints                               = 400 // of one curve; more are averaged
	heatColumns                             = 60
	heatLabel, heatCell, heatLine, heatTail = 90.0, 7.0, 14.0, 60.0
)

// palette holds colours that differ also in lightness.
var palette = []string{"#2563a8", "#d9541e", "#2c8c4f", "#8a4bb0", "#b8860b", "#138a8a", "#b03060", "#666666"}

// colours maps families of curves to colours.
type colours map[string]string

// of gives a new family the next colour of the palette.
func (c colours) of(family string) string {
	if c[family] == "" {
		c[family] = palette[len(c)%len(palette)]
	}
	return c[family]
}

// lineSVG draws curves over a common x axis; scored ones have a mark at every point.
// Values that are not finite break a line.
func lineSVG(p Plot, paint colours) string {
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, s := range p.Series {
		for i, y := range s.Y {
			x0, x1 = min(x0, s.X[i]), max(x1, s.X[i])
			if finite(y) {
				y0, y1 = min(y0, y), max(y1, y)
			}
		}
	}
	if math.IsInf(y0, 0) {
		return `<p class="none">no finite values</p>`
	}
	y1 = min(y1, ceiling(p))
	if x1 == x0 {
		x1 = x0 + 1
	}
	if y1 == y0 {
		d := max(math.Abs(y0)*0.05, 1e-12)
		y0, y1 = y0-d, y1+d
	}
	if slices.ContainsFunc(p.Series, func(s Series) bool { return len(s.Labels) > 0 }) {
		// Room for what stands beside the points.
		dx, dy := 0.04*(x1-x0), 0.08*(y1-y0)
		x0, x1, y0, y1 = x0-dx, x1+dx, y0-dy, y1+dy
	}
	px := func(x float64) float64 {
		return marginLeft + (x-x0)/(x1-x0)*(plotWidth-marginLeft-marginRight)
	}
	py := func(y float64) float64 {
		return plotHeight - marginBottom - (y-y0)/(y1-y0)*(plotHeight-marginTop-marginBottom)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, plotWidth, plotHeight, html.EscapeString(p.Title))
	for _, v := range ticks(y0, y1, 5) {
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %.1fH%.1f"/><text class="y" x="%.1f" y="%.1f">%s</text>`,
			marginLeft, py(v), plotWidth-marginRight, marginLeft-6, py(v)+4, tick(v))
	}
	for _, v := range ticks(x0, x1, 6) {
		fmt.Fprintf(&b, `<text class="x" x="%.1f" y="%.1f">%s</text>`, px(v), plotHeight-marginBottom+16, tick(v))
	}
	fmt.Fprintf(&b, `<path class="axis" d="M%.1f %.1fV%.1fH%.1f"/>`, marginLeft, marginTop, plotHeight-marginBottom, plotWidth-marginRight)
	for _, s := range p.Series {
		if s.Dots {
			fmt.Fprintf(&b, `<g class="dots" fill="%[1]s" stroke="%[1]s"><title>%s</title>`, paint.of(s.Family), html.EscapeString(s.Name))
			for k, y := range s.Y {
				switch {
				case !finite(y):
				case y > y1:
					fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="2" fill="none"/>`, px(s.X[k]), marginTop)
				default:
					fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="2"/>`, px(s.X[k]), py(y))
				}
			}
			b.WriteString("</g>")
			continue
		}
		xs, ys := thin(s.X, s.Y, maxPoints)
		colour, class := paint.of(s.Family), "line"
		if s.Scored {
			class = "line scored"
		}
		var d strings.Builder
		pen := "M"
		dots := ""
		for k, y := range ys {
			if !finite(y) {
				pen = "M"
				continue
			}
			fmt.Fprintf(&d, "%s%.1f %.1f", pen, px(xs[k]), py(y))
			if alone := pen == "M" && (k+1 == len(ys) || !finite(ys[k+1])); alone || s.Scored {
				dots += fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`, px(xs[k]), py(y), colour)
				if len(s.Labels) == len(ys) {
					dots += fmt.Sprintf(`<text%s x="%.1f" y="%.1f">%s</text>`, aside(px(xs[k])), px(xs[k]), beside(py(y)), html.EscapeString(s.Labels[k]))
				}
			}
			pen = "L"
		}
		fmt.Fprintf(&b, `<path class="%s" stroke="%s" d="%s"><title>%s</title></path>%s`, class, colour, d.String(), html.EscapeString(s.Name), dots)
	}
	b.WriteString("</svg>")
	return b.String()
}

// ceiling is above nine tenths of the points of a plot of dots, with as much room again as they
// take; without end for other plots.
func ceiling(p Plot) float64 {
	var all []float64
	for _, s := range p.Series {
		if !s.Dots {
			return math.Inf(1)
		}
		for _, y := range s.Y {
			if finite(y) {
				all = append(all, y)
			}
		}
	}
	if len(all) == 0 {
		return math.Inf(1)
	}
	slices.Sort(all)
	most := all[(len(all)-1)*9/10]
	return most + max(most-all[0], 1e-12)
}

// aside aligns a label such that it stays inside the plot.
func aside(x float64) string {
	if x > plotWidth-120 {
		return ` class="y"`
	}
	return ""
}

// beside is the height of a label at a point, above it unless that is outside the plot.
func beside(y float64) float64 {
	if y < marginTop+14 {
		return y + 16
	}
	return y - 7
}

// ticks returns round numbers within [lo, hi], about n of them.
func ticks(lo, hi float64, n int) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/float64(n))))
	for _, k := range []float64{1, 2, 5, 10} {
		if (hi-lo)/(k*step) <= float64(n) {
			step *= k
			break
		}
	}
	var out []float64
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+1e-9*step && len(out) < 4*n; i++ {
		out = append(out, i*step)
	}
	return out
}

func tick(v float64) string {
	if a := math.Abs(v); a >= 10000 {
		return Short(v)
	} else if a < 1e-12 {
		return "0"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// thin averages runs of points so that at most n are left.
func thin(x, y []float64, n int) ([]float64, []float64) {
	if len(x) <= n {
		return x, y
	}
	var xs, ys []float64
	for i := range n {
		lo, hi := i*len(x)/n, (i+1)*len(x)/n
		var sx, sy, count float64
		for k := lo; k < hi; k++ {
			if finite(y[k]) {
				sx, sy, count = sx+x[k], sy+y[k], count+1
			}
		}
		if count == 0 {
			xs, ys = append(xs, x[lo]), append(ys, math.NaN())
			continue
		}
		xs, ys = append(xs, sx/count), append(ys, sy/count)
	}
	return xs, ys
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// history is the coefficients of one dimension over time.
type history struct {
	dimension string
	choices   []string
	steps     []int
	values    [][]float64
}

// histories collects the coefficients by dimension, in the order of appearance,
// without what a resumed run repeated.
func histories(records []Record) []*history {
	var out []*history
	at := map[string]*history{}
	for _, r := range Latest(records) {
		for _, c := range r.Coefficients {
			h := at[c.Dimension]
			if h == nil {
				h = &history{dimension: c.Dimension, choices: c.Choices}
				for i := len(h.choices); i < len(c.Values); i++ {
					h.choices = append(h.choices, strconv.Itoa(i))
				}
				at[c.Dimension] = h
				out = append(out, h)
			}
			row := make([]float64, len(h.choices))
			for i := range row {
				if i < len(c.Values) {
					row[i] = float64(c.Values[i])
				}
			}
			h.steps, h.values = append(h.steps, r.Step), append(h.values, row)
		}
	}
	return out
}

// heatSVG draws one line per choice and time to the right; the darker a cell the
// larger the coefficient. The last value stands at the end of the line.
func heatSVG(h *history) string {
	n := min(len(h.values), heatColumns)
	width := heatLabel + heatColumns*heatCell + heatTail
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="heat" viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, heatLine*float64(len(h.choices)), html.EscapeString(h.dimension))
	cell := heatColumns * heatCell / float64(n)
	shade := func(column, choice int) int {
		row := h.values[column*len(h.values)/n]
		if column == n-1 {
			row = h.values[len(h.values)-1]
		}
		if !finite(row[choice]) {
			return -1
		}
		return int(20*min(max(row[choice], 0), 1) + 0.5)
	}
	for k, name := range h.choices {
		y := heatLine * float64(k)
		fmt.Fprintf(&b, `<text class="y" x="%.1f" y="%.1f">%s</text>`, heatLabel-6, y+11, html.EscapeString(name))
		for i := 0; i < n; {
			j, s := i+1, shade(i, k)
			for j < n && shade(j, k) == s {
				j++
			}
			switch {
			case s < 0:
				fmt.Fprintf(&b, `<rect class="bad" x="%.1f" y="%.1f" width="%.1f" height="%g"/>`, heatLabel+cell*float64(i), y, cell*float64(j-i), heatLine-2)
			case s > 0:
				fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%g" opacity="%.2f"/>`, heatLabel+cell*float64(i), y, cell*float64(j-i), heatLine-2, float64(s)/20)
			}
			i = j
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f">%.3f</text>`, heatLabel+heatColumns*heatCell+6, y+11, h.values[len(h.values)-1][k])
	}
	b.WriteString("</svg>")
	return b.String()
}
