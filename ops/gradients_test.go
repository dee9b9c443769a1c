package ops

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// TestGradients compares the engine's gradient of a lowered operator, of the sum of its
// outputs times random weights, with central differences in float64, for every floating
// input that the case does not fix. Every such input must move the outputs. Where a formula
// has a kink or ties, the inputs keep away from it.
func TestGradients(t *testing.T) {
	for _, c := range gradientCases() {
		t.Run(c.String(), func(t *testing.T) {
			s, err := newSlope(c.opCase, c.open())
			if err != nil {
				t.Fatal(err)
			}
			if s == nil {
				t.Fatal("want an output of floats, got none")
			}
			got, err := s.run()
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range s.open {
				steepest := 0.0
				for e, g := range got[fmt.Sprint("g", i)].F64 {
					want, err := s.central(i, e, 1e-5)
					if err != nil {
						t.Fatal(err)
					}
					steepest = max(steepest, math.Abs(want))
					if !(math.Abs(g-want) <= 1e-6*(1+math.Abs(want))) {
						t.Fatalf("gradient of input %d, element %d: want %g, got %g", i, e, want, g)
					}
				}
				if steepest < 1e-3 {
					t.Errorf("input %d: want one that moves the outputs, got gradients up to %g", i, steepest)
				}
			}
		})
	}
}

// TestEveryOperatorHasGradients: an operator is differentiable in a floating input when, in
// some case of this package, an element of it that is computed, no constant of the model,
// moves an output of floats in proportion to a small step (see slope.moves). Operators of
// integers and truth values, piecewise constant ones, and inputs that the rules read as
// constants are not, by that rule. Every input that is must be compared in a gradient case.
func TestEveryOperatorHasGradients(t *testing.T) {
	compared := map[string][]int{}
	for _, c := range gradientCases() {
		compared[c.op] = append(compared[c.op], c.open()...)
	}
	for _, c := range valueCases() {
		for _, i := range c.floating() {
			if slices.Contains(compared[c.op], i) {
				continue
			}
			if _, _, _, err := c.lower(prim.NewBuilder(), []int{i}); err != nil {
				continue // the rules read it
			}
			s, err := newSlope(c, []int{i})
			moves := false
			if err == nil && s != nil {
				moves, err = s.moves(i)
			}
			if err != nil {
				t.Errorf("%s: input %d: %v", c, i, err)
			}
			if moves {
				t.Errorf("%s: input %d moves the outputs: want a case in gradientCases, got none", c, i)
				compared[c.op] = append(compared[c.op], i)
			}
		}
	}
}

// gradientCase is a case without numbers. The inputs in fixed are constants of the model.
type gradientCase struct {
	opCase
	fixed []int
}

// open lists the inputs that the case differentiates by.
func (c gradientCase) open() []int {
	return slices.DeleteFunc(c.floating(), func(i int) bool { return slices.Contains(c.fixed, i) })
}

