package entangle_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/train"
)

// A plan holds the numbers that follow from the data, so that its job as a file gives them again,
// whatever would follow then; few steps are said.
func TestPlanSettlesItsLength(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Data.Batch, b.Job.Search.Weights.Epochs, b.Job.Tune.Epochs = 0, train.Auto, train.Auto
	said := func(j entangle.Job) (*entangle.Plan, []string) {
		p, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, j)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, n := range p.Says() {
			if strings.Contains(n, " few: ") {
				lines = append(lines, n)
			}
		}
		return p, lines
	}
	p, notes := said(b.Job)
	if j := p.Job; j.Data.Batch != 16 || j.Search.Weights.Epochs < 10 || j.Tune.Epochs < 20 || notes != nil {
		t.Errorf("want batch 16, many passes and no note, got %d, %g, %g and %q", j.Data.Batch, float64(j.Search.Weights.Epochs), float64(j.Tune.Epochs), notes)
	}
	text, err := p.Job.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "job.yaml")
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	again := entangle.DefaultJob()
	if err := again.Read(path); err != nil {
		t.Fatal(err)
	}
	if again.Data.Batch != 16 || again.Search.Weights.Epochs != p.Job.Search.Weights.Epochs || again.Tune.Epochs != p.Job.Tune.Epochs || strings.Contains(string(text), "epochs: auto") {
		t.Errorf("the job's file has other numbers:\n%s", text)
	}
	b.Job.Search.Weights.Epochs, b.Job.Tune.Epochs = 2, 1
	if _, notes = said(b.Job); len(notes) != 2 || notes[0] != "16 steps of search are few: 2 passes over 128 samples, 16 a step; search.weights.epochs=auto takes 20" ||
		!strings.HasPrefix(notes[1], "16 steps of fine-tuning are few: 1 passes over 256 samples, 16 a step; tune.epochs=auto takes ") {
		t.Errorf("notes of few steps: %q", notes)
	}
	tr, err := entangle.PrepareTraining(runtest.Wrap(b.Model), nil, b.Set, b.Job)
	if err != nil {
		t.Fatal(err)
	}
	if has := func(s string) bool {
		return slices.ContainsFunc(tr.Notes, func(n string) bool { return strings.Contains(n, s) })
	}; !has("steps of fine-tuning are few") || has("steps of search") {
		t.Errorf("notes of a training: %q", tr.Notes)
	}
	b.Job.Tune.Epochs = 0
	if _, notes = said(b.Job); len(notes) != 1 {
		t.Errorf("without tuning: %q", notes)
	}
}
