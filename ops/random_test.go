package ops_test

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// TestRulesNeverPanic feeds every operator nodes with random inputs and
// attributes, most of them malformed: rules return errors or results.
func TestRulesNeverPanic(t *testing.T) {
	names := []string{
		"axis", "axes", "perm", "keepdims", "noop_with_empty_axes", "group", "strides", "dilations", "pads", "kernel_shape", "auto_pad", "ceil_mode",
		"count_include_pad", "storage_order", "output_padding", "output_shape", "alpha", "beta", "transA", "transB", "p", "size", "bias", "epsilon", "momentum",
		"training_mode", "num_groups", "to", "split", "num_outputs", "starts", "ends", "mode", "value", "shape", "allowzero", "blocksize", "start", "end",
		"batch_dims", "k", "dtype", "largest", "upper", "exclusive", "reverse", "reduction", "scales", "select_last_index", "fmod", "direction", "broadcast",
		"block_size", "stash_type", "value_ints", "value_float", "min", "max", "ratio", "seed", "coordinate_transformation_mode", "keep_aspect_ratio_policy", "equation",
	}
	for _, op := range ops.All() {
		s := rng.New(7, "ops/random/"+op.Name)
		infers, lowers := 0, 0
		for range 400 {
			m := randomModel(s.Rand, op, names)
			ok, low, err := exercise(m)
			if err != nil {
				t.Errorf("%s: %v\n%s", op.Name, err, describe(m))
				break
			}
			infers += ok
			lowers += low
		}
		t.Logf("%s: %d inferred, %d lowered", op.Name, infers, lowers)
	}
}

func exercise(m *ir.Model) (inferred, lowered int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	f, e := ops.InferModel(m, nil)
	if e != nil {
		return 0, 0, nil
	}
	n := m.Graph.Nodes[0]
	s := f.Sites[n]
	op := ops.Lookup(n.Domain, n.OpType)
	ranked := true
	for i, name := range n.Inputs {
		ranked = ranked && (name == "" || s.In[i].Type.Ranked)
	}
	for k, name := range n.Outputs {
		ranked = ranked && (name == "" || s.Out[k].Type.Ranked)
	}
	if ranked && op != nil && op.Axes != nil && s.Opset >= op.Since {
		var a ops.Axes
		op.Axes(s, &a)
	}
	ops.FollowBatch(m)
	ops.ModelCost(m, f)
	if _, e := ops.Lower(prim.NewBuilder(), m, f, ops.Hooks{Seed: prim.Invalid}); e != nil {
		return 1, 0, nil
	}
	return 1, 1, nil
}

func randomModel(r *rand.Rand, op *ops.Op, names []string) *ir.Model {
	m := &ir.Model{Opsets: []ir.Opset{{Domain: op.Domain, Version: int64(1 + r.IntN(24))}}, Graph: &ir.Graph{}}
	n := &ir.Node{Name: "n", OpType: op.Name, Domain: op.Domain}
	elems := []ir.DType{ir.Float32, ir.Float32, ir.Float32, ir.Int64, ir.Int64, ir.Float16, ir.Bool, ir.Int32, ir.Uint8, ir.String}
	rank := r.IntN(5)
	for i := range r.IntN(6) {
		name := fmt.Sprintf("i%d", i)
		switch r.IntN(12) {
		case 0:
			n.Inputs = append(n.Inputs, "")
			continue
		case 1:
			if i > 0 {
				n.Inputs = append(n.Inputs, "i0x")
				m.Graph.Inputs = append(m.Graph.Inputs, ir.Value{Name: "i0x", Type: ir.Type{Kind: ir.KindTensor, Elem: ir.Float32}})
				continue
			}
		}
		d := make([]int, rank)
		if r.IntN(3) == 0 {
			d = make([]int, r.IntN(4))
		}
		for k := range d {
			d[k] = r.IntN(5)
			if r.IntN(8) == 0 {
				d[k] = -1
			}
		}
		e := elems[r.IntN(len(elems))]
		n.Inputs = append(n.Inputs, name)
		constant := r.IntN(2) == 0 && e != ir.String
		for _, x := range d {
			constant = constant && x >= 0
		}
		if !constant {
			m.Graph.Inputs = append(m.Graph.Inputs, ir.Value{Name: name, Type: ir.TensorType(e, d...)})
			continue
		}
		v := make([]float64, ir.Prod(d))
		for k := range v {
			v[k] = float64(r.IntN(9) - 3)
			if r.IntN(30) == 0 {
				v[k] = float64(r.Int64())
			}
		}
		t, err := ir.NewFloats(name, e, d, v)
		if err != nil {
			panic(err)
		}
		m.Graph.Inits = append(m.Graph.Inits, t)
	}
	for k := range 1 + r.IntN(3) {
		n.Outputs = append(n.Outputs, fmt.Sprintf("o%d", k))
	}
	m.Graph.Outputs = []ir.Value{{Name: "o0"}}
	for range r.IntN(5) {
		name := names[r.IntN(len(names))]
		var a ir.Attr
		switch r.IntN(7) {
		case 0, 1, 2:
			a = ir.IntAttr(name, r.IntN(9)-3)
			if r.IntN(20) == 0 {
				a.I = r.Int64() - r.Int64()
			}
		case 3, 4:
			v := make([]int, r.IntN(6))
			for k := range v {
				v[k] = r.IntN(7) - 2
				if r.IntN(30) == 0 {
					v[k] = int(r.Int64() - r.Int64())
				}
			}
			a = ir.IntsAttr(name, v...)
		case 5:
			a = ir.FloatAttr(name, r.NormFloat64())
		case 6:
			words := []string{"edge", "wrap", "reflect", "linear", "cubic", "SAME_UPPER", "VALID", "CRD", "add", "max", "align_corners", "tf_crop_and_resize", "none", "ij,jk->ik"}
			a = ir.StringAttr(name, words[r.IntN(len(words))])
		}
		n.SetAttr(a)
	}
	m.Graph.Nodes = []*ir.Node{n}
	return m
}

func describe(m *ir.Model) string {
	n := m.Graph.Nodes[0]
	s := fmt.Sprintf("opset %d, inputs %v, outputs %v\n", m.Opsets[0].Version, n.Inputs, n.Outputs)
	for _, v := range m.Graph.Inputs {
		s += fmt.Sprintf("input %s %s\n", v.Name, v.Type)
	}
	for _, t := range m.Graph.Inits {
		f, _ := t.Float64s()
		s += fmt.Sprintf("init %s %s %v\n", t.Name, t.Type(), f)
	}
	for _, a := range n.Attrs {
		s += fmt.Sprintf("attr %s %+v\n", a.Name, a)
	}
	return s
}
