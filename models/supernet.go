package models

import (
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// Supernet is a search space as the network that holds all of its architectures, untrained. Its
// file declares the space (space.DeclaredKey), so that space.New offers it.
type Supernet struct {
	Entry
	// Dims lists the decisions by the names of the network's nodes; o has no zero sizes. Choices of
	// operations leave the sum of all candidates out.
	Dims func(o Options) []space.Dim
}

// Build returns the network with its space declared. Zero fields of o take the entry's defaults.
func (s Supernet) Build(o Options) (*ir.Model, error) {
	m, err := s.Entry.Build(o)
	if err != nil {
		return nil, err
	}
	return m, space.Declare(m, s.Space(o))
}

// Space returns the space; it belongs to the normal form of the network that Build gives with the same options,
// whatever the weights are.
func (s Supernet) Space(o Options) *space.Space {
	return &space.Space{Dims: s.Dims(o.fill(s.Defaults))}
}

// Supernets lists the search spaces.
func Supernets() []Supernet {
	return []Supernet{CellSpace(), SeparateCellSpace(), MacroSpace(), NB201Space(), SeparateNB201Space(), DARTSSpace(), SeparateDARTSSpace(),
		AutoFormerT.Supernet("autoformer-t"), AutoFormerS.Supernet("autoformer-s"), MobileNetV3Space(),
		LMTinyStories.Supernet("lm-tinystories"), LMOpenWebText.Supernet("lm-openwebtext"), LMShakespeare.Supernet("lm-shakespeare")}
}

// LookupSupernet returns the search space of that name.
func LookupSupernet(name string) (Supernet, bool) {
	for _, s := range Supernets() {
		if s.Name == name {
			return s, true
		}
	}
	return Supernet{}, false
}

// operations is a decision between candidates 1, 2, … (with first 0, none as well) at one or more edges,
// which node edge+suffix adds up.
func operations(name string, first int, edges []string, suffix string, candidates func(edge string) (names []string, kernels []int)) space.Dim {
	d := space.Dim{Name: "operations:" + name, Kind: "operations", Node: edges[0] + suffix}
	d.Candidates, d.Kernels = candidates(edges[0])
	for k := first; k <= len(d.Candidates); k++ {
		d.Choices = append(d.Choices, k)
	}
	for _, edge := range edges[1:] {
		names, _ := candidates(edge)
		d.Tied = append(d.Tied, space.Tied{Node: edge + suffix, Candidates: names})
	}
	return d
}
