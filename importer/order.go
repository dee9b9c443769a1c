package importer

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
)

// sortGraphs puts the nodes of every graph and function body of m into topological order.
func sortGraphs(m *ir.Model) error {
	if err := sortGraph(m.Graph); err != nil {
		return err
	}
	for _, f := range m.Functions {
		nodes, err := sortNodes(f.Nodes)
		if err != nil {
			return fmt.Errorf("function %s: %w", f.ID(), err)
		}
		f.Nodes = nodes
	}
	return nil
}

func sortGraph(g *ir.Graph) error {
	nodes, err := sortNodes(g.Nodes)
	if err != nil {
		return fmt.Errorf("graph %q: %w", g.Name, err)
	}
	g.Nodes = nodes
	return nil
}

func sortNodes(nodes []*ir.Node) ([]*ir.Node, error) {
	for _, n := range nodes {
		for _, g := range ir.Subgraphs(n) {
			if err := sortGraph(g); err != nil {
				return nil, fmt.Errorf("%s: %w", ir.Address(n), err)
			}
		}
	}
	if ir.Sorted(nodes) {
		return nodes, nil
	}
	return ir.TopoSort(nodes)
}
