package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
)

// readTokens reads NumPy files of token arrays: FILE as the part "train", or
// DIR/train, DIR/val and DIR/test with the ending .npz or .npy as parts. Integer
// arrays, bytes included, are fields of integers. Labels are an array "labels" or
// "label": one class per sample, or a target per position.
func readTokens(path string, _ Options) (*Set, error) {
	set := &Set{}
	files, err := partFiles(path, ".npz", ".npy")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		arrays, err := readArrays(f.path)
		if err != nil {
			return nil, err
		}
		for i, a := range arrays {
			if d, ok := a.Data.([]uint8); ok {
				arrays[i].Data = Array{Data: d}.Ints()
			}
			if a.Name == "label" {
				arrays[i].Name = labelsKey
			}
		}
		if err := set.addArrays(f.part, f.path, arrays); err != nil {
			return nil, err
		}
	}
	for i := range set.Fields {
		f := &set.Fields[i]
		f.Image = false
		f.Optional = slices.Contains(sideFields, f.Name)
		for _, p := range set.Parts {
			if c, ok := p.columns[i].(intColumn); ok && f.Name == "input_ids" && len(c.data) > 0 {
				set.Vocab = max(set.Vocab, int(min(slices.Max(c.data), maxToken))+1)
			}
		}
	}
	return set, set.countClasses()
}

// sideFields are the arrays that a model of tokens may do without.
var sideFields = []string{"attention_mask", "token_type_ids", "position_ids"}

// readArrays reads an .npz file, or an .npy file as one array "input_ids".
func readArrays(path string) ([]Array, error) {
	if !strings.HasSuffix(path, ".npy") {
		return ReadNPZ(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a, err := ReadNPY(f, path)
	a.Name = "input_ids"
	return []Array{a}, err
}

// partFile is a file that holds one part of a set.
type partFile struct{ part, path string }

// partFiles returns path as the part "train" when it is a file, else the files of
// the folder named like a part, with the first of the endings that there is.
func partFiles(path string, endings ...string) ([]partFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []partFile{{"train", path}}, nil
	}
	var out []partFile
	for _, name := range partNames {
		for _, e := range endings {
			file := filepath.Join(path, name+e)
			if _, err := os.Stat(file); err == nil {
				out = append(out, partFile{name, file})
				break
			} else if !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("want a file train, val or test with the ending %s in the folder, found none", strings.Join(endings, " or "))
	}
	return out, nil
}

// windows is a stream of tokens as samples: sample i has the size tokens from
// i·stride + shift on. One token beyond the last sample is kept for its targets.
type windows[T uint16 | uint32] struct {
	tokens              []T
	size, stride, shift int
}

func (w windows[T]) count() int {
	if len(w.tokens) <= w.size {
		return 0
	}
	return (len(w.tokens)-w.size-1)/w.stride + 1
}

func (w windows[T]) read(int, []float32) error { panic("BUG: data: integers are read by readInts") }

func (w windows[T]) readInts(i int, dst []int64) error { return w.readFrom(i, 0, dst) }

func (w windows[T]) readFrom(i, offset int, dst []int64) error {
	for k, v := range w.tokens[i*w.stride+w.shift+offset:][:w.size] {
		dst[k] = int64(v)
	}
	return nil
}

// moved reads the windows of a stream from offset elements after their start.
type moved interface {
	readFrom(i, offset int, dst []int64) error
}

// fixedInts is a field that is the same in every sample.
type fixedInts struct {
	n      int
	values []int64
}

func (c fixedInts) count() int                { return c.n }
func (c fixedInts) read(int, []float32) error { panic("BUG: data: integers are read by readInts") }

func (c fixedInts) readInts(_ int, dst []int64) error {
	copy(dst, c.values)
	return nil
}

func intField(name string, n int, side bool) Field {
	return Field{Name: name, Shape: []int{n}, DType: prim.I64, Optional: side}
}

func counting(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}
