package subnet_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

const microsoft = "com.microsoft"

// fused is one node and its inputs; a nil tensor is omitted.
type fused struct {
	name, domain, op string
	opset            int64
	in               []*ir.Tensor
	outs             int // negative: of so many only the first is compared
	attrs            []ir.Attr
}

func normals(r *rand.Rand, dims []int) *ir.Tensor {
	v := make([]float32, ir.Prod(dims))
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return ir.NewFloat32("", dims, v)
}

func integers(d ir.DType, dims []int, v []int64) *ir.Tensor {
	t, err := ir.NewInts("", d, dims, v)
	if err != nil {
		panic(err)
	}
	return t
}

func fusedCases() []fused {
	r := rand.New(rand.NewPCG(8, 9))
	x := func(dims ...int) *ir.Tensor { return normals(r, dims) }
	i32 := func(dims []int, v ...int64) *ir.Tensor { return integers(ir.Int32, dims, v) }
	i64 := func(dims []int, v ...int64) *ir.Tensor { return ir.NewInt64("", dims, v) }
	flags := func(dims []int, v ...int64) *ir.Tensor { return integers(ir.Bool, dims, v) }
	num, real := ir.IntAttr, ir.FloatAttr
	list := func(a ...ir.Attr) []ir.Attr { return a }
	in := func(t ...*ir.Tensor) []*ir.Tensor { return t }
	return []fused{
		{"all outputs", microsoft, "SkipLayerNormalization", 1, in(x(2, 3, 4), x(2, 3, 4), x(4), x(4), x(4)), 4, list(real("epsilon", 1e-5))},
		{"skip without bias", microsoft, "SkipLayerNormalization", 1, in(x(2, 3, 4), x(2, 3, 4), x(4)), 1, nil},
		{"all outputs", microsoft, "SkipSimplifiedLayerNormalization", 1, in(x(2, 3, 4), x(2, 3, 4), x(4), x(4)), 4, list(real("epsilon", 1e-5))},
		{"last axis", "", "SimplifiedLayerNormalization", 17, in(x(2, 3, 4), x(4)), 1, list(num("axis", -1), real("epsilon", 1e-4))},
		{"last axis", "", "RMSNormalization", 23, in(x(2, 3, 4), x(4)), 1, nil},
		{"bias", microsoft, "BiasGelu", 1, in(x(2, 3, 4), x(4)), 1, nil},
		{"bias", microsoft, "FastGelu", 1, in(x(2, 3, 4), x(4)), 1, nil},
		{"plain", microsoft, "FastGelu", 1, in(x(2, 3, 4)), 1, nil},
		{"plain", microsoft, "Gelu", 1, in(x(2, 5)), 1, nil},
		{"alpha", microsoft, "QuickGelu", 1, in(x(2, 5)), 1, list(real("alpha", 1.5))},
		{"segments and mask", microsoft, "EmbedLayerNormalization", 1, in(i32([]int{2, 3}, 1, 4, 0, 2, 3, 1), i32([]int{2, 3}, 0, 1, 1, 0, 0, 1), x(5, 4), x(6, 4), x(2, 4), x(4), x(4),
			i32([]int{2, 3}, 1, 1, 1, 1, 1, 0)), 2, nil},
		{"offset", microsoft, "RotaryEmbedding", 1, in(x(2, 3, 8), i64([]int{1}, 2), x(9, 2), x(9, 2)), 1, nil},
		{"positions, pairs", microsoft, "RotaryEmbedding", 1, in(x(2, 2, 3, 4), i64([]int{2, 3}, 0, 1, 2, 4, 5, 6), x(9, 2), x(9, 2)), 1, list(num("interleaved", 1))},
		{"part of a head", microsoft, "RotaryEmbedding", 1, in(x(1, 3, 12), i64([]int{1, 3}, 0, 1, 2), x(9, 2), x(9, 2)), 1, list(num("num_heads", 2), num("rotary_embedding_dim", 4))},
		{"positions", "", "RotaryEmbedding", 23, in(x(2, 3, 8), x(9, 2), x(9, 2), i64([]int{2, 3}, 0, 1, 2, 4, 5, 6)), 1, list(num("num_heads", 2))},
		{"rank 4, pairs", "", "RotaryEmbedding", 23, in(x(2, 2, 3, 4), x(2, 3, 2), x(2, 3, 2)), 1, list(num("interleaved", 1))},
		{"bias, padding, scores", microsoft, "MultiHeadAttention", 1, in(x(2, 3, 4), x(2, 5, 4), x(2, 5, 6), x(14), i32([]int{2, 5}, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0), x(2, 2, 3, 5)), 1, list(num("num_heads", 2))},
		{"lengths", microsoft, "MultiHeadAttention", 1, in(x(2, 3, 4), x(2, 3, 4), x(2, 3, 4), nil, i32([]int{2}, 3, 1)), 1, list(num("num_heads", 2), real("scale", 0.3))},
		{"past", microsoft, "MultiHeadAttention", 1, in(x(2, 1, 4), x(2, 1, 4), x(2, 1, 4), nil, nil, nil, x(2, 2, 3, 2), x(2, 2, 3, 2)), 3, list(num("num_heads", 2))},
		{"prompt", microsoft, "GroupQueryAttention", 1, in(x(2, 3, 64), x(2, 3, 32), x(2, 3, 32), nil, nil, i32([]int{2}, 2, 2), i32(nil, 3)), 3, list(num("num_heads", 4), num("kv_num_heads", 2))},
		{"packed, rotary", microsoft, "GroupQueryAttention", 1, in(x(2, 3, 128), nil, nil, nil, nil, i32([]int{2}, 2, 2), i32(nil, 3), x(9, 8), x(9, 8)), 3,
			list(num("num_heads", 4), num("kv_num_heads", 2), num("do_rotary", 1))},
		{"past, rotary in pairs", microsoft, "GroupQueryAttention", 1, in(x(2, 1, 64), x(2, 1, 16), x(2, 1, 16), x(2, 1, 4, 16), x(2, 1, 4, 16), i32([]int{2}, 4, 4), i32(nil, 5), x(9, 8), x(9, 8)), 3,
			list(num("num_heads", 4), num("kv_num_heads", 1), num("do_rotary", 1), num("rotary_interleaved", 1))},
		{"two more tokens", microsoft, "GroupQueryAttention", 1, in(x(1, 2, 64), x(1, 2, 32), x(1, 2, 32), x(1, 2, 3, 16), x(1, 2, 3, 16), i32([]int{1}, 4), i32(nil, 5), x(9, 8), x(9, 8)), 3,
			list(num("num_heads", 4), num("kv_num_heads", 2), num("do_rotary", 1), real("scale", 0.3))},
		{"lengths per sample", microsoft, "GroupQueryAttention", 1, in(x(3, 1, 64), x(3, 1, 32), x(3, 1, 32), x(3, 2, 4, 16), x(3, 2, 4, 16), i32([]int{3}, 4, 2, 0), i32(nil, 5), x(9, 8), x(9, 8)), -3,
			list(num("num_heads", 4), num("kv_num_heads", 2), num("do_rotary", 1))},
		{"window, cap", microsoft, "GroupQueryAttention", 1, in(x(1, 6, 128), nil, nil, nil, nil, i32([]int{1}, 5), i32(nil, 6)), -3,
			list(num("num_heads", 4), num("kv_num_heads", 2), num("local_window_size", 2), real("softcap", 1.5))},
		{"window over a past", microsoft, "GroupQueryAttention", 1, in(x(2, 1, 128), nil, nil, x(2, 2, 6, 16), x(2, 2, 6, 16), i32([]int{2}, 6, 4), i32(nil, 7)), -3,
			list(num("num_heads", 4), num("kv_num_heads", 2), num("local_window_size", 3))},
		{"bias of the scores, positions", microsoft, "GroupQueryAttention", 1, in(x(1, 2, 128), nil, nil, x(1, 2, 3, 16), x(1, 2, 3, 16), i32([]int{1}, 4), i32(nil, 5), x(9, 8), x(9, 8), i64([]int{1, 2}, 7, 2), x(1, 4, 2, 5)), -3,
			list(num("num_heads", 4), num("kv_num_heads", 2), num("do_rotary", 1))},
		{"causal", microsoft, "Attention", 1, in(x(2, 3, 4), x(4, 18), x(18), i32([]int{2, 3}, 1, 1, 1, 1, 1, 0)), 1, list(num("num_heads", 3), num("unidirectional", 1))},
		{"past, narrow values", microsoft, "Attention", 1, in(x(2, 3, 4), x(4, 12), x(12), nil, x(2, 2, 2, 4, 2)), 2, list(num("num_heads", 2))},
		{"own sizes", microsoft, "Attention", 1, in(x(2, 3, 4), x(4, 14), x(14)), 1, list(num("num_heads", 2), ir.IntsAttr("qkv_hidden_sizes", 4, 4, 6))},
		{"grouped, causal", "", "Attention", 23, in(x(2, 3, 8), x(2, 3, 4), x(2, 3, 4)), 1, list(num("q_num_heads", 4), num("kv_num_heads", 2), num("is_causal", 1))},
		{"rank 4, mask", "", "Attention", 23, in(x(2, 2, 3, 4), x(2, 2, 5, 4), x(2, 2, 5, 6), flags([]int{3, 5}, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1)), 1, list(real("scale", 0.4))},
		{"past, float mask", "", "Attention", 23, in(x(2, 2, 3, 4), x(2, 2, 3, 4), x(2, 2, 3, 4), x(2, 1, 3, 5), x(2, 2, 2, 4), x(2, 2, 2, 4)), 3, nil},
		// ONNX Runtime 1.24 caps after it masks, as the standard said before 1.22, so these cases have
		// a cap or a mask. It reads no numbers of keys and no masks shorter than the keys.
		{"capped, raw scores", "", "Attention", 23, in(x(2, 2, 3, 4), x(2, 2, 5, 4), x(2, 2, 5, 6)), 4, list(real("softcap", 0.7))},
		{"mask, masked scores", "", "Attention", 23, in(x(2, 2, 3, 4), x(2, 2, 5, 4), x(2, 2, 5, 6), x(2, 1, 3, 5)), 4, list(num("qk_matmul_output_mode", 2))},
		{"mask, probabilities", "", "Attention", 23, in(x(2, 2, 3, 4), x(2, 2, 5, 4), x(2, 2, 5, 6), x(2, 1, 3, 5)), 4, list(num("qk_matmul_output_mode", 3))},
		{"causal over a past", "", "Attention", 23, in(x(2, 2, 3, 4), x(2, 2, 3, 4), x(2, 2, 3, 4), nil, x(2, 2, 2, 4), x(2, 2, 2, 4)), 3, list(num("is_causal", 1))},
		{"drawn", "", "DynamicQuantizeLinear", 11, in(x(40, 25)), 3, nil},
		{"halves", "", "DynamicQuantizeLinear", 11, in(ir.NewFloat32("", []int{7}, []float32{0, 204, -51, 0.5, 1.5, 2.5, -0.5})), 3, nil},
		{"only 0", "", "DynamicQuantizeLinear", 11, in(ir.NewFloat32("", []int{3}, make([]float32, 3))), 3, nil},
	}
}

