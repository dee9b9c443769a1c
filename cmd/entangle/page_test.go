package main

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/subnet"
)

func TestSizes(t *testing.T) {
	got := sizes(&subnet.Recipe{Dims: []subnet.Decision{
		{Node: "a", Kind: "width", Choice: 8, Choices: []int{4, 8, 16}},
		{Node: "b", Kind: "width", Choice: 1, Choices: []int{1, 3}, Gone: true},
	}})
	want := []report.Width{
		{Node: "a", Dimension: "width", Before: 16, After: 8},
		{Node: "b", Dimension: "width", Before: 3, After: 1, Gone: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}

// TestOutputsOfPage: every output has a row, with what it was taken for and its distance at each
// stage on its own scale; a run that knows no distance has no table.
func TestOutputsOfPage(t *testing.T) {
	r2 := 0.75
	at := func(e float64) *net.Fidelity {
		return &net.Fidelity{Outputs: []net.OutputError{{Name: "p", Error: e, Rows: 10, Agreement: 0.5}, {Name: "v", Error: e / 2, R2: &r2}}}
	}
	r := &entangle.Outcome{
		Outputs:    []net.Meaning{{Output: "p", Kind: measure.Probabilities, Reason: "a Softmax makes it"}, {Output: "v", Kind: measure.Values, Reason: "set"}},
		Candidates: []entangle.Candidate{{Test: entangle.Quality{Distance: &entangle.Distance{Inherited: at(0.5), Tuned: at(0.25)}}}},
	}
	got := outputs(r)
	want := [][]string{
		{"p", "probabilities", "a Softmax makes it", "0.5000, 50.00 % agree", "-", "-", "0.2500, 50.00 % agree"},
		{"v", "values", "set", "0.2500, R² 75.00 %", "-", "-", "0.1250, R² 75.00 %"},
	}
	if got == nil || !slices.EqualFunc(got.Rows, want, slices.Equal[[]string]) || len(got.Columns) != 7 {
		t.Errorf("want %v, got %+v", want, got)
	}
	r.Candidates[0].Test = entangle.Quality{}
	if got := outputs(r); got != nil {
		t.Errorf("want no table, got %+v", got)
	}
}
