package data

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// palette is a mask whose palette has the wrong order for everything but its indices.
func palette(w, h int, pix ...byte) image.Image {
	p := color.Palette{}
	for i := range 256 {
		p = append(p, color.RGBA{byte(255 - i), byte(i * 7), 3, 255})
	}
	return &image.Paletted{Pix: pix, Stride: w, Rect: image.Rect(0, 0, w, h), Palette: p}
}

func grey(w, h int, pix ...byte) image.Image {
	return &image.Gray{Pix: pix, Stride: w, Rect: image.Rect(0, 0, w, h)}
}

func writeNPY(t *testing.T, path string, a Array) {
	t.Helper()
	var buf bytes.Buffer
	if err := WriteNPY(&buf, a); err != nil {
		t.Fatal(err)
	}
	write(t, path, buf.Bytes())
}

// scenes writes images whose grey value is 10 for every class number of their mask, 255 as 0.
func scenes(t *testing.T, dir string, w, h int, masks map[string][]byte) {
	t.Helper()
	for name, pix := range masks {
		m := picture(w, h, func(x, y int) color.RGBA {
			v := pix[y*w+x] * 10
			if pix[y*w+x] == uncounted {
				v = 0
			}
			return color.RGBA{v, v, v, 255}
		})
		writePNG(t, filepath.Join(dir, "images", name+".png"), m)
		writePNG(t, filepath.Join(dir, "masks", name+".png"), grey(w, h, pix...))
	}
}

func TestMasks(t *testing.T) {
	dir := t.TempDir()
	pix := []byte{0, 1, 2, 3, 255, 5}
	want := []int64{0, 1, 2, 3, -1, 5}
	scenes(t, filepath.Join(dir, "train"), 3, 2, map[string][]byte{"a": pix})
	scenes(t, filepath.Join(dir, "test"), 3, 2, map[string][]byte{"a": pix, "b": pix, "c": pix, "d": pix})
	writePNG(t, filepath.Join(dir, "test", "masks", "b.png"), palette(3, 2, pix...))
	for name, a := range map[string]Array{"c": {Shape: []int{2, 3}, Data: []int64{0, 1, 2, 3, -7, 5}}, "d": {Shape: []int{2, 3}, Data: pix}} {
		writeNPY(t, filepath.Join(dir, "test", "masks", name+".npy"), a)
		remove(t, filepath.Join(dir, "test", "masks", name+".png"))
	}
	set := must[*Set](t)(Open("masks:"+dir, Options{}))
	if !slices.Equal(set.LabelShape, []int{2, 3}) || set.FloatLabels || set.Classes != nil || len(set.Parts) != 2 {
		t.Fatalf("got labels %v in %d parts", set.LabelShape, len(set.Parts))
	}
	if !slices.Contains(set.Notes, "masks have the classes 0, 1, 2, 3, 5; 255 does not count") {
		t.Errorf("notes: got %q", set.Notes)
	}
	labels := firstBatch(t, set.Part("test")).Labels
	if !slices.Equal(labels.Shape, []int{4, 2, 3}) {
		t.Fatalf("want labels of 4 samples, got %v", labels.Shape)
	}
	for i := range 4 {
		if got := labels.I64[6*i : 6*i+6]; !slices.Equal(got, want) {
			t.Errorf("mask %d: want %v, got %v", i, want, got)
		}
	}
	must[string](t)(set.Digest())
}

// Files of fewer bits hold the numbers themselves.
func TestMasksOfFewBits(t *testing.T) {
	dir := t.TempDir()
	scenes(t, dir, 2, 1, map[string][]byte{"a": {1, 0}})
	// Two grey pixels of 2 bits, 3 and 1.
	var buf bytes.Buffer
	if err := png.Encode(&buf, palette4(2, 1, 3, 1)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "masks", "a.png"), greyOf(t, buf.Bytes()))
	set := must[*Set](t)(Open("masks:"+dir, Options{}))
	if got := firstBatch(t, set.Part("train")).Labels.I64; !slices.Equal(got, []int64{3, 1}) {
		t.Errorf("want 3 and 1, got %v", got)
	}
}

