package entangle_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
)

// refused is a model with one node whose first input is a constant of a type and sizes.
func refused(op string, dt ir.DType, dims ...int) *entangle.Model {
	w := &ir.Tensor{Name: "w", DType: dt, Dims: dims, Raw: make([]byte, (ir.Prod(dims)*dt.Bits()+7)/8)}
	n := &ir.Node{Name: "the_node", OpType: op, Inputs: []string{"w"}, Outputs: []string{"y"}, Attrs: []ir.Attr{ir.IntAttr("to", int(ir.Float32))}}
	return &entangle.Model{Raw: &ir.Model{Graph: &ir.Graph{Nodes: []*ir.Node{n}, Inits: []*ir.Tensor{w}}}}
}

func TestCheckTrainable(t *testing.T) {
	for _, c := range []struct {
		name, op string
		dt       ir.DType
		dims     []int
		want     string // in the error; "": trainable
	}{
		{"QDQ", "DequantizeLinear", ir.Int8, []int{16, 16}, `model: quantised: DequantizeLinear ×1 (nodes "the_node"): `},
		{"dynamic", "DynamicQuantizeLinear", ir.Uint8, []int{4}, "give the float model"},
		{"dynamic product", "MatMulInteger", ir.Uint8, []int{16, 16}, "quantised: MatMulInteger"},
		{"dynamic convolution", "ConvInteger", ir.Uint8, []int{4, 4, 3, 3}, "quantised: ConvInteger"},
		{"operators on integers", "QLinearConv", ir.Uint8, []int{4}, "quantised: QLinearConv"},
		{"blocks of bits", "MatMulNBits", ir.Uint8, []int{16, 16}, "quantised: MatMulNBits"},
		{"weights behind a cast", "Cast", ir.Int8, []int{16, 16}, "quantised: Cast"},
		{"weights of 4 bits", "Cast", ir.Int4, []int{16, 16}, "quantised: Cast"},
		{"a colour behind a cast", "Cast", ir.Uint8, []int{1, 3, 1, 1}, ""},
		{"positions behind a cast", "Cast", ir.Int64, []int{1, 512}, ""},
		{"a mask behind a cast", "Cast", ir.Bool, []int{64, 64}, ""},
		{"recurrent", "GRU", ir.Int64, []int{2}, `model: recurrent: GRU ×1 (nodes "the_node"): `},
		{"neither", "Relu", ir.Int64, []int{2}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := refused(c.op, c.dt, c.dims...).CheckTrainable()
			var model *entangle.ModelError
			if (err == nil) != (c.want == "") || err != nil && (!errors.As(err, &model) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("want a ModelError with %q, got %v", c.want, err)
			}
		})
	}
}

// TestRefusedInside: operators of subgraphs and functions count, and three nodes of one
// operator are counted with two of them named.
func TestRefusedInside(t *testing.T) {
	m := refused("LSTM", ir.Int64, 1)
	inner := m.Raw.Graph
	m.Raw.Graph = &ir.Graph{Nodes: []*ir.Node{{Name: "if", OpType: "If", Outputs: []string{"z"}, Attrs: []ir.Attr{{Name: "then_branch", Kind: ir.AttrGraph, G: inner}, {Name: "else_branch", Kind: ir.AttrGraph, G: inner}}}}}
	m.Raw.Functions = []*ir.Function{{Name: "f", Nodes: inner.Nodes}}
	if err := m.CheckTrainable(); err == nil || !strings.Contains(err.Error(), `LSTM ×3 (nodes "the_node", "the_node", …)`) {
		t.Errorf("got %v", err)
	}
}

// TestRefusedFirst: a refusal comes before any other check of a job.
func TestRefusedFirst(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	m := runtest.Wrap(b.Model)
	m.Raw = refused("LSTM", ir.Int64, 1).Raw
	b.Job.Target[0].Share = 7
	_, prepared := entangle.Prepare(m, b.Set, b.Job)
	_, trained := entangle.PrepareTraining(m, nil, b.Set, b.Job)
	for _, err := range []error{prepared, trained} {
		var model *entangle.ModelError
		if !errors.As(err, &model) {
			t.Errorf("want a ModelError, got %v", err)
		}
	}
}

// TestVerifierTakesTheOriginal: a file that ONNX Runtime does not load is refused before any
// work, and taken by a job that does not verify.
func TestVerifierTakesTheOriginal(t *testing.T) {
	lib := orttest.Library(".")
	if lib == "" || !ort.Built {
		t.Skip("ONNX Runtime is absent")
	}
	for _, c := range []struct {
		ir     int64
		verify bool
		takes  bool
	}{{8, true, true}, {99, true, false}, {99, false, true}} {
		raw := openConvs(ir.Dim{Size: 8}, ir.Dim{Size: 8})
		raw.IRVersion = c.ir
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := entangle.Export(path, raw); err != nil {
			t.Fatal(err)
		}
		p := &entangle.Plan{Job: entangle.DefaultJob(), Source: &entangle.Model{Path: path, Raw: raw, Normal: raw}}
		p.Job.Verify, p.Job.ORTLib = c.verify, lib
		_, err := p.Verifier(&entangle.Host{})
		var model *entangle.ModelError
		if (err == nil) != c.takes || err != nil && !errors.As(err, &model) {
			t.Errorf("IR version %d, verify %t: want it taken: %t, got %v", c.ir, c.verify, c.takes, err)
		}
	}
}
