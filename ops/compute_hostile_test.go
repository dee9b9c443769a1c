package ops

import (
	"fmt"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// TestRulesDoNotPanic feeds every operator nodes with random inputs and
// attributes: rules may refuse them with an error and nothing else, and a
// lowering's shape is the inferred one.
func TestRulesDoNotPanic(t *testing.T) {
	for _, op := range All() {
		t.Run(op.Name, func(t *testing.T) {
			s := rng.New(5, "ops/hostile/"+op.Name)
			accepted := 0
			for range 400 {
				n, facts := hostileNode(s, op)
				site := &Site{Node: n, Opset: op.Since + s.IntN(25-min(op.Since, 24)), In: facts}
				if err := apply(op, site, &accepted); err != nil {
					t.Fatalf("%s\n%+v\n%v", err, n.Attrs, facts)
				}
			}
			t.Logf("%d of 400 nodes lowered", accepted)
		})
	}
}

func hostileNode(s *rng.Stream, op *Op) (*ir.Node, []Fact) {
	n := &ir.Node{Name: "n", OpType: op.Name, Outputs: []string{"y0", "y1", "y2"}[:1+s.IntN(3)]}
	kinds := []ir.DType{ir.Float32, ir.Float32, ir.Float32, ir.Int64, ir.Bool, ir.Uint8}
	var facts []Fact
	rank := s.IntN(5)
	for i := range []int{s.IntN(6), s.IntN(12)}[s.IntN(2)] {
		if s.IntN(8) == 0 {
			n.Inputs, facts = append(n.Inputs, ""), append(facts, Fact{})
			continue
		}
		dims := make([]int, rank)
		if s.IntN(3) == 0 {
			dims = make([]int, s.IntN(5))
		}
		for k := range dims {
			dims[k] = []int{0, 1, 1, 2, 2, 3, 3, 4, 4, 5}[s.IntN(10)]
			if s.IntN(30) == 0 {
				dims[k] = -1
			}
		}
		f := Fact{Type: ir.TensorType(kinds[s.IntN(len(kinds))], dims...)}
		if f.Type.Static() && s.IntN(2) == 0 {
			v := make([]float64, ir.Prod(dims))
			for k := range v {
				v[k] = float64(s.IntN(7) - 3)
			}
			if c, err := ir.NewFloats("", f.Type.Elem, dims, v); err == nil {
				f.Const, f.Weight = c, s.IntN(2) == 0
			}
		}
		n.Inputs, facts = append(n.Inputs, fmt.Sprint("x", i)), append(facts, f)
	}
	numbers := []int{-1, 0, 1, 1, 2, 2, 3, 1 << 40, -1 << 62}
	list := func() []int {
		v := make([]int, s.IntN(6))
		for i := range v {
			v[i] = numbers[s.IntN(7)]
			if s.IntN(20) == 0 {
				v[i] = numbers[s.IntN(len(numbers))]
			}
		}
		return v
	}
	for _, name := range []string{"axis", "group", "ceil_mode", "count_include_pad", "keepdims", "p", "size", "num_groups", "to", "block_size", "output_dtype", "training_mode", "storage_order", "transA", "transB", "noop_with_empty_axes",
		"num_heads", "kv_num_heads", "q_num_heads", "unidirectional", "is_causal", "do_rotary", "interleaved", "rotary_embedding_dim", "local_window_size", "past_present_share_buffer",
		"qk_matmul_output_mode", "stash_type", "batch_dims", "num_outputs", "allowzero", "start", "end", "largest", "sorted", "exclusive", "reverse", "upper", "smooth_softmax", "broadcast"} {
		if s.IntN(6) == 0 {
			n.Attrs = append(n.Attrs, ir.IntAttr(name, numbers[s.IntN(len(numbers))]))
		}
	}
	for _, name := range []string{"kernel_shape", "strides", "dilations", "pads", "axes", "output_padding", "output_shape", "perm", "split",
		"qkv_hidden_sizes", "starts", "ends", "shape", "repeats", "value_ints"} {
		if s.IntN(5) == 0 {
			n.Attrs = append(n.Attrs, ir.IntsAttr(name, list()...))
		}
	}
	if s.IntN(4) == 0 {
		n.Attrs = append(n.Attrs, ir.StringAttr("auto_pad", []string{"SAME_UPPER", "SAME_LOWER", "VALID", "?"}[s.IntN(4)]))
	}
	for _, word := range []struct {
		name string
		list []string
	}{
		{"equation", []string{"ij,jk->ik", "bij,bjk->bik", "...i,...i->...", "ii->i", "ij->ji", "i,j,k->ijk", "ij,jk", "->", "i->", ",->", "a...b,b...c->ac..."}},
		{"mode", []string{"nearest", "linear", "cubic", "constant", "reflect", "edge", "wrap", "DCR", "CRD", "?"}},
		{"coordinate_transformation_mode", []string{"asymmetric", "align_corners", "half_pixel", "pytorch_half_pixel", "tf_crop_and_resize"}},
		{"reduction", []string{"none", "add", "mul", "max", "?"}},
		{"approximate", []string{"tanh", "none", "?"}},
		{"direction", []string{"LEFT", "RIGHT"}},
	} {
		if s.IntN(3) == 0 {
			n.Attrs = append(n.Attrs, ir.StringAttr(word.name, word.list[s.IntN(len(word.list))]))
		}
	}
	for _, name := range []string{"scale", "softcap", "epsilon", "alpha", "beta", "ratio", "cubic_coeff_a", "extrapolation_value"} {
		if s.IntN(8) == 0 {
			n.Attrs = append(n.Attrs, ir.FloatAttr(name, float64(numbers[s.IntN(len(numbers))])))
		}
	}
	return n, facts
}

// apply runs the rules in the driver's order under the driver's promises.
func apply(op *Op, s *Site, accepted *int) (fault error) {
	defer func() {
		if r := recover(); r != nil {
			fault = fmt.Errorf("panic: %v", r)
		}
	}()
	out, err := op.Infer(s)
	if err != nil {
		return nil
	}
	s.Out = make([]Fact, len(s.Node.Outputs))
	copy(s.Out, out)
	if !s.static() {
		return nil
	}
	for _, f := range s.Out {
		if !f.Present() || !foldable(f.Type, 1<<20) {
			return nil
		}
	}
	op.Axes(s, &Axes{})
	if op.Cost != nil {
		op.Cost(s)
	}
	if op.Kernel != nil {
		op.Kernel(s)
	}
	b := prim.NewBuilder()
	l := &Lowering{Site: s, B: b, Float: prim.F32, Seed: prim.Invalid}
	for i, f := range s.In {
		id := prim.Invalid
		if f.Present() {
			id = b.Input(fmt.Sprint("x", i), prim.Type{DType: l.DType(f.Type.Elem), Shape: f.Shape()})
		}
		l.In = append(l.In, id)
	}
	ids, err := op.Lower(l)
	if err != nil || b.Err() != nil {
		return nil
	}
	*accepted++
	for k, id := range ids {
		if k >= len(s.Out) || id == prim.Invalid {
			continue
		}
		if got, want := fmt.Sprint(b.Shape(id)), fmt.Sprint(s.Out[k].Shape()); got != want {
			return fmt.Errorf("output %d: inferred %s, lowered to %s", k, want, got)
		}
	}
	return nil
}
