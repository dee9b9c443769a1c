package prim

import (
	"runtime"
	"slices"
	"sync"
)

// Storage returns the type that kernels use for t: floats are held as F64.
func Storage(t Type) Type {
	if t.DType.Float() {
		t.DType = F64
	}
	return t
}

// parallel calls f(0..n-1) from several goroutines; calls must be independent.
func parallel(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				f(i)
			}
		})
	}
	wg.Wait()
}

// strides returns the row-major strides of shape.
func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// broadcastStrides returns the row-major strides of shape with zero where the size is 1.
func broadcastStrides(shape []int) []int {
	s := strides(shape)
	for i, n := range shape {
		if n == 1 {
			s[i] = 0
		}
	}
	return s
}

// view is a strided window on a flat array.
type view struct {
	offset int
	stride []int
}

// move copies every element of the index space shape from src to dst.
func move(dst *Tensor, d view, src *Tensor, s view, shape []int) {
	switch dst.DType {
	case F32:
		moveData(dst.F32, d, src.F32, s, shape)
	case F64:
		moveData(dst.F64, d, src.F64, s, shape)
	case I64:
		moveData(dst.I64, d, src.I64, s, shape)
	case Bool:
		moveData(dst.B, d, src.B, s, shape)
	}
}

func moveData[T any](dst []T, d view, src []T, s view, shape []int) {
	total := Prod(shape)
	if total == 0 {
		return
	}
	last := len(shape) - 1
	if last < 0 {
		dst[d.offset] = src[s.offset]
		return
	}
	n, ds, ss := shape[last], d.stride[last], s.stride[last]
	outer := shape[:last]
	index := make([]int, last)
	for range total / n {
		di, si := d.offset, s.offset
		for a, i := range index {
			di += i * d.stride[a]
			si += i * s.stride[a]
		}
		if ds == 1 && ss == 1 {
			copy(dst[di:di+n], src[si:si+n])
		} else {
			for k := range n {
				dst[di+k*ds] = src[si+k*ss]
			}
		}
		advance(index, outer)
	}
}

// advance steps a row-major index over shape, wrapping at the end.
func advance(index, shape []int) {
	for a := len(index) - 1; a >= 0; a-- {
		if index[a]++; index[a] < shape[a] {
			return
		}
		index[a] = 0
	}
}

// unravel writes the row-major index of position i of shape.
func unravel(index, shape []int, i int) {
	for a := len(shape) - 1; a >= 0; a-- {
		index[a] = i % shape[a]
		i /= shape[a]
	}
}

const blockSize = 256

// scalar is a compute type.
type scalar interface{ int64 | float64 }

// arith is how a compute type evaluates expressions.
type arith[T scalar] struct {
	apply func(Code, T, T, T) T
	lit   func(float64) T
	load  func(*Tensor, int) T
}

var floatArith = arith[float64]{Code.Float, func(v float64) float64 { return v }, (*Tensor).Float}
var intArith = arith[int64]{Code.Int, ToInt, (*Tensor).Int}

// bound is an expression bound to operands over an index space.
type bound[T scalar] struct {
	arith[T]
	e      Expr
	in     []*Tensor
	stride [][]int
	shape  []int
	index  []int
	reg    [][blockSize]T
}

// bind prepares e over the domain shape, its axes visited in the given order.
func bind[T scalar](k arith[T], e Expr, in []*Tensor, shape, order []int) *bound[T] {
	b := &bound[T]{arith: k, e: e, in: in, shape: permuted(shape, order), index: make([]int, len(shape)), reg: make([][blockSize]T, len(e))}
	for _, t := range in {
		b.stride = append(b.stride, permuted(broadcastStrides(t.Shape), order))
	}
	return b
}

func permuted(s, order []int) []int {
	out := make([]int, len(order))
	for i, o := range order {
		out[i] = s[o]
	}
	return out
}

