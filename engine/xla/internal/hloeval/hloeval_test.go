package hloeval

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// module wraps one operation on arguments of those types.
func module(op string, out string, args ...string) string {
	var in, names []string
	for i, a := range args {
		in = append(in, fmt.Sprintf("%%a%d: tensor<%s>", i, a))
		names = append(names, fmt.Sprintf("tensor<%s>", a))
	}
	return fmt.Sprintf("module @m {\n  func.func @main(%s) -> (tensor<%s>) {\n    %%r = %s : (%s) -> tensor<%s>\n    \"func.return\"(%%r) : (tensor<%s>) -> ()\n  }\n}\n",
		strings.Join(in, ", "), out, op, strings.Join(names, ", "), out, out)
}

// values makes an argument of a module from numbers.
func values(t Type, v ...float64) *Tensor {
	x := New(t)
	for i, f := range v {
		if t.Float() {
			x.setF(i, f)
		} else {
			x.setI(i, int64(f))
		}
	}
	return x
}

func numbers(t *Tensor) []float64 {
	if t.F != nil {
		return t.F
	}
	out := make([]float64, len(t.I))
	for i, v := range t.I {
		out[i] = float64(v)
	}
	return out
}

// TestOperations holds operations to the examples of the StableHLO specification and to
// small cases worked out by hand.
func TestOperations(t *testing.T) {
	const two = `^bb0(%l: tensor<i64>, %r0: tensor<i64>): %f = "stablehlo.add"(%l, %r0) : (tensor<i64>, tensor<i64>) -> tensor<i64> "stablehlo.return"(%f) : (tensor<i64>) -> ()`
	for _, c := range []struct {
		name, op, out string
		types         []string
		in            [][]float64
		want          []float64
	}{
		{"pad", `"stablehlo.pad"(%a0, %a1) {edge_padding_low = array<i64: 0, 1>, edge_padding_high = array<i64: 2, 1>, interior_padding = array<i64: 1, 2>}`, "5x9xi64",
			[]string{"2x3xi64", "i64"}, [][]float64{{1, 2, 3, 4, 5, 6}, {0}},
			[]float64{0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 5, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"pad cuts", `"stablehlo.pad"(%a0, %a1) {edge_padding_low = array<i64: -1>, edge_padding_high = array<i64: -1>, interior_padding = array<i64: 1>}`, "3xi64",
			[]string{"3xi64", "i64"}, [][]float64{{1, 2, 3}, {9}}, []float64{9, 2, 9}},
		{"slice", `"stablehlo.slice"(%a0) {start_indices = array<i64: 1, 2>, limit_indices = array<i64: 3, 4>, strides = array<i64: 1, 1>}`, "2x2xi64",
			[]string{"3x4xi64"}, [][]float64{{0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1}}, []float64{1, 1, 1, 1}},
		{"dot_general", `"stablehlo.dot_general"(%a0, %a1) {dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [0], rhs_batching_dimensions = [0], lhs_contracting_dimensions = [2], rhs_contracting_dimensions = [1]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}`, "2x2x2xi64",
			[]string{"2x2x2xi64", "2x2x2xi64"}, [][]float64{{1, 2, 3, 4, 5, 6, 7, 8}, {1, 0, 0, 1, 1, 0, 0, 1}}, []float64{1, 2, 3, 4, 5, 6, 7, 8}},
		{"convolution", `"stablehlo.convolution"(%a0, %a1) {window_strides = array<i64: 4, 4>, padding = dense<0> : tensor<2x2xi64>, lhs_dilation = array<i64: 2, 2>, rhs_dilation = array<i64: 1, 1>, window_reversal = array<i1: false, false>, dimension_numbers = #stablehlo.conv<[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]>, feature_group_count = 1 : i64, batch_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}`, "1x2x2x1xf32",
			[]string{"1x4x4x1xf32", "3x3x1x1xf32"}, [][]float64{{1, 2, 5, 6, 3, 4, 7, 8, 10, 11, 14, 15, 12, 13, 16, 17}, {1, 1, 1, 1, 1, 1, 1, 1, 1}}, []float64{10, 26, 46, 62}},
		{"gather", `"stablehlo.gather"(%a0, %a1) {dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 2, 1>, indices_are_sorted = false}`, "2x2xi64",
			[]string{"2x3xi64", "2xi64"}, [][]float64{{1, 2, 3, 4, 5, 6}, {2, 0}}, []float64{3, 1, 6, 4}},
		{"gather clamps", `"stablehlo.gather"(%a0, %a1) {dimension_numbers = #stablehlo.gather<offset_dims = [], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1>, indices_are_sorted = false}`, "2xi64",
			[]string{"3xi64", "2xi64"}, [][]float64{{1, 2, 3}, {-4, 7}}, []float64{1, 3}},
		{"scatter", `"stablehlo.scatter"(%a0, %a1, %a2) ({` + two + `}) {scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, indices_are_sorted = false, unique_indices = false}`, "3x2xi64",
			[]string{"3x2xi64", "3xi64", "3x2xi64"}, [][]float64{{1, 1, 1, 1, 1, 1}, {2, 2, 9}, {1, 2, 10, 20, 7, 7}}, []float64{1, 1, 1, 1, 12, 23}},
		{"reduce", `"stablehlo.reduce"(%a0, %a1) ({` + two + `}) {dimensions = array<i64: 1>}`, "1xi64", []string{"1x6xi64", "i64"}, [][]float64{{0, 1, 2, 3, 4, 5}, {0}}, []float64{15}},
		{"reduce_window", `"stablehlo.reduce_window"(%a0, %a1) ({` + two + `}) {window_dimensions = array<i64: 2, 1>, window_strides = array<i64: 4, 1>, base_dilations = array<i64: 2, 1>, window_dilations = array<i64: 3, 1>, padding = dense<[[2, 1], [0, 0]]> : tensor<2x2xi64>}`, "2x2xi64",
			[]string{"3x2xi64", "i64"}, [][]float64{{1, 2, 3, 4, 5, 6}, {0}}, []float64{0, 0, 3, 4}},
		{"transpose", `"stablehlo.transpose"(%a0) {permutation = array<i64: 2, 1, 0>}`, "2x3x2xi64", []string{"2x3x2xi64"}, [][]float64{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}, []float64{1, 7, 3, 9, 5, 11, 2, 8, 4, 10, 6, 12}},
		{"concatenate", `"stablehlo.concatenate"(%a0, %a1) {dimension = 0 : i64}`, "4x2xi64", []string{"3x2xi64", "1x2xi64"}, [][]float64{{1, 2, 3, 4, 5, 6}, {7, 8}}, []float64{1, 2, 3, 4, 5, 6, 7, 8}},
		{"reverse", `"stablehlo.reverse"(%a0) {dimensions = array<i64: 1>}`, "3x2xi64", []string{"3x2xi64"}, [][]float64{{1, 2, 3, 4, 5, 6}}, []float64{2, 1, 4, 3, 6, 5}},
		{"broadcast_in_dim", `"stablehlo.broadcast_in_dim"(%a0) {broadcast_dimensions = array<i64: 2, 1>}`, "2x3x2xi64", []string{"1x3xi64"}, [][]float64{{1, 2, 3}}, []float64{1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3}},
		{"iota", `"stablehlo.iota"() {iota_dimension = 0 : i64}`, "2x3xi64", nil, nil, []float64{0, 0, 0, 1, 1, 1}},
		{"convert to bf16", `"stablehlo.convert"(%a0)`, "3xbf16", []string{"3xf32"}, [][]float64{{1.00390625, 1.01171875, 3}}, []float64{1, 1.015625, 3}},
		{"convert out of range", `"stablehlo.convert"(%a0)`, "2xi64", []string{"2xf32"}, [][]float64{{1e30, -2.9}}, []float64{Undefined, -2}},
		{"divide by zero", `"stablehlo.divide"(%a0, %a1)`, "3xi64", []string{"3xi64", "3xi64"}, [][]float64{{5, -7, 1}, {0, 2, -1}}, []float64{Undefined, -3, -1}},
		{"float32 overflows", `"stablehlo.exponential"(%a0)`, "2xf32", []string{"2xf32"}, [][]float64{{90, 0}}, []float64{math.Inf(1), 1}},
		{"hex", `"stablehlo.constant"() {value = dense<"0x0000803F000000C0"> : tensor<2xf32>}`, "2xf32", nil, nil, []float64{1, -2}},
		{"bits", `"stablehlo.constant"() {value = dense<[0x7F800000, 1.5e0]> : tensor<2xf32>}`, "2xf32", nil, nil, []float64{math.Inf(1), 1.5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse(module(c.op, c.out, c.types...))
			if err != nil {
				t.Fatal(err)
			}
			var args []*Tensor
			for i, v := range c.in {
				args = append(args, values(m.Args[i].Type, v...))
			}
			out, err := m.Run(args)
			if err != nil {
				t.Fatal(err)
			}
			if got := numbers(out[0]); !slices.Equal(got, c.want) {
				t.Errorf("want %v, got %v", c.want, got)
			}
		})
	}
}

// TestRefuses: what is no module, or breaks a rule of an operation, is an error.
func TestRefuses(t *testing.T) {
	good := module(`"stablehlo.add"(%a0, %a1)`, "2xf32", "2xf32", "2xf32")
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "want \"module\""},
		{"cut", good[:len(good)-3], "want \"}\""},
		{"tail", good + "x", "want the end"},
		{"element type", module(`"stablehlo.abs"(%a0)`, "2xf8", "2xf8"), "want an element type"},
		{"undefined value", strings.Replace(good, "%a1)", "%zz)", 1), "operand %zz"},
		{"defined twice", strings.Replace(good, "%r =", "%a0 =", 1), "%a0 is defined twice"},
		{"types of operands", strings.Replace(good, "(tensor<2xf32>, tensor<2xf32>)", "(tensor<2xf32>)", 1), "want a type for each"},
		{"operation", module(`"stablehlo.frob"(%a0)`, "2xf32", "2xf32"), "no such operation"},
		{"result type", module(`"stablehlo.abs"(%a0)`, "3xf32", "2xf32"), "written is {f32 [3]}"},
		{"missing attribute", module(`"stablehlo.reverse"(%a0)`, "2xf32", "2xf32"), "want the attributes [dimensions]"},
		{"unknown attribute", module(`"stablehlo.abs"(%a0) {x = 1 : i64}`, "2xf32", "2xf32"), "want the attributes []"},
		{"attribute of another form", module(`"stablehlo.reverse"(%a0) {dimensions = [0]}`, "2xf32", "2xf32"), "want array<i64"},
		{"float without a point", module(`"stablehlo.constant"() {value = dense<1e3> : tensor<f32>}`, "f32"), "with a point"},
		{"constant's brackets", module(`"stablehlo.constant"() {value = dense<[[1], [2]]> : tensor<2xi64>}`, "2xi64"), "levels of brackets"},
		{"constant's bytes", module(`"stablehlo.constant"() {value = dense<"0x00"> : tensor<2xi64>}`, "2xi64"), "want 16 bytes"},
		{"groups", module(`"stablehlo.convolution"(%a0, %a1) {window_strides = array<i64: 1>, padding = dense<0> : tensor<1x2xi64>, lhs_dilation = array<i64: 1>, rhs_dilation = array<i64: 1>, window_reversal = array<i1: false>, dimension_numbers = #stablehlo.conv<[b, f, 0]x[o, i, 0]->[b, f, 0]>, feature_group_count = 2 : i64, batch_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}`, "1x1x1xf32", "1x2x1xf32", "1x2x1xf32"), "feature and 1 batch groups"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse(c.text)
			if err == nil {
				var args []*Tensor
				for _, a := range m.Args {
					args = append(args, New(a.Type))
				}
				_, err = m.Run(args)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
		})
	}
}

// FuzzParse: no text makes Parse panic.
func FuzzParse(f *testing.F) {
	f.Add(module(`"stablehlo.add"(%a0, %a1)`, "2xf32", "2xf32", "2xf32"))
	f.Add(module(`"stablehlo.reduce"(%a0, %a1) ({^bb0(%l: tensor<f32>, %r0: tensor<f32>): "stablehlo.return"(%l) : (tensor<f32>) -> ()}) {dimensions = array<i64: 1>}`, "1xf32", "1x6xf32", "f32"))
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := Parse(text); err == nil && m == nil {
			t.Error("want a module or an error")
		}
	})
}
