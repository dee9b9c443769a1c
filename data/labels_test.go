package data

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
)

// firstBatch returns every sample of a part as one batch.
func firstBatch(t *testing.T, p *Part, steps ...Step) *Batch {
	t.Helper()
	l := must[*Loader](t)(p.All().Loader(LoaderOptions{Batch: p.Len(), Augment: steps, Name: "test"}))
	defer l.Close()
	return must[*Batch](t)(l.Next())
}

func TestNPZLabels(t *testing.T) {
	x := Array{Name: "x", Shape: []int{2, 3}, Data: make([]float32, 6)}
	for _, c := range []struct {
		name   string
		labels Array
		shape  []int // of a sample; nil: classes
		want   any
	}{
		{"classes", Array{Shape: []int{2}, Data: []uint8{3, 255}}, nil, []int64{3, 255}},
		{"booleans", Array{Shape: []int{2}, Data: []bool{true, false}}, nil, []int64{1, 0}},
		{"a float", Array{Shape: []int{2}, Data: []float64{0.5, -2}}, []int{}, []float32{0.5, -2}},
		{"floats", Array{Shape: []int{2, 2}, Data: []float32{1, 2, 3, 4}}, []int{2}, []float32{1, 2, 3, 4}},
		{"a column of floats", Array{Shape: []int{2, 1}, Data: []float32{1, 2}}, []int{1}, []float32{1, 2}},
		{"several", Array{Shape: []int{2, 2}, Data: []uint8{1, 0, 255, 1}}, []int{2}, []int64{1, 0, 255, 1}},
		{"several booleans", Array{Shape: []int{2, 2}, Data: []bool{true, false, false, true}}, []int{2}, []int64{1, 0, 0, 1}},
		{"several signed", Array{Shape: []int{2, 2}, Data: []int64{1, 0, -1, 1}}, []int{2}, []int64{1, 0, -1, 1}},
		{"masks", Array{Shape: []int{2, 2, 1}, Data: []uint8{1, 0, 255, 7}}, []int{2, 1}, []int64{1, 0, -1, 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "d.npz")
			c.labels.Name = "labels"
			writeNPZ(t, path, x, c.labels)
			set := must[*Set](t)(Open("npz:"+path, Options{}))
			floats := reflect.TypeOf(c.want) == reflect.TypeFor[[]float32]()
			if (set.LabelShape == nil) != (c.shape == nil) || !slices.Equal(set.LabelShape, c.shape) || set.FloatLabels != floats || !set.Part("train").Labelled() {
				t.Fatalf("want labels %v, floats %t, got %v, %t", c.shape, floats, set.LabelShape, set.FloatLabels)
			}
			got := firstBatch(t, set.Part("train")).Labels
			if want := append([]int{2}, c.shape...); !slices.Equal(got.Shape, want) {
				t.Errorf("want a tensor %v, got %v", want, got.Shape)
			}
			if floats && (got.DType != prim.F32 || !slices.Equal(got.F32, c.want.([]float32))) || !floats && (got.DType != prim.I64 || !slices.Equal(got.I64, c.want.([]int64))) {
				t.Errorf("want %v, got %v", c.want, got)
			}
			if _, err := set.Digest(); err != nil {
				t.Error(err)
			}
			set = must[*Set](t)(Open("npz:"+path, Options{Limit: 1}))
			if got := firstBatch(t, set.Part("train")).Labels; got.Shape[0] != 1 {
				t.Errorf("with a limit: want one label, got %v", got.Shape)
			}
		})
	}
}

// Parts may lack labels, and must not have other ones.
func TestNPZLabelsOfParts(t *testing.T) {
	dir := t.TempDir()
	x := Array{Name: "x", Shape: []int{2, 3}, Data: make([]float32, 6)}
	writeNPZ(t, filepath.Join(dir, "train.npz"), x)
	writeNPZ(t, filepath.Join(dir, "test.npz"), x, Array{Name: "labels", Shape: []int{2, 1}, Data: []float32{1, 2}})
	set := must[*Set](t)(Open("npz:"+dir, Options{}))
	if set.Part("train").Labelled() || !set.Part("test").Labelled() || !set.FloatLabels {
		t.Errorf("want labels on test alone")
	}
	for _, other := range []Array{{Shape: []int{2}, Data: []float32{1, 2}}, {Shape: []int{2, 1}, Data: []int64{1, 2}}, {Shape: []int{2}, Data: []int64{1, 2}}} {
		other.Name = "labels"
		writeNPZ(t, filepath.Join(dir, "train.npz"), x, other)
		wantError(t, "npz:"+dir, Options{}, "test.npz", `want labels as in the part "train"`, "got floats [1] a sample")
	}
}

func TestTSVValues(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "train.tsv"), []byte("sentence\tscore\ngood film\t4\nbad film\t1\n"))
	set := must[*Set](t)(Open("tsv:"+dir, Options{}))
	if set.FloatLabels || !slices.Equal(set.Part("train").Labels, []int64{4, 1}) {
		t.Errorf("want classes, got %v", set.Part("train").Labels)
	}
	write(t, filepath.Join(dir, "test.tsv"), []byte("a film\t2.5\n"))
	set = must[*Set](t)(Open("tsv:"+dir, Options{}))
	got := firstBatch(t, set.Part("train")).Labels
	if !set.FloatLabels || set.LabelShape == nil || len(set.LabelShape) != 0 || !slices.Equal(got.F32, []float32{4, 1}) {
		t.Errorf("want the floats 4 and 1, got %v", got)
	}
	write(t, filepath.Join(dir, "test.tsv"), []byte("a film\t2.5\nno film\tnan\n"))
	wantError(t, "tsv:"+dir, Options{}, "test.tsv:2", "finite", "nan")
}

// TestPaintedMasks: arrays painted in 0 and 255 have one class and holes, and are refused as
// files are; what one part lacks another may have.
func TestPaintedMasks(t *testing.T) {
	write := func(dir, part string, mask ...uint8) {
		writeNPZ(t, filepath.Join(dir, part+".npz"), Array{Name: "x", Shape: []int{1, 3}, Data: make([]float32, 3)}, Array{Name: "labels", Shape: []int{1, 2, 2}, Data: mask})
	}
	dir := t.TempDir()
	write(dir, "train", 0, 255, 255, 0)
	write(dir, "test", 0, 255, 0, 0)
	if _, err := Open("npz:"+dir, Options{}); err == nil || !strings.Contains(err.Error(), "want the numbers of at least two classes, got 0 and 255 alone") {
		t.Errorf("want painted masks refused, got %v", err)
	}
	write(dir, "test", 0, 255, 0, 1)
	if _, err := Open("npz:"+dir, Options{}); err != nil {
		t.Error(err)
	}
}
