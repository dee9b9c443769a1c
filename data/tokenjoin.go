package data

import (
	"container/heap"
	"strings"
)

// span is a token with the part of the text that it stands for.
type span struct {
	lo, hi int
	id     uint32
}

// merge tells whether two neighbours join, to which token and how soon: the lowest
// rank first, the leftmost on a tie.
type merge func(left, right span) (rank float64, id uint32, ok bool)

// maxMemory bounds the words whose tokens a tokenizer remembers.
const maxMemory = 1 << 16

// remembered appends the tokens of each word: from memory, or by encode.
func remembered(out []uint32, words []string, memory map[string][]uint32, encode func(out []uint32, word string) []uint32) []uint32 {
	for _, w := range words {
		ids, known := memory[w]
		if !known {
			if ids = encode(nil, w); len(memory) < maxMemory {
				memory[w] = ids
			}
		}
		out = append(out, ids...)
	}
	return out
}

// separates reports whether no piece has a mark behind something else. Then nothing
// joins across such a place, and text may be cut there: see marked.
func separates(mark string, piece string) bool {
	return !strings.Contains(strings.TrimLeft(piece, mark), mark)
}

// marked cuts text before every mark that stands behind something else.
func marked(text, mark string) []string {
	var out []string
	from := 0
	for at := 0; at < len(text); {
		k := strings.Index(text[at:], mark)
		if k < 0 {
			break
		}
		if at += k; k > 0 && at > from {
			out = append(out, text[from:at])
			from = at
		}
		at += len(mark)
	}
	return append(out, text[from:])
}

// joint is a possible join of the span at with the next one, which ends at hi.
type joint struct {
	rank   float64
	at, hi int
	id     uint32
}

type joints []joint

func (j joints) Len() int { return len(j) }
func (j joints) Less(a, b int) bool {
	return j[a].rank < j[b].rank || j[a].rank == j[b].rank && j[a].at < j[b].at
}
func (j joints) Swap(a, b int) { j[a], j[b] = j[b], j[a] }
func (j *joints) Push(x any)   { *j = append(*j, x.(joint)) }
func (j *joints) Pop() any {
	last := (*j)[len(*j)-1]
	*j = (*j)[:len(*j)-1]
	return last
}

// joined appends the tokens that spans become when neighbours join one pair after
// the other until none do. Time is n·log n in the number of spans.
func joined(out []uint32, spans []span, pair merge) []uint32 {
	const gone = -2
	prev, next := make([]int, len(spans)), make([]int, len(spans))
	for i := range spans {
		prev[i], next[i] = i-1, i+1
	}
	if len(spans) == 0 {
		return out
	}
	next[len(spans)-1] = -1
	var queue joints
	offer := func(at int) {
		if at < 0 || next[at] < 0 {
			return
		}
		if rank, id, ok := pair(spans[at], spans[next[at]]); ok {
			heap.Push(&queue, joint{rank, at, spans[next[at]].hi, id})
		}
	}
	for i := range spans {
		offer(i)
	}
	for len(queue) > 0 {
		j := heap.Pop(&queue).(joint)
		right := next[j.at]
		if right < 0 || spans[right].hi != j.hi {
			continue
		}
		spans[j.at].hi, spans[j.at].id, next[j.at] = j.hi, j.id, next[right]
		next[right] = gone
		if next[j.at] >= 0 {
			prev[next[j.at]] = j.at
		}
		offer(prev[j.at])
		offer(j.at)
	}
	for i := 0; i >= 0; i = next[i] {
		out = append(out, spans[i].id)
	}
	return out
}
