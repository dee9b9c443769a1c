package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	oracle "github.com/entangle-nas/entangle/engine/ref"
)

// fuseCase is a product with Maps behind it; operands named w… are constants in one of two runs.
type fuseCase struct {
	name  string
	in    map[string][]int
	build func(b *prim.Builder, in func(name string) prim.ID) prim.ID
	fused int // products that take a Map over
}

func fuseCases() []fuseCase {
	window := func(stride, pad int) prim.Window {
		return prim.Window{Strides: []int{stride, stride}, Dilations: []int{1, 1}, PadLo: []int{pad, pad}, PadHi: []int{pad, pad}}
	}
	conv := func(name string, stride, pad, groups int, x, w []int, out ...int) fuseCase {
		return fuseCase{name, map[string][]int{"x": x, "w": w, "scale": {1, out[1], 1, 1}, "rest": out}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			y := b.Add(prim.Conv{Window: window(stride, pad), Groups: groups}, in("x"), in("w"))
			return b.Relu(b.Plus(b.Times(y, in("scale")), in("rest")))
		}, 1}
	}
	return []fuseCase{
		conv("conv", 1, 1, 1, []int{3, 5, 9, 10}, []int{18, 5, 3, 3}, 3, 18, 9, 10),
		conv("conv in bands", 1, 1, 1, []int{1, 32, 70, 70}, []int{3, 32, 3, 3}, 1, 3, 70, 70),
		conv("conv with stride", 2, 1, 2, []int{2, 6, 13, 14}, []int{4, 3, 3, 3}, 2, 4, 7, 7),
		conv("conv 1×1", 1, 0, 1, []int{2, 7, 8, 8}, []int{33, 7, 1, 1}, 2, 33, 8, 8),
		conv("depthwise", 1, 1, 6, []int{2, 6, 9, 11}, []int{6, 1, 3, 3}, 2, 6, 9, 11),
		conv("depthwise of two filters", 2, 1, 6, []int{2, 6, 19, 21}, []int{12, 1, 3, 3}, 2, 12, 10, 11),
		{"conv of points", map[string][]int{"x": {5, 40, 1, 1}, "w": {50, 40, 1, 1}, "b": {1, 50, 1, 1}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			y := b.Add(prim.Conv{Window: window(1, 0), Groups: 1}, in("x"), in("w"))
			return b.Unary(prim.Tanh, b.Plus(y, in("b")))
		}, 1},
		{"tall product, bias, residual", map[string][]int{"x": {3, 67, 300}, "w": {300, 70}, "b": {1, 1, 70}, "rest": {3, 67, 70}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			y := b.Reshape(b.MatMul(b.Reshape(in("x"), 201, 300), in("w"), false, false), 3, 67, 70)
			return b.Plus(b.Plus(y, in("b")), in("rest"))
		}, 1},
		{"wide product", map[string][]int{"x": {20, 33}, "w": {1700, 33}, "b": {1, 1700}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			return b.Unary(prim.Sigmoid, b.Plus(b.MatMul(in("x"), in("w"), false, true), in("b")))
		}, 1},
		{"batch", map[string][]int{"x": {4, 3, 65, 20}, "y": {4, 3, 65, 20}, "m": {4, 1, 1, 65}, "r": {1, 3, 65, 1}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			return b.Times(b.Plus(b.Scale(b.MatMul(in("x"), in("y"), false, true), 0.5), in("m")), in("r"))
		}, 1},
		{"batch of one right operand", map[string][]int{"x": {4, 20, 50}, "w": {1, 20, 40}, "b": {4, 50, 1}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			return b.Plus(b.MatMul(in("x"), in("w"), true, false), in("b"))
		}, 1},
		{"no depth", map[string][]int{"x": {4, 0}, "w": {0, 40}, "b": {1, 40}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			return b.Plus(b.MatMul(in("x"), in("w"), false, false), in("b"))
		}, 1},
		{"two products of one sum", map[string][]int{"x": {40, 30}, "w": {30, 44}, "w2": {30, 44}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			return b.Plus(b.MatMul(in("x"), in("w"), false, false), b.MatMul(in("x"), in("w2"), false, false))
		}, 1},
		{"short rows", map[string][]int{"x": {40, 30}, "w": {30, 8}, "b": {1, 8}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			return b.Plus(b.MatMul(in("x"), in("w"), false, false), in("b"))
		}, 0},
		{"two readers", map[string][]int{"x": {40, 30}, "w": {30, 40}, "b": {1, 40}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			y := b.MatMul(in("x"), in("w"), false, false)
			return b.MatMul(b.Plus(y, in("b")), y, false, true)
		}, 0},
		{"late operand", map[string][]int{"x": {40, 40}, "w": {40, 40}, "b": {40, 40}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			y := b.MatMul(in("x"), in("w"), false, false)
			return b.Plus(y, b.Transpose(in("b"), 1, 0))
		}, 0},
		{"late small operand", map[string][]int{"x": {40, 40}, "w": {40, 40}, "b": {1, 40}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			y := b.MatMul(in("x"), in("w"), false, false)
			return b.Plus(y, b.Sum(b.Unary(prim.Exp, in("b")), 0))
		}, 1},
		{"late small operand of a product and its map", map[string][]int{"x": {40, 40}, "w": {40, 40}, "w2": {40, 40}, "b": {1, 40}, "m": {1, 40}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			y := b.MatMul(in("x"), in("w"), false, false)
			h := b.Unary(prim.Tanh, b.Plus(b.MatMul(in("b"), in("w2"), false, false), in("m")))
			return b.Plus(y, b.MatMul(h, in("w2"), false, false))
		}, 2},
		{"late small operand of a product and its map in another shape", map[string][]int{"x": {40, 40}, "w": {40, 40}, "w2": {40, 40}, "b": {1, 40}, "m": {1, 1, 40}}, func(b *prim.Builder, in func(string) prim.ID) prim.ID {
			y := b.MatMul(in("x"), in("w"), false, false)
			z := b.Reshape(b.MatMul(in("b"), in("w2"), false, false), 1, 1, 40)
			h := b.Reshape(b.Unary(prim.Tanh, b.Plus(z, in("m"))), 1, 40)
			return b.Plus(y, b.MatMul(h, in("w2"), false, false))
		}, 2},
	}
}

