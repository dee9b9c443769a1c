package ops_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

func dims(d ...ir.Dim) ir.Type {
	return ir.Type{Kind: ir.KindTensor, Elem: ir.Float32, Ranked: true, Shape: d}
}

func size(n int) ir.Dim      { return ir.Dim{Size: n} }
func sym(name string) ir.Dim { return ir.Dim{Size: -1, Param: name} }

func node(op string, in []string, out []string, attrs ...ir.Attr) *ir.Node {
	return &ir.Node{Name: "n_" + out[0], OpType: op, Inputs: in, Outputs: out, Attrs: attrs}
}

func vec(name string, v ...int64) *ir.Tensor { return ir.NewInt64(name, []int{len(v)}, v) }

// flattenModel is the chain that PyTorch exports for x.view(x.size(0), -1) followed by a view with literal sizes.
func flattenModel() *ir.Model {
	return &ir.Model{
		IRVersion: 8, Opsets: []ir.Opset{{Version: 13}},
		Graph: &ir.Graph{
			Inputs:  []ir.Value{{Name: "x", Type: dims(sym("N"), size(4), size(2), size(3))}},
			Outputs: []ir.Value{{Name: "y", Type: dims(sym("N"), size(24))}},
			Inits:   []*ir.Tensor{ir.NewInt64("zero", nil, []int64{0}), vec("axes", 0), vec("rest", -1)},
			Nodes: []*ir.Node{
				node("Shape", []string{"x"}, []string{"s"}),
				node("Gather", []string{"s", "zero"}, []string{"n"}, ir.IntAttr("axis", 0)),
				node("Unsqueeze", []string{"n", "axes"}, []string{"n1"}),
				node("Concat", []string{"n1", "rest"}, []string{"target"}, ir.IntAttr("axis", 0)),
				node("Reshape", []string{"x", "target"}, []string{"y"}),
			},
		},
	}
}

