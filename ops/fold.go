package ops

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// Largest numbers of elements that constant evaluation reads and writes.
const (
	maxFoldFloats = 4096
	maxFoldInts   = 1 << 16
	maxShape      = 64 // of a value that is taken for sizes though no element is known
)

// fold fills Const (and Partial) of a node's outputs when its inputs are known
// and small. It runs the operator's own Lower on the plain kernels.
func fold(op *Op, s *Site) error {
	if op.Lower == nil || op.Train || folded(s.Out) {
		return nil
	}
	sym := symbols{}
	for i, name := range s.Node.Inputs {
		f := s.In[i]
		switch {
		case name == "" || f.Const != nil && foldable(f.Type, maxFoldInts):
		case op.Moves >= 0 && i >= op.Moves:
			return nil
		case f.Partial != nil || f.Type.Elem == ir.Int64 && foldable(f.Type, maxShape):
			sym.used = true
		default:
			return nil
		}
	}
	for k, name := range s.Node.Outputs {
		limit := maxFoldFloats
		if !s.Out[k].Type.Elem.IsFloat() {
			limit = maxFoldInts
		}
		if name != "" && (!foldable(s.Out[k].Type, limit) || sym.used && s.Out[k].Type.Elem != ir.Int64) {
			return nil
		}
	}
	b := prim.NewBuilder()
	l := &Lowering{Site: s, B: b, In: make([]prim.ID, len(s.Node.Inputs)), Float: prim.F64, Seed: prim.Invalid}
	for i, name := range s.Node.Inputs {
		if l.In[i] = prim.Invalid; name == "" {
			continue
		}
		t := s.In[i].Const
		if t == nil {
			t = sym.encode(s.In[i])
		}
		v, err := HostTensor(t, prim.F64)
		if err != nil {
			return s.Errorf("infer", "input %d %q: %w", i, name, err)
		}
		l.In[i] = b.Const(v)
	}
	out, err := op.Lower(l)
	if err == nil {
		err = b.Err()
	}
	if err != nil {
		return s.Errorf("infer", "constant evaluation: %w", err)
	}
	vals, err := evaluate(b, out)
	if err != nil {
		return s.Errorf("infer", "constant evaluation: %w", err)
	}
	for k, name := range s.Node.Outputs {
		if name == "" || k >= len(vals) || vals[k] == nil {
			continue
		}
		f := &s.Out[k]
		if !sym.used {
			if f.Const, err = constant(name, f.Type, vals[k]); err != nil {
				return s.Errorf("infer", "output %d %q: %w", k, name, err)
			}
			continue
		}
		if f.Partial = sym.decode(vals[k]); noneKnown(f.Partial) {
			f.Partial = nil
		} else if allKnown(f.Partial) {
			if f.Const, err = constant(name, f.Type, vals[k]); err != nil {
				return s.Errorf("infer", "output %d %q: %w", k, name, err)
			}
			f.Partial = nil
		}
	}
	return nil
}

func folded(out []Fact) bool {
	for _, f := range out {
		if f.Present() && f.Const == nil && f.Partial == nil {
			return false
		}
	}
	return true
}

func foldable(t ir.Type, limit int) bool {
	return t.Static() && (t.Elem.IsFloat() || t.Elem.IsInt() || t.Elem == ir.Bool) && atMost(t, limit)
}

// constant turns a host tensor into a constant of the element type of t.
func constant(name string, t ir.Type, v *prim.Tensor) (*ir.Tensor, error) {
	if want := t.Sizes(); fmt.Sprint(want) != fmt.Sprint(v.Shape) {
		return nil, fmt.Errorf("constant evaluation: want sizes %v, got %v", want, v.Shape)
	}
	return ModelTensor(name, t.Elem, v)
}

// symbols maps unknown sizes to integers that no real shape holds, so that
// operators which only move elements carry them.
type symbols struct {
	used  bool
	elems []Elem
}

const symbolBase = -(1 << 48)

func (y *symbols) encode(f Fact) *ir.Tensor {
	elems := f.Partial
	if elems == nil {
		elems = make([]Elem, ir.Prod(f.Type.Sizes()))
	}
	data := make([]int64, len(elems))
	for i, e := range elems {
		if data[i] = int64(e.Value); !e.Known {
			data[i] = symbolBase - int64(len(y.elems))
			y.elems = append(y.elems, e)
		}
	}
	return ir.NewInt64("", f.Type.Sizes(), data)
}

func (y *symbols) decode(v *prim.Tensor) []Elem {
	out := make([]Elem, v.Len())
	for i := range out {
		x := v.Int(i)
		if k := symbolBase - x; k >= 0 && k < int64(len(y.elems)) {
			out[i] = y.elems[k]
		} else {
			out[i] = Elem{Value: int(x), Known: true}
		}
	}
	return out
}

// noneKnown reports elements of which neither a value nor a name is known.
func noneKnown(elems []Elem) bool {
	for _, e := range elems {
		if e.Known || e.Param != "" {
			return false
		}
	}
	return true
}

func allKnown(elems []Elem) bool {
	for _, e := range elems {
		if !e.Known {
			return false
		}
	}
	return true
}
