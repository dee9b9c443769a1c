package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/entangle-nas/entangle/engine/prim"
)

// readIDX reads train-images, train-labels, t10k-images and t10k-labels in the
// IDX format of the MNIST page: images u8 [n, h, w], labels u8 [n].
func readIDX(dir string, _ Options) (*Set, error) {
	set := &Set{Fields: []Field{{DType: prim.F32, Image: true, Bytes: true}}}
	classes := 0
	for _, part := range []struct{ name, prefix string }{{"train", "train"}, {"test", "t10k"}} {
		images, err := findIDX(dir, part.prefix+"-images", "idx3")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		sizes, pixels, err := loadIDX(images, 3)
		if err != nil {
			return nil, err
		}
		shape := []int{1, sizes[1], sizes[2]}
		if f := &set.Fields[0]; f.Shape == nil {
			f.Shape = shape
		} else if prim.Prod(shape) != prim.Prod(f.Shape) || shape[1] != f.Shape[1] {
			return nil, fmt.Errorf("%s: want images of %v as in the other part, got %v", images, f.Shape, shape)
		}
		p := &Part{Name: part.name, columns: []column{byteColumn{pixels, prim.Prod(shape)}}}
		set.Parts = append(set.Parts, p)
		path, err := findIDX(dir, part.prefix+"-labels", "idx1")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		_, labels, err := loadIDX(path, 1)
		if err != nil {
			return nil, err
		}
		p.Labels = make([]int64, len(labels))
		for i, l := range labels {
			p.Labels[i] = int64(l)
			classes = max(classes, int(l)+1)
		}
	}
	if len(set.Parts) == 0 {
		return nil, fmt.Errorf("want train-images-idx3-ubyte or t10k-images-idx3-ubyte, plain or .gz, found neither")
	}
	for i := range classes {
		set.Classes = append(set.Classes, strconv.Itoa(i))
	}
	return set, nil
}

// findIDX returns the first existing spelling of an IDX file name.
func findIDX(dir, stem, rank string) (string, error) {
	for _, sep := range []string{"-", "."} {
		for _, ext := range []string{"", ".gz"} {
			path := filepath.Join(dir, stem+sep+rank+"-ubyte"+ext)
			_, err := os.Stat(path)
			if err == nil {
				return path, nil
			}
			if !errors.Is(err, os.ErrNotExist) {
				return "", err
			}
		}
	}
	return "", fmt.Errorf("%s: %w", filepath.Join(dir, stem), os.ErrNotExist)
}

// loadIDX reads one file of unsigned bytes with the given rank.
func loadIDX(path string, rank int) (sizes []int, data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if filepath.Ext(path) == ".gz" {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		r = z
	}
	return parseIDX(path, r, rank)
}

func parseIDX(path string, r io.Reader, rank int) (sizes []int, data []byte, err error) {
	head := make([]byte, 4+4*rank)
	if n, err := io.ReadFull(r, head); err != nil {
		return nil, nil, fmt.Errorf("%s: offset %d: want a header of %d bytes: %w", path, n, len(head), err)
	}
	if head[0] != 0 || head[1] != 0 || head[2] != 8 || int(head[3]) != rank {
		return nil, nil, fmt.Errorf("%s: offset 0: want the IDX magic number 00 00 08 %02x (unsigned bytes, rank %d), got % x", path, rank, rank, head[:4])
	}
	total := uint64(1)
	for i := range rank {
		n := binary.BigEndian.Uint32(head[4+4*i:])
		sizes = append(sizes, int(n))
		if n == 0 || uint64(n) > maxBytes/total {
			return nil, nil, fmt.Errorf("%s: offset %d: want sizes from 1 to a total of 2⁴⁰ bytes, got %v", path, 4+4*i, sizes)
		}
		total *= uint64(n)
	}
	data, err = readExactly(r, int64(total))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: offset %d: want %d bytes of elements %v: %w", path, len(head)+len(data), total, sizes, err)
	}
	return sizes, data, nil
}

// readExactly reads n bytes and checks that nothing follows. Memory grows with
// what is really there, not with n. On an error it returns what it has read.
func readExactly(r io.Reader, n int64) ([]byte, error) {
	var buf bytes.Buffer
	got, err := io.Copy(&buf, io.LimitReader(r, n+1))
	switch {
	case err != nil:
		return buf.Bytes(), err
	case got < n:
		return buf.Bytes(), fmt.Errorf("the file ends after %d", got)
	case got > n:
		return buf.Bytes()[:n], errors.New("more bytes follow")
	}
	return buf.Bytes(), nil
}
