package train_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// trained trains a model and returns its scores on the part test before and after.
func trained(t *testing.T, m *ir.Model, set *data.Set, batch int, w train.Weights) (before, after *net.Score) {
	t.Helper()
	n, err := net.NewNetworkOn(m, batch, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	views, err := search.Splits{Weights: .5, Alpha: .4, Val: .1}.View(set, 1)
	if err != nil {
		t.Fatal(err)
	}
	before, after, _ = nettest.Trained(t, cpu.New(cpu.Options{Threads: 2}), n, views.Both, views.Val, views.Test, w)
	return before, after
}

// TestDecodersLearn trains small language models on a Markov chain: from about
// uniform to well below the entropy of single tokens.
func TestDecodersLearn(t *testing.T) {
	set, err := data.Open("lm:"+nettest.Chain(t), data.Options{Seq: 8, Stride: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"decoder-tiny", "llama-tiny"} {
		t.Run(name, func(t *testing.T) {
			before, after := trained(t, modeltest.Normal(t, name, models.Options{Vocab: 12}), set, 32, nettest.Adam(6, 0.01))
			t.Logf("%d positions: %.3f nats before, %.3f after, %.1f %% right", after.Positions, before.Loss, after.Loss, 100*after.Accuracy)
			if after.Positions != 8*after.Samples || after.Samples != 149 {
				t.Errorf("want 8 positions in each of 149 samples, got %d in %d", after.Positions, after.Samples)
			}
			if before.Loss < 1.5 || after.Loss > 0.7 || after.Loss < 0.3 || after.Accuracy < 0.85 {
				t.Errorf("want from above 1.5 nats to between 0.3 and 0.7 with 85 %% right (single tokens: %.2f), got %.3f to %.3f with %.3f",
					math.Log(12), before.Loss, after.Loss, after.Accuracy)
			}
		})
	}
}

// TestSentencesAreLearned trains a small encoder with three inputs on sentences
// whose class is a word's.
func TestSentencesAreLearned(t *testing.T) {
	dir := t.TempDir()
	for part, n := range map[string]int{"train": 400, "dev": 100} {
		r := rng.New(4, "test/sentences/"+part)
		var b strings.Builder
		for range n {
			class := r.IntN(2)
			words := []string{"fine", "dull"}[class : class+1]
			for range 1 + r.IntN(5) {
				words = append(words, fmt.Sprintf("word%d", r.IntN(20)))
			}
			r.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
			fmt.Fprintf(&b, "%s\t%d\n", strings.Join(words, " "), class)
		}
		if err := os.WriteFile(filepath.Join(dir, part+".tsv"), []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	set, err := data.Open("tsv:"+dir, data.Options{Seq: 8})
	if err != nil {
		t.Fatal(err)
	}
	before, after := trained(t, modeltest.Normal(t, "encoder-tiny", models.Options{Classes: 2, Vocab: set.Vocab}), set, 16, nettest.Adam(8, 0.003))
	if after.Samples != 100 || after.Positions != 0 || after.Accuracy < 0.95 {
		t.Errorf("want 95 of 100 sentences right, got %d of %d (%.3f before)", after.Correct, after.Samples, before.Accuracy)
	}
}

// TestVisionTransformersLearn trains a small vision transformer on gratings.
func TestVisionTransformersLearn(t *testing.T) {
	set, err := data.Synthetic(data.SyntheticOptions{Classes: 4, Shape: [3]int{3, 8, 8}, Train: 400, Test: 100, Noise: 0.05, Seed: 3,
		Data: data.Options{Mean: []float64{.5}, Std: []float64{.25}}})
	if err != nil {
		t.Fatal(err)
	}
	_, after := trained(t, modeltest.Normal(t, "vit-tiny", models.Options{Classes: 4}), set, 20, nettest.Adam(15, 0.004))
	if after.Accuracy < 0.9 {
		t.Errorf("want 90 of 100 gratings right, got %d", after.Correct)
	}
}

// TestTokensWithoutAHead compares a network of tokens with itself: models whose
// output is no classifier of the data have no scores, and teach by their outputs.
func TestTokensWithoutAHead(t *testing.T) {
	ids := make([]int64, 64*8)
	for i := range ids {
		ids[i] = int64(i * i % 40)
	}
	set := nettest.Tokens(t, data.Array{Name: "input_ids", Shape: []int{64, 8}, Data: ids})
	n, err := net.NewNetworkOn(modeltest.Normal(t, "decoder-tiny", models.Options{}), 8, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n.Classes != 0 || n.Positions != 0 {
		t.Errorf("tokens without labels: want no classes, got %d at %d positions", n.Classes, n.Positions)
	}
	be := cpu.New(cpu.Options{Threads: 1})
	w := nettest.Adam(1, 0.01)
	w.Objective = net.Objective{Distill: 1, Temperature: 1}
	student, err := net.NewNetworkOn(modeltest.Normal(t, "decoder-tiny", models.Options{Seed: 9}), 8, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	view := set.Part("train").All()
	far, err := net.Compare(context.Background(), be, student, n, view)
	if err != nil {
		t.Fatal(err)
	}
	w.Epochs = 10
	r, err := train.Train(context.Background(), be, student, n, view, data.View{}, w, 1, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.NewNetworkOn(net.WithWeights(student.Model, r.Weights), 8, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := net.Compare(context.Background(), be, near, n, view)
	if err != nil {
		t.Fatal(err)
	}
	if !(after.Error < 0.8*far.Error) {
		t.Errorf("distance from the teacher: want a fifth less after distillation, got %.3f from %.3f", after.Error, far.Error)
	}
}

// TestLabelsPerPosition states that a stream and the same windows as arrays with
// labels score alike, and that labels below 0 leave their positions out.
func TestLabelsPerPosition(t *testing.T) {
	stream, err := data.Open("lm:"+nettest.Chain(t), data.Options{Seq: 8, Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	l, err := stream.Part("test").All().Loader(data.LoaderOptions{Batch: 50})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	be := cpu.New(cpu.Options{Threads: 1})
	score := func(set *data.Set, part string) *net.Score {
		n, err := net.NewNetworkOn(modeltest.Normal(t, "llama-tiny", models.Options{Vocab: 12}), 16, set, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := net.Evaluate(context.Background(), be, n, set.Part(part).All())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	arrays := func(labels []int64) *data.Set {
		return nettest.Tokens(t, data.Array{Name: "input_ids", Shape: []int{50, 8}, Data: b.Inputs[0].I64}, data.Array{Name: "labels", Shape: []int{50, 8}, Data: labels})
	}
	want, got := score(stream, "test"), score(arrays(b.Labels.I64), "train")
	if *want != *got || got.Positions != 400 {
		t.Errorf("windows as arrays: want %+v, got %+v", *want, *got)
	}
	first, rest := slices.Clone(b.Labels.I64), slices.Clone(b.Labels.I64)
	for i := range first {
		if i%8 < 3 {
			rest[i] = -100
		} else {
			first[i] = -1
		}
	}
	x, y := score(arrays(first), "train"), score(arrays(rest), "train")
	if x.Positions != 150 || y.Positions != 250 || x.Correct+y.Correct != want.Correct {
		t.Errorf("labels below 0: want 150 and 250 positions and %d right in all, got %+v and %+v", want.Correct, *x, *y)
	}
	if sum := (150*x.Loss + 250*y.Loss) / 400; math.Abs(sum-want.Loss) > 1e-9 {
		t.Errorf("loss of the two halves: want %.9f in the mean, got %.9f", want.Loss, sum)
	}
}

// TestStories260K scores a real language model, where it is present, on the text
// that it was made for. Its card says 1.348 nats a token; stories are told apart by
// their usual beginning, which the text does not mark otherwise.
func TestStories260K(t *testing.T) {
	if testing.Short() {
		t.Skip("a real model on 25,600 tokens: skipped by -short")
	}
	real := testenv.Models(t)
	raw, err := os.ReadFile(filepath.Join(real, "text", "tinystories.txt"))
	if err != nil {
		t.Skipf("TinyStories is absent: %v", err)
	}
	m, err := importer.Read(filepath.Join(real, "stories260K.onnx"))
	if err != nil {
		t.Skipf("stories260K is absent: %v", err)
	}
	if m, err = importer.Normal(m); err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, begin := range []string{"Once upon a time", "Once there was"} {
		text = strings.ReplaceAll(text, "\n\n"+begin, "\n<|endoftext|>\n"+begin)
	}
	path := filepath.Join(t.TempDir(), "stories.txt")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	set, err := data.Open("lm:"+path, data.Options{Seq: 256, Limit: 100, Tokenizer: filepath.Join(real, "stories260K.tok512.bin")})
	if err != nil {
		t.Fatal(err)
	}
	n, err := net.NewNetworkOn(m, 4, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := net.Evaluate(context.Background(), cpu.New(cpu.Options{Threads: 2}), n, set.Part("train").All())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d positions: %.4f nats, perplexity %.3f", s.Positions, s.Loss, s.Perplexity())
	if set.Vocab > 512 || s.Positions != 25600 || math.Abs(s.Loss-1.348) > 0.03 {
		t.Errorf("want about 1.348 nats over 25600 positions, got %.4f over %d", s.Loss, s.Positions)
	}
}
