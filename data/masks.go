package data

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"image"
	"image/png"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/entangle-nas/entangle/engine/prim"
)

// maskEndings are those of the files that are read as masks.
var maskEndings = []string{".png", ".npy"}

// readMasks reads DIR/images and DIR/masks as "train", or DIR/train/images, DIR/train/masks
// and likewise val and test: an image and a mask of the same name before the ending. A mask is
// a PNG whose grey values or palette indices are class numbers, or a .npy array [H, W] of
// integers; 255, in arrays below 0 too, does not count. Both have the same size, and are cut
// and scaled alike, the mask by its nearest positions.
func readMasks(dir string, o Options) (*Set, error) {
	store, err := newImageStore(o)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	parts, err := partFolders(dir)
	if err != nil {
		return nil, err
	}
	set := &Set{Fields: []Field{{DType: prim.F32, Image: true, Bytes: true}}}
	seen := &maskClasses{}
	var all []string
	for _, p := range parts {
		images, masks, err := pairs(p.path)
		if err != nil {
			return nil, err
		}
		all = append(all, images...)
		set.Parts = append(set.Parts, &Part{Name: p.part, columns: []column{&imageColumn{store: store, files: images, cache: make([][]byte, len(images))}},
			targets: &maskFiles{imageColumn{store: store, files: masks, cache: make([][]byte, len(masks))}, images, seen}})
	}
	if err := store.measure(all); err != nil {
		return nil, err
	}
	set.Fields[0].Shape = []int{store.channels, store.height, store.width}
	set.LabelShape = []int{store.height, store.width}
	set.checked = func() error { return seen.note(set) }
	return set, nil
}

// pairs returns the images below a folder in name order, and the mask of each.
func pairs(root string) (images, masks []string, err error) {
	stems := func(sub string, endings []string) ([]string, map[string]string, error) {
		dir := filepath.Join(root, sub)
		files, _, err := filesWith(dir, endings)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil, fmt.Errorf("%s: want the folders images and masks, or those in train/, val/ and test/, found no %s", root, sub)
		}
		if err != nil {
			return nil, nil, err
		}
		out := map[string]string{}
		for _, f := range files {
			stem := strings.TrimSuffix(filepath.Base(f), filepath.Ext(f))
			if old, twice := out[stem]; twice {
				return nil, nil, fmt.Errorf("%s: want one file of the name %q before the ending, got %s and %s", dir, stem, filepath.Base(old), filepath.Base(f))
			}
			out[stem] = f
		}
		return slices.Sorted(maps.Keys(out)), out, nil
	}
	names, of, err := stems("images", imageEndings)
	if err != nil {
		return nil, nil, err
	}
	maskNames, maskOf, err := stems("masks", maskEndings)
	if err != nil {
		return nil, nil, err
	}
	var without, spare []string
	for _, n := range names {
		if maskOf[n] == "" {
			without = append(without, filepath.Base(of[n]))
		}
		images, masks = append(images, of[n]), append(masks, maskOf[n])
	}
	for _, n := range maskNames {
		if of[n] == "" {
			spare = append(spare, filepath.Base(maskOf[n]))
		}
	}
	switch {
	case len(names) == 0:
		return nil, nil, fmt.Errorf("%s: want images (%s), found none", filepath.Join(root, "images"), strings.Join(imageEndings, ", "))
	case without != nil:
		return nil, nil, fmt.Errorf("%s: want a mask (%s) for every image, %d of %d have none: %s", root, strings.Join(maskEndings, ", "), len(without), len(names), quotedList(without))
	case spare != nil:
		return nil, nil, fmt.Errorf("%s: want an image for every mask, %d of %d have none: %s", root, len(spare), len(maskNames), quotedList(spare))
	}
	return images, masks, nil
}

// maskFiles decodes masks on demand and keeps as many as the cache allows.
type maskFiles struct {
	imageColumn
	images []string // that the masks belong to
	seen   *maskClasses
}

func (c *maskFiles) read(int, []float32) error { panic("BUG: data: integers are read by readInts") }

func (c *maskFiles) readInts(i int, dst []int64) error {
	raw, err := c.kept(i, c.load)
	if err != nil {
		return fmt.Errorf("data: %s: %w", c.files[i], err)
	}
	maskInts(dst, raw, true)
	return nil
}

func (c *maskFiles) probe(i int) (string, error) {
	_, err := c.kept(i, c.load)
	return c.files[i], err
}

func (c *maskFiles) digest(h hash.Hash) error { return c.imageColumn.digest(h) }

// load brings mask i to the size of the images.
func (c *maskFiles) load(i int) ([]byte, error) {
	pix, height, width, err := readMask(c.files[i])
	if err != nil {
		return nil, err
	}
	h, w, err := imageSize(c.images[i])
	if err != nil {
		return nil, fmt.Errorf("its image %s: %w", c.images[i], err)
	}
	if h != height || w != width {
		return nil, fmt.Errorf("want the size of its image %s, %d×%d, got %d×%d", filepath.Base(c.images[i]), h, w, height, width)
	}
	c.seen.add(pix)
	return nearest(pix, height, width, c.store.height, c.store.width), nil
}

