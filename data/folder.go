package data

import (
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // decoder
	_ "image/png"  // decoder
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/image/draw"

	"github.com/entangle-nas/entangle/engine/prim"
)

// maxImagePixels bounds one image before it is decoded.
const maxImagePixels = 1 << 27

// readFolder reads DIR/CLASS/*.png|jpg as "train", or DIR/train/CLASS/… and
// likewise val and test. Classes are sub-folders in name order. Images are
// decoded when a batch needs them; their headers are checked now.
func readFolder(dir string, o Options) (*Set, error) {
	channels := o.Channels
	if channels == 0 {
		channels = 3
	}
	if channels != 1 && channels != 3 {
		return nil, fmt.Errorf("channels: want 1 or 3, got %d", o.Channels)
	}
	if o.Resize[0] < 0 || o.Resize[1] < 0 || (o.Resize[0] == 0) != (o.Resize[1] == 0) {
		return nil, fmt.Errorf("resize: want a height and a width above 0, got %d×%d", o.Resize[0], o.Resize[1])
	}
	roots := map[string]string{}
	for _, name := range partNames {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			roots[name] = filepath.Join(dir, name)
		}
	}
	if len(roots) == 0 {
		roots["train"] = dir
	}
	set := &Set{Fields: []Field{{DType: prim.F32, Image: true, Bytes: true}}}
	store := &imageStore{height: o.Resize[0], width: o.Resize[1], channels: channels, left: o.CacheBytes}
	if store.left == 0 {
		store.left = 1 << 30
	}
	for _, name := range partNames {
		root, ok := roots[name]
		if !ok {
			continue
		}
		classes, err := subfolders(root)
		if err != nil {
			return nil, err
		}
		if set.Classes == nil {
			set.Classes = classes
		}
		p := &Part{Name: name, Labels: []int64{}}
		var files []string
		for _, class := range classes {
			label := slices.Index(set.Classes, class)
			if label < 0 {
				return nil, fmt.Errorf("%s: want the classes of %q, got %q", root, set.Parts[0].Name, class)
			}
			images, err := imageFiles(filepath.Join(root, class))
			if err != nil {
				return nil, err
			}
			for _, f := range images {
				if err := store.checkHeader(f, o.Resize == [2]int{}); err != nil {
					return nil, err
				}
				files = append(files, f)
				p.Labels = append(p.Labels, int64(label))
			}
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s: want one sub-folder per class with .png, .jpg or .jpeg files, found none", root)
		}
		p.columns = []column{&imageColumn{store: store, files: files, cache: make([][]byte, len(files))}}
		set.Parts = append(set.Parts, p)
	}
	set.Fields[0].Shape = []int{channels, store.height, store.width}
	return set, nil
}

func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func imageFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".png", ".jpg", ".jpeg":
			if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	return files, nil
}

// imageStore holds what the columns of a folder set share.
type imageStore struct {
	height, width, channels int

	mu   sync.Mutex
	left int64 // cache bytes not yet used
}

// checkHeader reads the size of an image; fixed demands the size of the first one.
func (s *imageStore) checkHeader(path string, fixed bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	c, _, err := image.DecodeConfig(f)
	if err != nil {
		return fmt.Errorf("%s: want a PNG or JPEG image: %w", path, err)
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > maxImagePixels/c.Height {
		return fmt.Errorf("%s: want at most %d pixels, got %d×%d", path, maxImagePixels, c.Height, c.Width)
	}
	if !fixed {
		return nil
	}
	if s.height == 0 {
		s.height, s.width = c.Height, c.Width
	}
	if c.Height != s.height || c.Width != s.width {
		return fmt.Errorf("%s: want %d×%d like the first image (or give a size to resize to), got %d×%d", path, s.height, s.width, c.Height, c.Width)
	}
	return nil
}

// imageColumn decodes files on demand and keeps as many as the cache allows.
type imageColumn struct {
	store *imageStore
	files []string
	cache [][]byte // guarded by store.mu
}

func (c *imageColumn) count() int { return len(c.files) }

func (c *imageColumn) read(i int, dst []float32) error {
	c.store.mu.Lock()
	pix := c.cache[i]
	c.store.mu.Unlock()
	if pix == nil {
		var err error
		if pix, err = c.store.load(c.files[i]); err != nil {
			return err
		}
		c.store.mu.Lock()
		if c.cache[i] == nil && c.store.left >= int64(len(pix)) {
			c.cache[i] = pix
			c.store.left -= int64(len(pix))
		}
		c.store.mu.Unlock()
	}
	for k, v := range pix {
		dst[k] = float32(v)
	}
	return nil
}

// load decodes a file into [C, H, W] bytes.
func (s *imageStore) load(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	pix, err := decodeImage(f, s.channels, s.height, s.width)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", path, err)
	}
	return pix, nil
}

// decodeImage scales the largest centred rectangle of the wanted aspect ratio to
// height×width (bilinear with the support widened when shrinking). Transparent
// pixels are laid on black. One channel is 0.299 R + 0.587 G + 0.114 B.
func decodeImage(r io.Reader, channels, height, width int) ([]byte, error) {
	src, _, err := image.Decode(r)
	if err != nil {
		return nil, err
	}
	b := src.Bounds()
	if b.Empty() {
		return nil, errors.New("want an image with pixels, got an empty one")
	}
	h, w := centred(b.Dy(), b.Dx(), height, width)
	at := b.Min.Add(image.Pt((b.Dx()-w)/2, (b.Dy()-h)/2))
	from := image.Rectangle{at, at.Add(image.Pt(w, h))}
	rgba := image.NewRGBA(image.Rect(0, 0, width, height))
	if w == width && h == height {
		draw.Draw(rgba, rgba.Bounds(), src, from.Min, draw.Src)
	} else {
		draw.BiLinear.Scale(rgba, rgba.Bounds(), src, from, draw.Src, nil)
	}
	n := height * width
	out := make([]byte, channels*n)
	for i := range n {
		p := rgba.Pix[4*i : 4*i+3]
		if channels == 1 {
			out[i] = byte((299*int(p[0]) + 587*int(p[1]) + 114*int(p[2]) + 500) / 1000)
			continue
		}
		out[i], out[n+i], out[2*n+i] = p[0], p[1], p[2]
	}
	return out, nil
}
