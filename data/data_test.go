package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/testenv"
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// wantError opens spec and checks that the error names every part.
func wantError(t *testing.T, spec string, o Options, parts ...string) {
	t.Helper()
	_, err := Open(spec, o)
	if err == nil {
		t.Errorf("%s: want an error that says %q, got none", spec, parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s: want an error that says %q, got: %v", spec, p, err)
		}
	}
}

func idx(sizes []int, elements []byte) []byte {
	b := []byte{0, 0, 8, byte(len(sizes))}
	for _, n := range sizes {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return append(b, elements...)
}

func packed(t *testing.T, data []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(data)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestLists(t *testing.T) {
	if err := ValidateSources(Sources()); err != nil {
		t.Error(err)
	}
	if err := ValidateAugments(Augments()); err != nil {
		t.Error(err)
	}
	wantError(t, "nothing:x", Options{}, "idx:PATH", "npz:PATH", `"nothing:x"`)
	wantError(t, "idx", Options{}, "idx:PATH")
}

func TestIDX(t *testing.T) {
	dir := t.TempDir()
	pixels := make([]byte, 3*2*4)
	for i := range pixels {
		pixels[i] = byte(10 * i)
	}
	write(t, filepath.Join(dir, "train-images-idx3-ubyte.gz"), packed(t, idx([]int{3, 2, 4}, pixels)))
	write(t, filepath.Join(dir, "train-labels-idx1-ubyte"), idx([]int{3}, []byte{1, 0, 2}))
	write(t, filepath.Join(dir, "t10k-images.idx3-ubyte"), idx([]int{1, 2, 4}, pixels[:8]))
	write(t, filepath.Join(dir, "t10k-labels.idx1-ubyte"), idx([]int{1}, []byte{2}))
	set := must[*Set](t)(Open("idx:"+dir, Options{Mean: []float64{0.5}, Std: []float64{0.25}}))
	if !slices.Equal(set.Shape(), []int{1, 2, 4}) || len(set.Classes) != 3 || set.Part("train").Len() != 3 || set.Part("test").Len() != 1 {
		t.Fatalf("got shape %v, classes %v", set.Shape(), set.Classes)
	}
	l := must[*Loader](t)(set.Part("train").All().Loader(LoaderOptions{Batch: 3}))
	defer l.Close()
	b := must[*Batch](t)(l.Next())
	if !slices.Equal(b.Labels.I64, []int64{1, 0, 2}) {
		t.Errorf("labels: got %v", b.Labels.I64)
	}
	for i, v := range b.Inputs[0].F32 {
		if want := (float64(pixels[i])/255 - 0.5) / 0.25; math.Abs(float64(v)-want) > 1e-5 {
			t.Fatalf("element %d: want %v, got %v", i, want, v)
		}
	}
}

func TestIDXFaults(t *testing.T) {
	good := idx([]int{2, 2, 2}, make([]byte, 8))
	for name, c := range map[string]struct {
		images, labels []byte
		say            []string
	}{
		"truncated":    {good[:len(good)-3], nil, []string{"offset 21", "want 8 bytes", "ends after 5"}},
		"header":       {good[:7], nil, []string{"offset 7", "header of 16"}},
		"magic":        {append([]byte{1}, good[1:]...), nil, []string{"magic", "01 00 08 03"}},
		"rank":         {idx([]int{2, 4}, make([]byte, 8)), nil, []string{"rank 3"}},
		"more":         {append(slices.Clone(good), 1), nil, []string{"more bytes follow"}},
		"huge":         {idx([]int{1 << 31, 1 << 31, 1 << 31}, nil), nil, []string{"offset 8", "2⁴⁰"}},
		"large":        {idx([]int{1 << 30, 2, 2}, make([]byte, 8)), nil, []string{"ends after 8"}},
		"empty":        {idx([]int{0, 2, 2}, nil), nil, []string{"sizes from 1"}},
		"label number": {good, idx([]int{3}, []byte{0, 1, 0}), []string{"want 2 labels", "got 3"}},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "train-images-idx3-ubyte"), c.images)
		if c.labels != nil {
			write(t, filepath.Join(dir, "train-labels-idx1-ubyte"), c.labels)
		}
		t.Log(name)
		wantError(t, "idx:"+dir, Options{}, c.say...)
	}
	dir := t.TempDir()
	wantError(t, "idx:"+dir, Options{}, "found neither")
	z := packed(t, good)
	write(t, filepath.Join(dir, "train-images-idx3-ubyte.gz"), z[:len(z)-6])
	wantError(t, "idx:"+dir, Options{}, "train-images-idx3-ubyte.gz", "unexpected EOF")
}

func TestOptionsThatDoNotFit(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "train-images-idx3-ubyte"), idx([]int{2, 2, 2}, make([]byte, 8)))
	for say, o := range map[string]Options{
		"mean: want 1 or 1 values": {Mean: []float64{0, 0, 0}},
		"std: value 0":             {Std: []float64{0}},
		"resize":                   {Resize: [2]int{3, 0}},
		"scale":                    {Scale: "x"},
		"layout":                   {Layout: "x"},
		"limit":                    {Limit: -1},
	} {
		wantError(t, "idx:"+dir, o, say)
	}
}

