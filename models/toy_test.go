package models

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
)

func TestMacroSpace(t *testing.T) {
	seen := map[Macro]bool{}
	var first, last Macro
	for a := range Macros() {
		if len(seen) == 0 {
			first = a
		}
		seen[a], last = true, a
	}
	if want := (Macro{[4]int{8, 16, 32, 64}, [4]int{3, 3, 3, 3}}); len(seen) != 6561 || first != want || last != LargestMacro() {
		t.Errorf("want 6561 architectures from %v to %v, got %d from %v to %v", want, LargestMacro(), len(seen), first, last)
	}
	params := func(a Macro) int {
		in, p := 3, 0
		for i, c := range a.Channels {
			p += in*c*a.Kernels[i]*a.Kernels[i] + c
			in = c
		}
		return p + in*256*49 + 256 + 9216*256 + 256 + 256*128 + 128 + 128*64 + 64 + 64*10 + 10
	}
	for _, a := range []Macro{first, last, {[4]int{32, 64, 128, 128}, [4]int{3, 7, 5, 7}}} {
		m, err := a.Build(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := Params(m), params(a); got != want {
			t.Errorf("%v: want %d parameters, got %d", a, want, got)
		}
		if got := m.Graph.Init("fc1.weight").Dims; got[1] != 9216 {
			t.Errorf("%v: first linear layer: want 9216 inputs, got %d", a, got[1])
		}
	}
}

// cellParams counts a genotype's parameters without those of BN, which the
// paper's space does not have.
func cellParams(g Genotype) int {
	op := func(o CellOp, c int) int {
		p := o.Kernel()*o.Kernel()*c + c*c
		if o.Kind() == "sep" {
			p *= 2
		}
		return p
	}
	total := 1*32 + 64*32 + 64*64 + 1152*128 + 128 + 128*10 + 10
	for k := range 3 {
		total += op(g.Reduce[k], 32) + op(g.Normal[k], 32) + op(g.Reduce[k], 64)
	}
	return total
}

func TestCellSpace(t *testing.T) {
	seen := map[Genotype]bool{}
	lo, hi, i := 1<<30, 0, 0
	for g := range Genotypes() {
		seen[g] = true
		want := cellParams(g)
		lo, hi = min(lo, want), max(hi, want)
		if i++; i%409 != 1 {
			continue
		}
		m, err := g.Build(Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := Params(m)
		for _, x := range m.Graph.Inits {
			if strings.Contains(x.Name, ".bn.") && !strings.Contains(x.Name, ".running_") {
				got -= x.Len()
			}
		}
		if got != want {
			t.Errorf("%v: want %d parameters, got %d", g, want, got)
		}
	}
	if len(seen) != 4096 || lo != 176938 || hi != 211114 {
		t.Errorf("want 4096 architectures of 176938 to 211114 parameters, got %d of %d to %d", len(seen), lo, hi)
	}
}

func TestInherit(t *testing.T) {
	large, err := LargestMacro().Build(Options{Size: 16, Width: 8, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	small, err := Macro{[4]int{8, 64, 32, 64}, [4]int{3, 5, 7, 3}}.Build(Options{Size: 16, Width: 8, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Inherit(small, large)
	if err != nil {
		t.Fatal(err)
	}
	w, big := floats(t, got, "conv2.weight"), floats(t, large, "conv2.weight")
	for _, at := range [][4]int{{0, 0, 0, 0}, {63, 7, 4, 4}, {12, 3, 1, 2}} {
		o, i, y, x := at[0], at[1], at[2], at[3]
		if g, b := w[((o*8+i)*5+y)*5+x], big[((o*32+i)*7+y+1)*7+x+1]; g != b {
			t.Errorf("conv2.weight%v: want %v, got %v", at, b, g)
		}
	}
	if b := floats(t, got, "conv1.bias"); len(b) != 8 || b[7] != floats(t, large, "conv1.bias")[7] {
		t.Errorf("conv1.bias: want the first 8 of the larger, got %v", b)
	}
	if floats(t, small, "conv2.weight")[0] == w[0] {
		t.Error("Inherit: want the argument unchanged, got its weights replaced")
	}
	if _, err := Inherit(large, small); err == nil || !strings.Contains(err.Error(), "want dims that fit centred in") {
		t.Errorf("inheriting from a smaller model: want an error, got %v", err)
	}
	super, _ := Lookup("toy-cell")
	m, err := super.Build(Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := Genotype{[3]CellOp{Sep3, Dil5, Dil3}, [3]CellOp{Sep5, Sep3, Dil3}}.Build(Options{Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Inherit(g, m); err != nil {
		t.Errorf("cell architectures: want every weight in the supernet, got %v", err)
	}
	if _, err := Inherit(m, g); err == nil || !strings.Contains(err.Error(), "want one of that name in the larger model, got none") {
		t.Errorf("supernet from an architecture: want an error, got %v", err)
	}
}

func floats(t *testing.T, m *ir.Model, name string) []float32 {
	t.Helper()
	v, err := m.Graph.Init(name).Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}
