package cpu

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/enginetest"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/workloads"
)

func TestPassesAreListed(t *testing.T) {
	if err := engine.ValidatePasses(Passes()); err != nil {
		t.Error(err)
	}
}

// TestPassesAreDocumented holds the tables of docs/pipeline.md to the list.
func TestPassesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/pipeline.md")
	if err != nil {
		t.Fatal(err)
	}
	table := func(list []engine.Pass) string {
		rows := "| pass | what it does |\n| --- | --- |\n"
		for _, p := range list {
			rows += fmt.Sprintf("| %s | %s |\n", p.Name, p.Doc)
		}
		return "\n" + rows + "\n"
	}
	n := len(engine.Passes())
	for _, want := range []string{table(Passes()[:n]), table(Passes()[n:])} {
		if !strings.Contains(string(page), want) {
			t.Errorf("docs/pipeline.md: want the table%s", want)
		}
	}
}

// verified is a backend that verifies the program after each pass.
type verified struct{ *Backend }

func (v verified) Compile(p *prim.Program) (engine.Executable, error) {
	if _, err := engine.RunVerified(p, v.opt.Passes); err != nil {
		return nil, err
	}
	return v.Backend.Compile(p)
}

// TestFirstPasses stops after every number of passes and judges the results.
func TestFirstPasses(t *testing.T) {
	all := Passes()
	for n := range len(all) + 1 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			enginetest.RunPrograms(t, verified{New(Options{Threads: 2, Passes: all[:n]})})
		})
	}
}

// TestPassesOfWorkloads verifies the steps that the engine is timed on after each pass.
func TestPassesOfWorkloads(t *testing.T) {
	for _, w := range workloads.All() {
		s, err := w.Build(1)
		if err != nil {
			t.Fatal(err)
		}
		for _, ph := range s.Phases {
			if _, err := engine.RunVerified(ph.Program, Passes()); err != nil {
				t.Errorf("%s, %s: %v", w.Name, ph.Name, err)
			}
		}
	}
}

// TestInvalidFusion has the verifier see through what passes of this package make.
func TestInvalidFusion(t *testing.T) {
	x := prim.Type{DType: prim.F32, Shape: []int{2, 3}}
	y := prim.Type{DType: prim.F32, Shape: []int{3, 2}}
	whole := access{[]int{2, 3}, []int{3, 1}, 0}
	then := prim.Map{Expr: prim.E(prim.A(0)), Shape: []int{4}}
	wide := then
	wide.Shape = []int{5}
	for _, c := range []struct {
		name string
		p    prim.Prim
		want string
	}{
		{"sound map", fused{prim.MatMul{}, then}, ""},
		{"map of another size", fused{prim.MatMul{}, wide}, "matmul: want the map to keep the type f32[2 2], got f32[5]"},
		{"sound view", viewed{prim.MatMul{}, [2]access{whole, {[]int{3, 2}, []int{2, 1}, 0}}}, ""},
		{"view behind the end", viewed{prim.MatMul{}, [2]access{whole, {[]int{3, 2}, []int{2, 1}, 1}}}, "matmul: operand 1: want a view within f32[3 2], got {shape:[3 2] stride:[2 1] off:1}"},
		{"views that do not fit", viewed{prim.MatMul{}, [2]access{whole, whole}}, "matmul: inner sizes: want equal, got 3 and 2 ([2 3], [2 3], transposed false, false)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.p.Infer([]prim.Type{x, y})
			if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && got != c.want {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
}
