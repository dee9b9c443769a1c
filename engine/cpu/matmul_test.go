package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
)

func TestMatMulAgainstLoops(t *testing.T) {
	for _, c := range []struct {
		batchA, batchB []int
		m, n, k        int
	}{
		{nil, nil, 1, 1, 1}, {nil, nil, 6, 16, 8}, {nil, nil, 7, 17, 300}, {nil, nil, 200, 33, 530}, {nil, nil, 5, 1600, 9}, {nil, nil, 400, 10, 64},
		{[]int{3}, []int{3}, 13, 15, 16}, {[]int{6}, []int{1}, 13, 20, 16}, {[]int{1}, []int{4}, 65, 64, 65}, {[]int{2, 1, 3}, []int{1, 4, 3}, 5, 9, 11},
		{nil, nil, 3, 4, 0}, {nil, nil, 130, 130, 130}, {nil, nil, 200, 200, 530},
	} {
		for trans := range 4 {
			ta, tb := trans&1 != 0, trans&2 != 0
			r := rand.New(rand.NewPCG(1, 2))
			sa, sb := []int{c.m, c.k}, []int{c.k, c.n}
			if ta {
				slices.Reverse(sa)
			}
			if tb {
				slices.Reverse(sb)
			}
			a, b := randomTensor(r, append(slices.Clone(c.batchA), sa...)...), randomTensor(r, append(slices.Clone(c.batchB), sb...)...)
			p := prim.MatMul{TransA: ta, TransB: tb}
			ty, err := p.Infer([]prim.Type{a.Type, b.Type})
			if err != nil {
				t.Fatal(err)
			}
			lead := ty.Shape[:len(ty.Shape)-2]
			one := func(s []int, data *prim.Tensor) *prim.Tensor {
				idx := prim.NewTensor(prim.Type{DType: prim.F64, Shape: s})
				for i := range idx.F64 {
					idx.F64[i] = float64(i)
				}
				return idx
			}
			want := make([]float64, 0, ty.Len())
			ia, ib := c.batchA, c.batchB
			elements(lead, []*prim.Tensor{one(ia, a), one(ib, b)}, func(_ []int, at []float64) {
				x, y := a.F32[int(at[0])*c.m*c.k:], b.F32[int(at[1])*c.k*c.n:]
				for i := range c.m {
					for j := range c.n {
						s := 0.0
						for k := range c.k {
							p, q := i*c.k+k, k*c.n+j
							if ta {
								p = k*c.m + i
							}
							if tb {
								q = j*c.k + k
							}
							s += float64(x[p]) * float64(y[q])
						}
						want = append(want, s)
					}
				}
			})
			backends(func(name string, back *Backend) {
				t.Run(fmt.Sprintf("%+v/%t/%t/%s", c, ta, tb, name), func(t *testing.T) {
					checkClose(t, "product", runOne(t, back, p, a, b).F32, want, 1e-4)
				})
			})
		}
	}
}

// TestProductsWhateverTheThreads: rows that are shared among threads, with a right
// operand packed once or in every piece, give the same bits.
func TestProductsWhateverTheThreads(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	a := randomTensor(r, 400, 300)
	for _, n := range []int{10, 250} {
		b := randomTensor(r, 300, n)
		want := runOne(t, New(Options{Threads: 1}), prim.MatMul{}, a, b).F32
		for _, threads := range []int{2, 3, 8} {
			if got := runOne(t, New(Options{Threads: threads}), prim.MatMul{}, a, b).F32; !slices.Equal(got, want) {
				t.Errorf("%d columns, %d threads: want the bits of one thread", n, threads)
			}
		}
	}
}

func BenchmarkMatMul(b *testing.B) {
	for _, s := range [][4]int{{1, 1024, 1024, 1024}, {1, 4160, 768, 192}, {1, 4160, 192, 768}, {1, 128, 10, 64}, {192, 65, 65, 64}, {1, 192, 768, 4160}, {1, 1, 1024, 1024}} {
		for trans := range 4 {
			ta, tb := trans&1 != 0, trans&2 != 0
			if s[1] != 1024 && trans == 3 {
				continue
			}
			r := rand.New(rand.NewPCG(1, 2))
			sa, sb := []int{s[1], s[3]}, []int{s[3], s[2]}
			if ta {
				slices.Reverse(sa)
			}
			if tb {
				slices.Reverse(sb)
			}
			x, y := randomTensor(r, append([]int{s[0]}, sa...)...), randomTensor(r, append([]int{s[0]}, sb...)...)
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%dx%dx%dx%d/%t-%t/t%d", s[0], s[1], s[2], s[3], ta, tb, threads), func(b *testing.B) {
					benchOne(b, New(Options{Threads: threads}), 2*float64(s[0]*s[1]*s[2]*s[3]), prim.MatMul{TransA: ta, TransB: tb}, x, y)
				})
			}
		}
	}
}
