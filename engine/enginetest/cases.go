package enginetest

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// Case is one small program with inputs.
type Case struct {
	Name string
	In   []*prim.Tensor // floats as F64; they are cast to the dtype under test
	Make Function       // follows the dtype of its inputs
	// Smooth says that finite differences hold at In.
	Smooth bool
	// Terms is how many products an element adds up; tolerances grow with its root.
	Terms int
}

// Cases draws the cases of every primitive.
func Cases(seed uint64) []Case {
	var out []Case
	for _, family := range []struct {
		name string
		draw func(*rng.Stream) []Case
	}{
		{"conv", convCases}, {"matmul", matmulCases}, {"pool", poolCases}, {"map", mapCases}, {"reduce", reduceCases},
		{"layout", layoutCases}, {"gather", gatherCases}, {"normal", normalCases},
	} {
		for i, c := range family.draw(rng.New(seed, "enginetest/"+family.name)) {
			c.Name = fmt.Sprintf("%s/%d", c.Name, i)
			out = append(out, c)
		}
	}
	return out
}

// normal draws a standard normal F64 tensor.
func normal(r *rng.Stream, shape ...int) *prim.Tensor {
	t := prim.NewTensor(prim.Type{DType: prim.F64, Shape: shape})
	for i := range t.F64 {
		t.F64[i] = r.NormFloat64()
	}
	return t
}

// spread draws values that differ pairwise by more than finite differences step.
func spread(r *rng.Stream, shape ...int) *prim.Tensor {
	t := prim.NewTensor(prim.Type{DType: prim.F64, Shape: shape})
	for i, k := range r.Perm(len(t.F64)) {
		t.F64[i] = (float64(k) - float64(len(t.F64))/2 + 0.3) / 16
	}
	return t
}

// integers draws I64 in [lo, hi).
func integers(r *rng.Stream, lo, hi int, shape ...int) *prim.Tensor {
	t := prim.NewTensor(prim.Type{DType: prim.I64, Shape: shape})
	for i := range t.I64 {
		t.I64[i] = int64(lo + r.IntN(hi-lo))
	}
	return t
}

func between(r *rng.Stream, lo, hi int) int { return lo + r.IntN(hi-lo+1) }

// sizes draws n sizes in [lo, hi].
func sizes(r *rng.Stream, n, lo, hi int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = between(r, lo, hi)
	}
	return s
}

// apply makes a function of one primitive.
func apply(p prim.Prim) Function {
	return func(b *prim.Builder, in []prim.ID) prim.ID { return b.Add(p, in...) }
}
