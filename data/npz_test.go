package data

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
)

func TestNPYRoundTrip(t *testing.T) {
	for _, a := range []Array{
		{Shape: []int{2, 3}, Data: []float32{1, -2, 3.5, 0, float32(math.Inf(1)), 6}},
		{Shape: []int{2}, Data: []float64{math.Pi, -1e300}},
		{Shape: []int{}, Data: []int64{-7}},
		{Shape: []int{3}, Data: []uint8{0, 128, 255}},
		{Shape: []int{1, 2}, Data: []bool{true, false}},
		{Shape: []int{0, 4}, Data: []float32{}},
	} {
		var buf bytes.Buffer
		if err := WriteNPY(&buf, a); err != nil {
			t.Fatal(err)
		}
		if head := buf.Len() - int(reflect.ValueOf(a.Data).Len()*int(reflect.TypeOf(a.Data).Elem().Size())); head%64 != 0 {
			t.Errorf("want the data aligned to 64 bytes, got a header of %d", head)
		}
		got, err := ReadNPY(&buf, "")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Shape, a.Shape) || reflect.ValueOf(got.Data).Len() > 0 && !reflect.DeepEqual(got.Data, a.Data) {
			t.Errorf("want %v, got %v", a, got)
		}
	}
	if err := WriteNPY(&bytes.Buffer{}, Array{Shape: []int{3}, Data: []int64{1}}); err == nil {
		t.Error("want an error for a shape that does not fit")
	}
}

// npy builds a file by hand, as NumPy writes it.
func npy(head string, raw ...byte) []byte {
	b := []byte("\x93NUMPY\x01\x00")
	b = append(b, byte(len(head)), byte(len(head)>>8))
	return append(append(b, head...), raw...)
}

func TestNPYTypes(t *testing.T) {
	for _, c := range []struct {
		descr string
		raw   []byte
		want  any
	}{
		{"<i2", []byte{0xfe, 0xff, 5, 0}, []int64{-2, 5}},
		{">i4", []byte{0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff}, []int64{256, -1}},
		{"<u2", []byte{0xfe, 0xff, 5, 0}, []int64{65534, 5}},
		{"|i1", []byte{0x80, 1}, []int64{-128, 1}},
		{"<f2", []byte{0x00, 0xc0, 0xff, 0x7b}, []float32{-2, 65504}},
		{">f4", []byte{0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0}, []float32{1, -2}},
	} {
		a, err := ReadNPY(bytes.NewReader(npy("{'descr': '"+c.descr+"', 'fortran_order': False, 'shape': (2,), }\n", c.raw...)), "x")
		if err != nil || !reflect.DeepEqual(a.Data, c.want) {
			t.Errorf("%s: want %v, got %v, %v", c.descr, c.want, a.Data, err)
		}
	}
}

func TestNPYFaults(t *testing.T) {
	head := func(descr, order, shape string) []byte {
		return npy("{'descr': '"+descr+"', 'fortran_order': "+order+", 'shape': "+shape+", }\n", 1, 2, 3, 4)
	}
	for say, data := range map[string][]byte{
		"magic":                  []byte("not a numpy file"),
		"offset 4: want the hea": []byte("\x93NUM"),
		"version":                append([]byte("\x93NUMPY\x09\x00"), make([]byte, 9)...),
		"Fortran":                head("<f4", "True", "(1,)"),
		"dtype":                  head("<c8", "False", "(1,)"),
		"sizes of at least 0":    head("<f4", "False", "(-1,)"),
		"2⁴⁰":                    head("<f4", "False", "(9999999999,9999999999)"),
		"want 8 bytes":           head("<f4", "False", "(2,)"),
		"more bytes follow":      head("<f4", "False", "()")[:0:0],
		"shape tuple":            head("<f4", "False", "7"),
		"want key":               npy("{}"),
		"at most 32 axes":        head("<f4", "False", "("+strings.Repeat("1,", 40)+")"),
	} {
		if say == "more bytes follow" {
			data = append(head("<f4", "False", "(1,)"), 9)
		}
		if _, err := ReadNPY(bytes.NewReader(data), "x"); err == nil || !strings.Contains(err.Error(), say) || !strings.HasPrefix(err.Error(), "x: ") {
			t.Errorf("want an error that says %q, got %v", say, err)
		}
	}
}

func FuzzNPY(f *testing.F) {
	f.Add(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", 1, 2, 3, 4))
	f.Add(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }\n", 1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ReadNPY(bytes.NewReader(data), "x")
		if err == nil && reflect.ValueOf(a.Data).Len() != a.Len() {
			t.Errorf("want %d elements for %v, got %d", a.Len(), a.Shape, reflect.ValueOf(a.Data).Len())
		}
	})
}

func writeNPZ(t *testing.T, path string, arrays ...Array) {
	t.Helper()
	var buf bytes.Buffer
	if err := WriteNPZ(&buf, arrays); err != nil {
		t.Fatal(err)
	}
	write(t, path, buf.Bytes())
}

