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

	_ "golang.org/x/image/bmp" // decoder
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // decoder

	"github.com/entangle-nas/entangle/engine/prim"
)

// maxImagePixels bounds one image before it is decoded.
const maxImagePixels = 1 << 27

// imageEndings are those of the files that are read as images.
var imageEndings = []string{".png", ".jpg", ".jpeg", ".bmp", ".webp"}

// folders is the layout of a folder of images while it is read.
type folders struct {
	set   *Set
	store *imageStore
	given []string       // classes that a file lists; nil: none does
	file  string         // that lists them
	other map[string]int // files with other endings, by ending
}

// readFolder reads DIR/CLASS/*.png|jpg|bmp|webp as "train", or DIR/train/CLASS/… and
// likewise val and test. Images directly in such a folder have no labels. Classes are
// sub-folders in name order, or numbered by the file Options.Classes. Images are decoded
// when a batch needs them; finish decodes each once.
func readFolder(dir string, o Options) (*Set, error) {
	store, err := newImageStore(o)
	if err != nil {
		return nil, err
	}
	d := &folders{set: &Set{Fields: []Field{{DType: prim.F32, Image: true, Bytes: true}}}, store: store, file: o.Classes, other: map[string]int{}}
	if o.Classes != "" {
		if d.given, err = readClasses(o.Classes); err != nil {
			return nil, &OptionError{"classes", err}
		}
		d.set.Classes = d.given
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	parts, err := partFolders(dir)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if err := d.part(p.part, p.path); err != nil {
			return nil, err
		}
	}
	if parts[0].path != dir {
		if err := d.beside(dir); err != nil {
			return nil, err
		}
	}
	labelled := slices.ContainsFunc(d.set.Parts, func(p *Part) bool { return p.Labels != nil })
	if d.given != nil && !labelled {
		return nil, &OptionError{"classes", fmt.Errorf("classes: %s has names for folders of classes, the images in %s have none", d.file, dir)}
	}
	d.note(labelled)
	var files []string
	for _, p := range d.set.Parts {
		files = append(files, p.columns[0].(*imageColumn).files...)
	}
	if err := store.measure(files); err != nil {
		return nil, err
	}
	d.set.Fields[0].Shape = []int{store.channels, store.height, store.width}
	return d.set, nil
}