func cifarBytes(labels ...byte) []byte {
	var out []byte
	for i, l := range labels {
		out = append(out, l)
		for k := range cifarPixels {
			out = append(out, byte(k+i))
		}
	}
	return out
}

func TestCIFAR(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "data_batch_2.bin"), cifarBytes(9, 0))
	write(t, filepath.Join(dir, "data_batch_1.bin"), cifarBytes(3))
	write(t, filepath.Join(dir, "test_batch.bin"), cifarBytes(1))
	write(t, filepath.Join(dir, "batches.meta.txt"), []byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n"))
	set := must[*Set](t)(Open("cifar10:"+dir, Options{Scale: ScaleRaw, Layout: NHWC}))
	train := set.Part("train")
	if !slices.Equal(train.Labels, []int64{3, 9, 0}) || set.Classes[9] != "j" {
		t.Fatalf("got labels %v, classes %v", train.Labels, set.Classes)
	}
	l := must[*Loader](t)(train.All().Loader(LoaderOptions{Batch: 3}))
	defer l.Close()
	b := must[*Batch](t)(l.Next())
	x := b.Inputs[0]
	if !slices.Equal(x.Shape, []int{3, 32, 32, 3}) {
		t.Fatalf("want NHWC, got %v", x.Shape)
	}
	// sample 2 is record 1 of data_batch_2: pixel (row 4, column 7), channel 2
	if want, got := float32((2*1024+4*32+7+1)%256), x.F32[((2*32+4)*32+7)*3+2]; got != want {
		t.Errorf("want the raw pixel %v, got %v", want, got)
	}
}

func TestCIFARFaults(t *testing.T) {
	dir := t.TempDir()
	wantError(t, "cifar10:"+dir, Options{}, "found neither")
	wantError(t, "cifar10:"+filepath.Join(dir, "none"), Options{}, "no such file")
	write(t, filepath.Join(dir, "data_batch_1.bin.xz"), []byte("x"))
	wantError(t, "cifar10:"+dir, Options{}, "data_batch_1.bin.xz", "xz -dk")
	write(t, filepath.Join(dir, "data_batch_1.bin"), cifarBytes(1, 2)[:cifarRecord+100])
	wantError(t, "cifar10:"+dir, Options{}, "data_batch_1.bin", "offset 3073", "got 100 bytes")
	write(t, filepath.Join(dir, "data_batch_1.bin"), cifarBytes(1, 10))
	wantError(t, "cifar10:"+dir, Options{}, "offset 3073", "0 to 9, got 10")
	write(t, filepath.Join(dir, "batches.meta.txt"), nil)
	wantError(t, "cifar10:"+dir, Options{}, "class names")
}

// TestFashionMNIST reads the data set of the Debian package.
func TestFashionMNIST(t *testing.T) {
	const dir = "/usr/share/datasets/fashion-mnist"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the Debian package dataset-fashion-mnist is absent")
	}
	set := must[*Set](t)(Open("idx:"+dir, Options{}))
	if n, m := set.Part("train").Len(), set.Part("test").Len(); n != 60000 || m != 10000 || len(set.Classes) != 10 {
		t.Fatalf("want 60000 and 10000 samples of 10 classes, got %d, %d, %v", n, m, set.Classes)
	}
}

func TestLimitTakesFromEveryClass(t *testing.T) {
	set := synthetic(t, SyntheticOptions{Classes: 4, Train: 40, Test: 8, Data: Options{Limit: 12}})
	count := make([]int, 4)
	for _, l := range set.Part("train").Labels {
		count[l]++
	}
	if set.Part("train").Len() != 12 || slices.Min(count) != 3 || set.Part("test").Len() != 8 {
		t.Errorf("want 3 of each class and a small part left alone, got %v", count)
	}
	// The pixels move with the labels.
	whole := synthetic(t, SyntheticOptions{Classes: 4, Train: 40, Test: 8})
	a, b := make([]float32, 60), make([]float32, 60)
	sorted := synthetic(t, SyntheticOptions{Classes: 4, Train: 40, Test: 8})
	p := sorted.Part("train")
	for i := range p.Labels {
		p.Labels[i] = int64(i / 10)
	}
	p.limit(8)
	for k, from := range []int{0, 1, 10, 11, 20, 21, 30, 31} {
		if err := p.columns[0].read(k, a); err != nil {
			t.Fatal(err)
		}
		if err := whole.Part("train").columns[0].read(from, b); err != nil {
			t.Fatal(err)
		}
		if p.Labels[k] != int64(from/10) || !slices.Equal(a, b) {
			t.Errorf("sample %d: want sample %d of the source", k, from)
		}
	}
}

func TestRealCIFAR(t *testing.T) {
	dir := filepath.Join(testenv.Models(t), "cifar10")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("%s is absent", dir)
	}
	wantError(t, "cifar10:"+dir, Options{}, ".bin.xz")
}

func FuzzIDX(f *testing.F) {
	f.Add(idx([]int{2, 2, 2}, make([]byte, 8)))
	f.Add(idx([]int{1, 1, 3}, []byte{1, 2}))
	f.Fuzz(func(t *testing.T, file []byte) {
		sizes, elements, err := parseIDX("x", bytes.NewReader(file), 3)
		if err == nil && len(elements) != sizes[0]*sizes[1]*sizes[2] {
			t.Errorf("want %v elements, got %d", sizes, len(elements))
		}
	})
}
