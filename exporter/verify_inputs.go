package exporter

import (
	"fmt"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// maxInputBytes bounds one random input: a model may declare any size.
const maxInputBytes = 1 << 31

// RandomInputs draws o.Cases feeds for the graph's inputs from the stream
// "verify/inputs" under o.Seed: floats standard normal, integers 0 or 1, bools
// fair. A first axis of unknown size takes o.Batch; other unknown axes take
// o.Dims by their name, or by "input:axis" when they have none.
func RandomInputs(g *ir.Graph, o VerifyOptions) ([]Feed, error) {
	stream := rng.New(o.Seed, "verify/inputs")
	feed := map[string]bool{}
	for _, name := range runtimes.FeedNames(g) {
		feed[name] = true
	}
	var cases []Feed
	for range max(o.Cases, 1) {
		in := Feed{}
		for _, v := range g.Inputs {
			if !feed[v.Name] {
				continue
			}
			dims, err := inputDims(v, o)
			if err != nil {
				return nil, err
			}
			vals := make([]float64, ir.Prod(dims))
			for i := range vals {
				if v.Type.Elem.IsFloat() {
					vals[i] = stream.NormFloat64()
				} else {
					vals[i] = float64(stream.IntN(2))
				}
			}
			t, err := ir.NewFloats(v.Name, v.Type.Elem, dims, vals)
			if err != nil {
				return nil, fmt.Errorf("verify: input %q: %w", v.Name, err)
			}
			in[v.Name] = t
		}
		cases = append(cases, in)
	}
	return cases, nil
}

func inputDims(v ir.Value, o VerifyOptions) ([]int, error) {
	if v.Type.Kind != ir.KindTensor || !v.Type.Ranked {
		return nil, fmt.Errorf("verify: input %q: want a tensor of known rank, got %s; give data", v.Name, v.Type)
	}
	dims := make([]int, len(v.Type.Shape))
	bytes := max(v.Type.Elem.Bits()/8, 1)
	for i, d := range v.Type.Shape {
		key := d.Param
		if key == "" {
			key = fmt.Sprintf("%s:%d", v.Name, i)
		}
		size, named := o.Dims[key]
		switch {
		case d.Known():
			dims[i] = d.Size
		case named:
			dims[i] = size
		case i == 0:
			dims[i] = max(o.Batch, 1)
		default:
			return nil, fmt.Errorf("verify: input %q: axis %d (%s): want a size, got none; give --dim %s=N", v.Name, i, d, key)
		}
		if dims[i] < 0 || dims[i] > 0 && bytes > maxInputBytes/dims[i] {
			return nil, fmt.Errorf("verify: input %q: axis %d: want a size ≥ 0 and at most %d bytes in all, got %d", v.Name, i, maxInputBytes, dims[i])
		}
		bytes *= dims[i]
	}
	return dims, nil
}
