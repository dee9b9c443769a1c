package gorgonnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
)

// maxOpset is the newest opset that the rules below were written against.
const maxOpset = 24

// rule returns why gorgonnx cannot run a node as ONNX means it at an opset; ""
// when it can.
type rule func(n *ir.Node, opset int64) string

// operators lists what gorgonnx implements, with the rule for what it would
// compute differently from ONNX without saying so.
var operators = map[string]rule{
	"Abs": any1, "Add": any1, "BatchNormalization": batchNorm, "Ceil": any1, "Concat": notNegative("axis"), "Constant": onlyValue,
	"Conv": conv, "Cos": any1, "Div": any1, "Dropout": oneOutput, "Exp": any1, "Flatten": notNegative("axis"), "Floor": any1,
	"Gemm": gemm, "GlobalAveragePool": any1, "Identity": any1, "LeakyRelu": any1, "Log": any1, "MatMul": any1, "Max": any1,
	"MaxPool": maxPool, "Min": any1, "Mul": any1, "Neg": any1, "Relu": any1, "Reshape": reshape, "Sigmoid": any1, "Sign": any1, "Sin": any1,
	"Softmax": softmax, "Softplus": any1, "Sqrt": any1, "Squeeze": axes, "Sub": any1, "Tanh": any1, "Transpose": perm,
	"Unsqueeze": axes,
}

func any1(*ir.Node, int64) string { return "" }

func oneOutput(n *ir.Node, _ int64) string {
	for _, o := range n.Outputs[min(1, len(n.Outputs)):] {
		if o != "" {
			return "more than one output"
		}
	}
	return ""
}

func notNegative(attr string) rule {
	return func(n *ir.Node, _ int64) string {
		if n.Int(attr, 0) < 0 {
			return "negative " + attr
		}
		return ""
	}
}

func axes(n *ir.Node, _ int64) string {
	if n.Input(1) != "" {
		return "axes as an input"
	}
	for _, v := range n.Ints("axes", nil) {
		if v < 0 {
			return "negative axes"
		}
	}
	return ""
}

func batchNorm(n *ir.Node, opset int64) string {
	if n.Int("training_mode", 0) != 0 || n.Int("spatial", 1) != 1 {
		return "training_mode or spatial"
	}
	return oneOutput(n, opset)
}

func reshape(n *ir.Node, _ int64) string {
	if n.Int("allowzero", 0) != 0 {
		return "allowzero"
	}
	return ""
}

func onlyValue(n *ir.Node, _ int64) string {
	if n.Attr("value") == nil {
		return "a constant other than value"
	}
	return ""
}

func conv(n *ir.Node, _ int64) string {
	if g := n.Int("group", 1); g != 1 {
		return "groups"
	}
	k := n.Ints("kernel_shape", nil)
	if len(k) != 2 {
		return "kernel_shape that is not two-dimensional or not stated"
	}
	pads := n.Ints("pads", []int{0, 0, 0, 0})
	if len(pads) != 4 || slices.Max(pads) != slices.Min(pads) {
		return "unequal pads"
	}
	if p := n.Str("auto_pad", "NOTSET"); p != "NOTSET" && p != "VALID" && p != "SAME_UPPER" {
		return "auto_pad " + p
	}
	return ""
}

func maxPool(n *ir.Node, opset int64) string {
	switch {
	case n.Attr("dilations") != nil:
		return "dilations"
	case n.Int("ceil_mode", 0) != 0:
		return "ceil_mode"
	case len(n.Ints("kernel_shape", nil)) != 2:
		return "kernel_shape that is not two-dimensional"
	}
	if pads := n.Ints("pads", []int{0, 0, 0, 0}); len(pads) != 4 || slices.Max(pads) != slices.Min(pads) {
		return "unequal pads"
	}
	return oneOutput(n, opset)
}

func gemm(n *ir.Node, _ int64) string {
	if n.Input(2) == "" {
		return "no third input"
	}
	return ""
}

// softmax flattens around its axis, as ONNX did before opset 13.
func softmax(n *ir.Node, opset int64) string {
	switch {
	case opset >= 13:
		return "the meaning of axis from opset 13 on"
	case n.Int("axis", 1) < 0:
		return "negative axis"
	}
	return ""
}

func perm(n *ir.Node, _ int64) string {
	if n.Attr("perm") == nil {
		return "no perm"
	}
	return ""
}

// Supports reports everything in a model that gorgonnx cannot run as ONNX means
// it, in one *runtimes.UnsupportedError with counts; nil when there is nothing.
func Supports(m *ir.Model) error {
	var reasons []string
	if v := m.Opset(""); v > maxOpset {
		reasons = append(reasons, fmt.Sprintf("opset %d (want at most %d)", v, maxOpset))
	}
	for _, v := range append(slices.Clone(m.Graph.Inputs), m.Graph.Outputs...) {
		if v.Type.Kind == ir.KindTensor && v.Type.Elem != ir.Float32 && m.Graph.Init(v.Name) == nil {
			reasons = append(reasons, fmt.Sprintf("value %q: %s (want float32)", v.Name, v.Type.Elem))
		}
	}
	counts := map[string]int{}
	var order []string
	for _, n := range m.Graph.Nodes {
		why := "no such operator"
		if r, ok := operators[n.OpType]; ok && ir.NormalDomain(n.Domain) == "" {
			why = r(n, m.Opset(""))
		}
		if why == "" {
			continue
		}
		key := strings.TrimPrefix(n.Domain+".", ".") + n.OpType + ": " + why
		if counts[key] == 0 {
			order = append(order, key)
		}
		counts[key]++
	}
	for _, key := range order {
		reasons = append(reasons, fmt.Sprintf("%d × %s", counts[key], key))
	}
	if len(reasons) == 0 {
		return nil
	}
	return &runtimes.UnsupportedError{Runtime: Name, Reasons: reasons}
}
