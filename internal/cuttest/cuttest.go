// Package cuttest gives tests the oracles of a cut: weights with units set to zero, and the
// supernet as a program in float64.
package cuttest

import (
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// Zeroed returns a copy of m in which the weights that read units of a group are zero there.
func Zeroed(t testing.TB, m *ir.Model, g *space.Group, units []int) *ir.Model {
	t.Helper()
	m = m.Clone()
	for _, mb := range g.Members {
		if !mb.Contracted {
			continue
		}
		for i, x := range m.Graph.Inits {
			if x.Name == mb.Value {
				m.Graph.Inits[i] = zero(t, x, mb, units)
			}
		}
	}
	return m
}

func zero(t testing.TB, x *ir.Tensor, mb space.Member, units []int) *ir.Tensor {
	t.Helper()
	v, err := x.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	gone := map[int]bool{}
	for _, u := range units {
		for _, p := range mb.Units[u] {
			gone[p] = true
		}
	}
	inner := ir.Prod(x.Dims[mb.Axis+1:])
	for i := range v {
		if gone[i/inner%x.Dims[mb.Axis]] {
			v[i] = 0
		}
	}
	out, err := ir.NewFloats(x.Name, x.DType, x.Dims, v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Lower appends a supernet to b in float64 and returns its values.
func Lower(t testing.TB, b *prim.Builder, net *space.Supernet, coefs []prim.ID) map[string]prim.ID {
	t.Helper()
	h := net.Hooks(ops.Hooks{Float: prim.F64, Seed: prim.Invalid, Init: func(b *prim.Builder, t *ir.Tensor) prim.ID {
		c, err := ops.HostTensor(t, prim.F64)
		if err != nil {
			return b.Fail(err)
		}
		return b.Const(c)
	}}, coefs)
	vals, err := ops.Lower(b, net.An.Model, net.An.Facts, h)
	if err != nil {
		t.Fatal(err)
	}
	return vals
}

// Program is the supernet with its outputs; coefficients of dimension d are the input "coef/d".
func Program(t testing.TB, net *space.Supernet) *prim.Program {
	t.Helper()
	b := prim.NewBuilder()
	vals := Lower(t, b, net, net.Coefficients(b, prim.F64))
	for _, o := range net.An.Model.Graph.Outputs {
		b.Output(o.Name, vals[o.Name])
	}
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Counted returns the groups whose units some statistic counts, such as the mean of a norm:
// there, zeros are not what a cut leaves.
func Counted(t testing.TB, an *space.Analysis) map[*space.Group]bool {
	t.Helper()
	type axis struct {
		value string
		axis  int
	}
	of := map[axis]*space.Group{}
	for _, g := range an.Groups {
		for _, mb := range g.Members {
			of[axis{mb.Value, mb.Axis}] = g
		}
	}
	out := map[*space.Group]bool{}
	_, err := ops.Lower(prim.NewBuilder(), an.Model, an.Facts, ops.Hooks{Float: prim.F64, Seed: prim.Invalid, AxisMask: func(_ *prim.Builder, value string, i int) prim.ID {
		if g := of[axis{value, i}]; g != nil {
			out[g] = true
		}
		return prim.Invalid
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
