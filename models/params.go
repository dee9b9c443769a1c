package models

import (
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// Draw gives the elements of an initialiser one by one.
type Draw func(s *rng.Stream) float64

// maxParam bounds the elements of one initialiser.
const maxParam = 1 << 27

// Param adds a float32 initialiser drawn from the stream "models/" + name.
func (n *Net) Param(name string, dims []int, draw Draw) Val {
	if !n.claim("value", name) {
		return Val{}
	}
	total := 1
	for _, d := range dims {
		if d < 1 || total > maxParam/d {
			return n.fail("initialiser %q: want sizes of at least 1 and at most %d elements, got dims %v", name, maxParam, dims)
		}
		total *= d
	}
	if n.hollow {
		n.m.Graph.Inits = append(n.m.Graph.Inits, &ir.Tensor{Name: name, DType: ir.Float32, Dims: slices.Clone(dims)})
		return Val{name, slices.Clone(dims)}
	}
	s := rng.New(n.o.Seed, "models/"+name)
	data := make([]float32, total)
	for i := range data {
		data[i] = float32(draw(s))
	}
	n.m.Graph.Inits = append(n.m.Graph.Inits, ir.NewFloat32(name, dims, data))
	return Val{name, slices.Clone(dims)}
}

// He draws from N(0, 2/fanIn), for layers before a rectifier.
func He(fanIn int) Draw {
	std := math.Sqrt(2 / float64(fanIn))
	return func(s *rng.Stream) float64 { return std * s.NormFloat64() }
}

// Xavier draws uniformly with variance 2/(fanIn+fanOut).
func Xavier(fanIn, fanOut int) Draw {
	a := math.Sqrt(6 / float64(fanIn+fanOut))
	return func(s *rng.Stream) float64 { return a * (2*s.Float64() - 1) }
}

// Const draws v.
func Const(v float64) Draw { return func(*rng.Stream) float64 { return v } }

// around draws v; under Scatter uniformly from v-spread to v+spread.
func (n *Net) around(v, spread float64) Draw {
	if !n.o.Scatter {
		return Const(v)
	}
	return func(s *rng.Stream) float64 { return v + spread*(2*s.Float64()-1) }
}

func (n *Net) ints(name string, v ...int) Val {
	if !n.claim("value", name) {
		return Val{}
	}
	data := make([]int64, len(v))
	for i, x := range v {
		data[i] = int64(x)
	}
	n.m.Graph.Inits = append(n.m.Graph.Inits, ir.NewInt64(name, []int{len(v)}, data))
	return Val{name, []int{len(v)}}
}

func (n *Net) list(name string, v ...float64) Val {
	i := -1
	return n.Param(name, []int{len(v)}, func(*rng.Stream) float64 { i++; return v[i] })
}

// scalar returns the float32 scalar of that name, added on first use.
func (n *Net) scalar(name string, v float64) Val {
	if n.err == nil && !n.used["value "+name] {
		return n.Param(name, []int{}, Const(v))
	}
	return Val{name, []int{}}
}

// Params counts what training moves: the elements of floating initialisers of
// rank 1 and more, less running statistics of BatchNormalization, scales of Resize
// and tables that a Slice reads.
func Params(m *ir.Model) int {
	fixed := map[string]bool{}
	for _, x := range m.Graph.Nodes {
		switch x.OpType {
		case "BatchNormalization":
			fixed[x.Input(3)], fixed[x.Input(4)] = true, true
		case "Resize":
			fixed[x.Input(2)] = true
		case "Slice":
			fixed[x.Input(0)] = true
		}
	}
	total := 0
	for _, t := range m.Graph.Inits {
		if t.DType.IsFloat() && len(t.Dims) > 0 && !fixed[t.Name] {
			total += t.Len()
		}
	}
	return total
}

// Inherit returns small with its weights taken from the initialisers of the same
// names in large: a centred crop of the kernel axes (axis 2 and up), a prefix of
// every other axis. It is the plain statement of what weight entanglement shares.
func Inherit(small, large *ir.Model) (*ir.Model, error) {
	out := small.Clone()
	for i, t := range out.Graph.Inits {
		if !t.DType.IsFloat() {
			continue
		}
		src := large.Graph.Init(t.Name)
		if src == nil {
			return nil, fmt.Errorf("models: initialiser %q: want one of that name in the larger model, got none", t.Name)
		}
		c, err := crop(src, t.Dims)
		if err != nil {
			return nil, err
		}
		out.Graph.Inits[i] = c
	}
	return out, nil
}

func crop(t *ir.Tensor, dims []int) (*ir.Tensor, error) {
	bad := len(dims) != len(t.Dims)
	off := make([]int, len(dims))
	for k := 0; k < len(dims) && !bad; k++ {
		if k >= 2 {
			off[k] = (t.Dims[k] - dims[k]) / 2
		}
		bad = dims[k] > t.Dims[k] || k >= 2 && (t.Dims[k]-dims[k])%2 != 0
	}
	if bad {
		return nil, fmt.Errorf("models: initialiser %q: want dims that fit centred in %v, got %v", t.Name, t.Dims, dims)
	}
	src, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	data := make([]float32, ir.Prod(dims))
	at := make([]int, len(dims))
	for i := range data {
		j := 0
		for k, d := range t.Dims {
			j = j*d + at[k] + off[k]
		}
		data[i] = src[j]
		for k := len(dims) - 1; k >= 0; k-- {
			if at[k]++; at[k] < dims[k] {
				break
			}
			at[k] = 0
		}
	}
	return ir.NewFloat32(t.Name, dims, data), nil
}

// computed draws what f gives, element after element.
func (n *Net) computed(f func() float64) Draw {
	return func(*rng.Stream) float64 { return f() }
}

// index adds an int64 scalar.
func (n *Net) index(name string, v int) Val {
	if !n.claim("value", name) {
		return Val{}
	}
	n.m.Graph.Inits = append(n.m.Graph.Inits, ir.NewInt64(name, []int{}, []int64{int64(v)}))
	return Val{name, []int{}}
}
