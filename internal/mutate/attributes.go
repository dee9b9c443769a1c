package mutate

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

func (s *state) attribute() *ir.Attr {
	n := s.node()
	if n == nil || len(n.Attrs) == 0 {
		return nil
	}
	return &n.Attrs[s.IntN(len(n.Attrs))]
}

func attributeValue(s *state) bool {
	a := s.attribute()
	if a == nil {
		return false
	}
	switch a.Kind {
	case ir.AttrInt:
		a.I = s.number()
	case ir.AttrFloat:
		a.F = float32(s.number())
	case ir.AttrString:
		a.S = []byte(pick(s, []string{"", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "linear", "cubic", "nearest", "reflect", "edge", "wrap", "ij->ji", "...", "none"}))
	case ir.AttrInts:
		if len(a.Ints) == 0 {
			return false
		}
		a.Ints[s.IntN(len(a.Ints))] = s.number()
	default:
		return false
	}
	return true
}

func attributeList(s *state) bool {
	a := s.attribute()
	if a == nil || a.Kind != ir.AttrInts {
		return false
	}
	switch {
	case len(a.Ints) > 0 && s.IntN(2) == 0:
		at := s.IntN(len(a.Ints))
		a.Ints = slices.Delete(slices.Clone(a.Ints), at, at+1)
	case len(a.Ints) > 0 && s.IntN(6) == 0:
		a.Ints = nil
	default:
		a.Ints = append(slices.Clone(a.Ints), s.number())
	}
	return true
}

func attributeGone(s *state) bool {
	n := s.node()
	if n == nil || len(n.Attrs) == 0 {
		return false
	}
	at := s.IntN(len(n.Attrs))
	n.Attrs = slices.Delete(n.Attrs, at, at+1)
	return true
}

// integers and lists are attributes that many operators read.
var (
	integers = []string{"axis", "axes", "group", "keepdims", "transA", "transB", "transB", "num_heads", "kv_num_heads", "q_num_heads", "to", "ceil_mode", "num_groups",
		"block_size", "allowzero", "exclusive", "reverse", "largest", "sorted", "start", "end", "stash_type", "training_mode", "num_outputs", "batch_dims",
		"noop_with_empty_axes", "is_causal", "interleaved", "rotary_embedding_dim", "unidirectional", "local_window_size", "do_rotary", "broadcast", "spatial", "select_last_index"}
	lists = []string{"axes", "pads", "kernel_shape", "strides", "dilations", "perm", "split", "output_padding", "output_shape", "qkv_hidden_sizes", "shape", "starts", "ends", "scales", "repeats", "value_ints"}
)

func attributeAdded(s *state) bool {
	n := s.node()
	if n == nil {
		return false
	}
	switch s.IntN(4) {
	case 0:
		n.SetAttr(ir.IntAttr(pick(s, integers), int(s.number())))
	case 1:
		n.SetAttr(ir.StringAttr(pick(s, []string{"auto_pad", "mode", "equation", "coordinate_transformation_mode", "nearest_mode", "reduction", "approximate", "direction", "layout"}),
			pick(s, []string{"SAME_UPPER", "VALID", "", "cubic", "tanh", "ij,jk->ik", "align_corners", "add"})))
	case 2:
		n.SetAttr(ir.FloatAttr(pick(s, []string{"epsilon", "alpha", "beta", "momentum", "scale", "softcap", "ratio", "mask_filter_value", "min", "max", "value"}), float64(s.number())))
	default:
		v := make([]int, s.IntN(6))
		for i := range v {
			v[i] = int(s.number())
		}
		n.SetAttr(ir.IntsAttr(pick(s, lists), v...))
	}
	return true
}

func attributeKind(s *state) bool {
	a := s.attribute()
	if a == nil {
		return false
	}
	switch s.IntN(5) {
	case 0:
		*a = ir.IntAttr(a.Name, int(s.number()))
	case 1:
		*a = ir.IntsAttr(a.Name, int(s.number()), int(s.number()))
	case 2:
		*a = ir.StringAttr(a.Name, "1")
	case 3:
		*a = ir.FloatAttr(a.Name, float64(s.number()))
	default:
		*a = ir.TensorAttr(a.Name, ir.NewInt64("", []int{1}, []int64{s.number()}))
	}
	return true
}

func attributeTensor(s *state) bool {
	n := s.node()
	if n == nil {
		return false
	}
	for i := range n.Attrs {
		if a := &n.Attrs[i]; a.T != nil {
			t := s.damaged(a.T)
			if t != nil {
				a.T = t
			}
			return t != nil
		}
	}
	return false
}
