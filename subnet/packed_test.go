package subnet_test

import (
	"math/rand/v2"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// twin is one attention twice: with packed operands, and with operands apart.
type twin struct{ packed, apart fused }

// picked returns the elements of x at the coordinates that at gives for those of dims.
func picked(x *ir.Tensor, dims []int, at func(i []int) []int) *ir.Tensor {
	v, err := x.Float64s()
	if err != nil {
		panic(err)
	}
	out := make([]float32, ir.Prod(dims))
	for n := range out {
		i, rest := make([]int, len(dims)), n
		for k := len(dims) - 1; k >= 0; k-- {
			i[k], rest = rest%dims[k], rest/dims[k]
		}
		from := 0
		for k, p := range at(i) {
			from = from*x.Dims[k] + p
		}
		out[n] = float32(v[from])
	}
	return ir.NewFloat32("", dims, out)
}

func twins() map[string]twin {
	r := rand.New(rand.NewPCG(5, 6))
	x := func(dims ...int) *ir.Tensor { return normals(r, dims) }
	// part i of [B,T,H,parts,D] as [B,T,H·D].
	part := func(y *ir.Tensor, i int) *ir.Tensor {
		d := y.Dims
		return picked(y, []int{d[0], d[1], d[2] * d[4]}, func(c []int) []int { return []int{c[0], c[1], c[2] / d[4], i, c[2] % d[4]} })
	}
	columns := func(y *ir.Tensor, from, to int) *ir.Tensor {
		return picked(y, []int{y.Dims[0], y.Dims[1], to - from}, func(c []int) []int { return []int{c[0], c[1], from + c[2]} })
	}
	lens := func(n int, v ...int64) []*ir.Tensor {
		return []*ir.Tensor{integers(ir.Int32, []int{len(v)}, v), integers(ir.Int32, nil, []int64{int64(n)})}
	}
	mha := func(name string, outs int, in ...*ir.Tensor) fused {
		return fused{name, microsoft, "MultiHeadAttention", 1, in, outs, []ir.Attr{ir.IntAttr("num_heads", 3)}}
	}
	all, pair, bias, query, scores := x(2, 4, 3, 3, 2), x(2, 5, 3, 2, 2), x(18), x(2, 4, 6), x(2, 3, 4, 5)
	wide, key, value := x(2, 4, 16), x(2, 2, 3, 2), x(2, 2, 3, 2)
	heads := []ir.Attr{ir.IntAttr("num_heads", 4), ir.IntAttr("kv_num_heads", 2)}
	grouped := []ir.Attr{ir.IntAttr("q_num_heads", 4), ir.IntAttr("kv_num_heads", 2), ir.IntAttr("is_causal", 1)}
	return map[string]twin{
		"all in one, bias":               {mha("packed", 3, all, nil, nil, bias), mha("apart", 3, part(all, 0), part(all, 1), part(all, 2), bias)},
		"keys and values in one, scores": {mha("packed", 1, query, pair, nil, nil, nil, scores), mha("apart", 1, query, part(pair, 0), part(pair, 1), nil, nil, scores)},
		"groups": {
			fused{"packed", microsoft, "GroupQueryAttention", 1, append([]*ir.Tensor{wide, nil, nil, nil, nil}, lens(4, 3, 3)...), 3, heads},
			fused{"standard", "", "Attention", 23, []*ir.Tensor{columns(wide, 0, 8), columns(wide, 8, 12), columns(wide, 12, 16)}, 3, grouped},
		},
		"groups with a past": {
			fused{"packed", microsoft, "GroupQueryAttention", 1, append([]*ir.Tensor{wide, nil, nil, key, value}, lens(7, 6, 6)...), 3, heads},
			fused{"standard", "", "Attention", 23, []*ir.Tensor{columns(wide, 0, 8), columns(wide, 8, 12), columns(wide, 12, 16), nil, key, value}, 3, grouped},
		},
	}
}

// TestPackedTwins: packed operands give what the same operands give apart. ONNX Runtime
// has no packed operands of MultiHeadAttention on CPUs to compare with.
func TestPackedTwins(t *testing.T) {
	for name, c := range twins() {
		t.Run(name, func(t *testing.T) {
			run := func(c fused) map[string]*prim.Tensor {
				m, feeds := c.model()
				return runOn(t, m, nil, hosted(t, feeds))
			}
			got, want := run(c.packed), run(c.apart)
			if len(want) != c.packed.outs {
				t.Fatalf("want %d outputs, got %d", c.packed.outs, len(want))
			}
			if d := maxDiff(got, want); !(d <= 1e-12) {
				t.Errorf("packed and apart differ by %g", d)
			}
		})
	}
}
