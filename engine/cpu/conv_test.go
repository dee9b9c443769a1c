package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// convCase is a convolution of 2-D planes.
type convCase struct {
	n, c, h, w, m, kh, kw, groups int
	stride, dil, lo, hi           int
}

func (c convCase) prim() prim.Conv {
	two := func(v int) []int { return []int{v, v} }
	return prim.Conv{Window: prim.Window{Strides: two(c.stride), Dilations: two(c.dil), PadLo: two(c.lo), PadHi: two(c.hi)}, Groups: c.groups}
}

func (c convCase) out() (int, int) {
	p := c.prim()
	return p.OutSize(0, c.h, c.kh), p.OutSize(1, c.w, c.kw)
}

// visit calls f with the flat indices of every product of the convolution.
func (c convCase) visit(f func(x, w, o int)) {
	oh, ow := c.out()
	cg, mg := c.c/c.groups, c.m/c.groups
	for n := range c.n {
		for m := range c.m {
			for oy := range oh {
				for ox := range ow {
					for k := range cg {
						for ky := range c.kh {
							for kx := range c.kw {
								y, x := oy*c.stride+ky*c.dil-c.lo, ox*c.stride+kx*c.dil-c.lo
								if y < 0 || y >= c.h || x < 0 || x >= c.w {
									continue
								}
								ch := m/mg*cg + k
								f(((n*c.c+ch)*c.h+y)*c.w+x, ((m*cg+k)*c.kh+ky)*c.kw+kx, ((n*c.m+m)*oh+oy)*ow+ox)
							}
						}
					}
				}
			}
		}
	}
}

var convCases = []convCase{
	{2, 3, 8, 8, 4, 3, 3, 1, 1, 1, 1, 1},
	{3, 16, 32, 32, 16, 3, 3, 1, 1, 1, 1, 1},
	{2, 5, 9, 7, 7, 3, 3, 1, 1, 1, 1, 1},
	{2, 4, 9, 11, 6, 3, 3, 1, 2, 1, 1, 1},
	{2, 4, 8, 8, 6, 3, 3, 1, 2, 1, 1, 0},
	{2, 4, 8, 8, 6, 1, 1, 1, 2, 1, 0, 0},
	{2, 4, 8, 8, 9, 1, 1, 1, 1, 1, 0, 0},
	{2, 4, 5, 5, 9, 1, 1, 1, 1, 1, 0, 0},
	{1, 6, 13, 13, 8, 5, 3, 2, 2, 2, 3, 4},
	{1, 6, 13, 13, 6, 3, 3, 6, 1, 1, 1, 1},
	{2, 6, 13, 13, 12, 5, 5, 6, 2, 1, 2, 2},
	{2, 8, 14, 14, 8, 7, 7, 8, 1, 1, 3, 3},
	{1, 3, 33, 33, 8, 7, 7, 1, 4, 1, 3, 3},
	{1, 2, 6, 6, 3, 2, 2, 1, 3, 1, 0, 0},
	{1, 2, 6, 6, 3, 1, 1, 1, 1, 1, 1, 2},
	{1, 40, 40, 40, 33, 3, 3, 1, 1, 1, 1, 1},
	{1, 200, 32, 32, 9, 1, 1, 1, 1, 1, 0, 0},
	{9, 20, 1, 1, 11, 1, 1, 1, 1, 1, 0, 0},
	{9, 20, 1, 1, 10, 1, 1, 5, 1, 1, 0, 0},
	{2, 5, 28, 28, 6, 3, 3, 1, 1, 1, 1, 1},
	{7, 20, 4, 4, 10, 3, 3, 1, 1, 1, 1, 1},
	{3, 8, 28, 28, 12, 3, 3, 1, 2, 1, 1, 1},
	{2, 6, 15, 39, 8, 3, 3, 2, 2, 1, 1, 1},
	{2, 5, 14, 14, 7, 1, 1, 1, 2, 1, 1, 1},
	{2, 5, 20, 37, 7, 3, 3, 1, 2, 2, 1, 2},
	{1, 16, 90, 100, 8, 5, 5, 1, 2, 1, 2, 2},
}

