package ops

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/ir"
)

// MissingOp is an operator that cannot run.
type MissingOp struct {
	Domain, Name string
	Count        int
	Nodes        []string // names of the nodes, in graph order
	Reason       string   // "no rule", or which opsets the rules hold for
}

// UnsupportedError lists every operator that stands in the way of running a model.
type UnsupportedError struct{ Ops []MissingOp }

// Error gives one line with the count and the first nodes of every operator.
func (e *UnsupportedError) Error() string {
	parts := make([]string, len(e.Ops))
	for i, o := range e.Ops {
		name := Title(o.Domain, o.Name)
		shown := o.Nodes[:min(len(o.Nodes), 3)]
		quoted := make([]string, len(shown))
		for k, n := range shown {
			quoted[k] = fmt.Sprintf("%q", n)
		}
		more := ""
		if len(o.Nodes) > len(shown) {
			more = ", …"
		}
		parts[i] = fmt.Sprintf("%s ×%d (%s; nodes %s%s)", name, o.Count, o.Reason, strings.Join(quoted, ", "), more)
	}
	return "lower: unsupported operators: " + strings.Join(parts, "; ")
}

// Missing lists the operators of a model's main graph that cannot run, by domain
// and name. Nodes that are dead or that become constants count too.
func Missing(m *ir.Model) []MissingOp {
	return missing(m, func(*ir.Node) bool { return true })
}

func missing(m *ir.Model, counts func(*ir.Node) bool) []MissingOp {
	var out []MissingOp
	at := map[string]int{}
	for _, n := range m.Graph.Nodes {
		if !counts(n) {
			continue
		}
		reason := cannotRun(n, int(m.Opset(n.Domain)))
		if reason == "" {
			continue
		}
		domain := ir.NormalDomain(n.Domain)
		i, ok := at[domain+"."+n.OpType]
		if !ok {
			i = len(out)
			at[domain+"."+n.OpType] = i
			out = append(out, MissingOp{Domain: domain, Name: n.OpType, Reason: reason})
		}
		name := n.Name
		if name == "" {
			name = strings.Join(n.Outputs, ",")
		}
		out[i].Count++
		out[i].Nodes = append(out[i].Nodes, name)
	}
	slices.SortFunc(out, func(a, b MissingOp) int {
		return strings.Compare(a.Domain+"."+a.Name, b.Domain+"."+b.Name)
	})
	return out
}

func cannotRun(n *ir.Node, opset int) string {
	op := Lookup(n.Domain, n.OpType)
	switch {
	case op == nil || op.Lower == nil:
		return "no rule"
	case opset < op.Since:
		return fmt.Sprintf("rules hold from opset %d on, the model has %d", op.Since, opset)
	}
	return ""
}

func unsupported(m *ir.Model, live map[*ir.Node]bool, f *Facts, keep bool) error {
	tracked := trackedValues(m.Graph, f, keep)
	list := missing(m, func(n *ir.Node) bool {
		if !live[n] {
			return false
		}
		for _, name := range n.Outputs {
			if name != "" && (f.Values[name].Const == nil || tracked[name]) {
				return true
			}
		}
		return false
	})
	if len(list) == 0 {
		return nil
	}
	return &UnsupportedError{list}
}
