package subnet_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// TestCacheOnORT: a decoder with a cache is imported, cut, exported and run on ONNX
// Runtime: the caches have the heads that stay, the outputs are the engine's, and where
// the length of the past is open, what one call gives is the past of the next.
func TestCacheOnORT(t *testing.T) {
	rt := orttest.Open(t)
	for _, c := range []struct {
		name string
		style
		open    bool // the past may have any length
		samples int  // ONNX Runtime's grouped node takes one when several tokens follow a past
	}{
		{"spelled out", style{qkv: "separate", norm: "rms-spelled", scale: "Mul", kv: 3, repeat: "gather", mlp: "gated", cache: true, computed: true}, true, 2},
		{"one node", style{norm: "layer", kv: heads, mlp: "erf", fused: "mha", cache: true}, true, 2},
		{"one node of groups", style{norm: "rms-spelled", kv: 3, mlp: "gated", fused: "grouped-packed", wide: 8, cache: true}, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			const past = 3
			m := transformer(c.style)
			bind := map[string]int{"batch": c.samples}
			if c.open {
				bind["past"] = past
				for i := range m.Graph.Inputs {
					if v := &m.Graph.Inputs[i]; strings.HasPrefix(v.Name, "past") {
						v.Type.Shape[2] = ir.Dim{Size: -1, Param: "past"}
					}
				}
			}
			an := analysed(t, reimport(t, m), bind)
			sp, err := space.New(an, space.Options{Divisor: 1, MinRatio: 0.1})
			if err != nil {
				t.Fatal(err)
			}
			shuffleOrder(an, sp, 4)
			net, err := space.Entangle(an, sp, space.Reader)
			if err != nil {
				t.Fatal(err)
			}
			choice, units := sp.Largest(), 0
			for i, d := range sp.Dims {
				if slices.ContainsFunc(an.Groups, func(g *space.Group) bool { return g.Heads && g.Name == d.Node }) {
					choice[i], units = 1, d.Choices[1]
				}
			}
			small, err := subnet.Cut(net, choice, nil)
			if err != nil {
				t.Fatal(err)
			}
			small = reimport(t, small)
			s := orttest.Session(t, rt, small)
			p, _, err := ops.Program(small, bind, prim.F64)
			if err != nil {
				t.Fatal(err)
			}
			in, types := inputs(p, 7), map[string]ir.DType{}
			for _, v := range small.Graph.Inputs {
				types[v.Name] = v.Type.Elem
			}
			calls, before := 1, past
			if c.open {
				calls = 2
			}
			for call := range calls {
				feeds := map[string]*ir.Tensor{}
				for name, x := range in {
					if feeds[name], err = ops.ModelTensor(name, types[name], x); err != nil {
						t.Fatal(err)
					}
				}
				got, err := s.Run(feeds)
				if err != nil {
					t.Fatal(err)
				}
				want := runOn(t, small, bind, in)
				found := hosted(t, got)
				if d := maxDiff(want, found); !(d <= 1e-4) {
					t.Errorf("call %d: ONNX Runtime and the engine differ by %g", call, d)
				}
				for i, v := range small.Graph.Outputs[1:] {
					x := found[v.Name]
					if shape := []int{c.samples, units, before + length, max(c.wide, deep)}; !slices.Equal(x.Shape, shape) {
						t.Errorf("call %d: cache %q: want %v, got %v", call, v.Name, shape, x.Shape)
					}
					in[small.Graph.Inputs[1+i].Name] = x
				}
				before += length
				if c.open {
					bind["past"] = before
				}
			}
		})
	}
}
