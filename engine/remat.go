package engine

import (
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Remat makes programs that need less memory out of one that computes a loss and its
// gradients: the forward pass is cut into segments, and only values that cross a cut
// are kept; the backward pass computes the others of a segment again when it comes
// to it (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016). Results
// are those of the same primitives on the same operands.
type Remat struct {
	p       *prim.Program
	loss    prim.ID
	forward []bool    // the loss depends on it
	root    []prim.ID // of a value: the node whose storage it reads
	late    []bool    // of roots: read after the loss
	cross   []int     // per position up to the loss: bytes that the forward pass carries past it
	held    []int     // per position: bytes up to it that are read after the loss
}

// NewRemat prepares a program whose output of that name the forward pass ends with.
func NewRemat(p *prim.Program, loss string) (*Remat, error) {
	p, err := Simplify(p)
	if err != nil {
		return nil, err
	}
	at := p.Output(loss)
	if at < 0 {
		return nil, fmt.Errorf("engine: rematerialise: want an output %q", loss)
	}
	r := &Remat{p: p, loss: p.Outputs[at].ID, root: roots(p)}
	n := len(p.Nodes)
	r.forward, r.late = make([]bool, n), make([]bool, n)
	r.forward[r.loss] = true
	for i := int(r.loss); i >= 0; i-- {
		if r.forward[i] {
			for _, in := range p.Nodes[i].In {
				r.forward[in] = true
			}
		}
	}
	last := make([]int, r.loss+1)
	for i, node := range p.Nodes {
		for _, in := range node.In {
			switch x := r.root[in]; {
			case i > int(r.loss) && !isAlias(node.Prim):
				r.late[x] = true
			case r.forward[i]:
				last[x] = i
			}
		}
	}
	r.cross, r.held = make([]int, r.loss+1), make([]int, r.loss+1)
	for i := range r.loss {
		if !r.computed(i) || r.root[i] != i {
			continue
		}
		bytes := p.Nodes[i].Type.Bytes()
		for t := int(i); t < last[i]; t++ {
			r.cross[t] += bytes
		}
		if r.late[i] {
			r.held[i] += bytes
		}
	}
	for t := 1; t < len(r.held); t++ {
		r.held[t] += r.held[t-1]
	}
	return r, nil
}

// Plain returns the program as it was given, simplified.
func (r *Remat) Plain() *prim.Program { return r.p }

// computed reports whether a value is one that the forward pass computes.
func (r *Remat) computed(id prim.ID) bool {
	n := r.p.Nodes[id]
	_, constant := n.Prim.(prim.Const)
	return r.forward[id] && n.Prim != nil && !constant
}

// cuts returns the last positions of all segments but the last: each where the
// forward pass carries the fewest bytes, near where the bytes that the backward
// pass reads are dealt evenly.
func (r *Remat) cuts(segments int) []int {
	total := float64(r.held[len(r.held)-1])
	reach := func(share float64) int {
		t, _ := slices.BinarySearch(r.held, int(math.Ceil(share*total)))
		return min(t, len(r.held)-1)
	}
	var out []int
	for j := 1; j < segments; j++ {
		best, middle := -1, reach(float64(j)/float64(segments))
		for t := reach((float64(j) - 0.5) / float64(segments)); t < reach((float64(j)+0.5)/float64(segments)); t++ {
			if !r.forward[t] || r.p.Nodes[t].Prim == nil {
				continue
			}
			if best < 0 || r.cross[t] < r.cross[best] || r.cross[t] == r.cross[best] && abs(t-middle) < abs(best-middle) {
				best = t
			}
		}
		if best >= 0 && (len(out) == 0 || best > out[len(out)-1]) {
			out = append(out, best)
		}
	}
	return out
}

func abs(n int) int { return max(n, -n) }

// Program returns the program with a forward pass of so many segments, fewer where
// there are not so many places to cut. The last segment is kept whole.
func (r *Remat) Program(segments int) *prim.Program {
	w := &rematWriter{Remat: r, segment: make([]int, len(r.p.Nodes)), kept: make([]bool, len(r.p.Nodes)),
		at: make([]prim.ID, len(r.p.Nodes)), again: map[prim.ID]prim.ID{}, behind: map[[2]prim.ID]prim.ID{}}
	cuts := r.cuts(segments)
	if len(cuts) == 0 {
		return r.p
	}
	for i := range r.p.Nodes {
		w.segment[i], _ = slices.BinarySearch(cuts, i)
	}
	w.written = make([]bool, len(cuts))
	for i, n := range r.p.Nodes {
		for _, in := range n.In {
			if x := r.root[in]; r.forward[i] && r.computed(x) && w.segment[x] < w.segment[i] {
				w.kept[x] = true
			}
		}
	}
	return w.write()
}

// rematSegments are the numbers of segments that Try offers.
var rematSegments = []int{2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64}

// Try calls f with programs of more and more segments and their Peak, until it
// returns false or an error.
func (r *Remat) Try(f func(p *prim.Program, peak int) (more bool, err error)) error {
	for _, k := range rematSegments {
		p := r.Program(k)
		if more, err := f(p, Peak(p)); err != nil || !more {
			return err
		}
	}
	return nil
}

// Least returns the program of the lowest Peak, with as few segments as that takes;
// the plain one when none is lower.
func (r *Remat) Least() *prim.Program {
	best, least := r.p, Peak(r.p)
	for _, k := range rematSegments {
		if p := r.Program(k); Peak(p) < least {
			best, least = p, Peak(p)
		}
	}
	return best
}

// rematWriter writes one program.
type rematWriter struct {
	*Remat
	segment []int     // of forward nodes
	kept    []bool    // of roots: it crosses a cut
	at      []prim.ID // new numbers of the nodes
	again   map[prim.ID]prim.ID
	behind  map[[2]prim.ID]prim.ID // segment and operand → barrier
	written []bool                 // segments that are computed again
	q       prim.Program
	after   prim.ID // the latest node of the backward pass
}

func (w *rematWriter) append(n prim.Node) prim.ID {
	w.q.Nodes = append(w.q.Nodes, n)
	return prim.ID(len(w.q.Nodes) - 1)
}

func (w *rematWriter) write() *prim.Program {
	for i, n := range w.p.Nodes {
		in := make([]prim.ID, len(n.In))
		late := i > int(w.loss)
		for k, id := range n.In {
			if in[k] = w.at[id]; late && w.dropped(id) {
				w.recompute(w.segment[id])
				in[k] = w.again[id]
			}
		}
		w.at[i] = w.append(prim.Node{Prim: n.Prim, In: in, Type: n.Type})
		if n.Prim != nil && (late || i == int(w.loss)) {
			w.after = w.at[i]
		}
	}
	for _, in := range w.p.Inputs {
		in.ID = w.at[in.ID]
		w.q.Inputs = append(w.q.Inputs, in)
	}
	for _, o := range w.p.Outputs {
		o.ID = w.at[o.ID]
		w.q.Outputs = append(w.q.Outputs, o)
	}
	return sweep(&w.q)
}

// dropped reports whether the backward pass must compute a value again.
func (w *rematWriter) dropped(id prim.ID) bool {
	return id <= w.loss && w.computed(id) && !w.kept[w.root[id]] && w.segment[id] < len(w.written)
}

// recompute appends the nodes of a segment that later ones read, once.
func (w *rematWriter) recompute(s int) {
	if w.written[s] {
		return
	}
	w.written[s] = true
	need := map[prim.ID]bool{}
	for i := len(w.p.Nodes) - 1; i > int(w.loss); i-- {
		for _, in := range w.p.Nodes[i].In {
			if w.dropped(in) && w.segment[in] == s {
				need[in] = true
			}
		}
	}
	for i := w.loss; i >= 0; i-- {
		if need[i] {
			for _, in := range w.p.Nodes[i].In {
				if w.dropped(in) {
					need[in] = true
				}
			}
		}
	}
	after := w.after
	for i := range w.loss {
		if !need[i] {
			continue
		}
		n := w.p.Nodes[i]
		in := make([]prim.ID, len(n.In))
		for k, id := range n.In {
			_, constant := w.p.Nodes[id].Prim.(prim.Const)
			switch {
			case constant:
				in[k] = w.at[id]
			case need[id]:
				in[k] = w.again[id]
			default:
				in[k] = w.barrier(s, id, after)
			}
		}
		w.again[i] = w.append(prim.Node{Prim: n.Prim, In: in, Type: n.Type})
	}
}

// barrier returns a value that a segment reads, behind a barrier of its own.
func (w *rematWriter) barrier(s int, id, after prim.ID) prim.ID {
	key := [2]prim.ID{prim.ID(s), id}
	b, ok := w.behind[key]
	if !ok {
		b = w.append(prim.Node{Prim: prim.Barrier{}, In: []prim.ID{w.at[id], after}, Type: w.p.Nodes[id].Type})
		w.behind[key] = b
	}
	return b
}
