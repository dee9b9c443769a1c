package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
)

// digester is a column whose samples cost much to read: it hashes what they are read from.
type digester interface {
	digest(h hash.Hash) error
}

// Digest returns SHA-256 over the parts: their names, sizes, labels and samples as stored, of
// folders of images the files' contents. It is the same wherever the data lie.
func (s *Set) Digest() (string, error) {
	h := sha256.New()
	for _, p := range s.Parts {
		fmt.Fprintf(h, "part %q %d\n", p.Name, p.Len())
		for _, l := range p.Labels {
			binary.Write(h, binary.LittleEndian, l)
		}
		columns := p.columns
		if p.targets != nil {
			columns = append(columns[:len(columns):len(columns)], p.targets)
		}
		for k, c := range columns {
			fmt.Fprintf(h, "column %d %d\n", k, c.count())
			if err := digestColumn(h, c, p, k); err != nil {
				return "", fmt.Errorf("data: %s: %w", s.Spec, err)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func digestColumn(h hash.Hash, c column, p *Part, k int) error {
	if d, ok := c.(digester); ok {
		return d.digest(h)
	}
	shape, integers := p.set.LabelShape, !p.set.FloatLabels
	if k < len(p.set.Fields) {
		shape, integers = p.set.Fields[k].Shape, p.set.Fields[k].DType == prim.I64
	}
	n := prim.Prod(shape)
	if integers {
		values, raw := make([]int64, n), make([]byte, 8*n)
		for i := range c.count() {
			if err := c.(intReader).readInts(i, values); err != nil {
				return err
			}
			for j, v := range values {
				binary.LittleEndian.PutUint64(raw[8*j:], uint64(v))
			}
			h.Write(raw)
		}
		return nil
	}
	values, raw := make([]float32, n), make([]byte, 4*n)
	for i := range c.count() {
		if err := c.read(i, values); err != nil {
			return err
		}
		for j, v := range values {
			binary.LittleEndian.PutUint32(raw[4*j:], math.Float32bits(v))
		}
		h.Write(raw)
	}
	return nil
}

// digest hashes the files in their order.
func (c *imageColumn) digest(h hash.Hash) error {
	for _, path := range c.files {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		n, err := io.Copy(h, f)
		f.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "file %d\n", n)
	}
	return nil
}

// AbsoluteSpec returns a spec with its path from the root; a command goes to the present
// folder first.
func (s *Set) AbsoluteSpec(spec string) string {
	kind, path, ok := strings.Cut(spec, ":")
	if dir, err := os.Getwd(); kind == "cmd" && err == nil {
		return kind + ":" + within(dir, path)
	}
	if abs, err := filepath.Abs(path); ok && err == nil {
		return kind + ":" + abs
	}
	return spec
}
