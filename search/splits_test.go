package search_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/search"
)

// A part "val" is validated on, and takes no training samples.
func TestSplitsTakeThePartVal(t *testing.T) {
	dir := t.TempDir()
	part := func(name string, n int, labelled bool) {
		arrays := []data.Array{{Name: "x", Shape: []int{n, 2}, Data: make([]float32, 2*n)}}
		if labelled {
			arrays = append(arrays, data.Array{Name: "labels", Shape: []int{n}, Data: make([]int64, n)})
		}
		f, err := os.Create(filepath.Join(dir, name+".npz"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := data.WriteNPZ(f, arrays); err != nil {
			t.Fatal(err)
		}
	}
	view := func(s search.Splits) (*search.Views, error) {
		set, err := data.Open("npz:"+dir, data.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s.View(set, 1)
	}
	part("train", 100, true)
	part("val", 7, true)
	for _, s := range []search.Splits{{Weights: 0.4, Alpha: 0.4, Val: 0.2}, {Weights: 0.5, Alpha: 0.5}} {
		v, err := view(s)
		if err != nil {
			t.Fatal(err)
		}
		if v.Val.Len() != 7 || v.Val.Part().Name != "val" || v.Weights.Len() != 50 || v.Alpha.Len() != 50 || v.Both.Len() != 100 {
			t.Errorf("%+v: want 50, 50 and the 7 of val, got %d, %d and %d of %q", s, v.Weights.Len(), v.Alpha.Len(), v.Val.Len(), v.Val.Name)
		}
	}
	part("val", 7, false)
	if _, err := view(search.Splits{Weights: 0.4, Alpha: 0.4, Val: 0.2}); err == nil || !strings.Contains(err.Error(), `part "val": want labels as part "train" has them, got none`) {
		t.Errorf("want an error for a part val without labels, got %v", err)
	}
}
