package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opDepthToSpace() *Op {
	return &Op{
		Name: "DepthToSpace", Since: 1,
		Doc: "channels [N, C·b², H, W] move to space [N, C, H·b, W·b]; mode DCR or CRD. Versions 1, 11, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			return blockInfer(s, func(b int, d []ir.Dim) bool {
				if d[1].Known() {
					if d[1].Size%(b*b) != 0 {
						return false
					}
					d[1].Size /= b * b
				}
				for i := 2; i < 4; i++ {
					if d[i].Known() {
						d[i].Size *= b
					} else {
						d[i] = ir.Dim{Size: -1}
					}
				}
				return true
			})
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b := l.Node.Int("blocksize", 0)
			x := l.B.Shape(l.In[0])
			n, c, h, w := x[0], x[1]/(b*b), x[2], x[3]
			var y prim.ID
			if l.Node.Str("mode", "DCR") == "CRD" {
				y = l.B.Transpose(l.B.Reshape(l.In[0], n, c, b, b, h, w), 0, 1, 4, 2, 5, 3)
			} else {
				y = l.B.Transpose(l.B.Reshape(l.In[0], n, b, b, c, h, w), 0, 3, 4, 1, 5, 2)
			}
			return []prim.ID{l.B.Reshape(y, n, c, h*b, w*b)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			crd := s.Node.Str("mode", "DCR") == "CRD"
			axesBlocks(s, a, In(0, 1), Out(0, 1), s.Out[0].Type.Shape[1].Size, func(c, k, channels, blocks int) int {
				if crd {
					return c*blocks + k
				}
				return k*channels + c
			})
		},
	}
}

func opSpaceToDepth() *Op {
	return &Op{
		Name: "SpaceToDepth", Since: 1,
		Doc: "space [N, C, H·b, W·b] moves to channels [N, b²·C, H, W]. Versions 1, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			return blockInfer(s, func(b int, d []ir.Dim) bool {
				if d[1].Known() {
					d[1].Size *= b * b
				}
				for i := 2; i < 4; i++ {
					switch {
					case !d[i].Known():
						d[i] = ir.Dim{Size: -1}
					case d[i].Size%b != 0:
						return false
					default:
						d[i].Size /= b
					}
				}
				return true
			})
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b := l.Node.Int("blocksize", 0)
			x := l.B.Shape(l.In[0])
			n, c, h, w := x[0], x[1], x[2]/b, x[3]/b
			y := l.B.Transpose(l.B.Reshape(l.In[0], n, c, h, b, w, b), 0, 3, 5, 1, 2, 4)
			return []prim.ID{l.B.Reshape(y, n, c*b*b, h, w)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			axesBlocks(s, a, Out(0, 1), In(0, 1), s.In[0].Type.Shape[1].Size, func(c, k, channels, blocks int) int {
				return k*channels + c
			})
		},
	}
}

// blockInfer checks [N, C, H, W] and blocksize, and edits the dimensions; edit reports false where the block does not divide.
func blockInfer(s *Site, edit func(b int, d []ir.Dim) bool) ([]Fact, error) {
	if err := s.inputs("infer", 1, 1); err != nil {
		return nil, err
	}
	d := s.dimsOf(0)
	b := s.Node.Int("blocksize", 0)
	if len(d) != 4 || b < 1 || b > 1<<15 {
		return nil, s.Errorf("infer", "want rank 4 and a blocksize ≥ 1, got rank %d and blocksize %d", len(d), b)
	}
	if !edit(b, d) {
		return nil, s.Errorf("infer", "blocksize %d: want a divisor of the sizes, got %v", b, s.In[0].Type)
	}
	if !d[1].Known() {
		d[1] = ir.Dim{Size: -1}
	}
	return []Fact{tensorFact(s.In[0].Type.Elem, d)}, nil
}

// axesBlocks ties channel c of the narrow axis to its b² channels of the wide one.
func axesBlocks(s *Site, a *Axes, wide, narrow AxisRef, channels int, at func(c, k, channels, blocks int) int) {
	a.Tie(Carried, In(0, 0), Out(0, 0))
	for i := 2; i < 4; i++ {
		a.Fix(In(0, i), "moved between space and channels")
		a.Fix(Out(0, i), "moved between space and channels")
	}
	if channels < 0 {
		a.Fix(wide, "the number of channels is not known")
		a.Fix(narrow, "the number of channels is not known")
		return
	}
	b := s.Node.Int("blocksize", 1)
	var pw, pn []int
	for c := range channels {
		for k := range b * b {
			pw, pn = append(pw, at(c, k, channels, b*b)), append(pn, c)
		}
	}
	a.TiePairs(Carried, wide, narrow, pw, pn)
}
