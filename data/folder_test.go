package data

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
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
	wantError(t, "folder:"+dir, Options{}, "2.png", "WebP image, the file is none")
	wantError(t, "folder:"+filepath.Join(dir, "a", "1.png"), Options{}, "1.png")
}

// bad fills a folder with a whole image per class and damaged ones in class b.
func bad(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	whole := func(encode func(w io.Writer, m image.Image) error) []byte {
		var buf bytes.Buffer
		if err := encode(&buf, picture(8, 8, plain(color.RGBA{1, 2, 3, 255}))); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	asPNG := whole(png.Encode)
	asJPEG := whole(func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) })
	asBMP := whole(bmp.Encode)
	write(t, filepath.Join(dir, "a", "1.png"), asPNG)
	write(t, filepath.Join(dir, "b", "1.png"), asPNG)
	write(t, filepath.Join(dir, "b", "2.png"), asPNG[:45])
	write(t, filepath.Join(dir, "b", "3.jpg"), asJPEG[:len(asJPEG)/2])
	write(t, filepath.Join(dir, "b", "4.jpg"), nil)
	write(t, filepath.Join(dir, "b", "5.bmp"), asBMP[:60])
	write(t, filepath.Join(dir, "b", "6.webp"), []byte("<html>not found</html>"))
	write(t, filepath.Join(dir, "b", "7.png"), []byte("<html>"))
	return dir
}

func TestFolderChecksEveryFile(t *testing.T) {
	for _, o := range []Options{{}, {Resize: Size{4, 4}}} {
		dir := bad(t)
		wantError(t, "folder:"+dir, o, "6 of 8 files cannot be read", "2.png", "3.jpg: the image is cut short", "4.jpg: the file is empty", "5.bmp", "6.webp: want a PNG, JPEG, BMP or WebP image", "and 1 more", "--skip-bad")
		o.SkipBad = true
		set := must[*Set](t)(Open("folder:"+dir, o))
		if !slices.Equal(set.Part("train").Labels, []int64{0, 1}) {
			t.Errorf("want the two whole images, got %v", set.Part("train").Labels)
		}
		if note := strings.Join(set.Notes, "\n"); !strings.Contains(note, "left out 6 of 8 files that cannot be read: 6 of class b") {
			t.Errorf("want a note of what was left out, got %s", note)
		}
		firstBatch(t, set.Part("train"))
		o.Limit = 3
		set = must[*Set](t)(Open("folder:"+dir, o))
		if !slices.Equal(set.Part("train").Labels, []int64{0, 1}) {
			t.Errorf("with a limit: want the two whole images, got %v", set.Part("train").Labels)
		}
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "1.png"), nil)
	wantError(t, "folder:"+dir, Options{SkipBad: true}, "1 of 1 files cannot be read")
	wantError(t, "folder:"+dir, Options{SkipBad: true, Resize: Size{4, 4}}, "no file can be read")
}

func TestFolderCheckIsHeardAndEnded(t *testing.T) {
	dir := bad(t)
	heard := 0
	host := &Host{Progress: func(_ string, done, total int) {
		if heard++; done != heard || total != 8 {
			t.Errorf("progress: want %d of 8, got %d of %d", heard, done, total)
		}
	}}
	must[*Set](t)(Open("folder:"+dir, Options{SkipBad: true, Resize: Size{4, 4}, Host: host}))
	if heard != 8 {
		t.Errorf("want 8 files heard of, got %d", heard)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open("folder:"+dir, Options{Resize: Size{4, 4}, Host: &Host{Context: ctx}}); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's error, got %v", err)
	}
}

// A file that breaks after the check is an error of its batch.
func TestFolderFileGoneLater(t *testing.T) {
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "a", "1.png"), picture(4, 4, plain(color.RGBA{})))
	set := must[*Set](t)(Open("folder:"+dir, Options{CacheBytes: 1}))
	write(t, filepath.Join(dir, "a", "1.png"), nil)
	l := must[*Loader](t)(set.Part("train").All().Loader(LoaderOptions{Batch: 1}))
	defer l.Close()
	if _, err := l.Next(); err == nil || !strings.Contains(err.Error(), "1.png: the file is empty") {
		t.Errorf("want an error that names the file, got %v", err)
	}
}

