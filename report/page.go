package report

import (
	"fmt"
	"html/template"
	"io"
	"strings"
)

// Summary is what the page says beside the curves. Empty parts are left out.
type Summary struct {
	Title string
	// Facts describe the run: model, data, target, seed.
	Facts []Fact
	// Compare sets the model before against the model after.
	Compare []Comparison
	// Tables follow it, for example quality at each stage and the baselines.
	Tables []Table
	// Front are pictures of cost and quality.
	Front []Plot
	// Widths are the sizes of the nodes before and after.
	Widths []Width
	Notes  []string
}

// Fact is a named text.
type Fact struct{ Name, Value string }

// Comparison is one quantity before and after, as text ready to print; Change may
// be empty, for example "−50.3 %".
type Comparison struct{ Name, Before, After, Change string }

// Width is the size of one node's elastic dimension.
type Width struct {
	Node          string
	Dimension     string // for example "width", "kernel", "depth"
	Before, After int
	Gone          bool // the dimension went with a branch that is skipped; After means nothing
	// Remains is what remains of candidates; After then counts it among Before. Empty for sizes.
	Remains string
}

// Size is what the dimension has afterwards, in words.
func (w Width) Size() string {
	switch {
	case w.Gone:
		return "gone"
	case w.Remains != "":
		return w.Remains
	}
	return fmt.Sprint(w.After)
}

// HTML writes one page with inline style and drawings: it loads nothing.
func HTML(w io.Writer, records []Record, s Summary) error {
	type plot struct {
		Title  string
		Legend []legend
		SVG    template.HTML
	}
	type heat struct {
		Title string
		SVG   template.HTML
	}
	type bar struct {
		Width
		Kept float64 // percent
	}
	page := struct {
		Summary
		Fronts   []plot
		Plots    []plot
		Heat     []heat
		Bars     []bar
		From, To int
	}{Summary: s}
	if page.Title == "" {
		page.Title = "entangle run"
	}
	paint := colours{}
	draw := func(p Plot, paint colours) plot {
		var l []legend
		for _, s := range p.Series {
			l = append(l, legend{s.Name, template.CSS("background:" + paint.of(s.Family)), s.Scored})
		}
		return plot{p.Title, l, template.HTML(lineSVG(p, paint))}
	}
	for _, p := range s.Front {
		page.Fronts = append(page.Fronts, draw(p, colours{}))
	}
	for _, p := range Plots(records) {
		p.Title = strings.ReplaceAll(p.Title, "_", " ")
		page.Plots = append(page.Plots, draw(p, paint))
	}
	for _, h := range histories(records) {
		page.Heat = append(page.Heat, heat{h.dimension, template.HTML(heatSVG(h))})
		page.From, page.To = h.steps[0], h.steps[len(h.steps)-1]
	}
	for _, x := range s.Widths {
		b := bar{Width: x}
		if !x.Gone {
			b.Kept = 100 * float64(x.After) / float64(max(x.Before, x.After, 1))
		}
		page.Bars = append(page.Bars, b)
	}
	if err := pageTemplate.Execute(w, page); err != nil {
		return fmt.Errorf("report: page: %w", err)
	}
	return nil
}

