package main

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/report"
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
