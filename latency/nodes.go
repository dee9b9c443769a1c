package latency

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
)

// ByNode says where the time of two models goes, as the runtime's own profile has it.
type ByNode struct {
	Runtime string     `json:"runtime"`
	Threads int        `json:"threads,omitempty"`
	Batch   int        `json:"batch"`
	Runs    int        `json:"runs"` // of each model
	Groups  []NodeTime `json:"groups"`
}

// NodeTime is what nodes that the runtime runs as one take, before and after.
type NodeTime struct {
	Nodes []string `json:"nodes"`           // the first model's, in its order; of what the runtime adds, its own name
	Kind  string   `json:"kind"`            // operators, joined by +
	Added bool     `json:"added,omitempty"` // by the runtime, such as a change of layout
	// Before and After are of the first and of the second model; nil: it has none of them, or the
	// runtime runs them in another group.
	Before *Spread `json:"before,omitempty"`
	After  *Spread `json:"after,omitempty"`
}

// Spread is the distribution of times in milliseconds.
type Spread struct {
	P10 float64 `json:"p10_ms"`
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
}

// Runs of each model in a profile, and those before that do not count.
const (
	profileRuns   = 100
	profileWarmup = 20
)

// MeasureNodes profiles a model and one that was cut from it, each on its inputs, whose nodes have
// the names of the first's. It returns nil where the runtime has no profile of its nodes.
func MeasureNodes(rt runtimes.Runtime, models [2]runtimes.Source, in [2]map[string]*ir.Tensor) (*ByNode, error) {
	p, ok := rt.(runtimes.Profiler)
	if !ok {
		return nil, nil
	}
	info, err := rt.Describe()
	if err != nil {
		return nil, err
	}
	out := &ByNode{Runtime: info.Version, Threads: info.Threads, Runs: profileRuns}
	groups, err := Groups(models[0].Model, rt)
	if err != nil {
		return nil, err
	}
	n := newNamer(models[0].Model.Graph, groups)
	for _, g := range groups {
		x := NodeTime{Kind: kind(g)}
		for _, node := range g {
			x.Nodes = append(x.Nodes, node.Label())
		}
		out.Groups = append(out.Groups, x)
	}
	added := map[string]int{}
	for side, m := range models {
		times, err := p.Profile(m, in[side], profileWarmup, profileRuns)
		if err != nil {
			return nil, fmt.Errorf("latency: %w", err)
		}
		sums := map[int][]float64{}
		for _, t := range times {
			at := n.group(t.Name)
			if at < 0 {
				k, known := added[t.Name]
				if !known {
					k = len(out.Groups)
					added[t.Name] = k
					out.Groups = append(out.Groups, NodeTime{Nodes: []string{t.Name}, Kind: t.Op, Added: true})
				}
				at = k
			}
			if sums[at] == nil {
				sums[at] = make([]float64, len(t.Times))
			}
			for i, v := range t.Times {
				sums[at][i] += v
			}
		}
		for at, v := range sums {
			s := &Spread{micro(quantile(v, 0.1)), micro(median(v)), micro(quantile(v, 0.9))}
			if side == 0 {
				out.Groups[at].Before = s
			} else {
				out.Groups[at].After = s
			}
		}
	}
	out.Groups = slices.DeleteFunc(out.Groups, func(x NodeTime) bool { return x.Before == nil && x.After == nil })
	return out, nil
}

// micro rounds milliseconds to tenths of a microsecond, which is finer than profiles are.
func micro(ms float64) float64 { return math.Round(ms*1e4) / 1e4 }

// namer finds the group of what a runtime calls by a name that it made of a node's, or of a value's.
type namer struct {
	of     map[string]int
	labels []string // the longest first
}

func newNamer(g *ir.Graph, groups [][]*ir.Node) *namer {
	n := &namer{of: map[string]int{}}
	for _, values := range []bool{false, true} { // nodes win over values of their names
		for i, set := range groups {
			for _, node := range set {
				names := []string{node.Label()}
				if values {
					names = node.Outputs
				}
				for _, name := range names {
					if _, known := n.of[name]; !known && name != "" {
						n.of[name], n.labels = i, append(n.labels, name)
					}
				}
			}
		}
	}
	slices.SortStableFunc(n.labels, func(a, b string) int { return len(b) - len(a) })
	return n
}

// madeOf are what ONNX Runtime puts before and behind the names that it makes others of.
var madeOf = struct{ before, behind []string }{[]string{"fused "}, []string{"_nchwc", "_token_", "/"}}

// group is the index of a name's group, −1 for none.
func (n *namer) group(name string) int {
	for _, b := range madeOf.before {
		name = strings.TrimPrefix(name, b)
	}
	if i, ok := n.of[name]; ok {
		return i
	}
	for _, l := range n.labels {
		rest, ok := strings.CutPrefix(name, l)
		if ok && slices.ContainsFunc(madeOf.behind, func(b string) bool { return strings.HasPrefix(rest, b) }) {
			return n.of[l]
		}
	}
	return -1
}
