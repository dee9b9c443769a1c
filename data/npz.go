package data

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
)

// ReadNPZ reads every array of a NumPy .npz file, in the order of the file.
func ReadNPZ(path string) ([]Array, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer z.Close()
	var out []Array
	seen := map[string]bool{}
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			continue
		}
		if seen[name] {
			return nil, fmt.Errorf("%s: array %q: stands twice in the file", path, name)
		}
		seen[name] = true
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, f.Name, err)
		}
		a, err := ReadNPY(r, path+": "+f.Name)
		r.Close()
		if err != nil {
			return nil, err
		}
		a.Name = name
		out = append(out, a)
	}
	return out, nil
}

// WriteNPZ writes arrays as a NumPy .npz file; equal arrays give equal bytes.
func WriteNPZ(w io.Writer, arrays []Array) error {
	z := zip.NewWriter(w)
	for _, a := range arrays {
		f, err := z.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Deflate})
		if err != nil {
			return err
		}
		if err := WriteNPY(f, a); err != nil {
			return err
		}
	}
	return z.Close()
}

// readNPZSet reads FILE as the part "train", or DIR/train.npz and DIR/test.npz
// (and val.npz) as parts. The first axis of every array counts the samples. Images of a model
// with channels last may have theirs last or first.
func readNPZSet(path string, o Options) (*Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	set := &Set{opts: o}
	if !info.IsDir() {
		if err := set.addNPZ("train", path); err != nil {
			return nil, err
		}
	} else {
		for _, name := range partNames {
			file := filepath.Join(path, name+".npz")
			if err := set.addNPZ(name, file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
		}
		if len(set.Parts) == 0 {
			return nil, errors.New("want train.npz or test.npz in the folder, found neither")
		}
	}
	return set, set.countClasses()
}

// countClasses names the classes 0 to the largest label.
func (s *Set) countClasses() error {
	classes := int64(0)
	for _, p := range s.Parts {
		for _, l := range p.Labels {
			classes = max(classes, l+1)
		}
	}
	if classes > 1<<20 {
		return fmt.Errorf("labels: want class numbers below %d, got %d", 1<<20, classes-1)
	}
	for i := range classes {
		s.Classes = append(s.Classes, strconv.FormatInt(i, 10))
	}
	return nil
}

// partNames are the parts a source may have, in the order of Set.Parts.
var partNames = []string{"train", "val", "test"}

func (s *Set) addNPZ(name, path string) error {
	arrays, err := ReadNPZ(path)
	if err != nil {
		return err
	}
	return s.addArrays(name, path, arrays)
}

// addArrays adds a part with a field per array, and labels of the array of that name.
func (s *Set) addArrays(name, path string, arrays []Array) error {
	p := &Part{Name: name}
	var fields []Field
	for _, a := range arrays {
		if a.Name == labelsKey {
			l, err := readLabels(a)
			if err == nil {
				err = s.label(p, l)
			}
			if err != nil {
				return fmt.Errorf("%s: array %q: %w", path, a.Name, err)
			}
			continue
		}
		f, c, err := npzField(a)
		if err != nil {
			return fmt.Errorf("%s: array %q: %w", path, a.Name, err)
		}
		if f.Image && s.lastChannels(f) {
			f.Shape = []int{f.Shape[2], f.Shape[0], f.Shape[1]}
			c = channelsLast{c, f.Shape}
		}
		fields = append(fields, f)
		p.columns = append(p.columns, c)
	}
	return s.addPart(p, path, fields)
}

// lastChannels reports whether the images of an array of files stand there as a model takes them
// that wants channels last: they fit its input, or only their last size is its number of channels.
func (s *Set) lastChannels(f Field) bool {
	if s.opts.Layout != NHWC {
		return false
	}
	at := slices.IndexFunc(s.opts.Inputs, func(in ModelInput) bool { return in.Name == f.Name && len(in.Shape) == 4 })
	if at < 0 {
		at = slices.IndexFunc(s.opts.Inputs, func(in ModelInput) bool { return len(in.Shape) == 4 })
	}
	if at < 0 {
		return false
	}
	in := s.opts.Inputs[at].Shape
	return fits(in, f.Shape) || f.Shape[2] == in[3] && f.Shape[0] != in[3]
}

// addPart adds a part whose columns belong to the fields, which must be the set's.
func (s *Set) addPart(p *Part, path string, fields []Field) error {
	if len(fields) == 0 {
		return fmt.Errorf("%s: want an array for each model input, got none beside %q", path, labelsKey)
	}
	if len(s.Parts) == 0 {
		s.Fields = fields
	} else if !slices.EqualFunc(s.Fields, fields, func(a, b Field) bool {
		return a.Name == b.Name && slices.Equal(a.Shape, b.Shape) && a.DType == b.DType && a.Bytes == b.Bytes
	}) {
		return fmt.Errorf("%s: want the arrays of the first part, %s, got %s", path, fieldList(s.Fields), fieldList(fields))
	}
	s.Parts = append(s.Parts, p)
	return nil
}

func fieldList(fields []Field) string {
	var out []string
	for _, f := range fields {
		kind := f.DType.String()
		if f.Bytes {
			kind = "u8"
		}
		out = append(out, fmt.Sprintf("%q %s%v", f.Name, kind, f.Shape))
	}
	return strings.Join(out, ", ")
}

func npzField(a Array) (Field, column, error) {
	if len(a.Shape) == 0 || a.Shape[0] == 0 {
		return Field{}, nil, fmt.Errorf("want samples along the first axis, got shape %v", a.Shape)
	}
	f := Field{Name: a.Name, Shape: a.Shape[1:], DType: prim.F32, Image: len(a.Shape) == 4 && !strings.HasPrefix(strings.ToLower(a.Name), "past")}
	size := prim.Prod(f.Shape)
	if size == 0 {
		f.DType, f.Image = prim.F32, false
		if _, ints := a.Data.([]int64); ints {
			f.DType = prim.I64
		}
		return f, noColumn(a.Shape[0]), nil
	}
	switch d := a.Data.(type) {
	case []uint8:
		f.Bytes = true
		return f, byteColumn{d, size}, nil
	case []int64:
		f.DType, f.Image = prim.I64, false
		return f, intColumn{d, size}, nil
	}
	values := a.floats()
	if err := finite(values, size, 0); err != nil {
		return Field{}, nil, err
	}
	return f, floatColumn{values, size}, nil
}
