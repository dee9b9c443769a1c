package models

import (
	"fmt"

	"github.com/entangle-nas/entangle/space"
)

// stack is a decision of depth: the layers from the first that may go on, each with its residual
// nodes, go from the last one on.
func stack(name string, layers [][]string) space.Dim {
	d := space.Dim{Name: "depth:" + name, Kind: "depth", Choices: []int{0}}
	for k, nodes := range layers {
		d.Choices = append(d.Choices, k+1)
		for _, node := range nodes {
			if d.Node == "" {
				d.Node = node
				continue
			}
			d.Tied = append(d.Tied, space.Tied{Node: node, Step: k + 1})
		}
	}
	return d
}

func width(name string, choices []int) space.Dim {
	return space.Dim{Name: "width:" + name, Kind: "width", Node: name, Choices: choices}
}

func times(v []float64, of int) []int {
	out := make([]int, len(v))
	for i, r := range v {
		out[i] = int(r * float64(of))
	}
	return out
}

// Supernet is the space as a network. MLP widths are the ratios of the largest embedding, at every embedding.
func (s AutoFormerSpace) Supernet(name string) Supernet {
	whole := s.Largest()
	e := whole.Entry()
	e.Name, e.Doc = name+"-space", "the space "+name
	return Supernet{Entry: e, Dims: func(Options) []space.Dim {
		out := []space.Dim{width("patch", s.Embeds)}
		for i := range whole.Heads {
			block := fmt.Sprintf("block%d", i)
			out = append(out, width(block+".attn.qkv", s.Heads), width(block+".mlp.up", times(s.Ratios, whole.Embed)))
		}
		return append(out, stack("blocks", layers("block", ".add", s.Depths)))
	}}
}

// layers lists the residual nodes of those of a stack's layers that may go.
func layers(layer, residual string, depths []int) (out [][]string) {
	for i := depths[0]; i < depths[len(depths)-1]; i++ {
		out = append(out, []string{fmt.Sprintf("%s%d%s1", layer, i, residual), fmt.Sprintf("%s%d%s2", layer, i, residual)})
	}
	return out
}

// Supernet is the space as a network. Heads are as wide as those of the largest network, whatever their
// number, and MLP widths are the ratios of the largest embedding, at every embedding.
func (s LMSpace) Supernet(name string) Supernet {
	whole := s.Largest()
	e := whole.Entry()
	e.Name, e.Doc = name+"-space", "the space "+name
	return Supernet{Entry: e, Dims: func(Options) []space.Dim {
		out := []space.Dim{width("wte", s.Embeds)}
		var ratios []float64
		for _, r := range s.Ratios {
			ratios = append(ratios, float64(r))
		}
		for i := range whole.Layers {
			h := fmt.Sprintf("h%d", i)
			out = append(out, width(h+".attn.qkv", s.Heads), width(h+".mlp.up", times(ratios, whole.Embed)))
		}
		return append(out, stack("layers", layers("h", ".add", s.Depths)))
	}}
}

// MobileNetV3Space is the once-for-all space as a network: per block the kernel and the expanded
// width, per stage the depth. Smaller kernels are the centres of larger ones, without transforms, and
// the inner width of squeeze-and-excitation is that of the largest block.
func MobileNetV3Space() Supernet {
	e := LargestMobileNetV3().Entry()
	e.Name, e.Doc = "mobilenetv3-space", "the once-for-all MobileNetV3 space"
	return Supernet{Entry: e, Dims: func(Options) []space.Dim {
		var out []space.Dim
		in := 16
		for s, c := range []int{24, 40, 80, 112, 160} {
			for i := range 4 {
				block := fmt.Sprintf("stage%d.%d", s, i)
				out = append(out, space.Dim{Name: "kernel:" + block, Kind: "kernel", Node: block + ".dw.conv", Choices: []int{3, 5, 7}},
					width(block+".up.conv", []int{eighth(3 * in), eighth(4 * in), eighth(6 * in)}))
				in = c
			}
			out = append(out, stack(fmt.Sprintf("stage%d", s), [][]string{{fmt.Sprintf("stage%d.2.add", s)}, {fmt.Sprintf("stage%d.3.add", s)}}))
		}
		return out
	}}
}
