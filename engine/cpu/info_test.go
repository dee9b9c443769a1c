package cpu

import (
	"slices"
	"testing"
)

func TestInfo(t *testing.T) {
	i := New(Options{Threads: 3, Portable: true}).Info()
	if i.Kernels != "portable" || i.Threads != 3 || i.Tile != [2]int{tileM, tileN} || i.Block != [3]int{blockM, blockN, blockK} {
		t.Errorf("portable: got %+v", i)
	}
	if !slices.Contains(i.Vector, "exp") || !slices.Contains(i.Vector, "add") {
		t.Errorf("want exp and add among the functions, got %v", i.Vector)
	}
	native := nativeKernels()
	if native == nil {
		t.Skip("no kernels in assembly for this processor: they want amd64 with AVX2 and FMA")
	}
	if got := New(Options{}).Info().Kernels; got != native.name {
		t.Errorf("kernels: want %s, got %s", native.name, got)
	}
}