func gradientCases() []gradientCase {
	ints, num, str, fl := ir.IntsAttr, ir.IntAttr, ir.StringAttr, ir.FloatAttr
	s := rng.New(3, "ops/gradients")
	x := func(dims ...int) *ir.Tensor { return noise(s, dims...) }
	index := func(dims []int, v ...int64) *ir.Tensor { return integers(ir.Int64, dims, v...) }
	// span draws numbers between lo and hi, none within 1e-3 of another.
	span := func(lo, hi float64, dims ...int) *ir.Tensor {
		v := make([]float64, ir.Prod(dims))
		for i, p := range s.Perm(len(v)) {
			v[i] = lo + (hi-lo)*(float64(p)+0.25+s.Float64()/2)/float64(len(v))
		}
		return floats(dims, v...)
	}
	positive := func(dims ...int) *ir.Tensor { return span(0.5, 3, dims...) }
	var cases []gradientCase
	at := func(op, name string, opset int, a attrs, in ...*ir.Tensor) *gradientCase {
		cases = append(cases, gradientCase{opCase: opCase{op: op, name: name, opset: opset, attrs: a, in: in, outputs: 1}})
		return &cases[len(cases)-1]
	}

	at("Conv", "strided groups", 13, attrs{num("group", 2), ints("strides", 2, 1), ints("dilations", 1, 2), ints("pads", 1, 0, 2, 1)}, x(2, 4, 5, 6), x(4, 2, 3, 2), x(4))
	at("Conv", "depthwise, same size", 13, attrs{num("group", 3), str("auto_pad", "SAME_UPPER")}, x(1, 3, 4), x(3, 1, 3))
	at("ConvTranspose", "strided", 13, attrs{ints("strides", 2), ints("output_padding", 1), ints("pads", 1, 0)}, x(2, 3, 4), x(3, 2, 3), x(2))
	at("ConvTranspose", "grown, in groups", 13, attrs{ints("output_shape", 9), num("group", 2), ints("dilations", 2)}, x(1, 2, 4), x(2, 2, 3))
	at("MatMul", "batched", 13, nil, x(2, 1, 2, 3), x(2, 3, 2))
	at("MatMul", "vector", 13, nil, x(3), x(2, 3, 2))
	at("Gemm", "right transposed", 13, attrs{num("transB", 1), fl("alpha", 0.5), fl("beta", 2)}, x(2, 3), x(4, 3), x(4))
	at("Gemm", "left transposed", 13, attrs{num("transA", 1)}, x(3, 2), x(3, 4), x(2, 1))
	at("Gemm", "both transposed", 13, attrs{num("transA", 1), num("transB", 1)}, x(3, 2), x(4, 3))
	at("Einsum", "two products", 13, attrs{str("equation", "bij,bjk,k->ib")}, x(2, 3, 2), x(2, 2, 4), x(4))
	at("Einsum", "a diagonal", 13, attrs{str("equation", "...ii->...i")}, x(2, 3, 3))

	at("MaxPool", "overlapping", 13, attrs{ints("kernel_shape", 3), ints("pads", 1, 1)}, x(2, 2, 5))
	at("MaxPool", "dilated, hanging", 13, attrs{ints("kernel_shape", 2), ints("dilations", 2), ints("strides", 2), num("ceil_mode", 1)}, x(2, 2, 6))
	at("AveragePool", "hanging", 13, attrs{ints("kernel_shape", 3), ints("strides", 2), num("ceil_mode", 1)}, x(2, 2, 6))
	at("AveragePool", "padding counted", 13, attrs{ints("kernel_shape", 2, 2), ints("pads", 1, 0, 0, 1), num("count_include_pad", 1)}, x(1, 2, 3, 3))
	at("AveragePool", "padding left out", 13, attrs{ints("kernel_shape", 2, 2), ints("pads", 1, 0, 0, 1)}, x(1, 2, 3, 3))
	at("LpPool", "cubic", 13, attrs{ints("kernel_shape", 2), num("p", 3)}, positive(1, 2, 4))
	at("LpPool", "square", 13, attrs{ints("kernel_shape", 2)}, x(1, 2, 4))
	at("GlobalAveragePool", "", 13, nil, x(2, 2, 3, 2))
	at("GlobalMaxPool", "", 13, nil, x(2, 2, 3, 2))
	at("GlobalLpPool", "square", 13, nil, x(1, 2, 4))
	at("GlobalLpPool", "magnitudes", 13, attrs{num("p", 1)}, x(1, 2, 4))

	at("BatchNormalization", "inference", 15, nil, x(2, 3, 2), x(3), x(3), x(3), positive(3))
	at("BatchNormalization", "training", 15, nil, x(3, 2, 2), x(2), x(2), x(2), positive(2)).training = true
	cases[len(cases)-1].fixed = []int{3, 4}
	at("InstanceNormalization", "", 13, nil, x(2, 2, 4), x(2), x(2))
	at("GroupNormalization", "by channel", 21, attrs{num("num_groups", 2)}, x(2, 4, 3), x(4), x(4))
	at("GroupNormalization", "by group", 18, attrs{num("num_groups", 2)}, x(2, 4, 3), x(2), x(2))
	at("LayerNormalization", "two axes", 17, attrs{num("axis", 1)}, x(2, 3, 2), x(3, 2), x(3, 2))
	at("LayerNormalization", "with statistics", 17, nil, x(2, 4), x(4), x(4)).outputs = 3
	at("RMSNormalization", "", 23, nil, x(2, 4), x(4))
	at("SimplifiedLayerNormalization", "with the rate", 1, nil, x(2, 4), x(4)).outputs = 2
	at(ms+"SkipLayerNormalization", "all inputs, with the sum", 1, nil, x(2, 4), x(2, 4), x(4), x(4), x(4)).outputs = 4
	at(ms+"SkipSimplifiedLayerNormalization", "all inputs", 1, nil, x(2, 4), x(2, 4), x(4), x(4))
	at(ms+"EmbedLayerNormalization", "all inputs", 1, nil, index([]int{2, 2}, 1, 0, 2, 1), index([]int{2, 2}, 0, 1, 1, 1), x(3, 4), x(3, 4), x(2, 4), x(4), x(4))
	at(ms+"EmbedLayerNormalization", "chosen positions", 1, nil, index([]int{1, 2}, 1, 0), nil, x(3, 4), x(3, 4), nil, x(4), x(4), nil, index([]int{1, 2}, 2, 0))
	at("LpNormalization", "square", 13, nil, x(2, 4))
	at("LpNormalization", "magnitudes", 13, attrs{num("p", 1), num("axis", 0)}, x(3, 2))
	at("MeanVarianceNormalization", "default axes", 13, nil, x(2, 2, 2, 3))
	at("LRN", "neighbours", 13, attrs{num("size", 3), fl("alpha", 1)}, x(2, 4, 2))
	at("Softmax", "rows", 13, nil, x(2, 4))
	at("Softmax", "matrix", 11, nil, x(2, 2, 2))
	at("LogSoftmax", "rows", 13, attrs{num("axis", 0)}, x(3, 2))
	at("LogSoftmax", "matrix", 11, nil, x(2, 2, 2))

	at("Attention", "grouped heads, a mask that adds", 23, nil, x(2, 2, 3, 4), x(2, 1, 3, 4), x(2, 1, 3, 2), x(2, 1, 3, 3))
	at("Attention", "flat, causal, capped, with a past", 23, attrs{num("q_num_heads", 2), num("kv_num_heads", 2), num("is_causal", 1), fl("softcap", 2)},
		x(1, 2, 4), x(1, 2, 4), x(1, 2, 6), nil, x(1, 2, 1, 2), x(1, 2, 1, 3)).outputs = 4
	at("Attention", "a mask that hides", 23, nil, x(1, 1, 2, 2), x(1, 1, 3, 2), x(1, 1, 3, 2), integers(ir.Bool, []int{2, 3}, 1, 0, 1, 0, 1, 1))
	at(ms+"MultiHeadAttention", "apart, all inputs", 1, attrs{num("num_heads", 2)}, x(1, 2, 4), x(1, 2, 4), x(1, 2, 6), x(14), integers(ir.Int32, []int{1, 3}, 1, 0, 1), x(1, 2, 2, 3), x(1, 2, 1, 2), x(1, 2, 1, 3)).outputs = 3
	at(ms+"MultiHeadAttention", "all packed, unidirectional", 1, attrs{num("num_heads", 2), num("unidirectional", 1)}, x(1, 3, 2, 3, 2))
	at(ms+"MultiHeadAttention", "keys and values packed", 1, attrs{num("num_heads", 2)}, x(1, 2, 4), x(1, 3, 2, 2, 2))
	at(ms+"MultiHeadAttention", "keys by head", 1, attrs{num("num_heads", 2)}, x(1, 2, 4), x(1, 2, 3, 2), x(1, 2, 3, 2))
	at(ms+"Attention", "all inputs", 1, attrs{num("num_heads", 2)}, x(1, 2, 3), x(3, 12), x(12), integers(ir.Int32, []int{1, 3}, 1, 0, 1), x(2, 1, 2, 1, 2), x(1, 2, 2, 3)).outputs = 2
	at(ms+"Attention", "unidirectional", 1, attrs{num("num_heads", 1), num("unidirectional", 1), ints("qkv_hidden_sizes", 2, 2, 3)}, x(1, 3, 2), x(2, 7))
	at(ms+"GroupQueryAttention", "apart, rotary, a past, a bias", 1, attrs{num("num_heads", 2), num("kv_num_heads", 1), num("do_rotary", 1)},
		x(1, 2, 8), x(1, 2, 4), x(1, 2, 4), x(1, 1, 2, 4), x(1, 1, 2, 4), integers(ir.Int32, []int{1}, 3), integers(ir.Int32, nil, 4), x(4, 2), x(4, 2), nil, x(1, 2, 2, 4)).outputs = 3
	at(ms+"GroupQueryAttention", "packed, capped, a window", 1, attrs{num("num_heads", 2), num("kv_num_heads", 2), fl("softcap", 2), num("local_window_size", 2)},
		x(2, 3, 12), nil, nil, nil, nil, integers(ir.Int32, []int{2}, 2, 2), integers(ir.Int32, nil, 3))
	at("RotaryEmbedding", "halves", 23, nil, x(1, 2, 2, 4), x(1, 2, 2), x(1, 2, 2))
	at("RotaryEmbedding", "neighbours, chosen rows, a part of each head", 23, attrs{num("interleaved", 1), num("rotary_embedding_dim", 2), num("num_heads", 2)}, x(1, 2, 6), x(3, 1), x(3, 1), index([]int{1, 2}, 2, 0))
	at(ms+"RotaryEmbedding", "one offset", 1, nil, x(1, 2, 4), index([]int{1}, 1), x(3, 1), x(3, 1))

	at("PRelu", "slope", 16, nil, x(2, 3), x(3))
	at("Clip", "computed bounds", 13, nil, span(-2, 2, 9), floats(nil, -1.01), floats(nil, 0.52))
	at("Clip", "by attributes", 6, attrs{fl("min", -1), fl("max", 1)}, span(-2, 2, 7))
	at("Where", "operand", 16, nil, integers(ir.Bool, []int{2}, 1, 0), x(2), x(3, 2))
	at("Cast", "to half", 13, attrs{num("to", int(ir.Float16))}, x(3))
	at("CastLike", "to half", 19, nil, x(3), integers(ir.Int8, nil, 0)).in[1] = halfOf(1)
	cases[len(cases)-1].fixed = []int{1}
	at("Dropout", "inference", 13, nil, x(2, 3))
	at("Dropout", "training", 13, nil, x(4, 4), floats(nil, 0.5)).training = true
	cases[len(cases)-1].fixed = []int{1}
	at("DequantizeLinear", "by axis", 13, nil, integers(ir.Uint8, []int{2, 3}, 1, 2, 3, 4, 5, 7), x(3), integers(ir.Uint8, []int{3}, 1, 0, 9))
	at("DequantizeLinear", "by block", 21, attrs{num("block_size", 2)}, integers(ir.Uint8, []int{1, 4}, 1, 2, 3, 4), x(1, 2))

	at("Concat", "inner axis", 13, attrs{num("axis", 1)}, x(2, 1), x(2, 2), x(2, 3))
	at("Split", "by lengths", 13, attrs{num("axis", 1)}, x(2, 3), index([]int{2}, 1, 2)).outputs = 2
	at("Slice", "backwards by two", 13, nil, x(2, 6), index([]int{1}, -1), index([]int{1}, 0), index([]int{1}, 1), index([]int{1}, -2))
	at("Slice", "forwards by two", 13, nil, x(2, 6), index([]int{1}, 1), index([]int{1}, 6), index([]int{1}, 1), index([]int{1}, 2))
	at("Pad", "a computed constant", 13, nil, x(2, 2), index([]int{4}, 0, 1, 1, -1), x())
	for _, mode := range []string{"edge", "reflect", "wrap"} {
		at("Pad", mode, 19, attrs{str("mode", mode)}, x(2, 3), index([]int{4}, 0, 2, 0, 1))
	}
	at("Reshape", "", 14, nil, x(2, 3), index([]int{2}, 3, -1))
	at("Flatten", "", 13, nil, x(2, 3, 2))
	at("Squeeze", "", 13, nil, x(2, 1, 3))
	at("Unsqueeze", "", 13, nil, x(2, 3), index([]int{1}, 1))
	at("Transpose", "", 13, attrs{ints("perm", 1, 2, 0)}, x(2, 3, 4))
	at("Expand", "", 13, nil, x(2, 1), index([]int{3}, 2, 1, 3))
	at("Tile", "", 13, nil, x(2, 2), index([]int{2}, 2, 3))
	at("DepthToSpace", "depth first", 13, attrs{num("blocksize", 2)}, x(1, 8, 1, 2))
	at("DepthToSpace", "columns first", 13, attrs{num("blocksize", 2), str("mode", "CRD")}, x(1, 8, 1, 2))
	at("SpaceToDepth", "", 13, attrs{num("blocksize", 2)}, x(1, 2, 2, 4))
	at("Identity", "", 13, nil, x(2, 3))
	for _, mode := range []string{"nearest", "linear", "cubic"} {
		for _, grid := range []string{"half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"} {
			at("Resize", mode+", "+grid, 13, attrs{str("mode", mode), str("coordinate_transformation_mode", grid)}, x(1, 1, 3, 4), nil, nil, index([]int{4}, 1, 1, 5, 3))
		}
	}
	at("Resize", "antialiased", 18, attrs{str("mode", "linear"), num("antialias", 1)}, x(1, 6), nil, floats([]int{2}, 1, 0.5)).fixed = []int{2}
	at("Resize", "cropped", 13, attrs{str("mode", "linear"), str("coordinate_transformation_mode", "tf_crop_and_resize")}, x(4), floats([]int{2}, 0.25, 1.25), nil, index([]int{1}, 3)).fixed = []int{1}
	at("Upsample", "linear", 9, attrs{str("mode", "linear")}, x(1, 1, 2, 3), floats([]int{4}, 1, 1, 2, 2)).fixed = []int{1}
	at("Upsample", "nearest", 9, nil, x(1, 1, 2, 3), floats([]int{4}, 1, 1, 2, 2)).fixed = []int{1}

	at("Gather", "a row twice", 13, attrs{num("axis", 1)}, x(2, 3), index([]int{3}, -1, 0, 2))
	at("GatherElements", "", 13, attrs{num("axis", 1)}, x(2, 3), index([]int{2, 2}, 0, 0, 1, -1))
	at("GatherND", "rows of each batch", 13, attrs{num("batch_dims", 1)}, x(2, 3, 2), index([]int{2, 1}, 1, -1))
	at("OneHot", "", 11, nil, index([]int{3}, 0, -1, 1), index(nil, 3), x(2))
	at("Trilu", "above a diagonal", 14, nil, x(2, 3, 3), index(nil, 1))
	at("Trilu", "below the main one", 14, attrs{num("upper", 0)}, x(3, 3))
	at("CumSum", "inclusive", 14, nil, x(2, 3), index(nil, 1))
	at("CumSum", "exclusive from the end", 14, attrs{num("exclusive", 1), num("reverse", 1)}, x(3, 2), index(nil, 0))
	at("TopK", "largest", 11, nil, x(2, 5), index([]int{1}, 3)).outputs = 2
	at("TopK", "smallest of columns", 11, attrs{num("largest", 0), num("axis", 0)}, x(4, 2), index([]int{1}, 2))
	for _, fold := range []string{"none", "add", "mul", "max", "min"} {
		twice := int64(1)
		if fold == "none" {
			twice = 2
		}
		at("ScatterElements", fold, 18, attrs{str("reduction", fold)}, floats([]int{4}, 0.5, 3, -1, 1), index([]int{3}, -1, 1, twice), floats([]int{3}, 5, -2, 0.7))
		at("ScatterND", fold, 18, attrs{str("reduction", fold)}, span(-1, 1, 4, 2), index([]int{3, 1}, 3, 1, twice), floats([]int{3, 2}, 5, -5, -6, 6, 0.7, 0.1))
	}
	at("Scatter", "", 9, attrs{num("axis", 1)}, x(2, 3), index([]int{2, 1}, 2, 0), x(2, 1))

	for _, op := range []string{"Add", "Sub", "Mul"} {
		at(op, "broadcast", 14, nil, x(2, 3, 2), x(3, 1))
	}
	at("Div", "broadcast", 14, nil, x(2, 2), positive(2, 1))
	at("Add", "aligned by axis before 7", 6, attrs{num("axis", 0), num("broadcast", 1)}, x(2, 3), x(2))
	at("Mod", "floats", 13, attrs{num("fmod", 1)}, floats([]int{2, 2}, -5.5, 5.5, 7.3, -0.4), floats([]int{2}, 2, -3))
	at("Pow", "computed exponents", 13, nil, positive(2, 3), x(3))
	for _, exponent := range []float64{2.5, 2, 3, 0.5, -0.5, -1} {
		at("Pow", fmt.Sprint("to the ", exponent), 13, nil, positive(2, 3), floats(nil, exponent)).fixed = []int{1}
	}
	for _, op := range []string{"Max", "Min", "Sum", "Mean"} {
		at(op, "three", 13, nil, span(-1, 1, 4, 4), span(-1, 1, 4), span(-1, 1, 4, 1))
	}
	for _, op := range []string{"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"} {
		at(op, "all axes", 11, nil, x(2, 3))
		at(op, "outer and inner axis", 11, attrs{ints("axes", 0, -1), num("keepdims", 0)}, x(2, 3, 2))
	}
	at("ReduceProd", "zeros", 13, attrs{ints("axes", 1)}, floats([]int{3, 3}, 2, 0, 3, 0, 5, 0, 2, 3, 4))
	// Of rows of zeros the central difference is 0, as by symmetry.
	at("ReduceL2", "zeros", 13, attrs{ints("axes", 1)}, floats([]int{2, 2}, 0, 0, 3, -4))
	at("GlobalLpPool", "zeros", 13, nil, floats([]int{1, 2, 2}, 0, 0, 3, -4))
	at("LpPool", "zeros", 13, attrs{ints("kernel_shape", 2), ints("strides", 2)}, floats([]int{1, 1, 4}, 0, 0, 3, -4))
	at("ReduceLogSumExp", "far apart", 13, nil, floats([]int{4}, -1000, 1000, 999.5, -1000))
	at("ReduceLogSum", "", 13, attrs{ints("axes", 1)}, positive(2, 3))

	near := map[string][2]float64{"Log": {0.2, 3}, "Sqrt": {0.2, 3}, "Reciprocal": {0.5, 3}, "Acosh": {1.2, 3}, "Asin": {-0.9, 0.9}, "Acos": {-0.9, 0.9}, "Atanh": {-0.9, 0.9}, "Tan": {-1, 1}}
	for _, op := range []string{"Abs", "Neg", "Sqrt", "Reciprocal", "Exp", "Log", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh", "Asinh", "Acosh", "Atanh"} {
		r, ok := near[op]
		if !ok {
			r = [2]float64{-2, 2}
		}
		at(op, "", 13, nil, span(r[0], r[1], 2, 4))
	}
	for _, op := range activations() {
		at(op.Name, "", max(op.Since, 13), nil, x(3, 5))
		at(op.Name, "far out", max(op.Since, 13), nil, floats([]int{6}, -1000, -40, -1.1, 1.1, 40, 1000))
	}
	for _, op := range []string{"LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "HardSigmoid"} {
		at(op, "other slope", 13, attrs{fl("alpha", 0.3)}, x(3, 5))
	}
	at("Swish", "steeper", 24, attrs{fl("alpha", 2.5)}, x(3, 5))
	at("Gelu", "by tanh", 20, attrs{str("approximate", "tanh")}, x(3, 5))
	at("Shrink", "with a bias", 13, attrs{fl("bias", 0.5), fl("lambd", 0.7)}, x(3, 5))
	for _, op := range biasActivations() {
		at(ms+op.Name, "with a bias", 1, nil, x(3, 5), x(5))
	}
	at(ms+"QuickGelu", "flatter", 1, attrs{fl("alpha", 0.5)}, x(3, 5))
	at("Attention", "rows that see nothing", 24, attrs{num("is_causal", 1)}, x(2, 1, 2, 3), x(2, 1, 3, 3), x(2, 1, 3, 2), nil, nil, nil, index([]int{2}, 1, 3))
	at("Attention", "masked scores", 23, attrs{fl("softcap", 2), num("qk_matmul_output_mode", 2)}, x(1, 2, 3, 4), x(1, 2, 3, 4), x(1, 2, 3, 2), x(1, 2, 3, 3)).outputs = 4
	at("DynamicQuantizeLinear", "scale", 11, nil, x(3, 4)).outputs = 3
	return cases
}

// halfOf returns a scalar float16.
func halfOf(v float64) *ir.Tensor {
	t, err := ir.NewFloats("", ir.Float16, nil, []float64{v})
	if err != nil {
		panic(err)
	}
	return t
}