// partFolders returns the folders train, val and test of dir, or dir as the part "train".
func partFolders(dir string) ([]partFile, error) {
	var out []partFile
	for _, name := range partNames {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			out = append(out, partFile{name, path})
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if out == nil {
		out = []partFile{{"train", dir}}
	}
	return out, nil
}

// part adds the images below a folder.
func (d *folders) part(name, root string) error {
	classes, err := subfolders(root)
	if err != nil {
		return err
	}
	flat, err := d.images(root)
	if err != nil {
		return err
	}
	p, files := &Part{Name: name}, flat
	if len(flat) == 0 {
		p.Labels = []int64{}
		if d.set.Classes == nil {
			d.set.Classes = classes
			d.set.ByName = true
		}
	}
	var unknown, empty []string
	for _, class := range classes {
		images, err := d.images(filepath.Join(root, class))
		if err != nil {
			return err
		}
		if len(images) > 0 && len(flat) > 0 {
			return fmt.Errorf("%s: want images in one sub-folder per class, or directly in the folder and without labels, got both: %s and %d in %s", root, filepath.Base(flat[0]), len(images), class)
		}
		label := slices.Index(d.set.Classes, class)
		switch {
		case len(flat) > 0:
			continue
		case label < 0:
			unknown = append(unknown, class)
		case len(images) == 0:
			empty = append(empty, class)
		}
		for _, f := range images {
			files = append(files, f)
			p.Labels = append(p.Labels, int64(label))
		}
	}
	switch {
	case len(files) == 0:
		return fmt.Errorf("%s: want images (%s) in one sub-folder per class, or directly in the folder without labels, found none", root, strings.Join(imageEndings, ", "))
	case unknown != nil && d.given != nil:
		return &OptionError{"classes", fmt.Errorf("%s: want the classes that %s lists, got %s", root, d.file, quotedList(unknown))}
	case unknown != nil:
		return fmt.Errorf("%s: want the classes of %q, got %s: a file of the classes that the model knows, one a line, says which numbers they have (option classes)", root, d.set.Parts[0].Name, quotedList(unknown))
	case empty != nil:
		d.set.Notes = append(d.set.Notes, fmt.Sprintf("%s: no images in the folders of the classes %s", root, quotedList(empty)))
	}
	p.columns = []column{&imageColumn{store: d.store, files: files, cache: make([][]byte, len(files))}}
	d.set.Parts = append(d.set.Parts, p)
	return nil
}

// beside notes what stands beside the folders of the parts and is not read.
func (d *folders) beside(dir string) error {
	dirs, err := subfolders(dir)
	if err != nil {
		return err
	}
	var left []string
	for _, name := range dirs {
		if slices.Contains(partNames, name) {
			continue
		}
		images, err := d.images(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if len(images) > 0 {
			left = append(left, name)
		}
	}
	if left != nil {
		d.set.Notes = append(d.set.Notes, fmt.Sprintf("%s: the parts are its folders train, val and test; not read: %s", dir, quotedList(left)))
	}
	return nil
}

// note says what was found.
func (d *folders) note(labelled bool) {
	by := "in the order of the folders' names"
	if d.given != nil {
		by = "by " + d.file
	}
	if labelled {
		d.set.Notes = append(d.set.Notes, fmt.Sprintf("%d classes, numbered %s: %s", len(d.set.Classes), by, numbered(d.set.Classes)))
	}
	for _, p := range d.set.Parts {
		if p.Labels == nil {
			d.set.Notes = append(d.set.Notes, fmt.Sprintf("part %q: %d images directly in the folder: they have no labels", p.Name, p.columns[0].count()))
		}
	}
	var endings []string
	for e, n := range d.other {
		endings = append(endings, fmt.Sprintf("%d %s", n, e))
	}
	slices.Sort(endings)
	if endings != nil {
		d.set.Notes = append(d.set.Notes, fmt.Sprintf("files with other endings than %s are not read: %s", strings.Join(imageEndings, ", "), strings.Join(endings, ", ")))
	}
}

// shownNames is how many of a list of names a message shows.
const shownNames = 32

// numbered lists names with their numbers.
func numbered(names []string) string {
	var out []string
	for i, n := range names[:min(len(names), shownNames)] {
		out = append(out, fmt.Sprintf("%d %s", i, n))
	}
	if last := len(names) - 1; last >= shownNames {
		out = append(out, "…", fmt.Sprintf("%d %s", last, names[last]))
	}
	return strings.Join(out, ", ")
}

func quotedList(names []string) string {
	var out []string
	for _, n := range names[:min(len(names), shownNames)] {
		out = append(out, fmt.Sprintf("%q", n))
	}
	if len(names) > shownNames {
		out = append(out, fmt.Sprintf("and %d more", len(names)-shownNames))
	}
	return strings.Join(out, ", ")
}

// readClasses reads one name a line; the line says the number, from 0.
func readClasses(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("classes: %w", err)
	}
	var names []string
	seen := map[string]int{}
	for at, line := range strings.Split(strings.TrimRight(strings.TrimPrefix(string(text), "\ufeff"), " \t\r\n"), "\n") {
		name := strings.TrimSpace(line)
		if name == "" {
			return nil, fmt.Errorf("classes: %s:%d: want the name of class %d, got an empty line", path, at+1, at)
		}
		if old, twice := seen[name]; twice {
			return nil, fmt.Errorf("classes: %s:%d: want another name than in line %d, got %q", path, at+1, old, name)
		}
		seen[name] = at + 1
		names = append(names, name)
	}
	return names, nil
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

// images returns the image files of a folder in name order, and counts the others.
func (d *folders) images(dir string) ([]string, error) {
	files, others, err := filesWith(dir, imageEndings)
	for _, f := range others {
		e := strings.ToLower(filepath.Ext(f))
		if e == "" {
			e = "without an ending"
		}
		d.other[e]++
	}
	return files, err
}

// filesWith returns the files of a folder that have one of the endings, and the others.
func filesWith(dir string, endings []string) (files, others []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			continue
		}
		if slices.Contains(endings, strings.ToLower(filepath.Ext(e.Name()))) {
			files = append(files, path)
		} else {
			others = append(others, path)
		}
	}
	return files, others, nil
}

// imageStore holds what the columns of a folder set share.
type imageStore struct {
	height, width, channels int

	mu   sync.Mutex
	left int64 // cache bytes not yet used
}

func newImageStore(o Options) (*imageStore, error) {
	s := &imageStore{height: o.Resize[0], width: o.Resize[1], channels: o.Channels, left: o.CacheBytes}
	if s.channels == 0 {
		s.channels = 3
	}
	if s.channels != 1 && s.channels != 3 {
		return nil, fmt.Errorf("channels: want 1 or 3, got %d", o.Channels)
	}
	if s.height < 0 || s.width < 0 || (s.height == 0) != (s.width == 0) {
		return nil, fmt.Errorf("resize: want a height and a width above 0, got %d×%d", s.height, s.width)
	}
	if s.left == 0 {
		s.left = defaultCache
	}
	return s, nil
}