func TestMasksResize(t *testing.T) {
	dir := t.TempDir()
	var pix []byte
	for y := range 4 {
		for x := range 8 {
			pix = append(pix, byte(y*8+x))
		}
	}
	scenes(t, dir, 8, 4, map[string][]byte{"a": pix})
	// The centred square of 4 columns, each second position of it.
	set := must[*Set](t)(Open("masks:"+dir, Options{Resize: Size{2, 2}, Channels: 1}))
	b := firstBatch(t, set.Part("train"))
	if want := []int64{8 + 3, 8 + 5, 24 + 3, 24 + 5}; !slices.Equal(b.Labels.I64, want) || !slices.Equal(b.Inputs[0].Shape, []int{1, 1, 2, 2}) {
		t.Errorf("want %v, got %v for images %v", want, b.Labels.I64, b.Inputs[0].Shape)
	}
	// Arrays of masks are scaled with their images.
	path := filepath.Join(t.TempDir(), "d.npz")
	writeNPZ(t, path, Array{Name: "x", Shape: []int{1, 1, 4, 8}, Data: make([]uint8, 32)}, Array{Name: "labels", Shape: []int{1, 4, 8}, Data: pix})
	set = must[*Set](t)(Open("npz:"+path, Options{Resize: Size{2, 2}}))
	if got := firstBatch(t, set.Part("train")).Labels; !slices.Equal(got.I64, b.Labels.I64) || !slices.Equal(got.Shape, []int{1, 2, 2}) {
		t.Errorf("want %v, got %v", b.Labels.I64, got)
	}
}

// What moves an image moves its mask: a pixel's grey value says the class that it must have.
func TestMasksMoveWithImages(t *testing.T) {
	dir := t.TempDir()
	masks := map[string][]byte{}
	for i, name := range []string{"a", "b", "c"} {
		var pix []byte
		for k := range 5 * 4 {
			pix = append(pix, byte(1+(k*7+i)%20))
		}
		masks[name] = pix
	}
	scenes(t, dir, 5, 4, masks)
	set := must[*Set](t)(Open("masks:"+dir, Options{Scale: ScaleRaw}))
	steps, err := ParseAugments("flip,crop:2")
	if err != nil {
		t.Fatal(err)
	}
	l := must[*Loader](t)(set.Part("train").All().Loader(LoaderOptions{Batch: 3, Augment: steps, Shuffle: true, Seed: 4}))
	defer l.Close()
	moved, outside := 0, 0
	for range 20 {
		b := must[*Batch](t)(l.Next())
		for i := range 3 {
			mask, grey := b.Labels.I64[20*i:20*i+20], b.Inputs[0].F32[60*i:60*i+20]
			for k, class := range mask {
				want := int64(grey[k] / 10)
				if want == 0 {
					want = -1
					outside++
				}
				if class != want {
					t.Fatalf("sample %d, position %d: want class %d, got %d", i, k, want, class)
				}
			}
			if first := masks[string("abc"[b.Index[i]])]; mask[7] != int64(first[7]) {
				moved++
			}
		}
	}
	if moved < 20 || outside < 100 {
		t.Errorf("want masks that move and positions that come in, got %d and %d", moved, outside)
	}
}

func TestAugmentationsThatLabelsDoNotFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.npz")
	x := Array{Name: "x", Shape: []int{1, 3, 4, 4}, Data: make([]float32, 48)}
	for _, c := range []struct {
		labels  Array
		augment string
		says    string
	}{
		{Array{Shape: []int{1}, Data: []int64{0}}, "flip,crop,mixup", ""},
		{Array{Shape: []int{1}, Data: []float32{0}}, "flip,crop,cutout", ""},
		{Array{Shape: []int{1, 1}, Data: []float32{0}}, "flip,crop,cutout", ""},
		{Array{Shape: []int{1, 3}, Data: []int64{0, 1, 1}}, "flip,crop,cutout", ""},
		{Array{Shape: []int{1, 4, 4}, Data: make([]int64, 16)}, "flip,crop", ""},
		{Array{Shape: []int{1, 4, 4}, Data: make([]int64, 16)}, "flip,cutout", `"cutout" changes images: labels, integers [4 4] a sample, do not follow`},
		{Array{Shape: []int{1, 2, 2}, Data: make([]int64, 4)}, "flip", `"flip" changes images: labels, integers [2 2] a sample`},
		{Array{Shape: []int{1, 4}, Data: make([]float32, 4)}, "crop", `"crop" changes images: labels, floats [4] a sample`},
		{Array{Shape: []int{1, 4, 4}, Data: make([]float32, 16)}, "crop", `"crop" changes images: labels, floats [4 4] a sample`},
		{Array{Shape: []int{1}, Data: []float32{0}}, "mixup", `"mixup" mixes samples: want labels that are one class, got a float a sample`},
		{Array{Shape: []int{1, 4, 4}, Data: make([]int64, 16)}, "mixup", `"mixup" mixes samples`},
	} {
		c.labels.Name = "labels"
		writeNPZ(t, path, x, c.labels)
		set := must[*Set](t)(Open("npz:"+path, Options{}))
		steps, err := ParseAugments(c.augment)
		if err != nil {
			t.Fatal(err)
		}
		if err := set.CheckAugment(steps); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %s: want %q, got %v", c.augment, labelKind(set.LabelShape, set.FloatLabels), c.says, err)
		}
	}
}