func TestFusedMapsAgainstOracle(t *testing.T) {
	for _, c := range fuseCases() {
		for _, constant := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, constant weights %v", c.name, constant), func(t *testing.T) {
				b := prim.NewBuilder()
				feed := map[string]*prim.Tensor{}
				p, err := c.program(b, constant, feed)
				if err != nil {
					t.Fatal(err)
				}
				simple, err := engine.Simplify(p)
				if err != nil {
					t.Fatal(err)
				}
				q := fuse(simple)
				if err := q.Validate(); err != nil {
					t.Fatal(err)
				}
				n := 0
				for _, node := range q.Nodes {
					if _, ok := node.Prim.(fused); ok {
						n++
					}
				}
				if n != c.fused {
					t.Errorf("want %d fused products, got %d", c.fused, n)
				}
				want, err := engine.RunHost(oracle.New(), p, feed)
				if err != nil {
					t.Fatal(err)
				}
				backends(func(name string, be *Backend) {
					got, err := engine.RunHost(be, p, feed)
					if err != nil {
						t.Fatal(err)
					}
					for i := range want["y"].Len() {
						if w, g := want["y"].Float(i), got["y"].Float(i); !(math.Abs(w-g) <= 2e-4*(1+math.Abs(w))) {
							t.Fatalf("%s: element %d: want %g, got %g", name, i, w, g)
						}
					}
				})
			})
		}
	}
}

// program builds c; the Map's result passes through a sum, because results that are outputs stay apart.
func (c fuseCase) program(b *prim.Builder, constant bool, feed map[string]*prim.Tensor) (*prim.Program, error) {
	r := rand.New(rand.NewPCG(21, 22))
	ids := map[string]prim.ID{}
	for _, name := range []string{"x", "w", "w2", "y", "scale", "rest", "b", "m", "r"} {
		shape, ok := c.in[name]
		if !ok {
			continue
		}
		t := randomTensor(r, shape...)
		if constant && name[0] == 'w' {
			ids[name] = b.Add(prim.Const{Value: t})
			continue
		}
		feed[name], ids[name] = t, b.Input(name, t.Type)
	}
	y := c.build(b, func(name string) prim.ID { return ids[name] })
	b.Output("y", b.Transpose(b.Reshape(y, 2, b.Type(y).Len()/2), 1, 0))
	return b.Program()
}
