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

// CutValue says what a graph input or output has of the one of that name of the model that
// this one was cut from.
type CutValue struct {
	From []int     `json:"from"` // that model's sizes, -1 for open ones
	Kept Positions `json:"kept"` // per axis; nil for all
}

const cutKey = "entangle.cut_values"

// CutValues reads what NoteCuts wrote into a model's metadata. Entries that do not fit the
// model's inputs and outputs are left out.
func CutValues(m *ir.Model) map[string]CutValue {
	out := map[string]CutValue{}
	for _, p := range m.Meta {
		if p.Key == cutKey && json.Unmarshal([]byte(p.Value), &out) != nil {
			return map[string]CutValue{}
		}
	}
	types := map[string]ir.Type{}
	for _, v := range slices.Concat(m.Graph.Inputs, m.Graph.Outputs) {
		types[v.Name] = v.Type
	}
	for name, c := range out {
		if !c.fits(types[name]) {
			delete(out, name)
		}
	}
	return out
}

func (c CutValue) fits(t ir.Type) bool {
	if t.Rank() != len(c.From) || len(c.Kept) != len(c.From) {
		return false
	}
	for a, kept := range c.Kept {
		for k, p := range kept {
			if p < 0 || p >= c.From[a] || k > 0 && p <= kept[k-1] {
				return false
			}
		}
		if d := t.Shape[a]; kept != nil && d.Known() && d.Size != len(kept) {
			return false
		}
	}
	return true
}

// NoteCuts writes into the metadata of a model cut from source, of those facts, which
// positions its graph inputs and outputs keep: heads of a cache. What source itself was cut
// from is what counts.
func NoteCuts(m, source *ir.Model, f *Facts, keep map[string]Positions) error {
	notes := CutValues(source)
	for _, v := range slices.Concat(source.Graph.Inputs, source.Graph.Outputs) {
		k, shape := keep[v.Name], f.Values[v.Name].Shape()
		if !k.Changed() || v.Type.Rank() != len(shape) {
			continue
		}
		c, before := notes[v.Name]
		if !before {
			c = CutValue{From: v.Type.Sizes(), Kept: make(Positions, len(shape))}
		}
		c.From, c.Kept = slices.Clone(c.From), slices.Clone(c.Kept)
		for a := range shape {
			switch now := k.kept(a); {
			case now == nil:
			case c.Kept[a] == nil:
				c.From[a], c.Kept[a] = shape[a], now
			default:
				at := make([]int, len(now))
				for i, p := range now {
					at[i] = c.Kept[a][p]
				}
				c.Kept[a] = at
			}
		}
		notes[v.Name] = c
	}
	m.Meta = slices.DeleteFunc(m.Meta, func(p ir.Prop) bool { return p.Key == cutKey })
	if len(notes) == 0 {
		return nil
	}
	text, err := json.Marshal(notes)
	if err == nil {
		m.Meta = append(m.Meta, ir.Prop{Key: cutKey, Value: string(text)})
	}
	return err
}

// PartOf returns the function that takes of an input or output of model a what model b has of
// it, where the two were cut from one model or b from a.
func PartOf(a, b *ir.Model) func(t *ir.Tensor) (*ir.Tensor, error) {
	kept := cutBetween(a, b)
	return func(t *ir.Tensor) (*ir.Tensor, error) {
		if k := kept[t.Name]; k != nil {
			return Take(t, k)
		}
		return t, nil
	}
}

// cutBetween returns which positions the inputs and outputs of model b keep of those of a,
// by name, where the two were cut from one model or b from a.
func cutBetween(a, b *ir.Model) map[string]Positions {
	out := map[string]Positions{}
	from := CutValues(a)
	for name, c := range CutValues(b) {
		kept := slices.Clone(c.Kept)
		for axis, before := range from[name].Kept {
			if before == nil || axis >= len(kept) || kept[axis] == nil {
				continue
			}
			at := make([]int, len(kept[axis]))
			for i, p := range kept[axis] {
				at[i] = slices.Index(before, p)
			}
			if kept[axis] = at; slices.Contains(at, -1) {
				kept = nil
				break
			}
		}
		if kept.Changed() {
			out[name] = kept
		}
	}
	return out
}
