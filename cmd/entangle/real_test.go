package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/internal/testenv"
)

// published is a model that others trained, with what a run of it is given.
type published struct {
	file   string
	folder func(testing.TB) string
	sample []int    // channels, height, width of what is drawn; nil: text
	reach  float64  // drawn pixels are smooth, from -reach to reach
	flags  []string // beside those of every run
}

var publishedModels = []published{
	{"resnet20.onnx", testenv.Models, []int{3, 32, 32}, 2, nil},
	{"mlperftiny_resnet8.onnx", testenv.Models, []int{3, 32, 32}, 128, nil},
	{"vit_ibp_3_3_8.onnx", testenv.Models, []int{3, 32, 32}, 2, nil},
	{"mnist_cntk.onnx", testenv.Models, []int{1, 28, 28}, 128, nil},
	{"stories260K.onnx", testenv.Models, nil, 0, []string{"--seq", "32"}},
	{"ultraface_version-slim-320.onnx", testenv.Models, []int{3, 240, 320}, 1, nil},
	{"yunet_n_320_320.onnx", testenv.Models, []int{3, 320, 320}, 128, nil},
	{"ch_ppocr_mobile_v2.0_cls_infer.onnx", testenv.OCR, []int{3, 48, 192}, 1, nil},
	{"ch_PP-OCRv4_det_infer.onnx", testenv.OCR, []int{3, 64, 96}, 2, nil},
	{"ch_PP-OCRv4_rec_infer.onnx", testenv.OCR, []int{3, 48, 64}, 1, nil},
}

// TestPublished takes published models to 0.6 of their MACs and to a verified file, by
// uniform widths and by searches whose loss against the original falls: by coefficients all
// along, in rounds once the last round has taken its subnet. The weight steps all see the same batch. It takes minutes: ENTANGLE_LONG=1 runs it.
func TestPublished(t *testing.T) {
	if os.Getenv("ENTANGLE_LONG") == "" {
		t.Skip("ENTANGLE_LONG is not set: make test-long sets it")
	}
	if _, err := os.Stat(os.Getenv("ONNXRUNTIME_LIB")); err != nil {
		t.Skipf("ONNX Runtime is absent: %v", err)
	}
	for _, p := range publishedModels {
		for _, by := range [][2]string{{"uniform", "none"}, {"search", "none"}, {"search", "drnas"}} {
			t.Run(p.file+"/"+by[0]+"/"+by[1], func(t *testing.T) { p.compress(t, by[0], by[1]) })
		}
	}
}

func (p published) compress(t *testing.T, method, relaxation string) {
	model := filepath.Join(p.folder(t), p.file)
	if _, err := os.Stat(model); err != nil {
		t.Skip(err)
	}
	const batch = 5
	dir := t.TempDir()
	out := filepath.Join(dir, "small.onnx")
	args := append([]string{"entangle", "compress", model, "--target", "macs=0.6", "--method", method, "-o", out, "--json", "--seed", "1", "--batch", fmt.Sprint(batch),
		"--distill", "1", "--augment", "none", "--search-epochs", "40", "--search-lr", "0.002", "--epochs", "2", "--lr", "0.001", "--optimizer", "adamw",
		"--set", "search.weights.clip=1", "--set", "search.relaxation=" + relaxation, "--set", "search.alpha_start=0.9", "--set", "refine=0", "--calibrate", "2"}, p.flags...)
	samples := 11 // 5 for the weights, 5 for the architecture, 1 to validate
	if p.sample == nil {
		args = append(args, "--data", "lm:"+filepath.Join(filepath.Dir(model), "text", "tinystories.txt"), "--tokenizer", strings.TrimSuffix(model, "onnx")+"tok512.bin", "--limit", fmt.Sprint(samples))
	} else {
		path := filepath.Join(dir, "drawn.npz")
		p.draw(t, path, samples)
		args = append(args, "--data", "npz:"+path)
	}
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("want exit code 0, got %d: %s", code, stderr.String())
	}
	var r struct {
		Cost         map[string]float64 `json:"original_cost"`
		Candidates   []struct{ Cost map[string]float64 }
		Verification struct{ Pass bool }
	}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	ratio := r.Candidates[0].Cost["macs"] / r.Cost["macs"]
	if !(ratio <= 0.6 && ratio > 0.4) {
		t.Errorf("MACs: want 0.4 to 0.6 of the original's, got %.3f", ratio)
	}
	if !r.Verification.Pass {
		t.Error("want the result verified on ONNX Runtime")
	}
	t.Logf("MACs %.3f of the original's", ratio)
	if method != "search" {
		return
	}
	losses := searchLosses(t, filepath.Join(dir, "small.run", "log.jsonl"))
	if len(losses) < 2 {
		t.Fatalf("losses of the search: want some, got %v", losses)
	}
	if relaxation == "none" {
		losses = losses[len(losses)-len(losses)/6:]
	}
	mean := func(v []float64) (m float64) {
		for _, x := range v {
			m += x / float64(len(v))
		}
		return m
	}
	first, last := mean(losses[:len(losses)/2]), mean(losses[len(losses)/2:])
	if !(last < first) {
		t.Errorf("loss of the search: want it to fall, got %g, then %g: %v", first, last, losses)
	}
	t.Logf("loss of the search, first and second half: %.4g, %.4g", first, last)
}

// draw writes samples as NPZ: sums of three waves per channel.
func (p published) draw(t *testing.T, path string, samples int) {
	t.Helper()
	r := rng.New(1, "published/"+p.file)
	c, h, w := p.sample[0], p.sample[1], p.sample[2]
	values := make([]float32, 0, samples*c*h*w)
	for range samples * c {
		var wave [3][3]float64
		for i := range wave {
			wave[i] = [3]float64{6 * (r.Float64() - 0.5), 6 * (r.Float64() - 0.5), 2 * math.Pi * r.Float64()}
		}
		for y := range h {
			for x := range w {
				v := 0.0
				for _, a := range wave {
					v += math.Sin(2*math.Pi*(a[0]*float64(y)/float64(h)+a[1]*float64(x)/float64(w))+a[2]) / 3
				}
				values = append(values, float32(v*p.reach))
			}
		}
	}
	var b bytes.Buffer
	if err := data.WriteNPZ(&b, []data.Array{{Name: "x", Shape: []int{samples, c, h, w}, Data: values}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// searchLosses lists the losses of a log's step events of the search, in order.
func searchLosses(t *testing.T, path string) []float64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []float64
	for s := bufio.NewScanner(f); s.Scan(); {
		var line struct {
			Kind   string
			Values map[string]float64
			Text   map[string]string
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Kind == "step" && line.Text["stage"] == "search" {
			out = append(out, line.Values["loss"])
		}
	}
	return out
}
