package entangle

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/search/train"
)

// samples is a set of so many labelled training samples.
func samples(t *testing.T, n int) *data.Set {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "train.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x := data.Array{Name: "x", Shape: []int{n, 1}, Data: make([]float32, n)}
	y := data.Array{Name: "labels", Shape: []int{n}, Data: make([]int64, n)}
	if err := data.WriteNPZ(f, []data.Array{x, y}); err != nil {
		t.Fatal(err)
	}
	set, err := data.Open("npz:"+dir, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Of many samples a job takes the defaults of search and train, of few a smaller batch and more
// passes; what it says itself stays.
func TestLengthFollowsFromSamples(t *testing.T) {
	given := func(batch int, search, tune train.Epochs) Job {
		j := DefaultJob()
		j.Data.Batch, j.Search.Weights.Epochs, j.Tune.Epochs = batch, search, tune
		return j
	}
	accumulated, uniform := DefaultJob(), DefaultJob()
	accumulated.Tune.Accumulate = 4
	uniform.Method = "uniform"
	for _, c := range []struct {
		name         string
		job          Job
		samples      int
		fixed        int
		batch        int
		search, tune train.Epochs
		rate         float64 // of tuning; the search's is 0.4 of it
	}{
		{"many", DefaultJob(), 60000, 0, 128, 4, 10, 0.05},
		{"45,000", DefaultJob(), 45000, 0, 128, 4, 10, 0.05},
		{"few", DefaultJob(), 3000, 0, 32, 4, 18, 0.0125},
		{"very few", DefaultJob(), 200, 0, 16, 32, 100, 0.00625},
		{"fewer than a batch in a split", DefaultJob(), 20, 0, 8, 100, 100, 0.00625},
		{"no split for the search", uniform, 20, 0, 16, 4, 100, 0.00625},
		{"accumulated", accumulated, 3000, 0, 32, 4, 72, 0.0125},
		{"fixed batch", DefaultJob(), 3000, 64, 64, 8, 36, 0.0125},
		{"fixed batch that does not divide", DefaultJob(), 3000, 48, 128, 16, 72, 0.0125},
		{"given batch", given(100, train.Auto, train.Auto), 3000, 0, 100, 13, 56, 0.0125},
		{"given passes", given(0, 0.5, 3), 3000, 0, 32, 0.5, 3, 0.0125},
		{"no tuning", given(0, train.Auto, 0), 3000, 0, 32, 4, 0, 0.0125},
	} {
		j := c.job
		j.settle(samples(t, c.samples), 0, c.fixed)
		if j.Data.Batch != c.batch || j.Search.Weights.Epochs != c.search || j.Tune.Epochs != c.tune {
			t.Errorf("%s: want batch %d and %g, %g passes, got %d and %g, %g", c.name, c.batch, float64(c.search), float64(c.tune), j.Data.Batch, float64(j.Search.Weights.Epochs), float64(j.Tune.Epochs))
		}
		if given := c.job.Data.Batch > 0; given != (j.Judged == 0) || !given && j.Judged*j.Data.Batch != 256 {
			t.Errorf("%s: want 256 samples to judge a subnet where the batch is not given, got %d batches of %d", c.name, j.Judged, j.Data.Batch)
		}
		if math.Abs(j.Tune.Rate-c.rate) > 1e-12 || math.Abs(j.Search.Weights.Rate-0.4*c.rate) > 1e-12 {
			t.Errorf("%s: want learning rates %g and %g, got %g and %g", c.name, 0.4*c.rate, c.rate, j.Search.Weights.Rate, j.Tune.Rate)
		}
	}
	j := DefaultJob()
	j.Tune.Rate, j.Search.Weights.MinRate = 0.3, 0.01
	if j.settle(samples(t, 3000), 0); j.Tune.Rate != 0.3 || j.Search.Weights.Rate != 0.01 {
		t.Errorf("want the given rate 0.3, and a rate that is not below its least 0.01, got %g and %g", j.Tune.Rate, j.Search.Weights.Rate)
	}
}
