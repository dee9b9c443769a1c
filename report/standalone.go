package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Size of a plot's title and key in a file of its own, in pixels.
const (
	titleHeight, keyHeight = 24.0, 18.0
	keyColumns             = 2
)

// SVG writes a plot as a file of its own, with its title above and a key below; it loads
// nothing. A plot without a finite value is an error.
func SVG(p Plot) ([]byte, error) {
	values := false
	for _, s := range p.Series {
		if len(s.X) != len(s.Y) {
			return nil, fmt.Errorf("report: plot %q: curve %q: want a place for every value, got %d for %d", p.Title, s.Name, len(s.X), len(s.Y))
		}
		for _, y := range s.Y {
			values = values || finite(y)
		}
	}
	if !values {
		return nil, fmt.Errorf("report: plot %q: want at least one finite value", p.Title)
	}
	paint := colours{}
	drawing := lineSVG(p, paint)
	drawing = strings.TrimSuffix(drawing[strings.Index(drawing, ">")+1:], "</svg>")
	lines := math.Ceil(float64(len(p.Series)) / keyColumns)
	height := titleHeight + plotHeight + lines*keyHeight + 8
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s">`+"\n", plotWidth, height, html.EscapeString(p.Title))
	b.WriteString(`<style>text { font: 11px sans-serif; fill: #555; } .title { font-size: 13px; fill: #1c1c1c; } .y { text-anchor: end; } .x { text-anchor: middle; } .grid { stroke: #d8d8d8; fill: none; } .axis { stroke: #6a6a6a; fill: none; } .line { fill: none; stroke-width: 1.6; } .scored { stroke-dasharray: 3 3; }</style>` + "\n")
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text class="title" x="%g" y="16">%s</text>`+"\n", marginLeft, html.EscapeString(p.Title))
	fmt.Fprintf(&b, `<g transform="translate(0 %g)">%s</g>`+"\n", titleHeight, drawing)
	for i, s := range p.Series {
		x := marginLeft + float64(i%keyColumns)*(plotWidth-marginLeft-marginRight)/keyColumns
		y := titleHeight + plotHeight + float64(i/keyColumns)*keyHeight + 8
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="9" height="9" fill="%s"/><text x="%.1f" y="%.1f">%s</text>`+"\n", x, y-8, paint.of(s.Family), x+14, y, html.EscapeString(s.Name))
	}
	b.WriteString("</svg>\n")
	return []byte(b.String()), nil
}
