package ops

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/ir"
)

// CacheAxes returns the axes of graph inputs and outputs that hold the heads of cached keys
// and values: they may be cut, and whoever keeps the cache keeps a smaller one. A cache is
//
//   - a graph input of rank 4 or more that a Concat extends along the sequence into a graph
//     output, or that an attention node reads and gives back as another of its outputs;
//   - a graph output of rank 4 named "present…" or "past…" (models that only begin a cache).
func CacheAxes(g *ir.Graph, f *Facts) map[string][]int {
	out := map[string][]int{}
	inputs, results := map[string]bool{}, map[string]bool{}
	for _, v := range g.Inputs {
		inputs[v.Name] = g.Init(v.Name) == nil
	}
	for _, v := range g.Outputs {
		results[v.Name] = true
	}
	rank := func(v string) int { return f.Values[v].Type.Rank() }
	cached := func(v string) bool { return rank(v) >= 4 && f.Values[v].Type.Elem.IsFloat() }
	for _, n := range g.Nodes {
		op, s := Lookup(n.Domain, n.OpType), f.Sites[n]
		if op == nil || s == nil {
			continue
		}
		switch {
		case op.Heads:
			for i, v := range n.Inputs {
				if slices.Contains(op.Caches, i) && inputs[v] && cached(v) {
					out[v] = []int{rank(v) - 3}
				}
			}
			for k, v := range n.Outputs {
				if k > 0 && k <= len(op.Caches) && results[v] && cached(v) {
					out[v] = []int{rank(v) - 3}
				}
			}
		case n.OpType == "Concat" && n.Domain == "" && results[n.Output(0)] && cached(n.Output(0)):
			axis, err := concatAxis(s)
			if err != nil {
				continue
			}
			for _, v := range n.Inputs {
				if !inputs[v] {
					continue
				}
				for a := 1; a < rank(v)-1; a++ {
					if a != axis {
						out[v] = append(out[v], a)
					}
				}
				out[n.Output(0)] = out[v]
			}
		}
	}
	for v := range results {
		name := strings.ToLower(v)
		if out[v] == nil && cached(v) && rank(v) == 4 && slices.ContainsFunc([]string{"present", "past"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			out[v] = []int{1, 2}
		}
	}
	return out
}

// PastAxes returns the axis of graph inputs along which cached keys and values of earlier
// calls lie, where the model leaves its size open: no position is a legal past. Such an
// input, floating and of rank 4 or more, is one that a Concat extends into a graph output,
// or a cache of an attention node.
func PastAxes(g *ir.Graph) map[string]int {
	inputs, results, out := map[string]ir.Type{}, map[string]bool{}, map[string]int{}
	for _, v := range g.Inputs {
		if g.Init(v.Name) == nil && v.Type.Elem.IsFloat() && v.Type.Rank() >= 4 {
			inputs[v.Name] = v.Type
		}
	}
	for _, v := range g.Outputs {
		results[v.Name] = true
	}
	for _, n := range g.Nodes {
		op := Lookup(n.Domain, n.OpType)
		for i, v := range n.Inputs {
			t, ok := inputs[v]
			if !ok || op == nil {
				continue
			}
			axis := -1
			switch {
			case op.Heads && slices.Contains(op.Caches, i):
				axis = t.Rank() - 2
			case n.OpType == "Concat" && n.Domain == "" && results[n.Output(0)]:
				if axis = int(n.Int("axis", 0)); axis < 0 {
					axis += t.Rank()
				}
			}
			if axis > 0 && axis < t.Rank() && !t.Shape[axis].Known() {
				out[v] = axis
			}
		}
	}
	return out
}

// CutInput says what a graph input takes of what the input of that name takes of the model
// that this one was cut from.
type CutInput struct {
	From []int     `json:"from"` // that model's sizes, -1 for open ones
	Kept Positions `json:"kept"` // per axis; nil for all
}

const cutInputsKey = "entangle.cut_inputs"

// CutInputs reads what NoteCutInputs wrote into a model's metadata. Entries that do not fit
// the model's inputs are left out.
func CutInputs(m *ir.Model) map[string]CutInput {
	out := map[string]CutInput{}
	for _, p := range m.Meta {
		if p.Key == cutInputsKey && json.Unmarshal([]byte(p.Value), &out) != nil {
			return nil
		}
	}
	for name, c := range out {
		i := slices.IndexFunc(m.Graph.Inputs, func(v ir.Value) bool { return v.Name == name })
		if i < 0 || !c.fits(m.Graph.Inputs[i].Type) {
			delete(out, name)
		}
	}
	return out
}

func (c CutInput) fits(t ir.Type) bool {
	if t.Rank() != len(c.From) || len(c.Kept) != len(c.From) {
		return false
	}
	for a, kept := range c.Kept {
		if kept == nil {
			continue
		}
		for k, p := range kept {
			if p < 0 || p >= c.From[a] || k > 0 && p <= kept[k-1] {
				return false
			}
		}
		if d := t.Shape[a]; d.Known() && d.Size != len(kept) {
			return false
		}
	}
	return true
}

// NoteCutInputs writes into the metadata of a model cut from source which positions its graph
// inputs keep: heads of a cache. What source itself was cut from is what counts.
func NoteCutInputs(m, source *ir.Model, keep map[string]Positions) error {
	notes := CutInputs(source)
	if notes == nil {
		notes = map[string]CutInput{}
	}
	for _, v := range source.Graph.Inputs {
		k := keep[v.Name]
		if !k.Changed() {
			continue
		}
		c, before := notes[v.Name]
		if !before {
			c = CutInput{From: v.Type.Sizes(), Kept: make(Positions, v.Type.Rank())}
		}
		kept := slices.Clone(c.Kept)
		for a := range kept {
			if k.kept(a) == nil {
				continue
			}
			if kept[a] == nil {
				kept[a] = k[a]
				continue
			}
			at := make([]int, len(k[a]))
			for i, p := range k[a] {
				at[i] = kept[a][p]
			}
			kept[a] = at
		}
		notes[v.Name] = CutInput{From: c.From, Kept: kept}
	}
	m.Meta = slices.DeleteFunc(m.Meta, func(p ir.Prop) bool { return p.Key == cutInputsKey })
	if len(notes) == 0 {
		return nil
	}
	text, err := json.Marshal(notes)
	if err == nil {
		m.Meta = append(m.Meta, ir.Prop{Key: cutInputsKey, Value: string(text)})
	}
	return err
}
