package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
)

func u16(tokens ...uint16) []byte {
	var b []byte
	for _, v := range tokens {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

// upTo returns the tokens 0 to n−1.
func upTo(n int) []byte {
	var v []uint16
	for i := range n {
		v = append(v, uint16(i))
	}
	return u16(v...)
}

func open(t *testing.T, spec string, o Options) *Set {
	t.Helper()
	s, err := Open(spec, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func loader(t *testing.T, v View, o LoaderOptions) *Loader {
	t.Helper()
	l, err := v.Loader(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func next(t *testing.T, l *Loader) *Batch {
	t.Helper()
	b, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStreamWindows(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "train.bin"), upTo(22))
	write(t, filepath.Join(dir, "val.u16"), upTo(12))
	for _, c := range []struct {
		stride, train int
		second        []int64
	}{{0, 5, []int64{4, 5, 6, 7}}, {2, 9, []int64{2, 3, 4, 5}}, {4, 5, []int64{4, 5, 6, 7}}} {
		s := open(t, "lm:"+dir, Options{Seq: 4, Stride: c.stride})
		if n := s.Part("train").Len(); n != c.train || s.Part("val").Len() != 2 || s.Vocab != 22 {
			t.Errorf("stride %d: want %d and 2 samples of 22 tokens, got %d, %d, %d", c.stride, c.train, n, s.Part("val").Len(), s.Vocab)
		}
		b := next(t, loader(t, s.Part("train").All(), LoaderOptions{Batch: 2}))
		if got := b.Inputs[0].I64[4:]; !slices.Equal(got, c.second) {
			t.Errorf("stride %d: second sample: want %v, got %v", c.stride, c.second, got)
		}
		for i, v := range b.Inputs[0].I64 {
			if b.Labels.I64[i] != v+1 {
				t.Errorf("stride %d: label of token %d: want the next one, got %d", c.stride, v, b.Labels.I64[i])
			}
		}
		if fmt.Sprint(b.Labels.Shape) != "[2 4]" {
			t.Errorf("labels: want shape [2 4], got %v", b.Labels.Shape)
		}
	}
}

func TestStreamEncodings(t *testing.T) {
	dir := t.TempDir()
	var wide, npy bytes.Buffer
	for i := range 9 {
		binary.Write(&wide, binary.LittleEndian, uint32(70000+i))
	}
	if err := WriteNPY(&npy, Array{Shape: []int{9}, Data: []int64{0, 1, 2, 3, 4, 5, 6, 7, 8}}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a.u32"), wide.Bytes())
	write(t, filepath.Join(dir, "b.npy"), npy.Bytes())
	for file, want := range map[string]int64{"a.u32": 70004, "b.npy": 4} {
		s := open(t, "lm:"+filepath.Join(dir, file), Options{Seq: 4})
		b := next(t, loader(t, s.Part("train").All(), LoaderOptions{Batch: 2}))
		if got := b.Inputs[0].I64[4]; got != want {
			t.Errorf("%s: first token of the second sample: want %d, got %d", file, want, got)
		}
	}
}

func TestStreamErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "short.bin"), upTo(4))
	write(t, filepath.Join(dir, "odd.bin"), []byte{1, 2, 3})
	write(t, filepath.Join(dir, "wide.u32"), []byte{0, 0, 0, 1})
	write(t, filepath.Join(dir, "text.txt"), []byte("hello"))
	write(t, filepath.Join(dir, "other.dat"), []byte("hello"))
	for _, c := range []struct {
		file, want string
		o          Options
	}{
		{"short.bin", "want more tokens than one sequence of 4", Options{Seq: 4}},
		{"odd.bin", "want whole tokens of 2 bytes, got 3", Options{Seq: 1}},
		{"wide.u32", "want 0 to 16777215, got 16777216", Options{Seq: 1}},
		{"text.txt", "text needs a tokenizer", Options{}},
		{"other.dat", `want the ending .bin, .u16, .u32, .npy or .txt, got ".dat"`, Options{}},
		{"short.bin", "a stride from 1 to its length", Options{Seq: 4, Stride: 5}},
		{"text.txt", "want the length of the longest piece", Options{Tokenizer: filepath.Join(dir, "empty.bin")}},
	} {
		write(t, filepath.Join(dir, "empty.bin"), nil)
		if _, err := Open("lm:"+filepath.Join(dir, c.file), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want error %q, got %v", c.file, c.want, err)
		}
	}
}

// TestStreamSplit states that no token is a sample's input in two shares, whatever the stride.
func TestStreamSplit(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "train.bin"), upTo(400))
	for _, stride := range []int{1, 3, 8} {
		s := open(t, "lm:"+dir, Options{Seq: 8, Stride: stride})
		views, err := s.Part("train").All().Split(1, Share{"a", 0.5}, Share{"b", 0.3}, Share{"c", 0.2})
		if err != nil {
			t.Fatal(err)
		}
		owner := map[int64]string{}
		for _, v := range views {
			if v.Len() < 5 {
				t.Errorf("stride %d: share %q: want samples, got %d", stride, v.Name, v.Len())
			}
			l := loader(t, v, LoaderOptions{Batch: 1})
			for range v.Len() {
				for _, x := range next(t, l).Inputs[0].I64 {
					if o := owner[x]; o != "" && o != v.Name {
						t.Fatalf("stride %d: token %d: in shares %q and %q", stride, x, o, v.Name)
					}
					owner[x] = v.Name
				}
			}
		}
		apart := views[0].Apart()
		for i := 1; i < apart.Len(); i++ {
			if d := (apart.Index[i] - apart.Index[i-1]) * stride; d < 8 || d >= 8+stride {
				t.Errorf("stride %d: samples apart: want the next one after 8 tokens, got it after %d", stride, d)
			}
		}
	}
}

func TestStreamResumes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "train.bin"), upTo(200))
	view := open(t, "lm:"+dir, Options{Seq: 8, Stride: 2}).Part("train").All()
	o := LoaderOptions{Batch: 4, Shuffle: true, DropLast: true, Seed: 3, Name: "x"}
	a, b := loader(t, view, o), loader(t, view, o)
	for range 30 {
		next(t, a)
	}
	if err := b.Restore(a.State()); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if x, y := next(t, a), next(t, b); !slices.Equal(x.Inputs[0].I64, y.Inputs[0].I64) || !slices.Equal(x.Labels.I64, y.Labels.I64) {
			t.Fatal("a restored loader: want the same batches, got others")
		}
	}
	other := loader(t, open(t, "lm:"+dir, Options{Seq: 8, Stride: 3}).Part("train").All(), o)
	if err := other.Restore(a.State()); err == nil {
		t.Error("state of another stride: want an error, got none")
	}
	if _, err := view.Loader(LoaderOptions{Batch: 4, Augment: []Step{mixing(t)}}); err == nil {
		t.Error("mixup of token streams: want an error, got none")
	}
}

