package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Column heads one column of a table.
type Column struct {
	Name string
	// Key names the column in JSON; Name when empty.
	Key string
	// Right aligns to the right, for numbers.
	Right bool
}

// Table is a table of text. Rows may be shorter than Columns.
type Table struct {
	Title   string
	Columns []Column
	Rows    [][]string
}

// Add appends a row; cells are printed as fmt.Sprint does.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.Rows = append(t.Rows, row)
}

func (t *Table) cell(row []string, i int) string {
	if i < len(row) {
		return row[i]
	}
	return ""
}

func (t *Table) widths() []int {
	w := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		w[i] = utf8.RuneCountInString(c.Name)
		for _, row := range t.Rows {
			w[i] = max(w[i], utf8.RuneCountInString(t.cell(row, i)))
		}
	}
	return w
}

// Text writes aligned columns, two spaces apart.
func (t *Table) Text(w io.Writer) error {
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(t.Title + "\n")
	}
	width := t.widths()
	line := func(cell func(i int) string) {
		var l strings.Builder
		for i, c := range t.Columns {
			if i > 0 {
				l.WriteString("  ")
			}
			l.WriteString(pad(cell(i), width[i], c.Right))
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(func(i int) string { return t.Columns[i].Name })
	line(func(i int) string { return strings.Repeat("-", width[i]) })
	for _, row := range t.Rows {
		line(func(i int) string { return oneLine(t.cell(row, i)) })
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Markdown writes a GitHub table.
func (t *Table) Markdown(w io.Writer) error {
	var b strings.Builder
	if t.Title != "" {
		b.WriteString("**" + t.Title + "**\n\n")
	}
	width := t.widths()
	escape := strings.NewReplacer("|", `\|`, "\n", " ")
	line := func(cell func(i int) string) {
		for i, c := range t.Columns {
			b.WriteString("| " + pad(escape.Replace(cell(i)), width[i], c.Right) + " ")
		}
		b.WriteString("|\n")
	}
	line(func(i int) string { return t.Columns[i].Name })
	line(func(i int) string {
		dashes := strings.Repeat("-", max(width[i], 3)-1)
		if t.Columns[i].Right {
			return dashes + ":"
		}
		return dashes + "-"
	})
	for _, row := range t.Rows {
		line(func(i int) string { return t.cell(row, i) })
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// JSON writes a list of objects, one per row, keys in column order.
func (t *Table) JSON(w io.Writer) error {
	var b strings.Builder
	b.WriteString("[")
	for r, row := range t.Rows {
		if r > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  {")
		for i, c := range t.Columns {
			if i > 0 {
				b.WriteString(", ")
			}
			key := c.Key
			if key == "" {
				key = c.Name
			}
			k, err := json.Marshal(key)
			if err != nil {
				return err
			}
			v, err := json.Marshal(t.cell(row, i))
			if err != nil {
				return err
			}
			b.WriteString(string(k) + ": " + string(v))
		}
		b.WriteString("}")
	}
	if len(t.Rows) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("]\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func pad(s string, width int, right bool) string {
	space := strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
	if right {
		return space + s
	}
	return s + space
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }
