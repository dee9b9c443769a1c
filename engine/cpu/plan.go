package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// place says where a value lives.
type place struct {
	kind  placeKind
	index int // of the input, output or constant; byte offset in the arena
}

type placeKind uint8

const (
	nowhere placeKind = iota
	inInput
	inOutput
	inConst
	inArena
)

// plan is the storage of a program: a place per node; aliases share their root's.
type plan struct {
	root    []int // of a value: the node whose storage it reads
	live    []bool
	place   []place // of roots
	donated []int   // output → input whose storage it takes, -1 for fresh storage
	copies  []int   // outputs that must be copied from their place at the end
	arena   int     // bytes
}

func isAlias(p prim.Prim) bool {
	switch p.(type) {
	case prim.Reshape, prim.StopGrad, prim.Barrier:
		return true
	}
	return false
}

// planStorage decides where every value of p lives. Node i runs when node
// runsAt[i] ≥ i is due. reuse(i) lists the operands
// whose storage node i may overwrite with its result, best first.
func planStorage(p *prim.Program, live []bool, runsAt []int, reuse func(i int) []int) *plan {
	n := len(p.Nodes)
	pl := &plan{
		root: make([]int, n), live: live, place: make([]place, n),
		donated: make([]int, len(p.Outputs)),
	}
	for i, node := range p.Nodes {
		pl.root[i] = i
		if node.Prim != nil && isAlias(node.Prim) {
			pl.root[i] = pl.root[node.In[0]]
		}
	}
	last := make([]int, n) // of roots: the last node that reads it
	for i := n - 1; i >= 0; i-- {
		if !pl.live[i] {
			continue
		}
		for _, in := range p.Nodes[i].In {
			if r := pl.root[in]; !isAlias(p.Nodes[i].Prim) {
				last[r] = max(last[r], runsAt[i])
			}
		}
	}
	output := make([]int, n) // of roots: 1 + the output that owns it
	for k, o := range p.Outputs {
		pl.donated[k] = -1
		r := pl.root[o.ID]
		node := p.Nodes[r]
		_, constant := node.Prim.(prim.Const)
		if output[r] != 0 || node.Prim == nil || constant {
			pl.copies = append(pl.copies, k)
		} else {
			output[r] = k + 1
		}
	}
	for k, in := range p.Inputs {
		pl.place[in.ID] = place{inInput, k}
	}
	taken := make([]bool, len(p.Inputs))
	for _, k := range pl.copies {
		if r := pl.root[p.Outputs[k].ID]; p.Nodes[r].Prim == nil {
			taken[pl.place[r].index] = true
		}
	}
	free := &arena{}
	dying := make([][]int, n) // node → roots that nothing reads after it
	consts := 0
	for i, node := range p.Nodes {
		if !pl.live[i] || pl.root[i] != i || node.Prim == nil {
			continue
		}
		if _, ok := node.Prim.(prim.Const); ok {
			pl.place[i] = place{inConst, consts}
			consts++
			continue
		}
		switch k := output[i] - 1; {
		case k >= 0:
			pl.place[i] = place{inOutput, k}
			pl.donated[k] = donor(p, pl, i, last, taken, reuse(i))
			if d := pl.donated[k]; d >= 0 {
				taken[d] = true
			}
		default:
			if j := inPlace(p, pl, i, last, reuse(i)); j >= 0 {
				pl.place[i] = pl.place[j]
				pl.place[j].kind, last[j] = inArena, -1
				free.rename(pl.place[i].index)
			} else {
				pl.place[i] = place{inArena, free.take(node.Type.Bytes())}
			}
			end := max(last[i], runsAt[i])
			dying[end] = append(dying[end], i)
		}
		for _, r := range dying[i] {
			if last[r] >= 0 {
				free.give(pl.place[r].index)
			}
		}
	}
	pl.arena = free.top
	return pl
}

// donor returns an input whose storage output node i may take, -1 for none.
func donor(p *prim.Program, pl *plan, i int, last []int, taken []bool, reuse []int) int {
	fits := func(k, until int) bool {
		in := p.Inputs[k]
		t := p.Nodes[in.ID].Type
		return in.Donate && !taken[k] && last[in.ID] <= until && t.DType == p.Nodes[i].Type.DType && t.Len() == p.Nodes[i].Type.Len()
	}
	for _, r := range reuse {
		if pl.place[r].kind == inInput && fits(pl.place[r].index, i) {
			return pl.place[r].index
		}
	}
	for k := range p.Inputs {
		if fits(k, i-1) {
			return k
		}
	}
	return -1
}

// inPlace returns an operand root of node i that dies there and may be overwritten, -1 for none.
func inPlace(p *prim.Program, pl *plan, i int, last []int, reuse []int) int {
	for _, r := range reuse {
		if pl.place[r].kind == inArena && last[r] == i && p.Nodes[r].Type.Bytes() == p.Nodes[i].Type.Bytes() {
			return r
		}
	}
	return -1
}

// arena hands out aligned byte ranges, best fit first.
type arena struct {
	top  int
	free []span // ascending, never adjacent
	used map[int]int
}

type span struct{ off, size int }

func (a *arena) take(bytes int) int {
	size := (max(bytes, 1) + 2*align - 1) / align * align
	best := -1
	for i, s := range a.free {
		if s.size >= size && (best < 0 || s.size < a.free[best].size) {
			best = i
		}
	}
	if a.used == nil {
		a.used = map[int]int{}
	}
	if best < 0 {
		off := a.top
		if k := len(a.free) - 1; k >= 0 && a.free[k].off+a.free[k].size == a.top {
			off = a.free[k].off
			a.free = a.free[:k]
		}
		a.top = off + size
		a.used[off] = size
		return off
	}
	s := &a.free[best]
	off := s.off
	if s.size -= size; s.size == 0 {
		a.free = slices.Delete(a.free, best, best+1)
	} else {
		s.off += size
	}
	a.used[off] = size
	return off
}

// rename keeps a range whose owner changes.
func (a *arena) rename(off int) {
	if _, ok := a.used[off]; !ok {
		panic("BUG: cpu: arena range is not in use")
	}
}

func (a *arena) give(off int) {
	size, ok := a.used[off]
	if !ok {
		panic("BUG: cpu: arena range is not in use")
	}
	delete(a.used, off)
	i, _ := slices.BinarySearchFunc(a.free, off, func(s span, o int) int { return s.off - o })
	a.free = slices.Insert(a.free, i, span{off, size})
	if i+1 < len(a.free) && a.free[i].off+a.free[i].size == a.free[i+1].off {
		a.free[i].size += a.free[i+1].size
		a.free = slices.Delete(a.free, i+1, i+2)
	}
	if i > 0 && a.free[i-1].off+a.free[i-1].size == a.free[i].off {
		a.free[i-1].size += a.free[i].size
		a.free = slices.Delete(a.free, i, i+1)
	}
}
