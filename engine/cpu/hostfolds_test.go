package cpu

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	oracle "github.com/entangle-nas/entangle/engine/ref"
)

// blockStep is the gradient of a convolution, normalisation and ReLU, twice, with a
// residual of the input.
func blockStep(t *testing.T, images, channels, size, kernel, stride, groups int) (*prim.Program, map[string]*prim.Tensor) {
	t.Helper()
	n := newNetwork()
	n.init["x"] = randomTensor(n.r, images, channels, size, size)
	x := n.Input("x", n.init["x"].Type)
	y := n.Relu(n.norm(n.conv(x, channels, kernel, 1, groups)))
	y = n.norm(n.conv(y, channels, kernel, stride, groups))
	if stride == 1 {
		y = n.Plus(y, x)
	}
	y = n.norm(n.conv(n.Relu(y), channels, kernel, 1, groups))
	n.init["g"] = randomTensor(n.r, n.Shape(y)...)
	g := n.Input("g", n.init["g"].Type)
	loss := n.Reshape(n.Sum(n.Times(y, g), 0, 1, 2, 3))
	grads, err := engine.Grad(n.Builder, loss, append([]prim.ID{x}, n.params...))
	if err != nil {
		t.Fatal(err)
	}
	n.Output("y", y)
	for i, g := range grads {
		n.Output("d"+string(rune('a'+i)), g)
	}
	p, err := n.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p, n.init
}

func TestFoldsAreComputedByConvolutions(t *testing.T) {
	for _, c := range []struct {
		name                                          string
		images, channels, size, kernel, stride, group int
		hosts                                         int // convolutions and their gradients that fold
	}{
		{"tiles", 9, 12, 8, 3, 1, 1, 5},
		{"direct", 3, 6, 9, 3, 1, 1, 5},
		{"points", 3, 8, 6, 1, 1, 1, 5},
		{"stride", 3, 6, 14, 3, 2, 1, 5},
		{"depthwise", 3, 6, 9, 3, 1, 6, 5},
		{"one image", 1, 8, 12, 3, 1, 1, 3},
	} {
		p, init := blockStep(t, c.images, c.channels, c.size, c.kernel, c.stride, c.group)
		want, err := engine.RunHost(oracle.New(), p, init)
		if err != nil {
			t.Fatal(err)
		}
		backends(func(name string, b *Backend) {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				exe, err := b.Compile(p)
				if err != nil {
					t.Fatal(err)
				}
				hosts := 0
				for _, s := range exe.(*executable).steps {
					if strings.HasSuffix(s.name, "and folds") {
						hosts++
					}
				}
				if hosts != c.hosts {
					t.Errorf("want %d convolutions to fold, got %d", c.hosts, hosts)
				}
				got, err := engine.RunHost(b, p, init)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range p.Outputs {
					checkClose(t, o.Name, got[o.Name].F32, want[o.Name].Cast(prim.F64).F64, 5e-4)
				}
			})
		})
	}
}

// TestSpreadOfDistantValues checks that a mean far from zero does not cancel the spread.
func TestSpreadOfDistantValues(t *testing.T) {
	p, init := blockStep(t, 8, 12, 8, 3, 1, 1)
	for i := range init["x"].F32 {
		init["x"].F32[i] += 300
	}
	want, err := engine.RunHost(oracle.New(), p, init)
	if err != nil {
		t.Fatal(err)
	}
	got, err := engine.RunHost(New(Options{Threads: 2}), p, init)
	if err != nil {
		t.Fatal(err)
	}
	checkClose(t, "y", got["y"].F32, want["y"].Cast(prim.F64).F64, 2e-2)
}
