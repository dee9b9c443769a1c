package ops

import (
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// TestValues compares operators with numbers worked out by hand or by the plain formulas
// below. A case runs with all its inputs known, and again, where the rules allow it, with
// the floats among them computed.
func TestValues(t *testing.T) {
	for _, c := range valueCases() {
		t.Run(c.String(), func(t *testing.T) {
			for _, open := range [][]int{nil, c.floating()} {
				b := prim.NewBuilder()
				_, _, out, err := c.lower(b, open)
				if err != nil && open != nil {
					continue
				}
				at, hostErr := c.host(open)
				if err == nil {
					err = hostErr
				}
				if err != nil {
					t.Fatal(err)
				}
				got, err := results(b, out, at)
				if err != nil {
					t.Fatal(err)
				}
				for k, want := range c.want {
					if got[k] == nil {
						t.Errorf("computed inputs %v: output %d: want %v, got nothing", open, k, want)
					} else if err := near(got[k], want, 1e-6); err != nil {
						t.Errorf("computed inputs %v: output %d: %v", open, k, err)
					}
				}
			}
		})
	}
}

// TestEveryOperatorHasValues: the numbers that an operator gives stand in this package,
// whatever other data is installed.
func TestEveryOperatorHasValues(t *testing.T) {
	cases := valueCases()
	for _, op := range All() {
		title := Title(op.Domain, op.Name)
		if !slices.ContainsFunc(cases, func(c opCase) bool { return c.op == title }) {
			t.Errorf("%s: want a case in valueCases, got none", title)
		}
	}
}

// value is a case with the wanted elements of every output.
func value(op, name string, opset int, a attrs, in tensors, want ...[]float64) opCase {
	return opCase{op: op, name: name, opset: opset, attrs: a, in: in, outputs: len(want), want: want}
}

// ms is the front of the titles of ONNX Runtime's operators.
const ms = microsoft + "."

func valueCases() []opCase {
	ints, num, str, fl := ir.IntsAttr, ir.IntAttr, ir.StringAttr, ir.FloatAttr
	inf := math.Inf(1)
	plane := floats([]int{1, 2, 2, 3}, 1, 5, 2, 3, 4, 6, 9, 1, 1, 1, 1, 8)
	signed := floats([]int{2, 3}, 1, -2, 3, 4, 5, -6)
	ordered := tensors{floats([]int{3}, 1, 2, 3), floats([]int{1}, 2)}
	truths := tensors{integers(ir.Bool, []int{4}, 0, 0, 1, 1), integers(ir.Bool, []int{4}, 0, 1, 0, 1)}
	cases := []opCase{
		value("Conv", "bias", 11, nil, tensors{ramp(1, 1, 1, 3, 3), floats([]int{1, 1, 2, 2}, 1, 0, 0, 1), floats([]int{1}, 10)}, []float64{16, 18, 22, 24}),
		value("Conv", "depthwise", 11, attrs{num("group", 2)}, tensors{ramp(1, 1, 2, 2), ramp(1, 2, 1, 2)}, []float64{5, 25}),
		value("Conv", "SAME_LOWER", 11, attrs{str("auto_pad", "SAME_LOWER")}, tensors{ramp(1, 1, 1, 3), floats([]int{1, 1, 2}, 1, 10)}, []float64{10, 21, 32}),
		value("Conv", "SAME_UPPER", 11, attrs{str("auto_pad", "SAME_UPPER")}, tensors{ramp(1, 1, 1, 3), floats([]int{1, 1, 2}, 1, 10)}, []float64{21, 32, 3}),
		value("ConvTranspose", "stride", 11, attrs{ints("strides", 2)}, tensors{ramp(1, 1, 1, 2), ramp(1, 1, 1, 3)}, []float64{1, 2, 5, 4, 6}),
		value("ConvTranspose", "padding beyond the stride", 11, attrs{ints("dilations", 2), ints("output_padding", 1)}, tensors{ramp(1, 1, 1, 2), ramp(1, 1, 1, 2)}, []float64{1, 2, 2, 4, 0}),
		value("MaxPool", "max with hanging window", 12, attrs{ints("kernel_shape", 2), ints("strides", 2), num("ceil_mode", 1)}, tensors{ramp(-3, 1, 1, 3)}, []float64{-2, -1}),
		value("AveragePool", "mean without padding", 11, attrs{ints("kernel_shape", 2), ints("pads", 1, 1)}, tensors{ramp(1, 1, 1, 2)}, []float64{1, 1.5, 2}),
		value("AveragePool", "mean with padding", 11, attrs{ints("kernel_shape", 2), ints("pads", 1, 1), num("count_include_pad", 1)}, tensors{ramp(1, 1, 1, 2)}, []float64{0.5, 1.5, 1}),
		value("AveragePool", "hanging positions do not count", 11, attrs{ints("kernel_shape", 2), ints("strides", 2), num("ceil_mode", 1), num("count_include_pad", 1)}, tensors{ramp(1, 1, 1, 3)}, []float64{1.5, 3}),
		value("LpPool", "norm pool", 11, attrs{ints("kernel_shape", 2)}, tensors{floats([]int{1, 1, 3}, 3, -4, 3)}, []float64{5, 5}),
		value("GlobalLpPool", "global norm", 7, attrs{num("p", 1)}, tensors{floats([]int{1, 1, 3}, 3, -4, 3)}, []float64{10}),
		value("Softmax", "flattened before 13", 11, attrs{num("axis", 1)}, tensors{ramp(7, 1, 2, 2).Clone()}, softmaxOf(0, 1, 2, 3)),
		value("Softmax", "along the axis since 13", 13, nil, tensors{ramp(1000, 1, 2, 2)}, append(softmaxOf(0, 1), softmaxOf(0, 1)...)),
		value("Hardmax", "ties", 13, nil, tensors{floats([]int{2, 3}, 1, 3, 3, 2, 1, 0)}, []float64{0, 1, 0, 1, 0, 0}),
		value("LogSoftmax", "large", 13, nil, tensors{floats([]int{2}, 1000, 0)}, []float64{0, -1000}),
		value("ReduceLogSumExp", "large", 13, attrs{num("keepdims", 0)}, tensors{floats([]int{2}, 1000, 1000)}, []float64{1000 + math.Log(2)}),
		value("MatMul", "vectors", 13, nil, tensors{ramp(1, 3), ramp(1, 3)}, []float64{14}),
		value("MatMul", "flattened rows", 13, nil, tensors{ramp(0, 2, 2, 2), ramp(1, 2)}, []float64{2, 8, 14, 20}),
		value("Gemm", "all terms", 13, attrs{fl("alpha", 2), fl("beta", 3), num("transA", 1)}, tensors{ramp(1, 2, 1), ramp(1, 2, 1), ramp(1, 1)}, []float64{13}),
		value("BatchNormalization", "inference", 15, attrs{fl("epsilon", 0)}, tensors{ramp(1, 1, 2, 2), floats([]int{2}, 2, 1), floats([]int{2}, 0, 5), floats([]int{2}, 1, 3), floats([]int{2}, 4, 1)}, []float64{0, 1, 5, 6}),
		value("InstanceNormalization", "two elements", 7, attrs{fl("epsilon", 0)}, tensors{ramp(1, 1, 2, 2), floats([]int{2}, 2, 1), floats([]int{2}, 0, 5)}, []float64{-2, 2, 4, 6}),
		value("GroupNormalization", "per channel", 21, attrs{fl("epsilon", 0), num("num_groups", 1)}, tensors{floats([]int{1, 2, 1}, 1, 3), floats([]int{2}, 2, 1), floats([]int{2}, 0, 5)}, []float64{-2, 6}),
		value("GroupNormalization", "per group", 18, attrs{fl("epsilon", 0), num("num_groups", 1)}, tensors{floats([]int{1, 2, 1}, 1, 3), floats([]int{1}, 2), floats([]int{1}, 5)}, []float64{3, 7}),
		value("LayerNormalization", "no bias", 17, attrs{fl("epsilon", 0)}, tensors{ramp(1, 1, 2), floats([]int{2}, 2, 3)}, []float64{-2, 3}),
		value("RMSNormalization", "mean square", 23, attrs{fl("epsilon", 0)}, tensors{floats([]int{1, 2}, 1, 7), floats([]int{2}, 5, 5)}, []float64{1, 7}),
		value("LpNormalization", "zero vector", 7, nil, tensors{floats([]int{2, 2}, 3, 4, 0, 0)}, []float64{0.6, 0.8, 0, 0}),
		value("LRN", "even size reaches right", 13, attrs{num("size", 2), fl("alpha", 2), fl("beta", 1)}, tensors{ramp(1, 1, 3, 1)}, []float64{1.0 / 6, 2.0 / 14, 3.0 / 10}),
		value("Clip", "below the attribute", 6, attrs{fl("min", 0), fl("max", 2)}, tensors{ramp(-1, 5)}, []float64{0, 0, 1, 2, 2}),
		value("Clip", "one input bound", 13, nil, tensors{ramp(-1, 3), nil, floats(nil, 0)}, []float64{-1, 0, 0}),
		value("PRelu", "sloped", 16, nil, tensors{ramp(-2, 2, 2), floats([]int{2, 1}, 0.5, 9)}, []float64{-1, -0.5, 0, 1}),
		value("Elu", "both sides", 7, attrs{fl("alpha", 2)}, tensors{floats([]int{2}, -1, 3)}, []float64{2 * (math.Exp(-1) - 1), 3}),
		value("Softplus", "no overflow", 7, nil, tensors{floats([]int{3}, -1000, 0, 1000)}, []float64{0, math.Log(2), 1000}),
		value("HardSwish", "knees", 14, nil, tensors{floats([]int{4}, -4, -1, 1, 4)}, []float64{0, -1.0 / 3, 2.0 / 3, 4}),
		value("Shrink", "outer and inner", 9, attrs{fl("bias", 1), fl("lambd", 1.5)}, tensors{floats([]int{3}, -2, 1, 2)}, []float64{-1, 0, 1}),
		value("Add", "aligned by axis before 7", 6, attrs{num("axis", 0), num("broadcast", 1)}, tensors{ramp(0, 2, 2), floats([]int{2}, 10, 20)}, []float64{10, 11, 22, 23}),
		value("PRelu", "per channel before 7", 6, nil, tensors{ramp(-2, 1, 2, 1), floats([]int{2}, 3, 5)}, []float64{-6, -5}),
		value("BatchNormalization", "batch statistics before 7", 6, attrs{fl("epsilon", 0)}, tensors{ramp(1, 2, 1), floats([]int{1}, 2), floats([]int{1}, 1), floats([]int{1}, 9), floats([]int{1}, 9)}, []float64{-1, 3}),
		value("Add", "wraps", 14, nil, tensors{integers(ir.Uint8, []int{1}, 250), integers(ir.Uint8, []int{1}, 10)}, []float64{4}),
		value("Mul", "wraps signed", 14, nil, tensors{integers(ir.Int8, []int{1}, 100), integers(ir.Int8, []int{1}, 2)}, []float64{-56}),
		value("Div", "toward zero", 14, nil, tensors{integers(ir.Int32, []int{2}, -7, 7), integers(ir.Int32, []int{1}, 2)}, []float64{-3, 3}),
		value("Mod", "sign of the divisor", 13, nil, tensors{integers(ir.Int32, []int{2}, -7, 7), integers(ir.Int32, []int{2}, 3, -3)}, []float64{2, -2}),
		value("Mod", "sign of the dividend", 13, attrs{num("fmod", 1)}, tensors{floats([]int{2}, -7, 7), floats([]int{2}, 3, -3)}, []float64{-1, 1}),
		value("BitShift", "left", 11, attrs{str("direction", "LEFT")}, tensors{integers(ir.Uint8, []int{2}, 16, 200), integers(ir.Uint8, []int{2}, 3, 1)}, []float64{128, 144}),
		value("Pow", "float exponent", 13, nil, tensors{integers(ir.Int32, []int{3}, 1, 2, 3), floats([]int{3}, 2, 0.5, 2)}, []float64{1, 1, 9}),
		value("Mean", "three", 13, nil, tensors{ramp(0, 2), ramp(1, 2), floats(nil, 2)}, []float64{1, 5.0 / 3}),
		value("Where", "selects", 16, nil, tensors{integers(ir.Bool, []int{2}, 1, 0), floats([]int{2}, 1, inf), floats([]int{1}, 7)}, []float64{1, 7}),
		value("IsInf", "signs", 10, attrs{num("detect_negative", 0)}, tensors{floats([]int{3}, -inf, inf, 0)}, []float64{0, 1, 0}),
		value("Round", "halves to even", 11, nil, tensors{floats([]int{3}, 0.5, 1.5, -2.5)}, []float64{0, 2, -2}),
		value("Cast", "to uint8", 13, attrs{num("to", int(ir.Uint8))}, tensors{floats([]int{3}, -1, 257.9, 3.9)}, []float64{255, 1, 3}),
		value("Cast", "to bool", 13, attrs{num("to", int(ir.Bool))}, tensors{floats([]int{3}, 0, 0.3, -2)}, []float64{0, 1, 1}),
		value("ArgMax", "first and last", 13, attrs{num("select_last_index", 1), num("keepdims", 0)}, tensors{floats([]int{3}, 1, 2, 2)}, []float64{2}),
		value("DynamicQuantizeLinear", "halves go to even", 11, nil, tensors{floats([]int{2, 3}, 0, 255, 0.5, 1.5, 2.5, 254.5)}, []float64{0, 255, 0, 2, 2, 254}, []float64{1}, []float64{0}),
		value("DynamicQuantizeLinear", "a negative end", 11, nil, tensors{floats([]int{4}, -51, 204, 0, 1.5)}, []float64{0, 255, 51, 53}, []float64{1}, []float64{51}),
		value("DynamicQuantizeLinear", "0 belongs to the range", 11, nil, tensors{floats([]int{3}, 10, 20, 25.5)}, []float64{100, 200, 255}, []float64{0.1}, []float64{0}),
		value("DynamicQuantizeLinear", "below 0", 11, nil, tensors{floats([]int{3}, -10, -20, -25.5)}, []float64{155, 55, 0}, []float64{0.1}, []float64{255}),
		value("DynamicQuantizeLinear", "only 0", 11, nil, tensors{floats([]int{2}, 0, 0)}, []float64{0, 0}, []float64{1}, []float64{0}),
		value("QuantizeLinear", "saturates", 13, nil, tensors{floats([]int{1, 3}, -9, 1.5, 999), floats(nil, 1), integers(ir.Int8, nil, 1)}, []float64{-8, 3, 127}),
		value("DequantizeLinear", "per axis", 13, nil, tensors{integers(ir.Uint8, []int{1, 2}, 3, 3), floats([]int{2}, 2, 3), integers(ir.Uint8, []int{2}, 1, 0)}, []float64{4, 9}),
		value("DequantizeLinear", "by block", 21, attrs{num("block_size", 2)}, tensors{integers(ir.Uint8, []int{1, 4}, 1, 2, 3, 4), floats([]int{1, 2}, 1, 10)}, []float64{1, 2, 30, 40}),
		value("Dropout", "inference", 13, nil, tensors{ramp(1, 2)}, []float64{1, 2}),

		// Products.
		value("Einsum", "batched product", 12, attrs{str("equation", "bij,bjk->bik")}, tensors{ramp(1, 2, 1, 2), ramp(1, 2, 2, 1)}, []float64{5, 25}),
		value("Einsum", "trace by an implicit result", 12, attrs{str("equation", "ii")}, tensors{ramp(1, 2, 2)}, []float64{5}),
		value("Einsum", "transposed behind an ellipsis", 12, attrs{str("equation", "...ij->...ji")}, tensors{ramp(1, 2, 2)}, []float64{1, 3, 2, 4}),
		value("Gemm", "transposed weight", 13, attrs{num("transB", 1)}, tensors{ramp(1, 1, 2), ramp(1, 2, 2), floats([]int{2}, 100, 200)}, []float64{105, 211}),

		// Pools and norms.
		value("MaxPool", "positions", 12, attrs{ints("kernel_shape", 2, 2)}, tensors{plane}, []float64{5, 6, 9, 8}, []float64{1, 5, 6, 11}),
		value("MaxPool", "positions by columns", 12, attrs{ints("kernel_shape", 2, 2), num("storage_order", 1)}, tensors{plane}, []float64{5, 6, 9, 8}, []float64{2, 5, 6, 11}),
		value("MaxPool", "dilated", 12, attrs{ints("kernel_shape", 2), ints("dilations", 2)}, tensors{floats([]int{1, 1, 4}, 4, 9, 3, 1)}, []float64{4, 9}),
		value("GlobalAveragePool", "two axes", 7, nil, tensors{ramp(1, 1, 2, 2, 2)}, []float64{2.5, 6.5}),
		value("GlobalMaxPool", "two axes", 7, nil, tensors{ramp(-3, 1, 2, 2, 2)}, []float64{0, 4}),
		value("LayerNormalization", "statistics", 17, attrs{fl("epsilon", 0)}, tensors{floats([]int{1, 2}, 1, 5), floats([]int{2}, 2, 3), floats([]int{2}, 10, 20)}, []float64{8, 23}, []float64{3}, []float64{0.5}),
		value("LayerNormalization", "default epsilon", 17, nil, tensors{floats([]int{1, 2}, 0, 2e-3), floats([]int{2}, 1, 1)}, []float64{-1e-3 / math.Sqrt(1.1e-5), 1e-3 / math.Sqrt(1.1e-5)}),
		value("RMSNormalization", "default epsilon", 23, nil, tensors{floats([]int{1, 1}, 1e-3), floats([]int{1}, 1)}, []float64{1e-3 / math.Sqrt(1.1e-5)}),
		value("InstanceNormalization", "four elements", 7, attrs{fl("epsilon", 0)}, tensors{floats([]int{1, 1, 4}, 1, 3, 5, 7), floats([]int{1}, math.Sqrt(5)), floats([]int{1}, 10)}, []float64{7, 9, 11, 13}),
		value("InstanceNormalization", "default epsilon", 7, nil, tensors{floats([]int{1, 1, 2}, 0, 2e-3), floats([]int{1}, 1), floats([]int{1}, 0)}, []float64{-1e-3 / math.Sqrt(1.1e-5), 1e-3 / math.Sqrt(1.1e-5)}),
		value("GroupNormalization", "four elements", 21, attrs{fl("epsilon", 0), num("num_groups", 1)}, tensors{floats([]int{1, 2, 2}, 1, 3, 5, 7), floats([]int{2}, math.Sqrt(5), math.Sqrt(20)), floats([]int{2}, 10, 20)}, []float64{7, 9, 22, 26}),
		value("GroupNormalization", "default epsilon", 21, attrs{num("num_groups", 1)}, tensors{floats([]int{1, 1, 2}, 0, 2e-3), floats([]int{1}, 1), floats([]int{1}, 0)}, []float64{-1e-3 / math.Sqrt(1.1e-5), 1e-3 / math.Sqrt(1.1e-5)}),
		value("BatchNormalization", "default epsilon", 15, nil, tensors{floats([]int{1, 1, 1}, 1), floats([]int{1}, 1), floats([]int{1}, 0), floats([]int{1}, 0), floats([]int{1}, 0)}, []float64{1 / math.Sqrt(1e-5)}),
		value("MeanVarianceNormalization", "four elements", 13, attrs{ints("axes", -1)}, tensors{floats([]int{1, 4}, 1, 3, 5, 7)}, []float64{-3 / math.Sqrt(5), -1 / math.Sqrt(5), 1 / math.Sqrt(5), 3 / math.Sqrt(5)}),
		value("LRN", "defaults", 13, attrs{num("size", 1)}, tensors{floats([]int{1, 1, 1}, 100)}, []float64{100 / math.Pow(2, 0.75)}),
		value("MeanVarianceNormalization", "default axes", 13, nil, tensors{floats([]int{2, 2, 1, 1}, 1, 10, 3, 30)}, []float64{-1, -1, 1, 1}),
		value("SimplifiedLayerNormalization", "with the rate", 1, attrs{fl("epsilon", 0)}, tensors{floats([]int{1, 2}, 1, 7), floats([]int{2}, 5, 10)}, []float64{1, 14}, []float64{0.2}),
		value("LpNormalization", "sum of magnitudes", 22, attrs{num("p", 1), num("axis", 0)}, tensors{floats([]int{2, 1}, 1, -3)}, []float64{0.25, -0.75}),
		value(ms+"SkipLayerNormalization", "all inputs", 1, attrs{fl("epsilon", 0)},
			tensors{floats([]int{1, 2}, 1, 2), floats([]int{1, 2}, 2, 3), floats([]int{2}, 2, 3), floats([]int{2}, 10, 20), floats([]int{2}, -2, 0)},
			[]float64{8, 23}, []float64{3}, []float64{0.5}, []float64{1, 5}),
		value(ms+"SkipLayerNormalization", "default epsilon", 1, nil,
			tensors{floats([]int{1, 2}, 0, 1e-6), floats([]int{1, 2}, 0, 1e-6), floats([]int{2}, 1, 1)}, []float64{-math.Sqrt(0.5), math.Sqrt(0.5)}),
		value(ms+"SkipSimplifiedLayerNormalization", "default epsilon", 1, nil, tensors{floats([]int{1, 1}, 1e-6), floats([]int{1, 1}, 0), floats([]int{1}, 1)}, []float64{math.Sqrt(0.5)}),
		value(ms+"SkipSimplifiedLayerNormalization", "all inputs", 1, attrs{fl("epsilon", 0)},
			tensors{floats([]int{1, 2}, 1, 2), floats([]int{1, 2}, 2, 3), floats([]int{2}, 5, 10), floats([]int{2}, -2, 2)},
			[]float64{1, 14}),
		value(ms+"EmbedLayerNormalization", "all inputs", 1, attrs{fl("epsilon", 0)},
			tensors{
				integers(ir.Int32, []int{1, 2}, 1, 0), integers(ir.Int32, []int{1, 2}, 0, 1),
				floats([]int{2, 2}, 0, 6, 1, 0), floats([]int{2, 2}, 1, 2, 3, 0), floats([]int{2, 2}, 0, 1, 2, 7),
				floats([]int{2}, 2, 3), floats([]int{2}, 10, 20), integers(ir.Int32, []int{1, 2}, 1, 1),
			},
			[]float64{8, 23, 8, 23}, []float64{2}, []float64{2, 3, 5, 13}),
		value("SimplifiedLayerNormalization", "default epsilon", 1, nil, tensors{floats([]int{1, 1}, 1e-3), floats([]int{1}, 1)}, []float64{1e-3 / math.Sqrt(1.1e-5)}),
		value(ms+"EmbedLayerNormalization", "chosen positions", 1, attrs{fl("epsilon", 0)},
			tensors{
				integers(ir.Int32, []int{1, 1}, 1), nil, floats([]int{2, 2}, 0, 6, 1, 0), floats([]int{2, 2}, 1, 2, 3, 6), nil,
				floats([]int{2}, 2, 3), floats([]int{2}, 10, 20), nil, integers(ir.Int32, []int{1, 1}, 1),
			}, []float64{8, 23}),

		// Attention. Keys hold logarithms: the weights of the values are small integers.
		value("Attention", "one key head for two", 23, attrs{fl("scale", 1)},
			tensors{floats([]int{1, 2, 2, 2}, 1, 0, 0, 1, 1, 1, 2, 0), logs([]int{1, 1, 3, 2}, 1, 1, 2, 1, 1, 3), floats([]int{1, 1, 3, 1}, 1, 10, 100)},
			[]float64{mix(1, 2, 1), mix(1, 1, 3), mix(1, 2, 3), mix(1, 4, 1)}),
		value("Attention", "default scale", 23, nil,
			tensors{floats([]int{1, 1, 1, 4}, 2, 0, 0, 0), logs([]int{1, 1, 3, 4}, 1, 7, 7, 7, 2, 7, 7, 7, 5, 7, 7, 7), floats([]int{1, 1, 3, 1}, 1, 10, 100)},
			[]float64{mix(1, 2, 5)}),
		value("Attention", "causal", 23, attrs{fl("scale", 1), num("is_causal", 1)},
			tensors{floats([]int{1, 1, 2, 1}, 1, 1), logs([]int{1, 1, 3, 1}, 2, 3, 5), floats([]int{1, 1, 3, 1}, 1, 10, 100)},
			[]float64{1, mix(2, 3, 0)}),
		value("Attention", "a mask that hides", 23, attrs{fl("scale", 1)},
			tensors{floats([]int{1, 1, 1, 1}, 1), logs([]int{1, 1, 3, 1}, 2, 3, 5), floats([]int{1, 1, 3, 1}, 1, 10, 100), integers(ir.Bool, []int{1, 3}, 1, 0, 1)},
			[]float64{mix(2, 0, 5)}),
		value("Attention", "a mask that adds, and the masked scores", 23, attrs{fl("scale", 1), num("qk_matmul_output_mode", 2)},
			tensors{floats([]int{1, 1, 1, 1}, 1), logs([]int{1, 1, 3, 1}, 2, 3, 5), floats([]int{1, 1, 3, 1}, 1, 10, 100), logs([]int{1, 3}, 2, 1, 3)},
			[]float64{mix(4, 3, 15)}, logsOf(2, 3, 5), []float64{1, 10, 100}, logsOf(4, 3, 15)),
		value("Attention", "a mask that adds, and the scores before it", 23, attrs{fl("scale", 1), num("qk_matmul_output_mode", 1)},
			tensors{floats([]int{1, 1, 1, 1}, 1), logs([]int{1, 1, 3, 1}, 2, 3, 5), floats([]int{1, 1, 3, 1}, 1, 10, 100), logs([]int{1, 3}, 2, 1, 3)},
			[]float64{mix(4, 3, 15)}, logsOf(2, 3, 5), []float64{1, 10, 100}, logsOf(2, 3, 5)),
		value("Attention", "a mask shorter than the keys", 23, attrs{fl("scale", 1)},
			tensors{floats([]int{1, 1, 1, 1}, 1), logs([]int{1, 1, 3, 1}, 2, 3, 5), floats([]int{1, 1, 3, 1}, 1, 10, 100), logs([]int{1, 2}, 2, 1)},
			[]float64{mix(4, 3, 0)}),
		value("Attention", "a query that sees nothing", 23, attrs{fl("scale", 1), num("qk_matmul_output_mode", 3)},
			tensors{floats([]int{1, 1, 2, 1}, 1, 1), logs([]int{1, 1, 3, 1}, 2, 3, 5), floats([]int{1, 1, 3, 1}, 1, 10, 100), integers(ir.Bool, []int{2, 3}, 0, 0, 0, 0, 1, 1)},
			[]float64{0, mix(0, 3, 5)}, logsOf(2, 3, 5), []float64{1, 10, 100}, []float64{0, 0, 0, 0, 0.375, 0.625}),
		value("Attention", "capped, then masked: what is hidden stays hidden", 23, attrs{fl("scale", 1), fl("softcap", 0.5)},
			tensors{floats([]int{1, 1, 1, 1}, 1), logs([]int{1, 1, 3, 1}, 2, 3, 5), floats([]int{1, 1, 3, 1}, 1, 10, 1000), floats([]int{1, 3}, 0, 0, -inf)},
			[]float64{mix(capped(0.5, 2), capped(0.5, 3), 0)}),
		value("Attention", "numbers of keys", 24, attrs{fl("scale", 1)},
			tensors{
				floats([]int{2, 1, 1, 1}, 1, 1), logs([]int{2, 1, 3, 1}, 2, 3, 5, 2, 3, 5), floats([]int{2, 1, 3, 1}, 1, 10, 100, 1, 10, 100), nil, nil, nil,
				integers(ir.Int64, []int{2}, 2, 3),
			}, []float64{mix(2, 3, 0), mix(2, 3, 5)}),
		value("Attention", "numbers of keys, causal", 24, attrs{fl("scale", 1), num("is_causal", 1)},
			tensors{
				floats([]int{2, 1, 2, 1}, 1, 1, 1, 1), logs([]int{2, 1, 3, 1}, 2, 3, 5, 2, 3, 5), floats([]int{2, 1, 3, 1}, 1, 10, 100, 1, 10, 100), nil, nil, nil,
				integers(ir.Int64, []int{2}, 1, 3),
			}, []float64{0, 1, mix(2, 3, 0), mix(2, 3, 5)}),
		value("Attention", "capped, after the cap", 23, attrs{fl("scale", 1), fl("softcap", 2), num("qk_matmul_output_mode", 1)},
			tensors{floats([]int{1, 1, 1, 1}, 1), logs([]int{1, 1, 3, 1}, 1, 2, 20), floats([]int{1, 1, 3, 1}, 1, 10, 100), logs([]int{1, 3}, 1, 3, 1)},
			[]float64{mix(1, 3*capped(2, 2), capped(2, 20))}, logsOf(1, 2, 20), []float64{1, 10, 100}, logsOf(1, capped(2, 2), capped(2, 20))),
		value("Attention", "capped, before the cap", 23, attrs{fl("scale", 1), fl("softcap", 2)},
			tensors{floats([]int{1, 1, 1, 1}, 1), logs([]int{1, 1, 3, 1}, 1, 2, 20), floats([]int{1, 1, 3, 1}, 1, 10, 100), logs([]int{1, 3}, 1, 3, 1)},
			[]float64{mix(1, 3*capped(2, 2), capped(2, 20))}, logsOf(1, 2, 20), []float64{1, 10, 100}, logsOf(1, 2, 20)),
		value("Attention", "capped", 23, attrs{fl("scale", 1), fl("softcap", 2)},
			tensors{floats([]int{1, 1, 1, 1}, 1), logs([]int{1, 1, 3, 1}, 1, 2, 20), floats([]int{1, 1, 3, 1}, 1, 10, 100)},
			[]float64{mix(1, capped(2, 2), capped(2, 20))}),
		value("Attention", "flat, with a past", 23, attrs{fl("scale", 1), num("q_num_heads", 2), num("kv_num_heads", 2)},
			tensors{
				floats([]int{1, 1, 2}, 1, 2), logs([]int{1, 2, 2}, 2, 3, 5, 2), floats([]int{1, 2, 2}, 10, 10, 100, 100), nil,
				logs([]int{1, 2, 1, 1}, 1, 4), floats([]int{1, 2, 1, 1}, 1, 1),
			},
			[]float64{mix(1, 2, 5), mix(16, 9, 4)}, logsOf(1, 2, 5, 4, 3, 2), []float64{1, 10, 100, 1, 10, 100}),
		value(ms+"MultiHeadAttention", "apart, two heads, biases", 1, attrs{fl("scale", 1), num("num_heads", 2)},
			tensors{
				floats([]int{1, 1, 2}, 0, 1), logs([]int{1, 3, 2}, 1, 1, 2, 1, 5, 2), floats([]int{1, 3, 2}, 0, 1, 9, 10, 99, 100),
				floats([]int{6}, 1, 1, 0, math.Ln2, 1, 0), nil, logs([]int{1, 2, 1, 3}, 1, 1, 1, 3, 1, 1),
			},
			[]float64{mix(1, 2, 5), mix(12, 4, 16)}),
		value(ms+"MultiHeadAttention", "default scale, padding and past", 1, attrs{num("num_heads", 1)},
			tensors{
				floats([]int{1, 1, 4}, 2, 0, 0, 0), logs([]int{1, 2, 4}, 2, 1, 1, 1, 5, 1, 1, 1), floats([]int{1, 2, 1}, 10, 100),
				nil, integers(ir.Int32, []int{1, 3}, 1, 0, 1), nil, logs([]int{1, 1, 1, 4}, 3, 1, 1, 1), floats([]int{1, 1, 1, 1}, 1),
			},
			[]float64{mix(3, 0, 5)}, logsOf(3, 1, 1, 1, 2, 1, 1, 1, 5, 1, 1, 1), []float64{1, 10, 100}),
		value(ms+"MultiHeadAttention", "number of keys", 1, attrs{num("num_heads", 1)},
			tensors{floats([]int{1, 1, 1}, 1), logs([]int{1, 3, 1}, 2, 3, 5), floats([]int{1, 3, 1}, 1, 10, 100), nil, integers(ir.Int32, []int{1}, 2)},
			[]float64{mix(2, 3, 0)}),
		value(ms+"MultiHeadAttention", "unidirectional, all packed", 1, attrs{num("num_heads", 1), num("unidirectional", 1)},
			tensors{floats([]int{1, 2, 1, 3, 1}, 1, math.Log(2), 1, 1, math.Log(3), 10)},
			[]float64{1, mix(2, 3, 0)}),
		value(ms+"MultiHeadAttention", "keys and values packed", 1, attrs{num("num_heads", 2)},
			tensors{floats([]int{1, 1, 2}, 1, 2), floats([]int{1, 2, 2, 2, 1}, math.Log(2), 1, math.Log(3), 1, math.Log(5), 10, math.Log(2), 10)},
			[]float64{mix(2, 5, 0), mix(9, 4, 0)}),
		value(ms+"MultiHeadAttention", "keys by head", 1, attrs{num("num_heads", 2)},
			tensors{floats([]int{1, 1, 2}, 1, 2), logs([]int{1, 2, 2, 1}, 2, 5, 3, 2), floats([]int{1, 2, 2, 1}, 1, 10, 1, 10)},
			[]float64{mix(2, 5, 0), mix(9, 4, 0)}),
		value(ms+"Attention", "two heads, padding", 1, attrs{num("num_heads", 2)},
			tensors{
				floats([]int{1, 2, 2}, 1, 0, 0, 1),
				floats([]int{2, 6}, 1, 2, math.Log(2), math.Log(3), 1, 1, 1, 1, math.Log(5), math.Log(2), 10, 10),
				floats([]int{6}, 0, 0, 0, math.Ln2, 0, 0), integers(ir.Int32, []int{1, 2}, 1, 1),
			},
			[]float64{mix(2, 5, 0), mix(36, 16, 0), mix(2, 5, 0), mix(6, 4, 0)}),
		value(ms+"Attention", "unidirectional, with a past", 1, attrs{num("num_heads", 1), num("unidirectional", 1)},
			tensors{
				floats([]int{1, 2, 1}, 1, 2), floats([]int{1, 3}, 0, math.Ln2, 9), floats([]int{3}, 1, 0, 0), nil,
				floats([]int{2, 1, 1, 1, 1}, math.Log(3), 1),
			},
			[]float64{(3 + 2*9) / 5.0, (3 + 2*9 + 4*18) / 9.0}, []float64{math.Log(3), math.Ln2, 2 * math.Ln2, 1, 9, 18}),
		value(ms+"Attention", "a lighter mask", 1, attrs{num("num_heads", 1), fl("mask_filter_value", -1)},
			tensors{floats([]int{1, 2, 1}, 1, 2), floats([]int{1, 3}, 0, 0, 9), nil, integers(ir.Int32, []int{1, 2}, 1, 0)},
			[]float64{(9 + 18/math.E) / (1 + 1/math.E), (9 + 18/math.E) / (1 + 1/math.E)}),
		value(ms+"GroupQueryAttention", "causal, one key head for two", 1, attrs{fl("scale", 1), num("num_heads", 2), num("kv_num_heads", 1)},
			tensors{
				floats([]int{1, 3, 2}, 1, 2, 1, 2, 1, 2), logs([]int{1, 3, 1}, 1, 2, 5), floats([]int{1, 3, 1}, 1, 10, 100), nil, nil,
				integers(ir.Int32, []int{1}, 2), integers(ir.Int32, nil, 3),
			},
			[]float64{1, 1, mix(1, 2, 0), mix(1, 4, 0), mix(1, 2, 5), mix(1, 4, 25)}, logsOf(1, 2, 5), []float64{1, 10, 100}),
		value(ms+"GroupQueryAttention", "packed, a past, a window, capped", 1, attrs{num("num_heads", 1), num("kv_num_heads", 1), num("local_window_size", 2), fl("softcap", 3)},
			tensors{
				floats([]int{1, 1, 3}, 1, math.Log(5), 100), nil, nil, logs([]int{1, 1, 2, 1}, 7, 2), floats([]int{1, 1, 2, 1}, 1, 10),
				integers(ir.Int32, []int{1}, 2), integers(ir.Int32, nil, 3),
			},
			[]float64{mix(0, math.Exp(3*math.Tanh(math.Ln2/3)), math.Exp(3*math.Tanh(math.Log(5)/3)))}, logsOf(7, 2, 5), []float64{1, 10, 100}),
		value(ms+"GroupQueryAttention", "rotary positions", 1, attrs{fl("scale", 1), num("num_heads", 1), num("kv_num_heads", 1), num("do_rotary", 1)},
			tensors{
				floats([]int{1, 2, 2}, 1, 0, 1, 0), logs([]int{1, 2, 2}, 2, 3, 1, 3), floats([]int{1, 2, 2}, 1, 2, 10, 20), nil, nil,
				integers(ir.Int32, []int{1}, 1), integers(ir.Int32, nil, 2), floats([]int{2, 1}, 1, 0), floats([]int{2, 1}, 0, 1),
			},
			// Position 1 turns (x, y) to (-y, x): its query is (0, 1), its key (-ln 3, 0).
			[]float64{1, 2, 13.0 / 4, 26.0 / 4}, append(logsOf(2, 3), -math.Log(3), 0), []float64{1, 2, 10, 20}),
		value("RotaryEmbedding", "halves, a row of angles per position", 23, nil,
			tensors{floats([]int{1, 1, 2, 4}, 1, 2, 3, 4, 5, 6, 7, 8), floats([]int{1, 2, 2}, 2, 3, 5, 7), floats([]int{1, 2, 2}, 1, -1, 0, 2)},
			[]float64{2 - 3, 6 + 4, 6 + 1, 12 - 2, 25, 42 - 16, 35, 56 + 12}),
		value("RotaryEmbedding", "neighbours, chosen rows, a part of each head", 23, attrs{num("interleaved", 1), num("rotary_embedding_dim", 2), num("num_heads", 2)},
			tensors{floats([]int{1, 1, 6}, 1, 2, 3, 4, 5, 6), floats([]int{2, 1}, 9, 2), floats([]int{2, 1}, 9, 1), integers(ir.Int64, []int{1, 1}, 1)},
			[]float64{0, 4 + 1, 3, 8 - 5, 10 + 4, 6}),
		value(ms+"RotaryEmbedding", "one offset", 1, nil,
			tensors{floats([]int{1, 2, 4}, 1, 2, 3, 4, 5, 6, 7, 8), integers(ir.Int64, []int{1}, 1), floats([]int{3, 1}, 9, 2, 5), floats([]int{3, 1}, 9, 1, -1)},
			[]float64{0, 4 + 1, 6 - 4, 8 + 3, 25 + 6, 30 - 5, 35 + 8, 40 - 7}),

		// Layout.
		value("Concat", "inner axis", 13, attrs{num("axis", 1)}, tensors{ramp(1, 2, 1), ramp(5, 2, 2)}, []float64{1, 5, 6, 2, 7, 8}),
		value("Split", "by lengths", 13, attrs{num("axis", 1)}, tensors{ramp(1, 2, 3), integers(ir.Int64, []int{2}, 1, 2)}, []float64{1, 4}, []float64{2, 3, 5, 6}),
		value("Split", "in uneven parts", 18, attrs{num("num_outputs", 2)}, tensors{ramp(1, 5)}, []float64{1, 2, 3}, []float64{4, 5}),
		value("Slice", "backwards by two", 13, nil, tensors{ramp(0, 2, 6), integers(ir.Int64, []int{1}, -1), integers(ir.Int64, []int{1}, 0), integers(ir.Int64, []int{1}, 1), integers(ir.Int64, []int{1}, -2)}, []float64{5, 3, 1, 11, 9, 7}),
		value("Slice", "by attributes", 9, attrs{ints("starts", 1), ints("ends", 1000), ints("axes", 0)}, tensors{ramp(0, 3)}, []float64{1, 2}),
		value("Pad", "constant", 13, nil, tensors{ramp(1, 1, 2), integers(ir.Int64, []int{4}, 0, 1, 1, -1), floats(nil, 9)}, []float64{9, 1, 9, 9}),
		value("Pad", "edge", 13, attrs{str("mode", "edge")}, tensors{ramp(1, 3), integers(ir.Int64, []int{2}, 2, 1)}, []float64{1, 1, 1, 2, 3, 3}),
		value("Pad", "reflect", 13, attrs{str("mode", "reflect")}, tensors{ramp(1, 3), integers(ir.Int64, []int{2}, 2, 1)}, []float64{3, 2, 1, 2, 3, 2}),
		value("Pad", "wrap, one axis", 19, attrs{str("mode", "wrap")}, tensors{ramp(1, 1, 3), integers(ir.Int64, []int{2}, 2, 1), nil, integers(ir.Int64, []int{1}, -1)}, []float64{2, 3, 1, 2, 3, 1}),
		value("Pad", "by attributes", 2, attrs{ints("pads", 1, 0), fl("value", 7)}, tensors{ramp(1, 2)}, []float64{7, 1, 2}),
		value("Reshape", "inferred and copied", 14, nil, tensors{ramp(1, 2, 3), integers(ir.Int64, []int{3}, 0, 1, -1)}, []float64{1, 2, 3, 4, 5, 6}),
		value("Flatten", "behind axis 2", 13, attrs{num("axis", 2)}, tensors{ramp(1, 2, 1, 2)}, []float64{1, 2, 3, 4}),
		value("Squeeze", "one axis", 13, nil, tensors{ramp(1, 1, 2), integers(ir.Int64, []int{1}, 0)}, []float64{1, 2}),
		value("Unsqueeze", "two axes", 13, nil, tensors{ramp(1, 2), integers(ir.Int64, []int{2}, 0, -1)}, []float64{1, 2}),
		value("Transpose", "reversed", 13, nil, tensors{ramp(1, 2, 3)}, []float64{1, 4, 2, 5, 3, 6}),
		value("Transpose", "permuted", 13, attrs{ints("perm", 1, 2, 0)}, tensors{ramp(1, 2, 2, 1)}, []float64{1, 3, 2, 4}),
		value("Expand", "both ways", 13, nil, tensors{ramp(1, 2, 1), integers(ir.Int64, []int{2}, 1, 2)}, []float64{1, 1, 2, 2}),
		value("Tile", "two axes", 13, nil, tensors{ramp(1, 1, 2), integers(ir.Int64, []int{2}, 2, 2)}, []float64{1, 2, 1, 2, 1, 2, 1, 2}),
		value("DepthToSpace", "depth first", 13, attrs{num("blocksize", 2)}, tensors{ramp(0, 1, 8, 1, 1)}, []float64{0, 2, 4, 6, 1, 3, 5, 7}),
		value("DepthToSpace", "columns first", 13, attrs{num("blocksize", 2), str("mode", "CRD")}, tensors{ramp(0, 1, 8, 1, 1)}, []float64{0, 1, 2, 3, 4, 5, 6, 7}),
		value("SpaceToDepth", "two channels", 13, attrs{num("blocksize", 2)}, tensors{ramp(0, 1, 2, 2, 2)}, []float64{0, 4, 1, 5, 2, 6, 3, 7}),
		value("Resize", "linear by half pixels", 13, attrs{str("mode", "linear")}, tensors{floats([]int{2}, 0, 4), nil, floats([]int{1}, 2)}, []float64{0, 1, 3, 4}),
		value("Resize", "linear, asymmetric", 13, attrs{str("mode", "linear"), str("coordinate_transformation_mode", "asymmetric")}, tensors{floats([]int{2}, 0, 4), nil, floats([]int{1}, 2)}, []float64{0, 2, 4, 4}),
		value("Resize", "linear, corners aligned", 13, attrs{str("mode", "linear"), str("coordinate_transformation_mode", "align_corners")}, tensors{floats([]int{2}, 0, 4), nil, nil, integers(ir.Int64, []int{1}, 5)}, []float64{0, 1, 2, 3, 4}),
		value("Resize", "nearest, halves down", 13, nil, tensors{ramp(1, 4), nil, floats([]int{1}, 0.5)}, []float64{1, 3}),
		value("Resize", "nearest, up", 13, attrs{str("nearest_mode", "ceil"), str("coordinate_transformation_mode", "asymmetric")}, tensors{ramp(1, 3), nil, floats([]int{1}, 2)}, []float64{1, 2, 2, 3, 3, 3}),
		value("Resize", "cubic", 13, attrs{str("mode", "cubic"), str("coordinate_transformation_mode", "asymmetric")}, tensors{floats([]int{5}, 0, 0, 1, 0, 0), nil, floats([]int{1}, 2)},
			[]float64{0, -0.09375, 0, 0.59375, 1, 0.59375, 0, -0.09375, 0, 0}),
		value("Resize", "cubic by half pixels", 13, attrs{str("mode", "cubic")}, tensors{floats([]int{7}, 0, 0, 0, 1, 0, 0, 0), nil, floats([]int{1}, 2)},
			[]float64{0, 0, 0, -0.03515625, -0.10546875, 0.26171875, 0.87890625, 0.87890625, 0.26171875, -0.10546875, -0.03515625, 0, 0, 0}),
		value("Resize", "cubic of another coefficient", 13, attrs{str("mode", "cubic"), str("coordinate_transformation_mode", "asymmetric"), fl("cubic_coeff_a", -0.5)}, tensors{floats([]int{5}, 0, 0, 1, 0, 0), nil, floats([]int{1}, 2)},
			[]float64{0, -0.0625, 0, 0.5625, 1, 0.5625, 0, -0.0625, 0, 0}),
		value("Resize", "cubic without the outside", 13, attrs{str("mode", "cubic"), num("exclude_outside", 1)}, tensors{floats([]int{2}, 1, 0), nil, floats([]int{1}, 2)},
			[]float64{0.87890625 / 0.7734375, 0.87890625 / 1.140625, 0.26171875 / 1.140625, -0.10546875 / 0.7734375}),
		value("Resize", "nearest as TensorFlow", 13, attrs{str("coordinate_transformation_mode", "tf_half_pixel_for_nn"), str("nearest_mode", "floor")}, tensors{ramp(1, 5), nil, floats([]int{1}, 0.6)}, []float64{1, 3, 5}),
		value("Resize", "nearest, halves up", 13, attrs{str("nearest_mode", "round_prefer_ceil")}, tensors{ramp(1, 4), nil, floats([]int{1}, 0.5)}, []float64{2, 4}),
		value("Resize", "to one position as PyTorch", 13, attrs{str("mode", "linear"), str("coordinate_transformation_mode", "pytorch_half_pixel")}, tensors{ramp(1, 4), nil, nil, integers(ir.Int64, []int{1}, 1)}, []float64{1}),
		value("Resize", "as PyTorch", 13, attrs{str("mode", "linear"), str("coordinate_transformation_mode", "pytorch_half_pixel")}, tensors{floats([]int{2}, 0, 4), nil, floats([]int{1}, 2)}, []float64{0, 1, 3, 4}),
		value("Resize", "symmetric", 19, attrs{str("mode", "linear"), str("coordinate_transformation_mode", "half_pixel_symmetric")}, tensors{ramp(1, 4), nil, floats([]int{1}, 0.6)}, []float64{1.0 + 2.0/3, 3 + 1.0/3}),
		value("Resize", "antialiased", 18, attrs{str("mode", "linear"), num("antialias", 1)}, tensors{ramp(1, 4), nil, floats([]int{1}, 0.5)}, []float64{1.625, 3.375}),
		value("Resize", "cropped", 13, attrs{str("mode", "linear"), str("coordinate_transformation_mode", "tf_crop_and_resize"), fl("extrapolation_value", 9)},
			tensors{floats([]int{3}, 0, 4, 8), floats([]int{2}, 0.25, 1.25), nil, integers(ir.Int64, []int{1}, 3)}, []float64{2, 6, 9}),
		value("Upsample", "linear", 9, attrs{str("mode", "linear")}, tensors{floats([]int{2}, 0, 4), floats([]int{1}, 2)}, []float64{0, 2, 4, 4}),
		value("Upsample", "nearest", 9, nil, tensors{ramp(1, 2), floats([]int{1}, 2)}, []float64{1, 1, 2, 2}),

		// Indices and constants.
		value("Gather", "negative index", 13, attrs{num("axis", 1)}, tensors{ramp(1, 2, 3), integers(ir.Int64, []int{2}, -1, 0)}, []float64{3, 1, 6, 4}),
		value("GatherElements", "inner axis", 13, attrs{num("axis", 1)}, tensors{ramp(1, 2, 2), integers(ir.Int64, []int{2, 2}, 0, 0, 1, -2)}, []float64{1, 1, 4, 3}),
		value("GatherND", "points", 13, nil, tensors{ramp(1, 2, 2), integers(ir.Int64, []int{2, 2}, 0, 1, 1, -1)}, []float64{2, 4}),
		value("GatherND", "rows of each batch", 13, attrs{num("batch_dims", 1)}, tensors{ramp(1, 2, 2, 1), integers(ir.Int64, []int{2, 1}, 1, 0)}, []float64{2, 3}),
		value("OneHot", "first axis", 11, attrs{num("axis", 0)}, tensors{integers(ir.Int64, []int{2}, 0, -1), integers(ir.Int64, nil, 3), floats([]int{2}, 2, 5)}, []float64{5, 2, 2, 2, 2, 5}),
		value("Trilu", "above a diagonal", 14, nil, tensors{ramp(1, 2, 3), integers(ir.Int64, nil, 1)}, []float64{0, 2, 3, 0, 0, 6}),
		value("Trilu", "below the main one", 14, attrs{num("upper", 0)}, tensors{ramp(1, 2, 2)}, []float64{1, 0, 3, 4}),
		value("CumSum", "inclusive", 14, nil, tensors{ramp(1, 2, 2), integers(ir.Int32, nil, 1)}, []float64{1, 3, 3, 7}),
		value("CumSum", "exclusive from the end", 14, attrs{num("exclusive", 1), num("reverse", 1)}, tensors{ramp(1, 3), integers(ir.Int32, nil, 0)}, []float64{5, 3, 0}),
		value("NonZero", "coordinates by axis", 13, nil, tensors{floats([]int{2, 2}, 0, 3, -1, 0)}, []float64{0, 1, 1, 0}),
		value("TopK", "largest, equal ones by position", 11, nil, tensors{floats([]int{4}, 3, 7, 3, 1), integers(ir.Int64, []int{1}, 3)}, []float64{7, 3, 3}, []float64{1, 0, 2}),
		value("TopK", "smallest of columns", 11, attrs{num("largest", 0), num("axis", 0)}, tensors{floats([]int{2, 2}, 3, 7, 4, 1), integers(ir.Int64, []int{1}, 1)}, []float64{3, 1}, []float64{0, 1}),
		value("ScatterElements", "replaced", 16, nil, tensors{ramp(1, 2, 2), integers(ir.Int64, []int{1, 2}, 1, -2), floats([]int{1, 2}, 7, 9)}, []float64{1, 9, 7, 4}),
		value("ScatterElements", "added twice", 18, attrs{num("axis", 1), str("reduction", "add")}, tensors{ramp(1, 1, 2), integers(ir.Int64, []int{1, 2}, 1, 1), floats([]int{1, 2}, 7, 9)}, []float64{1, 18}),
		value("ScatterElements", "multiplied", 18, attrs{str("reduction", "mul")}, tensors{ramp(2, 2), integers(ir.Int64, []int{2}, 1, 1), floats([]int{2}, 7, 2)}, []float64{2, 42}),
		value("ScatterElements", "largest", 18, attrs{str("reduction", "max")}, tensors{ramp(2, 2), integers(ir.Int64, []int{2}, 1, 1), floats([]int{2}, 7, 2)}, []float64{2, 7}),
		value("ScatterElements", "smallest", 18, attrs{str("reduction", "min")}, tensors{ramp(2, 2), integers(ir.Int64, []int{2}, 1, 1), floats([]int{2}, 7, 2)}, []float64{2, 2}),
		value("Scatter", "replaced", 9, attrs{num("axis", 1)}, tensors{ramp(1, 1, 3), integers(ir.Int64, []int{1, 2}, 2, 0), floats([]int{1, 2}, 7, 9)}, []float64{9, 2, 7}),
		value("ScatterND", "a row replaced", 18, nil, tensors{ramp(1, 2, 2), integers(ir.Int64, []int{1, 1}, 1), floats([]int{1, 2}, 7, 9)}, []float64{1, 2, 7, 9}),
		value("ScatterND", "points added", 18, attrs{str("reduction", "add")}, tensors{ramp(1, 2, 2), integers(ir.Int64, []int{2, 2}, 0, 1, 0, 1), floats([]int{2}, 7, 9)}, []float64{1, 18, 3, 4}),
		value("Constant", "a tensor", 13, attrs{ir.TensorAttr("value", ramp(3, 2))}, nil, []float64{3, 4}),
		value("Constant", "integers", 13, attrs{ints("value_ints", 5, -6)}, nil, []float64{5, -6}),
		value("Identity", "", 13, nil, tensors{ramp(1, 2)}, []float64{1, 2}),
		value("Shape", "from one axis to another", 15, attrs{num("start", -2), num("end", 2)}, tensors{ramp(1, 2, 3, 1)}, []float64{3}),
		value("Size", "", 13, nil, tensors{ramp(1, 2, 3)}, []float64{6}),
		value("Range", "downwards", 11, nil, tensors{floats(nil, 1), floats(nil, -1), floats(nil, -0.75)}, []float64{1, 0.25, -0.5}),
		value("ConstantOfShape", "filled", 9, attrs{ir.TensorAttr("value", integers(ir.Int32, []int{1}, 7))}, tensors{integers(ir.Int64, []int{2}, 1, 2)}, []float64{7, 7}),
		value("ConstantOfShape", "zeros", 9, nil, tensors{integers(ir.Int64, []int{1}, 2)}, []float64{0, 0}),
		value("EyeLike", "a diagonal above", 9, attrs{num("k", 1)}, tensors{ramp(1, 2, 3)}, []float64{0, 1, 0, 0, 0, 1}),
		value("QuantizeLinear", "int8 below", 13, nil, tensors{floats([]int{2}, -999, 0.5), floats(nil, 1), integers(ir.Int8, nil, 3)}, []float64{-128, 3}),
		value("QuantizeLinear", "uint8, per axis", 13, nil, tensors{floats([]int{2, 2}, -9, 3, 10, 9999), floats([]int{2}, 2, 0.5)}, []float64{0, 6, 5, 255}),
		value("QuantizeLinear", "int16, by block", 21, attrs{num("block_size", 2)}, tensors{floats([]int{1, 4}, 1e6, -1e6, 4, 6), floats([]int{1, 2}, 1, 4), integers(ir.Int16, []int{1, 2}, 0, 1)}, []float64{32767, -32768, 2, 3}),
		value("Cast", "to float32", 13, attrs{num("to", int(ir.Float32))}, tensors{floats([]int{2}, -1.5, 3)}, []float64{-1.5, 3}),
		value("CastLike", "to float32", 19, nil, tensors{floats([]int{2}, -1.5, 3), ir.NewFloat32("", nil, []float32{0})}, []float64{-1.5, 3}),
		value("CastLike", "to int8", 19, nil, tensors{floats([]int{2}, -1.5, 200), integers(ir.Int8, nil, 0)}, []float64{-1, -56}),

		// Arithmetic.
		value("Sub", "broadcast", 14, nil, tensors{ramp(1, 2, 1), ramp(10, 2)}, []float64{-9, -10, -8, -9}),
		value("Sub", "wraps", 14, nil, tensors{integers(ir.Uint8, []int{1}, 3), integers(ir.Uint8, []int{1}, 5)}, []float64{254}),
		value("Div", "floats", 14, nil, tensors{floats([]int{2}, 1, -7), floats([]int{1}, 4)}, []float64{0.25, -1.75}),
		value("Mod", "floats of the divisor's sign", 10, attrs{num("fmod", 1)}, tensors{floats([]int{2}, -5.5, 5.5), floats(nil, 2)}, []float64{-1.5, 1.5}),
		value("Pow", "computed exponents", 15, nil, tensors{floats([]int{2}, 2, 9), floats([]int{2}, -2, 1.5)}, []float64{0.25, 27}),
		value("Pow", "one exponent", 15, nil, tensors{floats([]int{2}, 2, 9), floats(nil, -0.5)}, []float64{math.Sqrt2 / 2, 1.0 / 3}),
		value("BitShift", "right", 11, attrs{str("direction", "RIGHT")}, tensors{integers(ir.Uint8, []int{2}, 200, 7), integers(ir.Uint8, []int{2}, 3, 1)}, []float64{25, 3}),
		value("Max", "three", 13, nil, tensors{floats([]int{3}, 1, 5, 2), floats([]int{3}, 3, 0, 2), floats(nil, 2)}, []float64{3, 5, 2}),
		value("Min", "three", 13, nil, tensors{floats([]int{3}, 1, 5, 2), floats([]int{3}, 3, 0, 2), floats(nil, 2)}, []float64{1, 0, 2}),
		value("Sum", "three", 13, nil, tensors{floats([]int{2}, 1, 5), floats([]int{2, 1}, 3, 0), floats(nil, 2)}, []float64{6, 10, 3, 7}),
		value("Less", "", 13, nil, ordered, []float64{1, 0, 0}),
		value("LessOrEqual", "", 16, nil, ordered, []float64{1, 1, 0}),
		value("Greater", "", 13, nil, ordered, []float64{0, 0, 1}),
		value("GreaterOrEqual", "", 16, nil, ordered, []float64{0, 1, 1}),
		value("Equal", "", 19, nil, ordered, []float64{0, 1, 0}),
		value("And", "", 7, nil, truths, []float64{0, 0, 0, 1}),
		value("Or", "", 7, nil, truths, []float64{0, 1, 1, 1}),
		value("Xor", "", 7, nil, truths, []float64{0, 1, 1, 0}),
		value("Not", "", 1, nil, truths[:1], []float64{1, 1, 0, 0}),
		value("BitwiseNot", "unsigned", 18, nil, tensors{integers(ir.Uint8, []int{3}, 0, 5, 255)}, []float64{255, 250, 0}),
		value("BitwiseNot", "signed", 18, nil, tensors{integers(ir.Int32, []int{3}, 0, 5, -1)}, []float64{-1, -6, 0}),
		value("IsNaN", "", 13, nil, tensors{floats([]int{3}, math.NaN(), inf, 0)}, []float64{1, 0, 0}),
		value("IsInf", "both signs", 10, nil, tensors{floats([]int{3}, -inf, math.NaN(), inf)}, []float64{1, 0, 1}),
		value("Abs", "", 13, nil, tensors{floats([]int{3}, -2.5, 0, 3)}, []float64{2.5, 0, 3}),
		value("Neg", "", 13, nil, tensors{floats([]int{2}, -2.5, 3)}, []float64{2.5, -3}),
		value("Sign", "", 13, nil, tensors{floats([]int{3}, -2.5, 0, 3)}, []float64{-1, 0, 1}),
		value("Floor", "", 13, nil, tensors{floats([]int{3}, -2.5, 0, 2.9)}, []float64{-3, 0, 2}),
		value("Ceil", "", 13, nil, tensors{floats([]int{3}, -2.5, 0, 2.1)}, []float64{-2, 0, 3}),
		value("Reciprocal", "", 13, nil, tensors{floats([]int{2}, -4, 0.5)}, []float64{-0.25, 2}),

		// Reductions of [[1, -2, 3], [4, 5, -6]].
		value("ReduceSum", "", 13, nil, tensors{signed, integers(ir.Int64, []int{1}, 1)}, []float64{2, 3}),
		value("ReduceMean", "", 13, attrs{ints("axes", 0)}, tensors{signed}, []float64{2.5, 1.5, -1.5}),
		value("ReduceMax", "", 13, attrs{ints("axes", 1)}, tensors{signed}, []float64{3, 5}),
		value("ReduceMin", "", 13, attrs{ints("axes", 1)}, tensors{signed}, []float64{-2, -6}),
		value("ReduceProd", "", 13, attrs{ints("axes", 1)}, tensors{signed}, []float64{-6, -120}),
		value("ReduceL1", "", 13, attrs{ints("axes", 1)}, tensors{signed}, []float64{6, 15}),
		value("ReduceL2", "", 13, attrs{ints("axes", 1)}, tensors{signed}, []float64{math.Sqrt(14), math.Sqrt(77)}),
		value("ReduceL2", "integers", 13, nil, tensors{integers(ir.Int32, []int{2}, 3, 4)}, []float64{5}),
		value("ReduceSumSquare", "", 13, nil, tensors{signed}, []float64{91}),
		value("ReduceLogSum", "", 13, attrs{ints("axes", 1)}, tensors{signed}, logsOf(2, 3)),
		value("ArgMin", "first of equal ones", 13, attrs{num("axis", 1)}, tensors{floats([]int{2, 3}, 1, 0, 0, -1, 5, 6)}, []float64{1, 0}),

		value(ms+"BiasGelu", "", 1, nil, tensors{floats([]int{2, 2}, -1, 0, 1, 2), floats([]int{2}, 1, -1)}, []float64{0, -0.15865525393145707, 1.9544997361036416, 0.8413447460685429}),
		value(ms+"FastGelu", "with a bias", 1, nil, tensors{floats([]int{2}, 0, 2), floats([]int{2}, 1, -2)}, []float64{0.8411919906082768, 0}),
	}
	for _, f := range formulas() {
		var want []float64
		for _, x := range f.at {
			want = append(want, f.of(x))
		}
		cases = append(cases, value(f.op, f.name, opOf(f.op).Since, f.attrs, tensors{floats([]int{len(f.at)}, f.at...)}, want))
	}
	return cases
}

// formula is a function of one number that an operator applies to every element.
type formula struct {
	op, name string
	attrs    attrs
	at       []float64
	of       func(x float64) float64
}

// formulas lists them as plain Go, in other forms than the rules where there is another.
func formulas() []formula {
	fl := ir.FloatAttr
	line := []float64{-3, -1.25, -0.25, 0, 0.5, 1, 2.75}
	inner := []float64{-0.75, 0, 0.5}
	outer := []float64{1.25, 3}
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	swish := func(alpha float64) func(float64) float64 {
		return func(x float64) float64 { return x / (1 + math.Exp(-alpha*x)) }
	}
	tanhGelu := func(x float64) float64 {
		return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	below := func(alpha, rate, scale float64) func(float64) float64 {
		return func(x float64) float64 {
			if x < 0 {
				return scale * alpha * (math.Exp(x*rate) - 1)
			}
			return scale * x
		}
	}
	kept := func(x float64, keep bool) float64 {
		if keep {
			return x
		}
		return 0
	}
	hard := func(alpha, beta float64) func(float64) float64 {
		return func(x float64) float64 { return min(1, max(0, alpha*x+beta)) }
	}
	return []formula{
		{"Exp", "", nil, line, func(x float64) float64 { return math.Pow(math.E, x) }},
		{"Log", "", nil, outer, func(x float64) float64 { return math.Log2(x) * math.Ln2 }},
		{"Sqrt", "", nil, outer, func(x float64) float64 { return math.Pow(x, 0.5) }},
		{"Erf", "", nil, line, func(x float64) float64 { return 1 - math.Erfc(x) }},
		{"Sin", "", nil, line, math.Sin},
		{"Cos", "", nil, line, math.Cos},
		{"Tan", "", nil, inner, func(x float64) float64 { return math.Sin(x) / math.Cos(x) }},
		{"Asin", "", nil, inner, func(x float64) float64 { return math.Atan2(x, math.Sqrt(1-x*x)) }},
		{"Acos", "", nil, inner, func(x float64) float64 { return math.Atan2(math.Sqrt(1-x*x), x) }},
		{"Atan", "", nil, line, func(x float64) float64 { return math.Atan2(x, 1) }},
		{"Sinh", "", nil, line, func(x float64) float64 { return (math.Exp(x) - math.Exp(-x)) / 2 }},
		{"Cosh", "", nil, line, func(x float64) float64 { return (math.Exp(x) + math.Exp(-x)) / 2 }},
		{"Tanh", "", nil, line, func(x float64) float64 { return 1 - 2/(math.Exp(2*x)+1) }},
		{"Asinh", "", nil, line, func(x float64) float64 { return math.Log(x + math.Sqrt(x*x+1)) }},
		{"Acosh", "", nil, outer, func(x float64) float64 { return math.Log(x + math.Sqrt(x*x-1)) }},
		{"Atanh", "", nil, inner, func(x float64) float64 { return math.Log((1+x)/(1-x)) / 2 }},
		{"Relu", "", nil, line, func(x float64) float64 { return (x + math.Abs(x)) / 2 }},
		{"LeakyRelu", "", nil, line, func(x float64) float64 { return max(x, 0.01*x) }},
		{"LeakyRelu", "steeper", attrs{fl("alpha", 0.5)}, line, func(x float64) float64 { return max(x, 0.5*x) }},
		{"Elu", "", nil, line, below(1, 1, 1)},
		{"Selu", "", nil, line, below(1.6732632423543772, 1, 1.0507009873554805)},
		{"Selu", "other slopes", attrs{fl("alpha", 2), fl("gamma", 3)}, line, below(2, 1, 3)},
		{"Celu", "", nil, line, below(1, 1, 1)},
		{"Celu", "flatter", attrs{fl("alpha", 2)}, line, below(2, 0.5, 1)},
		{"ThresholdedRelu", "", nil, line, func(x float64) float64 { return kept(x, x > 1) }},
		{"ThresholdedRelu", "lower", attrs{fl("alpha", 0.25)}, line, func(x float64) float64 { return kept(x, x > 0.25) }},
		{"Softsign", "", nil, line, func(x float64) float64 { return x / (math.Abs(x) + 1) }},
		{"Sigmoid", "", nil, line, func(x float64) float64 { return (1 + math.Tanh(x/2)) / 2 }},
		{"HardSigmoid", "", nil, line, hard(0.2, 0.5)},
		{"HardSigmoid", "steeper", attrs{fl("alpha", 0.5), fl("beta", 0.25)}, line, hard(0.5, 0.25)},
		{"Softplus", "", nil, line, func(x float64) float64 { return math.Log(1 + math.Exp(x)) }},
		{"Mish", "", nil, line, func(x float64) float64 {
			u := (1 + math.Exp(x)) * (1 + math.Exp(x))
			return x * (u - 1) / (u + 1)
		}},
		{"Swish", "", nil, line, swish(1)},
		{"Swish", "steeper", attrs{fl("alpha", 2.5)}, line, swish(2.5)},
		{"Gelu", "", nil, line, func(x float64) float64 { return x * phi(x) }},
		{"Gelu", "by tanh", attrs{ir.StringAttr("approximate", "tanh")}, line, tanhGelu},
		{ms + "Gelu", "", nil, line, func(x float64) float64 { return x * phi(x) }},
		{ms + "FastGelu", "", nil, line, tanhGelu},
		{ms + "QuickGelu", "", nil, line, swish(1.702)},
		{ms + "QuickGelu", "flatter", attrs{fl("alpha", 0.5)}, line, swish(0.5)},
		{"Shrink", "", nil, line, func(x float64) float64 { return kept(x, math.Abs(x) > 0.5) }},
	}
}

// logs returns a tensor of the logarithms of v.
func logs(dims []int, v ...float64) *ir.Tensor { return floats(dims, logsOf(v...)...) }

func logsOf(v ...float64) []float64 {
	out := slices.Clone(v)
	for i := range out {
		out[i] = math.Log(out[i])
	}
	return out
}

// mix is the mean of 1, 10 and 100 by weights.
func mix(a, b, c float64) float64 { return (a + 10*b + 100*c) / (a + b + c) }

// capped is the weight of a score ln(x) under a soft cap.
func capped(cap, x float64) float64 { return math.Exp(cap * math.Tanh(math.Log(x)/cap)) }

func softmaxOf(x ...float64) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v)
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Exp(v) / sum
	}
	return out
}