// tiledCases are cut into tiles of 4×4 positions.
var tiledCases = []convCase{
	{8, 16, 8, 8, 16, 3, 3, 1, 1, 1, 1, 1},
	{11, 12, 14, 10, 20, 3, 3, 1, 1, 1, 1, 1},
	{15, 23, 8, 12, 17, 3, 3, 1, 1, 1, 0, 2},
	{17, 28, 10, 20, 11, 3, 3, 1, 1, 1, 2, 2},
	{40, 40, 7, 8, 33, 3, 3, 1, 1, 1, 1, 1},
	{8, 20, 34, 34, 20, 3, 3, 1, 1, 1, 0, 0},
}

func randomTensor(r *rand.Rand, shape ...int) *prim.Tensor {
	t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: shape})
	for i := range t.F32 {
		t.F32[i] = float32(r.NormFloat64())
	}
	return t
}

// runOne runs one primitive on b.
func runOne(t testing.TB, b *Backend, p prim.Prim, in ...*prim.Tensor) *prim.Tensor {
	t.Helper()
	pb := prim.NewBuilder()
	args := map[string]*prim.Tensor{}
	var ids []prim.ID
	for i, x := range in {
		name := fmt.Sprint(i)
		ids = append(ids, pb.Input(name, x.Type))
		args[name] = x
	}
	pb.Output("y", pb.Add(p, ids...))
	prog, err := pb.Program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := engine.RunHost(b, prog, args)
	if err != nil {
		t.Fatal(err)
	}
	return out["y"]
}

func checkClose(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: want %d elements, got %d", what, len(want), len(got))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= tol*(1+math.Abs(w))) {
			t.Fatalf("%s: element %d: want %g, got %g", what, i, w, got[i])
		}
	}
}

func backends(f func(name string, b *Backend)) {
	f("native", New(Options{Threads: 2}))
	f("portable", New(Options{Threads: 3, Portable: true}))
	f("one thread", New(Options{Threads: 1}))
}

func TestConvAgainstLoops(t *testing.T) {
	for _, c := range append(slices.Clone(convCases), tiledCases...) {
		r := rand.New(rand.NewPCG(1, 2))
		oh, ow := c.out()
		x := randomTensor(r, c.n, c.c, c.h, c.w)
		w := randomTensor(r, c.m, c.c/c.groups, c.kh, c.kw)
		g := randomTensor(r, c.n, c.m, oh, ow)
		y, dx, dw := make([]float64, g.Len()), make([]float64, x.Len()), make([]float64, w.Len())
		c.visit(func(i, j, k int) {
			y[k] += float64(x.F32[i]) * float64(w.F32[j])
			dx[i] += float64(w.F32[j]) * float64(g.F32[k])
			dw[j] += float64(x.F32[i]) * float64(g.F32[k])
		})
		backends(func(name string, b *Backend) {
			t.Run(fmt.Sprintf("%+v/%s", c, name), func(t *testing.T) {
				checkClose(t, "forward", runOne(t, b, c.prim(), x, w).F32, y, 1e-4)
				checkClose(t, "input gradient", runOne(t, b, prim.ConvInputGrad{Conv: c.prim(), In: []int{c.h, c.w}}, g, w).F32, dx, 1e-4)
				checkClose(t, "weight gradient", runOne(t, b, prim.ConvWeightGrad{Conv: c.prim(), Kernel: []int{c.kh, c.kw}}, x, g).F32, dw, max(1e-4, 2e-6*math.Sqrt(float64(c.n*oh*ow))))
			})
		})
	}
}