// nearest scales the largest centred rectangle of the aspect ratio of h×w to that size.
func nearest[T any](pix []T, height, width, h, w int) []T {
	rows, cols := nearestPositions(height, width, h, w)
	out := make([]T, 0, h*w)
	for _, y := range rows {
		for _, x := range cols {
			out = append(out, pix[y*width+x])
		}
	}
	return out
}

func nearestPositions(height, width, h, w int) (rows, cols []int) {
	ch, cw := centred(height, width, h, w)
	for y := range h {
		rows = append(rows, (height-ch)/2+(2*y+1)*ch/(2*h))
	}
	for x := range w {
		cols = append(cols, (width-cw)/2+(2*x+1)*cw/(2*w))
	}
	return rows, cols
}

// readMask decodes a file into class numbers.
func readMask(path string) (pix []byte, height, width int, err error) {
	raw, err := os.ReadFile(path)
	switch {
	case err != nil:
		return nil, 0, 0, err
	case len(raw) == 0:
		return nil, 0, 0, errors.New("the file is empty")
	case strings.EqualFold(filepath.Ext(path), ".npy"):
		return arrayMask(raw)
	}
	if _, _, err := headSize(bytes.NewReader(raw)); err != nil {
		return nil, 0, 0, err
	}
	src, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, 0, 0, imageFault(err)
	}
	b := src.Bounds()
	height, width = b.Dy(), b.Dx()
	line := func(pix []byte, stride int) (out []byte) {
		for y := range height {
			out = append(out, pix[y*stride:y*stride+width]...)
		}
		return out
	}
	switch m := src.(type) {
	case *image.Paletted:
		return line(m.Pix, m.Stride), height, width, nil
	case *image.Gray:
		pix = line(m.Pix, m.Stride)
		if depth := raw[24]; depth < 8 { // the decoder scales the values of fewer bits to 0…255
			for i := range pix {
				pix[i] /= 255 / (1<<depth - 1)
			}
		}
		return pix, height, width, nil
	}
	kind := strings.TrimPrefix(fmt.Sprintf("%T", src), "*image.")
	return nil, 0, 0, fmt.Errorf("want a PNG of grey values of at most 8 bits or with a palette, whose numbers are the classes, got %s", kind)
}

func arrayMask(raw []byte) (pix []byte, height, width int, err error) {
	a, err := ReadNPY(bytes.NewReader(raw), "array")
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the array is cut short: %w", err)
		}
		return nil, 0, 0, err
	}
	if len(a.Shape) != 2 || a.Len() == 0 {
		return nil, 0, 0, fmt.Errorf("want an array [height, width], got shape %v", a.Shape)
	}
	height, width = a.Shape[0], a.Shape[1]
	switch d := a.Data.(type) {
	case []uint8:
		return d, height, width, nil
	case []bool:
		for _, v := range d {
			pix = append(pix, map[bool]byte{true: 1}[v])
		}
		return pix, height, width, nil
	}
	ints := a.Ints()
	if ints == nil {
		return nil, 0, 0, fmt.Errorf("want integers or booleans, got %T", a.Data)
	}
	for i, v := range ints {
		if v > uncounted {
			return nil, 0, 0, fmt.Errorf("row %d, column %d: want classes below %d, or %d or less than 0 for what does not count, got %d", i/width, i%width, uncounted, uncounted, v)
		}
		if v < 0 {
			v = uncounted
		}
		pix = append(pix, byte(v))
	}
	return pix, height, width, nil
}

// maskClasses collects the class numbers of masks.
type maskClasses struct {
	mu   sync.Mutex
	seen [256]bool
}

func (m *maskClasses) add(pix []byte) {
	var seen [256]bool
	for _, v := range pix {
		seen[v] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for v, s := range seen {
		m.seen[v] = m.seen[v] || s
	}
}

// note tells a set which classes its masks have, and refuses those that check does.
func (m *maskClasses) note(set *Set) error {
	if err := m.check(); err != nil {
		return err
	}
	classes := m.classes()
	note := "masks have the classes " + strings.Join(classes, ", ")
	if m.seen[uncounted] {
		note += "; 255 does not count"
	}
	set.Notes = append(set.Notes, note)
	return nil
}

// check refuses masks that are painted in black and white.
func (m *maskClasses) check() error {
	switch classes := m.classes(); {
	case classes == nil:
		return errors.New("masks: want positions that have a class, all are 255, which does not count")
	case len(classes) == 1 && m.seen[uncounted]:
		return fmt.Errorf("masks: want the numbers of at least two classes, got %s and 255 alone: 255 does not count; where it is meant as a class, write 1 for it", classes[0])
	}
	return nil
}

// classes lists the numbers that count.
func (m *maskClasses) classes() (out []string) {
	for v, s := range m.seen[:uncounted] {
		if s {
			out = append(out, fmt.Sprint(v))
		}
	}
	return out
}

// merge adds what other parts have.
func (m *maskClasses) merge(other *maskClasses) {
	for v, s := range other.seen {
		m.seen[v] = m.seen[v] || s
	}
}