func TestFolderBMPAndWebP(t *testing.T) {
	dir := t.TempDir()
	dots := func(x, y int) color.RGBA {
		if x == 1 && y == 0 {
			return color.RGBA{200, 100, 50, 255}
		}
		return color.RGBA{10, 20, 30, 255}
	}
	var buf bytes.Buffer
	if err := bmp.Encode(&buf, picture(4, 3, dots)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a", "1.BMP"), buf.Bytes())
	webp, err := base64.StdEncoding.DecodeString("UklGRiIAAABXRUJQVlA4TBYAAAAvA4AAAA9wCqgr+J7CY/6DByMQ0f8I")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a", "2.webp"), webp)
	b := firstBatch(t, must[*Set](t)(Open("folder:"+dir, Options{Scale: ScaleRaw})).Part("train"))
	for i := range 2 {
		if x := b.Inputs[0].F32[36*i:]; !slices.Equal(x[:2], []float32{10, 200}) || !slices.Equal(x[12:14], []float32{20, 100}) || !slices.Equal(x[24:26], []float32{30, 50}) {
			t.Errorf("image %d: got %v", i, x[:36])
		}
	}
}

func TestFolderClasses(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "classes.txt")
	for _, name := range []string{"ant", "cat", "dog"} {
		writePNG(t, filepath.Join(dir, name, "1.png"), picture(2, 2, plain(color.RGBA{})))
	}
	set := must[*Set](t)(Open("folder:"+dir, Options{}))
	if !set.ByName || !slices.Equal(set.Part("train").Labels, []int64{0, 1, 2}) || !slices.Contains(set.Notes, "3 classes, numbered in the order of the folders' names: 0 ant, 1 cat, 2 dog") {
		t.Errorf("got %v, %q", set.Part("train").Labels, set.Notes)
	}
	// The folder bee is missing.
	write(t, file, []byte("\ufeffant\r\nbee\r\ncat\r\ndog\r\n\r\n"))
	set = must[*Set](t)(Open("folder:"+dir, Options{Classes: file}))
	if set.ByName || !slices.Equal(set.Part("train").Labels, []int64{0, 2, 3}) || !slices.Equal(set.Classes, []string{"ant", "bee", "cat", "dog"}) {
		t.Errorf("got %v of %q", set.Part("train").Labels, set.Classes)
	}
	write(t, file, []byte("ant\ndog"))
	wantError(t, "folder:"+dir, Options{Classes: file}, "want the classes that "+file+" lists", `"cat"`)
	write(t, file, []byte("ant\n\ndog"))
	wantError(t, "folder:"+dir, Options{Classes: file}, file+":2: want the name of class 1")
	write(t, file, []byte("ant\ndog\nant"))
	wantError(t, "folder:"+dir, Options{Classes: file}, file+":3: want another name than in line 1")
	wantError(t, "folder:"+dir, Options{Classes: file + ".none"}, "classes: open")
	wantError(t, "npz:"+dir, Options{Classes: file}, "option classes: data of the kind npz has none")
}

func TestFolderWithoutLabels(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		writePNG(t, filepath.Join(dir, fmt.Sprintf("%d.png", i)), picture(2, 2, plain(color.RGBA{byte(i), 0, 0, 255})))
	}
	write(t, filepath.Join(dir, "scan.tiff"), []byte("x"))
	set := must[*Set](t)(Open("folder:"+dir, Options{Scale: ScaleRaw}))
	if p := set.Part("train"); p.Labelled() || p.Len() != 3 || set.Classes != nil {
		t.Fatalf("want 3 images without labels, got %d, %t, %v", p.Len(), p.Labelled(), set.Classes)
	}
	if notes := strings.Join(set.Notes, "\n"); !strings.Contains(notes, "3 images directly in the folder: they have no labels") || !strings.Contains(notes, "not read: 1 .tiff") {
		t.Errorf("notes: got %s", notes)
	}
	if x := firstBatch(t, set.Part("train")); x.Inputs[0].F32[24] != 2 || x.Labels != nil {
		t.Errorf("got %v", x.Inputs[0].F32)
	}
	file := filepath.Join(t.TempDir(), "classes.txt")
	write(t, file, []byte("a\nb\n"))
	wantError(t, "folder:"+dir, Options{Classes: file}, "the images in "+dir+" have none")
	writePNG(t, filepath.Join(dir, "cat", "1.png"), picture(2, 2, plain(color.RGBA{})))
	wantError(t, "folder:"+dir, Options{}, "got both: 0.png and 1 in cat")

	// Training images without labels, and labelled ones to measure on.
	dir = t.TempDir()
	writePNG(t, filepath.Join(dir, "train", "1.png"), picture(2, 2, plain(color.RGBA{})))
	writePNG(t, filepath.Join(dir, "test", "cat", "1.png"), picture(2, 2, plain(color.RGBA{})))
	writePNG(t, filepath.Join(dir, "extra", "1.png"), picture(2, 2, plain(color.RGBA{})))
	set = must[*Set](t)(Open("folder:"+dir, Options{}))
	if set.Part("train").Labelled() || !set.Part("test").Labelled() || !slices.Equal(set.Classes, []string{"cat"}) {
		t.Errorf("want labels on test alone")
	}
	if notes := strings.Join(set.Notes, "\n"); !strings.Contains(notes, `not read: "extra"`) {
		t.Errorf("notes: got %s", notes)
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