// TestTiledConvs checks that tiledCases are what they say.
func TestTiledConvs(t *testing.T) {
	for _, c := range tiledCases {
		oh, ow := c.out()
		x, w, g := []int{c.n, c.c, c.h, c.w}, []int{c.m, c.c, 3, 3}, []int{c.n, c.m, oh, ow}
		fwd := forwardConv(c.prim(), x, w, g)
		adj := inputGradConvs(prim.ConvInputGrad{Conv: c.prim(), In: []int{c.h, c.w}}, x, w, g)
		if !fwd.isTiled() || len(adj) != 1 || !adj[0].isTiled() {
			t.Errorf("%+v: want tiles forward and backward", c)
		}
	}
}

// BenchmarkConv times the three convolutions of ResNet-20's layers at batch 128.
func BenchmarkConv(b *testing.B) {
	for _, c := range []convCase{
		{128, 3, 32, 32, 16, 3, 3, 1, 1, 1, 1, 1},
		{128, 16, 32, 32, 16, 3, 3, 1, 1, 1, 1, 1},
		{128, 16, 32, 32, 32, 3, 3, 1, 2, 1, 1, 1},
		{128, 32, 16, 16, 32, 3, 3, 1, 1, 1, 1, 1},
		{128, 64, 8, 8, 64, 3, 3, 1, 1, 1, 1, 1},
		{64, 32, 32, 32, 128, 1, 1, 1, 1, 1, 0, 0},
		{64, 128, 32, 32, 128, 3, 3, 128, 1, 1, 1, 1},
		{64, 128, 32, 32, 128, 3, 3, 128, 2, 1, 1, 1},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		oh, ow := c.out()
		x := randomTensor(r, c.n, c.c, c.h, c.w)
		w := randomTensor(r, c.m, c.c/c.groups, c.kh, c.kw)
		g := randomTensor(r, c.n, c.m, oh, ow)
		flops := 2 * float64(g.Len()) * float64(w.Len()/c.m)
		for _, k := range []struct {
			name string
			p    prim.Prim
			in   []*prim.Tensor
		}{
			{"fwd", c.prim(), []*prim.Tensor{x, w}},
			{"dx", prim.ConvInputGrad{Conv: c.prim(), In: []int{c.h, c.w}}, []*prim.Tensor{g, w}},
			{"dw", prim.ConvWeightGrad{Conv: c.prim(), Kernel: []int{c.kh, c.kw}}, []*prim.Tensor{x, g}},
		} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%dx%dx%d-%d-k%d-s%d-g%d/%s/t%d", c.c, c.h, c.w, c.m, c.kh, c.stride, c.groups, k.name, threads), func(b *testing.B) {
					benchOne(b, New(Options{Threads: threads}), flops, k.p, k.in...)
				})
			}
		}
	}
}

// benchOne times one primitive whose operands stay on the device.
func benchOne(b *testing.B, back *Backend, flops float64, p prim.Prim, in ...*prim.Tensor) {
	k := kernelOf(p, in...)
	team := newTeam(back.opt.Threads)
	x := &executable{b: back, k: back.kernels, team: team, space: &workspace{team: team}}
	views := make([]view, len(in))
	types := make([]prim.Type, len(in))
	for i, t := range in {
		types[i] = t.Type
		views[i] = newView(t.Type)
		views[i].copyFrom(t)
	}
	ty, err := p.Infer(types)
	if err != nil {
		b.Fatal(err)
	}
	out := newView(ty)
	now := func() time.Duration { return time.Duration(time.Now().UnixNano()) }
	if back.opt.Threads == 1 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		now = threadTime
	}
	best := math.Inf(1)
	for b.Loop() {
		start := now()
		if err := k.run(x, out, views); err != nil {
			b.Fatal(err)
		}
		best = min(best, (now() - start).Seconds())
	}
	if flops > 0 {
		b.ReportMetric(flops/best/1e9, "GFLOP/s-best")
	}
}

func kernelOf(p prim.Prim, in ...*prim.Tensor) kernel {
	types := make([]prim.Type, len(in))
	for i, t := range in {
		types[i] = t.Type
	}
	out, err := p.Infer(types)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return choose(p, types, out)
}
