package entangle

import (
	"fmt"
	"strings"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/subnet"
)

// apart gives a normal model whose inputs have the batch's symbol at other sizes too, as [N,3,N,N],
// names of their own for those, where it infers at several samples of another size: exporters name
// all sizes alike that they leave open. The note says what was done; "" is nothing.
func apart(m *ir.Model) (*ir.Model, string) {
	batch := map[string]bool{}
	for _, v := range net.DataInputs(m) {
		if s := v.Type.Shape; len(s) > 0 && !s[0].Known() && s[0].Param != "" {
			batch[s[0].Param] = true
		}
	}
	c := m.Clone()
	var said []string
	for i := range c.Graph.Inputs {
		v := &c.Graph.Inputs[i]
		v.Type = v.Type.Clone()
		for axis := 1; axis < len(v.Type.Shape) && c.Graph.Init(v.Name) == nil; axis++ {
			if d := &v.Type.Shape[axis]; !d.Known() && batch[d.Param] {
				name := subnet.OpenName(v.Name, axis)
				said = append(said, fmt.Sprintf("%q of axis %d of input %q is %q", d.Param, axis, v.Name, name))
				d.Param = name
			}
		}
	}
	if said == nil {
		return m, ""
	}
	for _, list := range [][]ir.Value{c.Graph.Outputs, c.Graph.Info} {
		for i := range list {
			list[i].Type = list[i].Type.Clone()
			for axis := 1; axis < len(list[i].Type.Shape); axis++ {
				if d := &list[i].Type.Shape[axis]; !d.Known() && batch[d.Param] {
					d.Param = ""
				}
			}
		}
	}
	const samples = 3
	for _, n := range append([]int{224}, defaultSizes...) {
		bind := map[string]int{ops.AnyDim: n}
		for _, v := range net.DataInputs(c) {
			for axis, d := range v.Type.Shape {
				if !d.Known() && d.Param != "" {
					bind[d.Param] = n
				}
				if axis == 0 && d.Param != "" {
					bind[d.Param] = samples
				}
			}
		}
		if _, err := ops.InferModel(c, bind); err == nil && n != samples {
			return c, fmt.Sprintf("the file names the batch and other sizes alike: %s here and in what is written (runtimes that trust the names may compute wrong numbers of the file as it is)", strings.Join(said, ", "))
		}
	}
	return m, ""
}
