package ir

import (
	"container/heap"
	"fmt"
	"strings"
)

// TopoSort returns the nodes so that every node stands behind the producers of
// what it uses, captures of subgraphs included; nodes keep their order where they
// can. A cycle is an error that names its nodes. Values without a producer among
// nodes are taken as given.
func TopoSort(nodes []*Node) ([]*Node, error) {
	producer := map[string]int{}
	for i, n := range nodes {
		for _, o := range n.Outputs {
			if _, ok := producer[o]; !ok && o != "" {
				producer[o] = i
			}
		}
	}
	needs := make([]int, len(nodes))
	users := make([][]int, len(nodes))
	for i, n := range nodes {
		for _, u := range Uses(n) {
			if p, ok := producer[u]; ok {
				users[p] = append(users[p], i)
				needs[i]++
			}
		}
	}
	var ready intHeap
	for i := range nodes {
		if needs[i] == 0 {
			ready = append(ready, i)
		}
	}
	heap.Init(&ready)
	out := make([]*Node, 0, len(nodes))
	for len(ready) > 0 {
		i := heap.Pop(&ready).(int)
		out = append(out, nodes[i])
		for _, u := range users[i] {
			if needs[u]--; needs[u] == 0 {
				heap.Push(&ready, u)
			}
		}
	}
	if len(out) < len(nodes) {
		return nil, fmt.Errorf("cycle: %s", cycle(nodes, needs, producer))
	}
	return out, nil
}

// cycle walks producers from a node that never became ready until a node repeats.
func cycle(nodes []*Node, needs []int, producer map[string]int) string {
	at := 0
	for needs[at] == 0 {
		at++
	}
	seen := map[int]int{}
	var path []int
	for {
		if start, ok := seen[at]; ok {
			path = append(path[start:], at)
			break
		}
		seen[at] = len(path)
		path = append(path, at)
		for _, u := range Uses(nodes[at]) {
			if p, ok := producer[u]; ok && needs[p] > 0 {
				at = p
				break
			}
		}
	}
	const most = 12
	var names []string
	for i, p := range path {
		if i == most && len(path) > most+1 {
			names = append(names, fmt.Sprintf("… %d more", len(path)-most))
			break
		}
		names = append(names, Address(nodes[p]))
	}
	return strings.Join(names, " needs ")
}

// Address names a node in messages: its name if it has one, else its first output.
func Address(n *Node) string {
	if n.Name != "" {
		return fmt.Sprintf("node %q (%s)", n.Name, n.OpType)
	}
	for _, o := range n.Outputs {
		if o != "" {
			return fmt.Sprintf("node (%s) that makes %q", n.OpType, o)
		}
	}
	return fmt.Sprintf("node (%s)", n.OpType)
}

// Sorted reports whether TopoSort would keep the order as it is.
func Sorted(nodes []*Node) bool {
	made := map[string]bool{}
	for _, n := range nodes {
		for _, o := range n.Outputs {
			made[o] = true
		}
	}
	delete(made, "")
	for _, n := range nodes {
		for _, u := range Uses(n) {
			if made[u] {
				return false
			}
		}
		for _, o := range n.Outputs {
			delete(made, o)
		}
	}
	return true
}

type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
