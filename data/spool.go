package data

import (
	"encoding/binary"
	"math"
	"os"

	"github.com/entangle-nas/entangle/engine/prim"
)

// spool keeps the elements of samples as bytes, in memory while the budget lasts and in a
// temporary file beyond it.
type spool struct {
	width int // bytes of a sample
	n     int
	mem   []byte
	file  *os.File // nil: all is in memory
	left  *int64   // bytes of memory that spools may still take
}

// add appends n samples.
func (s *spool) add(raw []byte, n int) error {
	s.n += n
	if s.file == nil && int64(len(raw)) <= *s.left {
		s.mem = append(s.mem, raw...)
		*s.left -= int64(len(raw))
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "entangle-samples-*")
		if err != nil {
			return err
		}
		// Where files can be removed while they are open, this one ends with the process.
		os.Remove(f.Name())
		s.file = f
	}
	_, err := s.file.Write(raw)
	return err
}

// sample returns the bytes of sample i, which are not the caller's.
func (s *spool) sample(i int) ([]byte, error) {
	at := i * s.width
	if at < len(s.mem) {
		return s.mem[at : at+s.width], nil
	}
	raw := make([]byte, s.width)
	if s.width == 0 {
		return raw, nil
	}
	_, err := s.file.ReadAt(raw, int64(at-len(s.mem)))
	return raw, err
}

// elements is how a spool's samples are stored.
type elements string

const (
	asFloats   elements = "floats"   // four bytes
	asIntegers elements = "integers" // eight
	asBytes    elements = "bytes"
)

// stored returns the elements of an array as bytes.
func stored(a Array) (raw []byte, as elements) {
	switch d := a.Data.(type) {
	case []uint8:
		return d, asBytes
	case []int64:
		raw = make([]byte, 0, 8*len(d))
		for _, v := range d {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
		return raw, asIntegers
	}
	values := a.floats()
	raw = make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw, asFloats
}

// spooled is a column in a spool.
type spooled struct {
	*spool
	as     elements
	sparse bool // the byte 255 is read as -1
}

func (c spooled) count() int { return c.n }

func (c spooled) read(i int, dst []float32) error {
	raw, err := c.sample(i)
	if err != nil {
		return err
	}
	for k := range dst {
		if c.as == asBytes {
			dst[k] = float32(raw[k])
		} else {
			dst[k] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*k:]))
		}
	}
	return nil
}

func (c spooled) readInts(i int, dst []int64) error {
	raw, err := c.sample(i)
	if err != nil {
		return err
	}
	if c.as == asBytes {
		maskInts(dst, raw, c.sparse)
		return nil
	}
	for k := range dst {
		dst[k] = int64(binary.LittleEndian.Uint64(raw[8*k:]))
	}
	return nil
}

// channelsLast is a column of images [H, W, C], read as [C, H, W].
type channelsLast struct {
	column
	shape []int // [C, H, W]
}

func (c channelsLast) read(i int, dst []float32) error {
	raw := make([]float32, prim.Prod(c.shape))
	if err := c.column.read(i, raw); err != nil {
		return err
	}
	plane := c.shape[1] * c.shape[2]
	for k, v := range raw {
		dst[k%c.shape[0]*plane+k/c.shape[0]] = v
	}
	return nil
}
