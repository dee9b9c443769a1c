package ir

import "fmt"

// Dense returns the tensor that s stands for, under the name of its values. The
// element type must take whole bytes.
func (s *Sparse) Dense() (*Tensor, error) {
	positions, err := s.positions()
	if err != nil {
		return nil, err
	}
	width := s.Values.DType.Bits() / 8
	t := &Tensor{
		Name: s.Values.Name, Doc: s.Values.Doc, DType: s.Values.DType, Dims: append([]int(nil), s.Dims...),
		Raw: make([]byte, Prod(s.Dims)*width),
	}
	for i, p := range positions {
		copy(t.Raw[p*width:(p+1)*width], s.Values.Raw[i*width:])
	}
	return t, nil
}

// positions checks s and returns the place of each value in row-major order.
func (s *Sparse) positions() ([]int, error) {
	fail := func(format string, args ...any) ([]int, error) {
		return nil, fmt.Errorf("ir: sparse tensor %q: %w", s.Values.Name, fmt.Errorf(format, args...))
	}
	if len(s.Values.Dims) != 1 {
		return fail("values: want a vector, got dims %v", s.Values.Dims)
	}
	width := s.Values.DType.Bits() / 8
	if width == 0 || s.Values.DType.Bits()%8 != 0 {
		return fail("values: dtype %s: want whole bytes per element", s.Values.DType)
	}
	nnz, rank := s.Values.Dims[0], len(s.Dims)
	coords := len(s.Indices.Dims) == 2
	if !(len(s.Indices.Dims) == 1 && s.Indices.Dims[0] == nnz) && !(coords && s.Indices.Dims[0] == nnz && s.Indices.Dims[1] == rank) {
		return fail("indices: want dims [%d] or [%d %d], got %v", nnz, nnz, rank, s.Indices.Dims)
	}
	if s.Indices.DType != Int64 {
		return fail("indices: want int64, got %s", s.Indices.DType)
	}
	if err := s.Values.Check(); err != nil {
		return fail("%w", err)
	}
	idx, err := s.Indices.Int64s()
	if err != nil {
		return fail("%w", err)
	}
	const most = 1 << 28
	total := 1
	for _, d := range s.Dims {
		if d < 0 || (d > 0 && total > most/d) {
			return fail("dims %v: want non-negative sizes and at most %d elements", s.Dims, most)
		}
		total *= d
	}
	positions := make([]int, nnz)
	for i := range positions {
		p := 0
		if coords {
			for k, d := range s.Dims {
				c := idx[i*rank+k]
				if c < 0 || c >= int64(d) {
					return fail("indices: entry %d, axis %d: %d is outside 0 to %d", i, k, c, d-1)
				}
				p = p*d + int(c)
			}
		} else {
			if idx[i] < 0 || idx[i] >= int64(total) {
				return fail("indices: entry %d: %d is outside 0 to %d", i, idx[i], total-1)
			}
			p = int(idx[i])
		}
		positions[i] = p
	}
	return positions, nil
}