func TestNPZ(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.npz")
	arrays := []Array{
		{Name: "ids", Shape: []int{3, 2}, Data: []int64{1, 2, 3, 4, 5, 6}},
		{Name: "x", Shape: []int{3, 1, 1, 2}, Data: []float64{0, 1, 2, 3, 4, 5}},
		{Name: "labels", Shape: []int{3}, Data: []uint8{2, 0, 1}},
	}
	writeNPZ(t, path, arrays...)
	set := must[*Set](t)(Open("npz:"+path, Options{Mean: []float64{1}, Std: []float64{2}}))
	if len(set.Fields) != 2 || set.Fields[0].Name != "ids" || set.Fields[0].DType != prim.I64 || !set.Fields[1].Image || len(set.Classes) != 3 {
		t.Fatalf("got %+v, classes %v", set.Fields, set.Classes)
	}
	l := must[*Loader](t)(set.Part("train").All().Loader(LoaderOptions{Batch: 2}))
	defer l.Close()
	b := must[*Batch](t)(l.Next())
	if !slices.Equal(b.Inputs[0].I64, []int64{1, 2, 3, 4}) || !slices.Equal(b.Inputs[1].F32, []float32{-0.5, 0, 0.5, 1}) || !slices.Equal(b.Labels.I64, []int64{2, 0}) {
		t.Errorf("got %v, %v, %v", b.Inputs[0].I64, b.Inputs[1].F32, b.Labels.I64)
	}
	few := must[*Set](t)(Open("npz:"+path, Options{Limit: 2})) // one of class 0, one of class 1
	l2 := must[*Loader](t)(few.Part("train").All().Loader(LoaderOptions{Batch: 2}))
	defer l2.Close()
	if b := must[*Batch](t)(l2.Next()); !slices.Equal(b.Inputs[0].I64, []int64{3, 4, 5, 6}) || !slices.Equal(b.Labels.I64, []int64{0, 1}) {
		t.Errorf("limited: got %v, %v", b.Inputs[0].I64, b.Labels.I64)
	}

	var one, two bytes.Buffer
	if err := WriteNPZ(&one, arrays); err != nil {
		t.Fatal(err)
	}
	if err := WriteNPZ(&two, arrays); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("want equal bytes for equal arrays")
	}
}

// Images of a model with channels last are taken as they stand, and with channels first, too.
func TestNPZChannelsLast(t *testing.T) {
	last := make([]float32, 2*4*3)
	for i := range last {
		last[i] = float32(i)
	}
	first := make([]float32, len(last))
	for i, v := range last {
		first[i%3*8+i/3] = v
	}
	path := filepath.Join(t.TempDir(), "d.npz")
	for _, c := range []struct {
		shape  []int
		pixels []float32
		model  []int
	}{
		{[]int{1, 2, 4, 3}, last, []int{-1, 2, 4, 3}},
		{[]int{1, 2, 4, 3}, last, []int{-1, -1, -1, 3}},
		{[]int{1, 3, 2, 4}, first, []int{-1, 2, 4, 3}},
	} {
		writeNPZ(t, path, Array{Name: "x", Shape: c.shape, Data: c.pixels}, Array{Name: "labels", Shape: []int{1, 2, 4}, Data: make([]uint8, 8)})
		in := []ModelInput{{Name: "x", Shape: c.model}}
		set := must[*Set](t)(Open("npz:"+path, Options{Layout: NHWC, Inputs: in}))
		if _, err := set.Bind(in); err != nil {
			t.Error(err)
		}
		if !slices.Equal(set.Shape(), []int{3, 2, 4}) {
			t.Errorf("%v for %v: want channels first in the field, got %v", c.shape, c.model, set.Shape())
		}
		if x := firstBatch(t, set.Part("train")).Inputs[0]; !slices.Equal(x.Shape, []int{1, 2, 4, 3}) || !slices.Equal(x.F32, last) {
			t.Errorf("%v for %v: want the pixels with channels last, got %v of %v", c.shape, c.model, x.F32, x.Shape)
		}
	}
}

func TestNPZFolderAndFaults(t *testing.T) {
	dir := t.TempDir()
	wantError(t, "npz:"+dir, Options{}, "train.npz")
	x := Array{Name: "x", Shape: []int{2, 3}, Data: make([]float32, 6)}
	writeNPZ(t, filepath.Join(dir, "train.npz"), x)
	writeNPZ(t, filepath.Join(dir, "test.npz"), x)
	set := must[*Set](t)(Open("npz:"+dir, Options{}))
	if set.Part("test") == nil || set.Part("train").Labels != nil {
		t.Errorf("want a test part and no labels")
	}
	writeNPZ(t, filepath.Join(dir, "test.npz"), Array{Name: "y", Shape: []int{2, 3}, Data: make([]float32, 6)})
	wantError(t, "npz:"+dir, Options{}, "arrays of the first part")

	file := filepath.Join(dir, "f.npz")
	for say, arrays := range map[string][]Array{
		"none beside":               {{Name: "labels", Shape: []int{1}, Data: []int64{0}}},
		"along the first ax":        {x, {Name: "labels", Shape: []int{}, Data: []int64{0}}},
		"sample 1: want":            {x, {Name: "labels", Shape: []int{2, 2}, Data: []float32{0, 1, 2, float32(math.Inf(-1))}}},
		"want a class of 0 or more": {x, {Name: "labels", Shape: []int{2}, Data: []int64{0, -2}}},
		"below 1048576":             {x, {Name: "labels", Shape: []int{2}, Data: []int64{0, 1 << 40}}},
		"first axis":                {{Name: "x", Shape: []int{}, Data: []float32{1}}},
		"sample 1: want fin":        {{Name: "x", Shape: []int{2, 2}, Data: []float64{0, 1, 2, math.NaN()}}},
		"want 2 samples":            {x, {Name: "y", Shape: []int{1}, Data: []float32{1}}},
	} {
		writeNPZ(t, file, arrays...)
		wantError(t, "npz:"+file, Options{}, say)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, whole[:len(whole)/2])
	wantError(t, "npz:"+file, Options{}, "f.npz")
}