// defaultCache is what Options.CacheBytes is when it is 0.
const defaultCache = 1 << 30

// measure takes the size of the images when none is given: all that can be read must have the same.
func (s *imageStore) measure(files []string) error {
	if s.height > 0 {
		return nil
	}
	var first string
	var bad []badFile
	for _, path := range files {
		h, w, err := imageSize(path)
		switch {
		case err != nil:
			bad = append(bad, badFile{path: path, err: err})
		case first == "":
			first, s.height, s.width = path, h, w
		case h != s.height || w != s.width:
			return fmt.Errorf("%s: want %d×%d like %s, got %d×%d: the model leaves the size of images open, the option resize says what they are brought to (resize=HEIGHTxWIDTH)", path, s.height, s.width, first, h, w)
		}
	}
	if first == "" {
		return badFiles(bad, len(files))
	}
	return nil
}

// imageSize reads the head of an image.
func imageSize(path string) (height, width int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	return headSize(f)
}

func headSize(r io.Reader) (height, width int, err error) {
	c, _, err := image.DecodeConfig(r)
	switch {
	case err != nil:
		return 0, 0, imageFault(err)
	case c.Width <= 0 || c.Height <= 0 || c.Width > maxImagePixels/c.Height:
		return 0, 0, fmt.Errorf("want at most %d pixels, got %d×%d", maxImagePixels, c.Height, c.Width)
	}
	return c.Height, c.Width, nil
}

// imageFault says what an error of a decoder means.
func imageFault(err error) error {
	switch {
	case errors.Is(err, image.ErrFormat):
		return errors.New("want a PNG, JPEG, BMP or WebP image, the file is none")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("the image is cut short: %w", err)
	}
	return err
}

// imageColumn decodes files on demand and keeps as many as the cache allows.
type imageColumn struct {
	store *imageStore
	files []string
	cache [][]byte // guarded by store.mu
}

func (c *imageColumn) count() int { return len(c.files) }

// probe reports whether sample i can be read.
func (c *imageColumn) probe(i int) (path string, err error) {
	_, err = c.pixels(i)
	return c.files[i], err
}

func (c *imageColumn) read(i int, dst []float32) error {
	pix, err := c.pixels(i)
	if err != nil {
		return fmt.Errorf("data: %s: %w", c.files[i], err)
	}
	for k, v := range pix {
		dst[k] = float32(v)
	}
	return nil
}

func (c *imageColumn) pixels(i int) ([]byte, error) {
	return c.kept(i, func(i int) ([]byte, error) { return c.store.load(c.files[i]) })
}

// kept returns what load gives of sample i, from the cache if it is there.
func (c *imageColumn) kept(i int, load func(i int) ([]byte, error)) ([]byte, error) {
	c.store.mu.Lock()
	pix := c.cache[i]
	c.store.mu.Unlock()
	if pix == nil {
		var err error
		if pix, err = load(i); err != nil {
			return nil, err
		}
		c.store.mu.Lock()
		if c.cache[i] == nil && c.store.left >= int64(len(pix)) {
			c.cache[i] = pix
			c.store.left -= int64(len(pix))
		}
		c.store.mu.Unlock()
	}
	return pix, nil
}

// load decodes a file into [C, H, W] bytes.
func (s *imageStore) load(path string) ([]byte, error) {
	src, err := openImage(path)
	if err != nil {
		return nil, err
	}
	return s.bring(src)
}

// openImage decodes a file.
func openImage(path string) (src image.Image, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		return nil, errors.New("the file is empty")
	}
	defer func() {
		if p := recover(); p != nil { // the decoders are not ours
			src, err = nil, fmt.Errorf("the image cannot be decoded: %v", p)
		}
	}()
	if _, _, err := headSize(f); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if src, _, err = image.Decode(f); err != nil {
		return nil, imageFault(err)
	}
	if src.Bounds().Empty() {
		return nil, errors.New("want an image with pixels, got an empty one")
	}
	return src, nil
}

// bring scales the largest centred rectangle of the wanted aspect ratio to the store's
// size (bilinear with the support widened when shrinking). Transparent pixels are laid on
// black. One channel is 0.299 R + 0.587 G + 0.114 B.
func (s *imageStore) bring(src image.Image) ([]byte, error) {
	channels, height, width := s.channels, s.height, s.width
	b := src.Bounds()
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