func TestMaskFaults(t *testing.T) {
	pix := []byte{0, 1, 2, 3}
	whole := func() string {
		dir := t.TempDir()
		scenes(t, dir, 2, 2, map[string][]byte{"a": pix, "b": pix})
		return dir
	}
	wantError(t, "masks:"+t.TempDir(), Options{}, "want the folders images and masks", "found no images")
	for _, c := range []struct {
		spoil func(masks, images string)
		says  []string
	}{
		{func(m, _ string) { remove(t, m+"a.png") }, []string{"want a mask (.png, .npy) for every image, 1 of 2 have none", `"a.png"`}},
		{func(_, i string) { remove(t, i+"b.png") }, []string{"want an image for every mask, 1 of 2 have none", `"b.png"`}},
		{func(m, _ string) { writeNPY(t, m+"a.npy", Array{Shape: []int{2, 2}, Data: pix}) }, []string{`want one file of the name "a" before the ending, got a.npy and a.png`}},
		{func(m, _ string) { writePNG(t, m+"a.png", picture(2, 2, plain(color.RGBA{1, 2, 3, 255}))) }, []string{"1 of 2 files cannot be read", "a.png: want a PNG of grey values of at most 8 bits or with a palette", "got RGBA"}},
		{func(m, _ string) { writePNG(t, m+"a.png", image.NewGray16(image.Rect(0, 0, 2, 2))) }, []string{"got Gray16"}},
		{func(m, _ string) { writePNG(t, m+"a.png", grey(1, 2, 0, 1)) }, []string{"a.png: want the size of its image a.png, 2×2, got 2×1"}},
		{func(m, _ string) { write(t, m+"a.png", nil) }, []string{"a.png: the file is empty"}},
		{func(_, i string) { write(t, i+"a.png", nil) }, []string{"a.png: the file is empty"}},
		{func(m, _ string) {
			remove(t, m+"a.png")
			writeNPY(t, m+"a.npy", Array{Shape: []int{2, 2}, Data: []int64{0, 1, 256, 0}})
		}, []string{"a.npy: row 1, column 0: want classes below 255", "got 256"}},
		{func(m, _ string) {
			remove(t, m+"a.png")
			writeNPY(t, m+"a.npy", Array{Shape: []int{4}, Data: []int64{0, 1, 1, 0}})
		}, []string{"a.npy: want an array [height, width], got shape [4]"}},
		{func(m, _ string) {
			remove(t, m+"a.png")
			writeNPY(t, m+"a.npy", Array{Shape: []int{2, 2}, Data: make([]float32, 4)})
		}, []string{"a.npy: want integers or booleans, got []float32"}},
		{func(m, _ string) {
			for _, n := range []string{"a", "b"} {
				writePNG(t, m+n+".png", grey(2, 2, 0, 255, 255, 0))
			}
		}, []string{"want the numbers of at least two classes, got 0 and 255 alone", "write 1 for it"}},
		{func(m, _ string) {
			for _, n := range []string{"a", "b"} {
				writePNG(t, m+n+".png", grey(2, 2, 255, 255, 255, 255))
			}
		}, []string{"all are 255"}},
	} {
		dir := whole()
		c.spoil(filepath.Join(dir, "masks")+"/", filepath.Join(dir, "images")+"/")
		wantError(t, "masks:"+dir, Options{}, c.says...)
	}
	dir := whole()
	write(t, filepath.Join(dir, "masks", "a.png"), nil)
	set := must[*Set](t)(Open("masks:"+dir, Options{SkipBad: true}))
	if set.Part("train").Len() != 1 {
		t.Errorf("want the whole sample alone, got %d", set.Part("train").Len())
	}
	steps, _ := ParseAugments("cutout")
	if _, err := set.Part("train").All().Loader(LoaderOptions{Batch: 1, Augment: steps}); err == nil || !strings.Contains(err.Error(), `augmentation "cutout" changes images`) {
		t.Errorf("cutout of masks: want an error that names it, got %v", err)
	}
}

// palette4 is a mask with a palette of four colours, which a file holds in 2 bits.
func palette4(w, h int, pix ...byte) image.Image {
	m := palette(w, h, pix...).(*image.Paletted)
	m.Palette = m.Palette[:4]
	return m
}

// greyOf makes a file with a palette one of grey values of as many bits: the numbers in it stay.
func greyOf(t *testing.T, file []byte) []byte {
	t.Helper()
	out := slices.Clone(file[:8])
	for at := 8; at < len(file); {
		n := int(binary.BigEndian.Uint32(file[at:]))
		chunk := slices.Clone(file[at : at+12+n])
		at += 12 + n
		switch string(chunk[4:8]) {
		case "PLTE":
			continue
		case "IHDR":
			if chunk[8+8] != 2 {
				t.Fatalf("want 2 bits, got %d", chunk[8+8])
			}
			chunk[8+9] = 0
			binary.BigEndian.PutUint32(chunk[8+n:], crc32.ChecksumIEEE(chunk[4:8+n]))
		}
		out = append(out, chunk...)
	}
	return out
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