// block evaluates n ≤ blockSize elements from position start of the visiting order.
func (b *bound[T]) block(start, n int) []T {
	for i := range b.e {
		in, r := &b.e[i], b.reg[i][:n]
		switch in.Code {
		case Arg:
			b.fill(r, b.in[in.Index], b.stride[in.Index], start)
		case Lit:
			v := b.lit(in.Value)
			for k := range r {
				r[k] = v
			}
		case Add:
			x, y := b.reg[in.A][:n], b.reg[in.B][:n]
			for k := range r {
				r[k] = x[k] + y[k]
			}
		case Sub:
			x, y := b.reg[in.A][:n], b.reg[in.B][:n]
			for k := range r {
				r[k] = x[k] - y[k]
			}
		case Mul:
			x, y := b.reg[in.A][:n], b.reg[in.B][:n]
			for k := range r {
				r[k] = x[k] * y[k]
			}
		default:
			x, y, z := b.reg[in.A][:n], b.reg[in.B][:n], b.reg[in.C][:n]
			for k := range r {
				r[k] = b.apply(in.Code, x[k], y[k], z[k])
			}
		}
	}
	return b.reg[len(b.e)-1][:n]
}

func (b *bound[T]) fill(r []T, t *Tensor, stride []int, start int) {
	last := len(b.shape) - 1
	if last < 0 {
		r[0] = b.load(t, 0)
		return
	}
	unravel(b.index, b.shape, start)
	for len(r) > 0 {
		at := 0
		for a, i := range b.index {
			at += i * stride[a]
		}
		n := min(b.shape[last]-b.index[last], len(r))
		s := stride[last]
		if s == 0 {
			v := b.load(t, at)
			for k := range n {
				r[k] = v
			}
		} else if f, ok := any(r).([]float64); ok && t.DType == F64 {
			for k := range n {
				f[k] = t.F64[at+k*s]
			}
		} else {
			for k := range n {
				r[k] = b.load(t, at+k*s)
			}
		}
		r = r[n:]
		b.index[last] = b.shape[last] - 1
		advance(b.index, b.shape)
	}
}

func store[T scalar](out *Tensor, start int, v []T) {
	switch out.DType {
	case F32:
		for k, x := range v {
			out.F32[start+k] = float32(x)
		}
	case F64:
		for k, x := range v {
			out.F64[start+k] = float64(x)
		}
	case I64:
		for k, x := range v {
			out.I64[start+k] = truncate(x)
		}
	case Bool:
		for k, x := range v {
			out.B[start+k] = x != 0
		}
	}
}

func truncate[T scalar](x T) int64 {
	if f, ok := any(x).(float64); ok {
		return ToInt(f)
	}
	return int64(x)
}

func iota0(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// evalMap fills out with e over the domain shape.
func evalMap[T scalar](k arith[T], e Expr, in []*Tensor, shape []int, out *Tensor) {
	n := Prod(shape)
	const chunk = 64 * blockSize
	parallel((n+chunk-1)/chunk, func(c int) {
		b := bind(k, e, in, shape, iota0(len(shape)))
		for i := c * chunk; i < min(n, (c+1)*chunk); i += blockSize {
			store(out, i, b.block(i, min(blockSize, n-i)))
		}
	})
}

// evalReduce folds e over axes of the domain shape into out.
func evalReduce[T scalar](k arith[T], e Expr, in []*Tensor, shape, axes []int, op ReduceOp, first T, out *Tensor) {
	var order, inner []int
	for a := range shape {
		if slices.Contains(axes, a) {
			inner = append(inner, a)
		} else {
			order = append(order, a)
		}
	}
	order = append(order, inner...)
	code := [...]Code{Add, Mul, Max, Min}[op]
	fold := func(acc, x T) T { return k.apply(code, acc, x, 0) }
	n := Prod(permuted(shape, inner))
	total := out.Len()
	const group = 16
	parallel((total+group-1)/group, func(c int) {
		b := bind(k, e, in, shape, order)
		for o := c * group; o < min(total, (c+1)*group); o++ {
			acc := first
			for i := 0; i < n; i += blockSize {
				v := b.block(o*n+i, min(blockSize, n-i))
				if op == ReduceSum {
					for _, x := range v {
						acc += x
					}
					continue
				}
				for _, x := range v {
					acc = fold(acc, x)
				}
			}
			store(out, o, []T{acc})
		}
	})
}