func mixing(t *testing.T) Step {
	t.Helper()
	steps, err := ParseAugments("mixup")
	if err != nil {
		t.Fatal(err)
	}
	return steps[0]
}

func TestTokenArrays(t *testing.T) {
	dir := t.TempDir()
	arrays := []Array{
		{Name: "input_ids", Shape: []int{2, 3}, Data: []uint8{1, 2, 3, 4, 5, 200}},
		{Name: "attention_mask", Shape: []int{2, 3}, Data: []int64{1, 1, 1, 1, 1, 0}},
		{Name: "labels", Shape: []int{2, 3}, Data: []int64{7, -100, 8, -1, 9, -100}},
	}
	var b bytes.Buffer
	if err := WriteNPZ(&b, arrays); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "train.npz"), b.Bytes())
	s := open(t, "tokens:"+dir, Options{})
	got := next(t, loader(t, s.Part("train").All(), LoaderOptions{Batch: 2}))
	if !slices.Equal(got.Inputs[0].I64, []int64{1, 2, 3, 4, 5, 200}) || !slices.Equal(got.Labels.I64, arrays[2].Data.([]int64)) {
		t.Errorf("want the file's tokens and labels, got %v and %v", got.Inputs[0].I64, got.Labels.I64)
	}
	if s.Fields[0].DType != prim.I64 || s.Fields[0].Optional || !s.Fields[1].Optional || fmt.Sprint(s.LabelShape) != "[3]" {
		t.Errorf("want integer ids, an optional mask and labels of shape [3], got %+v and %v", s.Fields, s.LabelShape)
	}
	arrays[2] = Array{Name: "label", Shape: []int{2}, Data: []int64{1, 0}}
	b.Reset()
	if err := WriteNPZ(&b, arrays); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "class.npz"), b.Bytes())
	if s := open(t, "tokens:"+filepath.Join(dir, "class.npz"), Options{}); len(s.Classes) != 2 || s.LabelShape != nil || s.Vocab != 201 {
		t.Errorf("an array \"label\": want classes of samples and 201 tokens, got %v, %v, %d", s.Classes, s.LabelShape, s.Vocab)
	}
	if _, err := s.Bind([]ModelInput{{Name: "tokens", Shape: []int{-1, 3}, Integer: true}}); err != nil {
		t.Errorf("a model with one input: want the ids bound to it, got %v", err)
	}
	var npy bytes.Buffer
	if err := WriteNPY(&npy, Array{Shape: []int{4, 5}, Data: make([]int64, 20)}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "plain.npy"), npy.Bytes())
	if s := open(t, "tokens:"+filepath.Join(dir, "plain.npy"), Options{}); s.Part("train").Labelled() || s.Part("train").Len() != 4 || s.Fields[0].Name != "input_ids" {
		t.Errorf(".npy: want 4 samples of input_ids without labels, got %+v", s.Fields)
	}
}

