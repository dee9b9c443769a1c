package latency

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// Source is what is priced.
type Source struct {
	Net *space.Supernet
	// Whole makes of a subnet's graph what its file is; nil: the graph itself.
	Whole func(m *ir.Model) *ir.Model
	// Bind gives the sizes of open dimensions that a run has, the batch among them; Batch is
	// what of it leads the inputs.
	Bind  map[string]int
	Batch int
}

// cut is a subnet as a runtime gets it.
func (s Source) cut(choice []int) (*ir.Model, error) {
	m, err := subnet.Cut(s.Net, choice, nil)
	if err == nil && s.Whole != nil {
		m = s.Whole(m)
	}
	return m, err
}

// key names a subnet for a cache: model, batch, and the choice of every dim.
func (s Source) key(choice []int) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d\n", s.Net.Space.Source, s.Batch)
	for _, v := range s.Net.An.Model.Graph.Inputs {
		fmt.Fprintln(h, v.Type)
		for _, d := range v.Type.Shape {
			fmt.Fprintln(h, s.Bind[d.Param])
		}
	}
	for i, d := range s.Net.Space.Dims {
		fmt.Fprintf(h, "%s %d\n", d.Name, d.Choices[choice[i]])
	}
	return "subnet " + hex.EncodeToString(h.Sum(nil))[:24]
}

// scales holds what facts of one batch are multiplied by to be those of the runs.
type scales struct {
	value  map[string]float64
	macs   map[*ir.Node]float64
	weight map[string]bool
}

func (s Source) scales() (*scales, error) {
	f, err := ops.InferModel(s.Net.An.Model, s.Bind)
	if err != nil {
		return nil, fmt.Errorf("latency: sizes at batch %d: %w", s.Batch, err)
	}
	out := &scales{map[string]float64{}, map[*ir.Node]float64{}, map[string]bool{}}
	for v, was := range s.Net.An.Facts.Values {
		out.weight[v] = was.Weight
		if now := f.Values[v]; was.Type.Static() && now.Type.Static() && ir.Prod(was.Shape()) > 0 {
			out.value[v] = float64(ir.Prod(now.Shape())) / float64(ir.Prod(was.Shape()))
		}
	}
	for n, site := range s.Net.An.Facts.Sites {
		if was := site.Price().MACs; was > 0 {
			out.macs[n] = f.Sites[n].Price().MACs / was
		}
	}
	return out, nil
}

// Features of a set of nodes at some sizes, which its time is a function of: a constant,
// multiply-accumulates, elements that enter and leave, elements of weights, and
// multiply-accumulates with a convolution's channels rounded up to 8 and to 16, which
// is what kernels that take channels in blocks compute.
type features [6]float64

// blocked is what a convolution's products grow by when its channels come in blocks.
func blocked(x *ops.Site, block int) float64 {
	if x.Node.OpType != "Conv" || len(x.In) < 2 || !x.In[1].Type.Static() || len(x.In[1].Shape()) < 2 {
		return 1
	}
	by := 1.0
	for axis, n := range x.In[1].Shape()[:2] {
		if axis == 1 && (n <= 4 || x.Node.Int("group", 1) > 1) || n == 0 {
			continue // images, and channels of their own
		}
		by *= float64((n+block-1)/block*block) / float64(n)
	}
	return by
}

// of counts the features of sites; sizes of nil scales are taken as they are.
func (s *scales) of(sites []*ops.Site) features {
	f := features{1}
	read, made := map[string]bool{}, map[string]bool{}
	for _, x := range sites {
		for _, o := range x.Node.Outputs {
			made[o] = true
		}
	}
	elements := func(v string, at ops.Fact) float64 {
		if v == "" || !at.Type.Static() {
			return 0
		}
		n := float64(ir.Prod(at.Shape()))
		if s != nil {
			n *= s.value[v]
		}
		return n
	}
	for _, x := range sites {
		macs := x.Price().MACs
		if s != nil {
			macs *= s.macs[x.Node]
		}
		f[1] += macs
		f[4] += macs * blocked(x, 8)
		f[5] += macs * blocked(x, 16)
		for i, v := range x.Node.Inputs {
			if made[v] || read[v] {
				continue
			}
			read[v] = true
			if x.In[i].Weight {
				f[3] += elements(v, x.In[i])
			} else {
				f[2] += elements(v, x.In[i])
			}
		}
		inner := false
		for _, o := range x.Node.Outputs {
			for _, y := range sites {
				inner = inner || slices.Contains(y.Node.Inputs, o)
			}
		}
		for k, o := range x.Node.Outputs {
			if !inner {
				f[2] += elements(o, x.Out[k])
			}
		}
	}
	return f
}

// kind names what a set of nodes does.
func kind(nodes []*ir.Node) string {
	text := ""
	for i, n := range nodes {
		if i > 0 {
			text += "+"
		}
		text += n.OpType
		if n.OpType == "Conv" && n.Int("group", 1) > 1 {
			text += " (grouped)"
		}
	}
	return text
}

// spread draws a subnet that costs about a share of the original, in a metric: where each dim
// stands is drawn once, and all are raised together until the share is met.
func spread(s *space.Space, c *space.CostModel, share float64, r *rand.Rand) []int {
	at := make([]float64, len(s.Dims))
	for d := range at {
		at[d] = r.Float64()
	}
	choice := make([]int, len(s.Dims))
	make := func(power float64) []int {
		for d, dim := range s.Dims {
			n := len(dim.Choices)
			choice[d] = min(int(float64(n)*math.Pow(at[d], power)), n-1)
		}
		return choice
	}
	limit := share * c.At(s.Largest())
	low, high := 0.0, 16.0 // of power: the first costs all
	for range 40 {
		mid := (low + high) / 2
		if c.At(make(mid)) > limit {
			low = mid
		} else {
			high = mid
		}
	}
	return slices.Clone(make(high))
}
