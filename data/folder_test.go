package data

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"slices"
	"testing"
)

func picture(w, h int, at func(x, y int) color.RGBA) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetRGBA(x, y, at(x, y))
		}
	}
	return m
}

func plain(c color.RGBA) func(x, y int) color.RGBA { return func(int, int) color.RGBA { return c } }

func writePNG(t *testing.T, path string, m image.Image) {
	t.Helper()
	var buf bytes.Buffer
	if err := png.Encode(&buf, m); err != nil {
		t.Fatal(err)
	}
	write(t, path, buf.Bytes())
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	grid := func(x, y int) color.RGBA { return color.RGBA{byte(x), byte(y), byte(10*y + x), 255} }
	writePNG(t, filepath.Join(dir, "train", "dog", "1.png"), picture(4, 3, grid))
	writePNG(t, filepath.Join(dir, "train", "cat", "1.PNG"), picture(4, 3, plain(color.RGBA{9, 8, 7, 255})))
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, picture(4, 3, plain(color.RGBA{200, 200, 200, 255})), nil); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "test", "dog", "2.jpg"), buf.Bytes())
	write(t, filepath.Join(dir, "train", "cat", "notes.txt"), []byte("no image"))
	set := must[*Set](t)(Open("folder:"+dir, Options{Scale: ScaleRaw}))
	if !slices.Equal(set.Classes, []string{"cat", "dog"}) || !slices.Equal(set.Shape(), []int{3, 3, 4}) {
		t.Fatalf("got %v, %v", set.Classes, set.Shape())
	}
	if test := set.Part("test"); test.Len() != 1 || test.Labels[0] != 1 {
		t.Errorf("test part: got %v", test.Labels)
	}
	l := must[*Loader](t)(set.Part("train").All().Loader(LoaderOptions{Batch: 2}))
	defer l.Close()
	for range 2 { // the second time from the cache
		b := must[*Batch](t)(l.Next())
		x := b.Inputs[0].F32
		if x[0] != 9 || x[12] != 8 || x[24] != 7 {
			t.Errorf("cat: got %v", x[:36])
		}
		if dog := x[36:]; dog[1*4+3] != 3 || dog[12+2*4+1] != 2 || dog[24+2*4+3] != 23 {
			t.Errorf("dog: got %v", dog)
		}
	}
}

func TestFolderResize(t *testing.T) {
	dir := t.TempDir()
	// Left quarter and right quarter black, the middle square white.
	writePNG(t, filepath.Join(dir, "a", "1.png"), picture(16, 8, func(x, y int) color.RGBA {
		if x >= 4 && x < 12 {
			return color.RGBA{255, 255, 255, 255}
		}
		return color.RGBA{0, 0, 0, 255}
	}))
	writePNG(t, filepath.Join(dir, "a", "2.png"), picture(5, 40, plain(color.RGBA{100, 0, 0, 255})))
	set := must[*Set](t)(Open("folder:"+dir, Options{Resize: [2]int{4, 4}, Channels: 1, Scale: ScaleRaw}))
	l := must[*Loader](t)(set.Part("train").All().Loader(LoaderOptions{Batch: 2}))
	defer l.Close()
	x := must[*Batch](t)(l.Next()).Inputs[0].F32
	for i, v := range x {
		want := float32(255)
		if i >= 16 {
			want = 30
		}
		if v != want {
			t.Fatalf("element %d: want %v (the centre alone), got %v", i, want, v)
		}
	}
}

func TestFolderFaults(t *testing.T) {
	dir := t.TempDir()
	wantError(t, "folder:"+dir, Options{}, "sub-folder per class")
	writePNG(t, filepath.Join(dir, "a", "1.png"), picture(4, 4, plain(color.RGBA{})))
	writePNG(t, filepath.Join(dir, "a", "2.png"), picture(5, 4, plain(color.RGBA{})))
	wantError(t, "folder:"+dir, Options{}, "2.png", "want 4×4", "got 4×5")
	wantError(t, "folder:"+dir, Options{Resize: [2]int{4, 0}}, "resize")
	wantError(t, "folder:"+dir, Options{Channels: 2}, "channels")
	write(t, filepath.Join(dir, "a", "2.png"), []byte("\x89PNG\r\n"))
	wantError(t, "folder:"+dir, Options{}, "2.png", "PNG or JPEG")

	// The header is whole and the pixels are not: seen when the batch is made.
	var buf bytes.Buffer
	if err := png.Encode(&buf, picture(4, 4, plain(color.RGBA{}))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a", "2.png"), buf.Bytes()[:45])
	set := must[*Set](t)(Open("folder:"+dir, Options{}))
	l := must[*Loader](t)(set.Part("train").All().Loader(LoaderOptions{Batch: 2}))
	defer l.Close()
	if _, err := l.Next(); err == nil {
		t.Error("want an error for a truncated image")
	}
}

func TestFolderParts(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"test/a", "val/a", "train/a", "train/b"} {
		writePNG(t, filepath.Join(dir, filepath.FromSlash(name), "1.png"), picture(2, 2, plain(color.RGBA{})))
	}
	set := must[*Set](t)(Open("folder:"+dir, Options{}))
	var names []string
	for _, p := range set.Parts {
		names = append(names, p.Name)
	}
	if !slices.Equal(names, []string{"train", "val", "test"}) {
		t.Errorf("parts: got %v", names)
	}
	writePNG(t, filepath.Join(dir, "val", "c", "1.png"), picture(2, 2, plain(color.RGBA{})))
	wantError(t, "folder:"+dir, Options{}, "val", `want the classes of "train", got "c"`)
}

func TestFolderCacheKeepsItsBound(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"1.png", "2.png", "3.png"} {
		writePNG(t, filepath.Join(dir, "a", name), picture(2, 2, plain(color.RGBA{})))
	}
	set := must[*Set](t)(Open("folder:"+dir, Options{CacheBytes: 25})) // two images of 12 bytes
	l := must[*Loader](t)(set.Part("train").All().Loader(LoaderOptions{Batch: 3}))
	must[*Batch](t)(l.Next())
	l.Close()
	kept := 0
	for _, pix := range set.Part("train").columns[0].(*imageColumn).cache {
		if pix != nil {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("want 2 images kept, got %d", kept)
	}
}

func TestFolderRefusesHugeImages(t *testing.T) {
	head := []byte("IHDR")
	head = binary.BigEndian.AppendUint32(head, 1<<20)
	head = binary.BigEndian.AppendUint32(head, 1<<20)
	head = append(head, 8, 2, 0, 0, 0)
	file := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	file = binary.BigEndian.AppendUint32(append(file, head...), crc32.ChecksumIEEE(head))
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "1.png"), file)
	wantError(t, "folder:"+dir, Options{Resize: [2]int{4, 4}}, "1.png", "at most 134217728 pixels")
}
