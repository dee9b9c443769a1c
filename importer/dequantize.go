package importer

import (
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

func dequantized() pass.Pass {
	return pass.Pass{
		Name: "dequantize", Doc: "DequantizeLinear of constants becomes a floating initialiser",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			p := ir.NewPatch(m.Graph, "dequantize constants")
			x := ir.NewIndex(m.Graph)
			for _, n := range m.Graph.Nodes {
				if !isOp(n, "DequantizeLinear") || x.IsOutput(n.Output(0)) || n.Output(0) == "" {
					continue
				}
				if t := dequantize(x, n); t != nil {
					p.Remove(n)
					p.AddInit(t)
				}
			}
			return p, nil
		},
	}
}

// dequantize returns (x − zero_point)·scale in the dtype of scale, nil when an
// input is not constant or of a type without integer values (float8, 4 bits).
func dequantize(idx *ir.Index, n *ir.Node) *ir.Tensor {
	x, scale := idx.Init(n.Input(0)), idx.Init(n.Input(1))
	if x == nil || scale == nil || !scale.DType.IsFloat() {
		return nil
	}
	if out := n.Int("output_dtype", 0); out != 0 && ir.DType(out) != scale.DType {
		return nil
	}
	q, err := x.Int64s()
	if err != nil {
		return nil
	}
	s, err := scale.Float64s()
	if err != nil {
		return nil
	}
	zero := make([]int64, len(s))
	if name := n.Input(2); name != "" {
		zp := idx.Init(name)
		if zp == nil || zp.Len() != len(s) {
			return nil
		}
		if zero, err = zp.Int64s(); err != nil {
			return nil
		}
	}
	at := scaleIndex(x, scale, n)
	if at == nil {
		return nil
	}
	out := make([]float64, len(q))
	for i, v := range q {
		k := at(i)
		out[i] = float64(float32(v-zero[k]) * float32(s[k]))
	}
	t, err := ir.NewFloats(n.Outputs[0], scale.DType, x.Dims, out)
	if err != nil {
		return nil
	}
	return t
}

// scaleIndex returns which entry of scale belongs to element i of x: one for all,
// one per position of the axis, or one per block of it. Nil when the shapes do not fit.
func scaleIndex(x, scale *ir.Tensor, n *ir.Node) func(i int) int {
	if scale.Len() == 1 && len(scale.Dims) <= 1 {
		return func(int) int { return 0 }
	}
	axis := n.Int("axis", 1)
	if axis < 0 {
		axis += len(x.Dims)
	}
	if axis < 0 || axis >= len(x.Dims) {
		return nil
	}
	size, tail := x.Dims[axis], ir.Prod(x.Dims[axis+1:])
	block := n.Int("block_size", 0)
	if block <= 0 {
		if len(scale.Dims) != 1 || scale.Dims[0] != size {
			return nil
		}
		return func(i int) int { return i / tail % size }
	}
	if len(scale.Dims) != len(x.Dims) {
		return nil
	}
	for d := range x.Dims {
		want := x.Dims[d]
		if d == axis {
			want = (size + block - 1) / block
		}
		if scale.Dims[d] != want {
			return nil
		}
	}
	blocks := scale.Dims[axis]
	return func(i int) int {
		outer, pos, inner := i/tail/size, i/tail%size, i%tail
		return (outer*blocks+pos/block)*tail + inner
	}
}
