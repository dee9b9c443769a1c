package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
)

// cifarRecord is one label byte and the planes R, G, B of 32×32 bytes.
const (
	cifarPixels = 3 * 32 * 32
	cifarRecord = 1 + cifarPixels
)

var cifarNames = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// readCIFAR reads data_batch_*.bin as "train" and test_batch.bin as "test".
func readCIFAR(dir string, _ Options) (*Set, error) {
	set := &Set{
		Fields:  []Field{{Shape: []int{3, 32, 32}, DType: prim.F32, Image: true, Bytes: true}},
		Classes: cifarNames,
	}
	names, err := cifarClasses(filepath.Join(dir, "batches.meta.txt"))
	if err != nil {
		return nil, err
	}
	if names != nil {
		set.Classes = names
	}
	for _, part := range []struct{ name, pattern string }{{"train", "data_batch_*.bin"}, {"test", "test_batch.bin"}} {
		files, err := filepath.Glob(filepath.Join(globEscape(dir), part.pattern))
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			continue
		}
		var pixels []byte
		var labels []int64
		for _, path := range files {
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			if len(raw) == 0 || len(raw)%cifarRecord != 0 {
				whole := len(raw) / cifarRecord * cifarRecord
				return nil, fmt.Errorf("%s: offset %d: want whole records of %d bytes, got %d bytes at the end", path, whole, cifarRecord, len(raw)-whole)
			}
			if pixels == nil {
				pixels = make([]byte, 0, len(files)*len(raw)/cifarRecord*cifarPixels)
			}
			for at := 0; at < len(raw); at += cifarRecord {
				if int(raw[at]) >= len(set.Classes) {
					return nil, fmt.Errorf("%s: offset %d: want a label from 0 to %d, got %d", path, at, len(set.Classes)-1, raw[at])
				}
				labels = append(labels, int64(raw[at]))
				pixels = append(pixels, raw[at+1:at+cifarRecord]...)
			}
		}
		set.Parts = append(set.Parts, &Part{Name: part.name, Labels: labels, columns: []column{byteColumn{pixels, cifarPixels}}})
	}
	if len(set.Parts) == 0 {
		if packed, _ := filepath.Glob(filepath.Join(globEscape(dir), "*_batch*.bin.*")); len(packed) > 0 {
			return nil, fmt.Errorf("want data_batch_*.bin or test_batch.bin, found only packed files such as %s: unpack them first, for example with: xz -dk FILE", filepath.Base(packed[0]))
		}
		if _, err := os.Stat(dir); err != nil {
			return nil, err
		}
		return nil, errors.New("want data_batch_*.bin or test_batch.bin, found neither (the binary version of CIFAR-10, not the Python one)")
	}
	return set, nil
}

// cifarClasses reads one class name per line; nil without the file.
func cifarClasses(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := strings.Fields(string(text))
	if len(names) == 0 || len(names) > 256 {
		return nil, fmt.Errorf("%s: want 1 to 256 class names, got %s", path, strconv.Itoa(len(names)))
	}
	return names, nil
}

// globEscape protects the characters that filepath.Glob reads as patterns.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
