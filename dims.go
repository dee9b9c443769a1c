package entangle

import (
	"fmt"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
)

// SampleDims returns the sizes behind the batch that the data gives open
// dimensions, by name, or by "input:axis" where they have none.
func SampleDims(g *ir.Graph, set *data.Set) map[string]int {
	dims := map[string]int{}
	feeds := runtimes.FeedNames(g)
	for _, v := range g.Inputs {
		k := set.Field(v.Name)
		if k < 0 && len(feeds) == 1 {
			k = set.Sole()
		}
		if k < 0 {
			continue
		}
		sizes := set.BatchType(k, 1).Shape
		for i, d := range v.Type.Shape {
			if i == 0 || d.Known() || i >= len(sizes) {
				continue
			}
			key := d.Param
			if key == "" {
				key = fmt.Sprintf("%s:%d", v.Name, i)
			}
			dims[key] = sizes[i]
		}
	}
	return dims
}
