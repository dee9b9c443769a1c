package data

// byteColumn stores one byte per element, sample after sample.
type byteColumn struct {
	data []byte
	size int
}

func (c byteColumn) count() int { return len(c.data) / c.size }

func (c byteColumn) read(i int, dst []float32) error {
	for k, v := range c.data[i*c.size : (i+1)*c.size] {
		dst[k] = float32(v)
	}
	return nil
}

// noColumn is so many samples without elements.
type noColumn int

func (c noColumn) count() int                  { return int(c) }
func (c noColumn) read(int, []float32) error   { return nil }
func (c noColumn) readInts(int, []int64) error { return nil }

// floatColumn stores float32 elements, sample after sample.
type floatColumn struct {
	data []float32
	size int
}

func (c floatColumn) count() int { return len(c.data) / c.size }

func (c floatColumn) read(i int, dst []float32) error {
	copy(dst, c.data[i*c.size:(i+1)*c.size])
	return nil
}

// intColumn stores integers that a batch carries as I64.
type intColumn struct {
	data []int64
	size int
}

func (c intColumn) count() int { return len(c.data) / c.size }

func (c intColumn) read(i int, dst []float32) error {
	panic("BUG: data: integers are read by readInts")
}

// intReader is a column of integers.
type intReader interface {
	readInts(i int, dst []int64) error
}

func (c intColumn) readInts(i int, dst []int64) error {
	copy(dst, c.data[i*c.size:(i+1)*c.size])
	return nil
}

func (c picked) readInts(i int, dst []int64) error {
	return c.column.(intReader).readInts(c.index[i], dst)
}

func (c picked) readFrom(i, offset int, dst []int64) error {
	if w, ok := c.column.(moved); ok {
		return w.readFrom(c.index[i], offset, dst)
	}
	return c.readInts(i, dst)
}