func TestSentences(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "train.tsv"), []byte("sentence\tlabel\nThe  film is the best\t1\nthe film\t0\n\nbad film\t0\r\n"))
	write(t, filepath.Join(dir, "dev.tsv"), []byte("best unseen [PAD] film a a a a\t1\n"))
	s := open(t, "tsv:"+dir, Options{Seq: 6, Vocab: 7})
	train, test := s.Part("train"), s.Part("test")
	if train == nil || test == nil || train.Len() != 3 || !slices.Equal(train.Labels, []int64{1, 0, 0}) || s.Vocab != 7 || len(s.Classes) != 2 {
		t.Fatalf("want 3 samples of 2 classes, 7 words and a part test, got %+v", s)
	}
	// film and the occur three times, bad, best and is once: bad is the first by name.
	want := []int64{2, 5, 4, 1, 5, 3, 2, 5, 4, 3, 0, 0, 2, 6, 4, 3, 0, 0}
	got := next(t, loader(t, train.All(), LoaderOptions{Batch: 3}))
	if !slices.Equal(got.Inputs[0].I64, want) {
		t.Errorf("tokens: want %v, got %v", want, got.Inputs[0].I64)
	}
	if mask := got.Inputs[1].I64[6:12]; !slices.Equal(mask, []int64{1, 1, 1, 1, 0, 0}) {
		t.Errorf("mask: want 4 words, got %v", mask)
	}
	cut := next(t, loader(t, test.All(), LoaderOptions{Batch: 1})).Inputs[0].I64
	if !slices.Equal(cut, []int64{2, 1, 1, 1, 4, 3}) {
		t.Errorf("words that training does not have, [PAD] among them: want [UNK], cut to 6, got %v", cut)
	}
	write(t, filepath.Join(dir, "train.tsv"), []byte("good\t1\nno class\n"))
	if _, err := Open("tsv:"+dir, Options{}); err == nil || !strings.Contains(err.Error(), "train.tsv:2: want SENTENCE, tab, CLASS") {
		t.Errorf("line without a tab: want an error with its number, got %v", err)
	}
	os.Remove(filepath.Join(dir, "train.tsv"))
	if _, err := Open("tsv:"+dir, Options{}); err == nil {
		t.Error("without train.tsv: want an error, got none")
	}
}