// model makes data inputs of the first input and of all arrays of integers or of rank 3 and
// more, the rest are weights.
func (c fused) model() (*ir.Model, map[string]*ir.Tensor) {
	g := &ir.Graph{Name: "fused"}
	n := &ir.Node{Name: "node", OpType: c.op, Domain: c.domain, Attrs: c.attrs}
	feeds := map[string]*ir.Tensor{}
	for i, t := range c.in {
		if t == nil {
			n.Inputs = append(n.Inputs, "")
			continue
		}
		name := string(rune('a' + i))
		n.Inputs = append(n.Inputs, name)
		own := *t
		own.Name = name
		if i == 0 || !t.DType.IsFloat() && len(t.Dims) > 0 || len(t.Dims) > 2 {
			g.Inputs = append(g.Inputs, ir.Value{Name: name, Type: t.Type()})
			feeds[name] = &own
		} else {
			g.Inits = append(g.Inits, &own)
		}
	}
	for k := range max(c.outs, -c.outs) {
		name := string(rune('A' + k))
		n.Outputs = append(n.Outputs, name)
		if c.outs < 0 && k > 0 {
			continue
		}
		if c.outs == 4 && k > 0 && k < 3 {
			n.Outputs[k] = ""
			continue
		}
		g.Outputs = append(g.Outputs, ir.Value{Name: name, Type: ir.TensorType(ir.Float32)})
		g.Outputs[len(g.Outputs)-1].Type.Ranked = false
		g.Outputs[len(g.Outputs)-1].Type.Shape = nil
	}
	g.Nodes = []*ir.Node{n}
	m := &ir.Model{IRVersion: 10, Opsets: []ir.Opset{{Version: 23}}, Graph: g}
	if c.domain != "" {
		m.Opsets = []ir.Opset{{Version: 17}, {Domain: c.domain, Version: 1}}
	} else {
		m.Opsets[0].Version = c.opset
	}
	switch c.op {
	case "EmbedLayerNormalization":
		g.Outputs[1].Type.Elem = ir.Int32
	case "DynamicQuantizeLinear":
		g.Outputs[0].Type.Elem, g.Outputs[1].Type, g.Outputs[2].Type = ir.Uint8, ir.TensorType(ir.Float32), ir.TensorType(ir.Uint8)
	}
	return m, feeds
}