func TestInferCarriesSymbolicSizesThroughShapeArithmetic(t *testing.T) {
	f, err := ops.InferModel(flattenModel(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Values["y"].Type.String(); got != "float32[N,24]" {
		t.Errorf("y: want float32[N,24], got %s", got)
	}
	if f.Values["target"].Const != nil {
		t.Error("target: want no constant while N is unbound")
	}
}

func TestInferFoldsBoundShapes(t *testing.T) {
	f, err := ops.InferModel(flattenModel(), map[string]int{"N": 5})
	if err != nil {
		t.Fatal(err)
	}
	v, err := f.Values["target"].Const.Int64s()
	if err != nil || !slices.Equal(v, []int64{5, -1}) {
		t.Errorf("target: want [5 -1], got %v, %v", v, err)
	}
	if f.Values["target"].Const.DType != ir.Int64 {
		t.Errorf("target: want int64, got %s", f.Values["target"].Const.DType)
	}
	if got := f.Values["y"].Shape(); !slices.Equal(got, []int{5, 24}) {
		t.Errorf("y: want [5 24], got %v", got)
	}
}

func TestInferTakesDeclaredSizesForHints(t *testing.T) {
	m := flattenModel()
	m.Graph.Info = []ir.Value{{Name: "target", Type: ir.TensorType(ir.Int64, 3)}}
	m.Graph.Outputs[0].Type = dims(size(1), size(23))
	f, err := ops.InferModel(m, map[string]int{"N": 5})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Values["y"].Type.String(); got != "float32[5,24]" {
		t.Errorf("y: want float32[5,24] as inferred, got %s", got)
	}
	want := []string{
		`node "n_target" (Concat): output "target": declared as int64[3], it is int64[2]`,
		`node "n_y" (Reshape): output "y": declared as float32[1,23], it is float32[5,24]`,
	}
	if !slices.Equal(f.Notes, want) {
		t.Errorf("want notes\n%q, got\n%q", want, f.Notes)
	}
}

func TestInferTakesNoOpenSizeFromADeclaration(t *testing.T) {
	m := flattenModel()
	m.Graph.Info = []ir.Value{{Name: "target", Type: ir.TensorType(ir.Int64, 2)}}
	m.Graph.Outputs[0].Type = dims(size(1), size(24))
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Values["y"].Type.Shape[0]; got.Known() {
		t.Errorf("y: want an open batch, got %v: a later Shape would be folded to it", got)
	}
}

func TestInferReportsContradictionsWithAddress(t *testing.T) {
	m := flattenModel()
	m.Graph.Info = []ir.Value{{Name: "target", Type: ir.TensorType(ir.Float32, 2)}}
	_, err := ops.InferModel(m, nil)
	if err == nil {
		t.Fatal("want an error")
	}
	if want := `infer: node "n_target" (Concat, opset 13): output 0 "target": type: want float32[2] as declared, got int64[2]`; !strings.Contains(err.Error(), want) {
		t.Errorf("want %q in:\n%v", want, err)
	}
}

func TestInferRefusesBadBindings(t *testing.T) {
	_, err := ops.InferModel(flattenModel(), map[string]int{"N": -1})
	if err == nil || !strings.Contains(err.Error(), `dimension "N": want a size ≥ 0, got -1`) {
		t.Errorf("want the dimension named, got %v", err)
	}
}

func TestInferTakesDeclaredTypesOfUnknownOperators(t *testing.T) {
	m := flattenModel()
	m.Graph.Nodes[0] = node("Mystery", []string{"x"}, []string{"s"})
	m.Graph.Info = []ir.Value{{Name: "s", Type: ir.TensorType(ir.Int64, 4)}}
	f, err := ops.InferModel(m, map[string]int{"N": 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Values["s"].Type.String(); got != "int64[4]" {
		t.Errorf("s: want int64[4], got %s", got)
	}
	list := ops.Missing(m)
	if len(list) != 1 || list[0].Name != "Mystery" || list[0].Count != 1 || !slices.Equal(list[0].Nodes, []string{"n_s"}) {
		t.Errorf("missing: want Mystery once, got %+v", list)
	}
	_, err = ops.Lower(prim.NewBuilder(), m, f, ops.Hooks{Seed: prim.Invalid})
	var u *ops.UnsupportedError
	if !errors.As(err, &u) || len(u.Ops) != 1 {
		t.Errorf("lower: want an UnsupportedError for Mystery, got %v", err)
	}
}

func TestLowerSkipsDeadNodesAndMakesKnownValuesConstants(t *testing.T) {
	m := flattenModel()
	m.Graph.Nodes = append(m.Graph.Nodes, node("Mystery", []string{"x"}, []string{"dead"}))
	p, _, err := ops.Program(m, map[string]int{"N": 2}, prim.F32)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Nodes {
		if n.Prim != nil && n.Prim.Name() != "reshape" && n.Prim.Name() != "const" {
			t.Errorf("want only a reshape and constants, got %s", n.Prim.Name())
		}
	}
	if p.Input("x") != 0 || p.Output("y") != 0 || !slices.Equal(p.Nodes[p.Outputs[0].ID].Type.Shape, []int{2, 24}) {
		t.Errorf("want input x and output y [2 24], got %+v, %+v", p.Inputs, p.Outputs)
	}
}

func TestLowerAsksForSizes(t *testing.T) {
	_, _, err := ops.Program(flattenModel(), nil, prim.F32)
	if err == nil || !strings.Contains(err.Error(), `graph input "x": want sizes that are known, got float32[N,4,2,3]`) {
		t.Errorf("want the input named, got %v", err)
	}
}

func TestLowerKeepsGradientsToWeights(t *testing.T) {
	m := &ir.Model{
		Opsets: []ir.Opset{{Version: 13}},
		Graph: &ir.Graph{
			Outputs: []ir.Value{{Name: "y", Type: ir.TensorType(ir.Float32, 2, 1)}},
			Inits:   []*ir.Tensor{ir.NewFloat32("w", []int{1, 2}, []float32{1, 2})},
			Nodes:   []*ir.Node{node("Transpose", []string{"w"}, []string{"y"})},
		},
	}
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Values["y"].Const == nil {
		t.Error("y: want its elements known")
	}
	b := prim.NewBuilder()
	vals, err := ops.Lower(b, m, f, ops.Hooks{Seed: prim.Invalid, Init: func(b *prim.Builder, t *ir.Tensor) prim.ID {
		return b.Input(t.Name, prim.Type{DType: prim.F32, Shape: t.Dims})
	}})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.Node(vals["y"]); n.Prim == nil || n.Prim.Name() != "transpose" {
		t.Errorf("y: want a transpose of the weight, got %+v", n)
	}
}

// twoLayers is y = relu(x·w)·w' with w' = w, one dead node that reads a third weight.
func twoLayers() *ir.Model {
	return &ir.Model{
		Opsets: []ir.Opset{{Version: 13}},
		Graph: &ir.Graph{
			Inputs:  []ir.Value{{Name: "x", Type: dims(size(2), size(3))}},
			Outputs: []ir.Value{{Name: "y"}},
			Inits: []*ir.Tensor{
				ir.NewFloat32("w", []int{3, 3}, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}),
				ir.NewFloat32("unread", []int{3, 3}, make([]float32, 9)),
			},
			Nodes: []*ir.Node{
				node("MatMul", []string{"x", "w"}, []string{"a"}),
				node("Relu", []string{"a"}, []string{"b"}),
				node("MatMul", []string{"b", "w"}, []string{"y"}),
				node("MatMul", []string{"b", "unread"}, []string{"dead"}),
			},
		},
	}
}

func TestOutputHookReplacesValues(t *testing.T) {
	m := twoLayers()
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := prim.NewBuilder()
	var seen []string
	vals, err := ops.Lower(b, m, f, ops.Hooks{Seed: prim.Invalid, Output: func(b *prim.Builder, n *ir.Node, k int, v prim.ID) prim.ID {
		seen = append(seen, n.Outputs[k])
		if n.OpType == "Relu" {
			return b.Scale(v, 3)
		}
		return v
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []string{"a", "b", "y"}) {
		t.Errorf("want the outputs of live nodes in order, got %v", seen)
	}
	b.Output("y", vals["y"])
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": prim.F32Tensor([]float32{1, -1, 2, 0, 3, -4}, 2, 3)})
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{3, 0, 6, 0, 9, 0}; !slices.Equal(out["y"].F32, want) {
		t.Errorf("y: want %v, got %v", want, out["y"].F32)
	}
}

func TestModelCostCountsLiveNodesAndSharedWeightsOnce(t *testing.T) {
	m := twoLayers()
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := ops.ModelCost(m, f)
	if c.MACs != 36 || c.Params != 9 || c.Bytes != 36 || len(c.Nodes) != 3 {
		t.Errorf("want 36 MACs, 9 parameters, 36 bytes, 3 nodes, got %+v", c)
	}
	if c.Nodes[0].Params != 9 || c.Nodes[2].Params != 0 || c.Nodes[2].MACs != 18 {
		t.Errorf("want the weight at its first reader and 18 MACs at each product, got %+v", c.Nodes)
	}
}

func TestInferBoundsTheSizeOfValues(t *testing.T) {
	m := twoLayers()
	m.Graph.Nodes = []*ir.Node{node("Expand", []string{"x", "huge"}, []string{"y"})}
	m.Graph.Inits = []*ir.Tensor{vec("huge", 1<<40, 2, 3)}
	_, err := ops.InferModel(m, nil)
	if err == nil || !strings.Contains(err.Error(), `node "n_y" (Expand, opset 13): output 0 "y": want at most`) {
		t.Errorf("want the value named, got %v", err)
	}
}
