package main

import "testing"

func TestOverRounds(t *testing.T) {
	list := []*timing{{MedianMS: 30, MinMS: 10, PeakMB: 5}, {MedianMS: 10, MinMS: 9, PeakMB: 7}, {MedianMS: 20, MinMS: 15, PeakMB: 6}}
	got := overRounds(list)
	if got.MedianMS != 20 || got.MinMS != 9 || got.PeakMB != 7 {
		t.Errorf("want a median of 20, a minimum of 9 and a peak of 7, got %+v", got)
	}
	if list[0].MedianMS != 30 {
		t.Error("want the rounds unchanged")
	}
	if r := ratio(1, 0); r != 0 {
		t.Errorf("ratio to nothing: want 0, got %v", r)
	}
	if v := rounded(1.005001); v != 1.01 {
		t.Errorf("rounded: want 1.01, got %v", v)
	}
}
