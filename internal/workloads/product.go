package workloads

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
)

// product is the matrix product c = a·b, a [m, k] and b [k, n], into storage that it is given.
func product(name string, m, n, k int) Workload {
	return Workload{
		Name: name, Batch: 1, Product: true,
		Doc: fmt.Sprintf("the matrix product %d×%d by %d×%d", m, k, k, n),
		Build: func(batch int) (*Step, error) {
			if batch != 1 {
				return nil, fmt.Errorf("workloads: %s: batch: want 1, got %d", name, batch)
			}
			data := map[string]*prim.Tensor{"a": normal(name+"/a", 1, m, k), "b": normal(name+"/b", 1, k, n)}
			b := prim.NewBuilder()
			c := b.MatMul(b.Input("a", data["a"].Type), b.Input("b", data["b"].Type), false, false)
			b.Input("c", b.Type(c))
			b.Donate("c")
			b.Output("c", c)
			p, err := b.Program()
			if err != nil {
				return nil, fmt.Errorf("workloads: %s: %w", name, err)
			}
			return &Step{Phases: []Phase{{"product", p, data}}, Init: map[string]*prim.Tensor{"c": full(0, m, n)}}, nil
		},
	}
}
