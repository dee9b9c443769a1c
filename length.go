package entangle

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// Batch is the samples per batch where a job leaves them open and there are enough.
const Batch = 128

// What a job takes where it leaves the batch and the passes to the data. Many samples get the
// defaults of search and train; of few samples a batch is smaller and passes are more.
const (
	leastBatch  = 16
	stepsOfPass = 64   // that the batch leaves to a pass of tuning, down to leastBatch
	searchSteps = 160  // least of a search
	tuneSteps   = 1500 // least of tuning
	mostPasses  = 100  // of few samples more passes teach them by heart
	fewOfSearch = 100  // steps below which a search is said to be short
	fewOfTuning = 400  // steps below which tuning is said to be short

	reconstructSamples = 512 // that layers are fitted on
)

// length is how long one of the job's sections trains.
type length struct {
	section
	name    string // in notes
	samples int    // of a pass
	least   int    // steps that passes are made for
	few     int    // steps below which it is noted
	passes  train.Epochs
	rate    float64
}

func (j *Job) lengths(v *search.Views) []length {
	s, search, tune := j.sections(), search.DefaultConfig().Weights, train.DefaultWeights()
	return []length{
		{s[0], "search", v.Weights.Len(), searchSteps, fewOfSearch, search.Epochs, search.Rate},
		{s[1], "fine-tuning", v.Both.Len(), tuneSteps, fewOfTuning, tune.Epochs, tune.Rate},
	}
}

// perPass returns the steps of a pass at the job's batch.
func (l length) perPass(batch int) int { return l.samples / max(batch*l.w.Parts(), 1) }

// auto returns the passes that make enough steps where a pass has so many.
func (l length) auto(perPass int) train.Epochs {
	if perPass < 1 {
		return l.passes
	}
	return max(l.passes, min(train.Epochs(math.Ceil(float64(l.least)/float64(perPass))), mostPasses))
}

// settle gives the batch and the passes that the job leaves open by the number of training
// samples, and the learning rates. Fixed are the batches that models run at, 0 of one that runs at
// any. A job whose samples cannot be divided stays as it is.
func (j *Job) settle(set *data.Set, fixed ...int) {
	v, err := j.Data.Split.View(set, j.Seed)
	if err != nil {
		return
	}
	few := batchOf(v.Both.Len())
	if j.Data.Batch == 0 {
		j.Data.Batch = j.batch(v, fixed)
		if j.Judged == 0 {
			j.Judged = net.VertexBatches * (Batch / j.Data.Batch)
		}
	}
	if j.Method == Reconstruct {
		j.Search.Relaxation, j.Search.FreezeWeights, j.Search.Refit = search.InRounds, true, true
		if j.Tune.Epochs == train.Auto {
			j.Tune.Epochs = 0
		}
		if j.Reconstruct == 0 {
			j.Reconstruct = (reconstructSamples + j.Data.Batch - 1) / j.Data.Batch
		}
		j.Search.Rounds = cmp.Or(j.Search.Rounds, 4)
		if len(j.Search.Even) == 0 {
			j.Search.Even = []float64{0}
		}
		j.Search.RoundBatches = cmp.Or(j.Search.RoundBatches, (Batch+j.Data.Batch-1)/j.Data.Batch)
	}
	d := search.DefaultConfig()
	j.Search.Rounds = cmp.Or(j.Search.Rounds, d.Rounds)
	if len(j.Search.Even) == 0 {
		j.Search.Even = d.Even
	}
	j.Search.RoundBatches = cmp.Or(j.Search.RoundBatches, d.RoundBatches)
	for _, l := range j.lengths(v) {
		if l.w.Rate == 0 {
			l.w.Rate = max(l.rate*float64(few)/Batch, l.w.MinRate)
		}
		if l.w.Epochs == train.Auto {
			l.w.Epochs = l.auto(l.perPass(j.Data.Batch))
		}
	}
}

// batch returns the samples of a batch that are right for as many as there are.
func (j *Job) batch(v *search.Views, fixed []int) int {
	split := v.Both.Len()
	if j.searches() {
		split = min(v.Weights.Len(), v.Alpha.Len())
	}
	right := batchOf(v.Both.Len())
	b := Batch
	stays := func(n int) bool { return n > 0 && b/2%n != 0 }
	for b > 1 && b > min(right, split) && !slices.ContainsFunc(fixed, stays) {
		b /= 2
	}
	return b
}

// batchOf returns the batch that leaves enough steps to a pass over so many samples.
func batchOf(samples int) int {
	b := Batch
	for b > leastBatch && samples < stepsOfPass*b {
		b /= 2
	}
	return b
}

// fixedBatch returns the batch that a model runs at, 0 if it runs at any or is nil.
func (m *Model) fixedBatch() int {
	if m == nil {
		return 0
	}
	return net.Open(m.Normal).Fixed
}

// short notes trainings of few steps. The job is settled.
func (j *Job) short(v *search.Views) []string {
	var out []string
	for _, l := range j.lengths(v) {
		n := l.perPass(j.Data.Batch)
		steps := int(math.Round(float64(l.w.Epochs) * float64(n)))
		if !j.trains(l.section) || steps >= l.few {
			continue
		}
		line := fmt.Sprintf("%d steps of %s are few: %g passes over %d samples, %d a step", steps, l.name, float64(l.w.Epochs), l.samples, j.Data.Batch*l.w.Parts())
		if more := l.auto(n); more > l.w.Epochs {
			line += fmt.Sprintf("; %s.epochs=auto takes %g", l.key, float64(more))
		}
		out = append(out, line)
	}
	return out
}