type legend struct {
	Name   string
	Style  template.CSS
	Scored bool
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"cell": func(t Table, row []string, i int) string { return t.cell(row, i) },
}).Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root { --ink: #1c1c1c; --soft: #6a6a6a; --line: #d8d8d8; --paper: #fff; --cell: #2563a8; --part: #cfdcec; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --soft: #a0a0a0; --line: #444; --paper: #181a1c; --cell: #7fb2ec; --part: #34465c; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1180px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid var(--line); } h3 { font-size: 1em; margin: 0.6em 0 0.2em; }
table { border-collapse: collapse; margin: 0.5em 0 1em; } th, td { text-align: left; padding: 0.2em 1em 0.2em 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } .right { text-align: right; font-variant-numeric: tabular-nums; }
.grid2 { display: grid; grid-template-columns: repeat(auto-fill, minmax(440px, 1fr)); gap: 1em 2em; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: var(--soft); } svg .y { text-anchor: end; } svg .x { text-anchor: middle; }
svg .grid { stroke: var(--line); fill: none; } svg .axis { stroke: var(--soft); fill: none; } svg .line { fill: none; stroke-width: 1.6; } svg .scored { stroke-dasharray: 3 3; } svg .dots { fill-opacity: 0.55; stroke-width: 0.6; }
svg.heat rect { fill: var(--cell); } svg.heat rect.bad { fill: #d9541e; }
.key { display: inline-block; width: 0.8em; height: 0.8em; margin: 0 0.35em 0 1em; } .key.scored { border-radius: 50%; } .none, .entry { color: var(--soft); } .entry { display: inline-block; white-space: nowrap; font-weight: normal; }
td { overflow-wrap: anywhere; } td.right { white-space: nowrap; }
.compare td:first-child { white-space: pre; }
.bar { width: 16em; height: 1em; background: var(--part); } .bar div { height: 100%; background: var(--cell); }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{- with .Facts}}
<table>{{range .}}<tr><th>{{.Name}}</th><td>{{.Value}}</td></tr>
{{end}}</table>
{{- end}}
{{- with .Compare}}
<h2>Before and after</h2>
<table class="compare"><tr><th></th><th class="right">before</th><th class="right">after</th><th class="right">change</th></tr>
{{range .}}<tr><td>{{.Name}}</td><td class="right">{{.Before}}</td><td class="right">{{.After}}</td><td class="right">{{.Change}}</td></tr>
{{end}}</table>
{{- end}}
{{- with .Fronts}}
<h2>Cost and quality</h2>
<div class="grid2">
{{range .}}<div><h3>{{.Title}}{{range .Legend}} <span class="entry"><span class="key scored" style="{{.Style}}"></span>{{.Name}}</span>{{end}}</h3>{{.SVG}}</div>
{{end}}</div>
{{- end}}
{{- range $t := .Tables}}
<h2>{{.Title}}</h2>
<table><tr>{{range .Columns}}<th{{if .Right}} class="right"{{end}}>{{.Name}}</th>{{end}}</tr>
{{range $row := .Rows}}<tr>{{range $i, $c := $t.Columns}}<td{{if $c.Right}} class="right"{{end}}>{{cell $t $row $i}}</td>{{end}}</tr>
{{end}}</table>
{{- end}}
{{- with .Plots}}
<h2>Curves over the step</h2>
<div class="grid2">
{{range .}}<div><h3>{{.Title}}{{range .Legend}} <span class="entry"><span class="key{{if .Scored}} scored{{end}}" style="{{.Style}}"></span>{{.Name}}</span>{{end}}</h3>{{.SVG}}</div>
{{end}}</div>
{{- end}}
{{- with .Heat}}
<h2>Coefficients of the choices, step {{$.From}} to {{$.To}}</h2>
<div class="grid2">
{{range .}}<div><h3>{{.Title}}</h3>{{.SVG}}</div>
{{end}}</div>
{{- end}}
{{- with .Bars}}
<h2>Sizes by node</h2>
<table><tr><th>node</th><th>dimension</th><th class="right">before</th><th class="right">after</th><th></th></tr>
{{range .}}<tr><td>{{.Node}}</td><td>{{.Dimension}}</td><td class="right">{{.Before}}</td><td class="right">{{.Size}}</td><td><div class="bar"><div style="width:{{printf "%.1f" .Kept}}%"></div></div></td></tr>
{{end}}</table>
{{- end}}
{{- with .Notes}}
<h2>Notes</h2>
<ul>{{range .}}<li>{{.}}</li>
{{end}}</ul>
{{- end}}
</body>
</html>
`))
