package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/subnet"
)

// writePage writes report.html and curves.csv from the run folder's log.
func writePage(dir string, s report.Summary) error {
	f, err := os.Open(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		return err
	}
	defer f.Close()
	records, err := report.ReadLog(f)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, "curves.csv"), func(w io.Writer) error { return report.Curves(w, records) }); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, "report.html"), func(w io.Writer) error { return report.HTML(w, records, s) })
}

// sizes lists a recipe's choices beside the originals.
func sizes(r *subnet.Recipe) []report.Width {
	var out []report.Width
	for _, d := range r.Dims {
		w := report.Width{Node: d.Node, Dimension: d.Kind, Before: d.Choices[len(d.Choices)-1], After: d.Choice, Gone: d.Gone}
		if d.Candidates != nil {
			w.Before, w.After, w.Remains = len(d.Candidates), 1, d.Kept()
			switch w.Remains {
			case "none":
				w.After = 0
			case "all":
				w.After = w.Before
			}
		}
		out = append(out, w)
	}
	return out
}