// TestFusedOnORT: the operators of ONNX Runtime, and those of newer opsets, compute
// what ONNX Runtime computes.
func TestFusedOnORT(t *testing.T) {
	rt := orttest.Open(t)
	for _, c := range fusedCases() {
		t.Run(c.op+" "+c.name, func(t *testing.T) {
			m, feeds := c.model()
			want := orttest.Run(t, rt, m, feeds)
			got := runOn(t, m, nil, hosted(t, feeds))
			for _, o := range m.Graph.Outputs {
				v, err := want[o.Name].Float64s()
				if err != nil {
					t.Fatal(err)
				}
				if len(v) != got[o.Name].Len() {
					t.Fatalf("output %q: want sizes %v, got %v", o.Name, want[o.Name].Dims, got[o.Name].Shape)
				}
				for i := range v {
					if g := got[o.Name].Float(i); !(math.Abs(g-v[i]) <= 1e-4*(1+math.Abs(v[i]))) {
						t.Fatalf("output %q, element %d: want %g, got %g", o.Name, i, v[i], g)
					}
				}
			}
		})
	}
}

// TestFusedHostile: wrong ranks, sizes, attributes and missing inputs are errors, never panics.
func TestFusedHostile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cases := fusedCases()
	list := twins()
	for _, name := range slices.Sorted(maps.Keys(list)) {
		cases = append(cases, list[name].packed)
	}
	for _, c := range cases {
		t.Run(c.op+" "+c.name, func(t *testing.T) {
			for range 150 {
				bad := c
				bad.in = slices.Clone(c.in)
				bad.attrs = slices.Clone(c.attrs)
				for range 1 + r.IntN(2) {
					i := r.IntN(len(bad.in))
					switch x := bad.in[i]; {
					case x == nil || r.IntN(6) == 0:
						bad.in[i] = nil
					case r.IntN(6) == 0 && len(bad.attrs) > 0:
						bad.attrs[r.IntN(len(bad.attrs))].I = int64(r.IntN(9) - 2)
					default:
						dims := slices.Clone(x.Dims)
						switch k := r.IntN(len(dims) + 2); {
						case k < len(dims):
							dims[k] = r.IntN(5)
						case k == len(dims):
							dims = append(dims, 1+r.IntN(2))
						default:
							dims = dims[:len(dims)/2]
						}
						bad.in[i] = &ir.Tensor{DType: x.DType, Dims: dims, Raw: make([]byte, ir.Prod(dims)*x.DType.Bits()/8)}
					}
				}
				m, _ := bad.model()
				f, err := ops.InferModel(m, nil)
				if err != nil {
					continue
				}
				if _, err := space.Analyse(m, f); err != nil {
					t.Errorf("analyse: %v", err)
				}
				ops.ModelCost(m, f)
				ops.Program(m, nil, prim.F64)
			}
		})
	}
}
