package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sort"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// network builds a training step: SGD with momentum 0.9 and rate 0.01 on cross-entropy.
type network struct {
	*prim.Builder
	r      *rand.Rand
	params []prim.ID
	names  []string
	init   map[string]*prim.Tensor
}

func newNetwork() *network {
	return &network{Builder: prim.NewBuilder(), r: rand.New(rand.NewPCG(1, 2)), init: map[string]*prim.Tensor{}}
}

func (n *network) param(scale, shift float64, shape ...int) prim.ID {
	name := fmt.Sprintf("p%d", len(n.params))
	t := randomTensor(n.r, shape...)
	for i := range t.F32 {
		t.F32[i] = t.F32[i]*float32(scale) + float32(shift)
	}
	n.init[name] = t
	id := n.Input(name, t.Type)
	n.params, n.names = append(n.params, id), append(n.names, name)
	return id
}

func (n *network) conv(x prim.ID, out, k, stride, groups int) prim.ID {
	c := n.Shape(x)[1]
	w := n.param(math.Sqrt(2/float64(k*k*c/groups)), 0, out, c/groups, k, k)
	two := func(v int) []int { return []int{v, v} }
	return n.Add(prim.Conv{Window: prim.Window{Strides: two(stride), Dilations: two(1), PadLo: two(k / 2), PadHi: two(k / 2)}, Groups: groups}, x, w)
}

func (n *network) norm(x prim.ID) prim.ID {
	c := n.Shape(x)[1]
	g, b := n.param(0, 1, 1, c, 1, 1), n.param(0, 0, 1, c, 1, 1)
	d := n.Minus(x, n.Mean(x, 0, 2, 3))
	v := n.Mean(n.Times(d, d), 0, 2, 3)
	s := n.Map(prim.Op(prim.Rsqrt, prim.Op(prim.Add, prim.A(0), prim.L(1e-5))), v)
	return n.Plus(n.Times(n.Times(d, s), g), b)
}

func (n *network) dense(x prim.ID, out int) prim.ID {
	w := n.param(0.1, 0, n.Shape(x)[1], out)
	return n.Plus(n.MatMul(x, w, false, false), n.param(0, 0, 1, out))
}

// step ends the program with loss and updates; labels are one-hot.
func (n *network) step(logits prim.ID, labels *prim.Tensor) (*prim.Program, error) {
	n.init["labels"] = labels
	y := n.Input("labels", labels.Type)
	loss := n.Scale(n.Reduce(prim.ReduceSum, []int{0, 1}, prim.Op(prim.Mul, prim.A(0), prim.A(1)), n.LogSoftmax(logits, 1), y), -1/float64(labels.Shape[0]))
	loss = n.Reshape(loss)
	grads, err := engine.Grad(n.Builder, loss, n.params)
	if err != nil {
		return nil, err
	}
	n.Output("loss", loss)
	for i, p := range n.params {
		m := n.names[i] + ".m"
		n.init[m] = prim.NewTensor(n.Type(p))
		v := n.Input(m, n.Type(p))
		v = n.Map(prim.Op(prim.Add, prim.Op(prim.Mul, prim.A(0), prim.L(0.9)), prim.A(1)), v, grads[i])
		n.Donate(m)
		n.Donate(n.names[i])
		n.Output(m, v)
		n.Output(n.names[i], n.Map(prim.Op(prim.Sub, prim.A(0), prim.Op(prim.Mul, prim.A(1), prim.L(0.01))), p, v))
	}
	return n.Program()
}

func oneHot(r *rand.Rand, n, classes int) *prim.Tensor {
	t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{n, classes}})
	for i := range n {
		t.F32[i*classes+r.IntN(classes)] = 1
	}
	return t
}

func resnet20(batch, width, blocks int) (*prim.Program, map[string]*prim.Tensor, error) {
	n := newNetwork()
	n.init["x"] = randomTensor(n.r, batch, 3, 32, 32)
	x := n.Input("x", n.init["x"].Type)
	x = n.Relu(n.norm(n.conv(x, width, 3, 1, 1)))
	for stage := range 3 {
		out := width << stage
		for block := range blocks {
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			y := n.Relu(n.norm(n.conv(x, out, 3, stride, 1)))
			y = n.norm(n.conv(y, out, 3, 1, 1))
			if stride > 1 {
				x = n.norm(n.conv(x, out, 1, stride, 1))
			}
			x = n.Relu(n.Plus(y, x))
		}
	}
	s := n.Shape(x)
	x = n.Reshape(n.Mean(x, 2, 3), s[0], s[1])
	p, err := n.step(n.dense(x, 10), oneHot(n.r, batch, 10))
	return p, n.init, err
}

// inference is ResNet-20 with its normalisations folded into a bias per channel.
func inference(batch int) (*prim.Program, map[string]*prim.Tensor, error) {
	n := newNetwork()
	n.init["x"] = randomTensor(n.r, batch, 3, 32, 32)
	bias := func(x prim.ID) prim.ID { return n.Plus(x, n.param(0.1, 0, 1, n.Shape(x)[1], 1, 1)) }
	x := n.Relu(bias(n.conv(n.Input("x", n.init["x"].Type), 16, 3, 1, 1)))
	for stage := range 3 {
		for block := range 3 {
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			y := n.Relu(bias(n.conv(x, 16<<stage, 3, stride, 1)))
			y = bias(n.conv(y, 16<<stage, 3, 1, 1))
			if stride > 1 {
				x = bias(n.conv(x, 16<<stage, 1, stride, 1))
			}
			x = n.Relu(n.Plus(y, x))
		}
	}
	n.Output("y", n.dense(n.Reshape(n.Mean(x, 2, 3), batch, 64), 10))
	p, err := n.Program()
	return p, n.init, err
}

func mobile(batch int) (*prim.Program, map[string]*prim.Tensor, error) {
	n := newNetwork()
	n.init["x"] = randomTensor(n.r, batch, 3, 32, 32)
	x := n.Input("x", n.init["x"].Type)
	cbr := func(x prim.ID, out, k, stride, groups int) prim.ID {
		return n.Clip(n.norm(n.conv(x, out, k, stride, groups)), 0, 6)
	}
	x = cbr(x, 32, 3, 1, 1)
	for _, b := range [][2]int{{32, 1}, {32, 1}, {64, 2}, {64, 1}, {96, 2}, {96, 1}} {
		m := 4 * n.Shape(x)[1]
		y := cbr(cbr(x, m, 1, 1, 1), m, 3, b[1], m)
		y = n.norm(n.conv(y, b[0], 1, 1, 1))
		if b[1] == 1 && n.Shape(x)[1] == b[0] {
			y = n.Plus(y, x)
		}
		x = y
	}
	s := n.Shape(x)
	x = n.Reshape(n.Mean(x, 2, 3), s[0], s[1])
	p, err := n.step(n.dense(x, 10), oneHot(n.r, batch, 10))
	return p, n.init, err
}

// layerNorm normalises the last axis.
func (n *network) layerNorm(x prim.ID) prim.ID {
	s := n.Shape(x)
	last := len(s) - 1
	shape := []int{1, 1, s[last]}
	g, b := n.param(0, 1, shape...), n.param(0, 0, shape...)
	d := n.Minus(x, n.Mean(x, last))
	v := n.Mean(n.Times(d, d), last)
	r := n.Map(prim.Op(prim.Rsqrt, prim.Op(prim.Add, prim.A(0), prim.L(1e-5))), v)
	return n.Plus(n.Times(n.Times(d, r), g), b)
}

// linear applies a weight [in, out] and a bias to [batch, tokens, in].
func (n *network) linear(x prim.ID, out int) prim.ID {
	s := n.Shape(x)
	flat := n.Reshape(x, s[0]*s[1], s[2])
	w := n.param(0.02, 0, s[2], out)
	return n.Reshape(n.Plus(n.MatMul(flat, w, false, false), n.param(0, 0, 1, out)), s[0], s[1], out)
}

func vit(batch, depth int) (*prim.Program, map[string]*prim.Tensor, error) {
	const e, heads, width, mlp = 192, 3, 64, 768
	n := newNetwork()
	n.init["x"] = randomTensor(n.r, batch, 3, 32, 32)
	x := n.Input("x", n.init["x"].Type)
	w := n.param(0.1, 0, e, 3, 4, 4)
	two := func(v int) []int { return []int{v, v} }
	x = n.Add(prim.Conv{Window: prim.Window{Strides: two(4), Dilations: two(1), PadLo: two(0), PadHi: two(0)}, Groups: 1}, x, w)
	x = n.Transpose(n.Reshape(x, batch, e, 64), 0, 2, 1)
	x = n.Concat(1, n.Broadcast(n.param(0.02, 0, 1, 1, e), batch, 1, e), x)
	x = n.Plus(x, n.param(0.02, 0, 1, 65, e))
	for range depth {
		qkv := n.Transpose(n.Reshape(n.linear(n.layerNorm(x), 3*heads*width), batch, 65, 3, heads, width), 2, 0, 3, 1, 4)
		part := func(i int) prim.ID { return n.Squeeze(n.SliceAxis(qkv, 0, i, i+1), 0) }
		a := n.Softmax(n.Scale(n.MatMul(part(0), part(1), false, true), 1/math.Sqrt(width)), 3)
		y := n.MatMul(a, part(2), false, false)
		x = n.Plus(x, n.linear(n.Reshape(n.Transpose(y, 0, 2, 1, 3), batch, 65, heads*width), e))
		h := n.linear(n.layerNorm(x), mlp)
		h = n.Map(prim.Op(prim.Mul, prim.Op(prim.Mul, prim.A(0), prim.L(0.5)),
			prim.Op(prim.Add, prim.L(1), prim.Op(prim.Erf, prim.Op(prim.Mul, prim.A(0), prim.L(math.Sqrt2/2))))), h)
		x = n.Plus(x, n.linear(h, e))
	}
	x = n.Reshape(n.SliceAxis(n.layerNorm(x), 1, 0, 1), batch, e)
	p, err := n.step(n.dense(x, 10), oneHot(n.r, batch, 10))
	return p, n.init, err
}

// stepper runs steps of a program, feeding outputs back to the inputs of their names.
type stepper struct {
	p   *prim.Program
	exe engine.Executable
	in  []engine.Buffer
}

func newStepper(t testing.TB, b engine.Backend, p *prim.Program, init map[string]*prim.Tensor) *stepper {
	t.Helper()
	exe, err := b.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	s := &stepper{p: p, exe: exe}
	for _, in := range p.Inputs {
		buf, err := b.Upload(init[in.Name])
		if err != nil {
			t.Fatal(err)
		}
		s.in = append(s.in, buf)
	}
	return s
}

func (s *stepper) step(t testing.TB) float64 {
	t.Helper()
	out, err := s.exe.Run(s.in)
	if err != nil {
		t.Fatal(err)
	}
	loss := math.NaN()
	for i, o := range s.p.Outputs {
		if k := s.p.Input(o.Name); k >= 0 {
			s.in[k] = out[i]
			continue
		}
		v, err := out[i].Read()
		if err != nil {
			t.Fatal(err)
		}
		loss = v.Float(0)
	}
	return loss
}

func TestTrainingStepsAgree(t *testing.T) {
	p, init, err := resnet20(6, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	var want []float64
	backends(func(name string, b *Backend) {
		s := newStepper(t, b, p, init)
		again := newStepper(t, b, p, init)
		for k := range 5 {
			loss := s.step(t)
			if want = append(want, loss); k >= len(want) {
				t.Fatal("unreachable")
			}
			if math.Abs(loss-want[k]) > 1e-4*math.Abs(want[k]) {
				t.Errorf("%s: step %d: want loss %g, got %g", name, k, want[k], loss)
			}
			if l := again.step(t); l != loss {
				t.Errorf("%s: step %d: two runs differ: %g and %g", name, k, loss, l)
			}
		}
		if want[4] >= want[0] {
			t.Errorf("%s: want a falling loss, got %v", name, want[:5])
		}
	})
}

// profile adds up the processor time of one thread by kernel, so that it is
// meaningful on a machine that does other work.
type profile struct {
	time  map[string]time.Duration
	flops map[string]float64
	bytes map[string]float64
	calls map[string]int
	steps int
	last  time.Duration
}

func newProfile() *profile {
	return &profile{map[string]time.Duration{}, map[string]float64{}, map[string]float64{}, map[string]int{}, 0, 0}
}

func (p *profile) add(_ int, kernel string, start, end time.Time, flops, bytes float64) {
	now := threadTime()
	p.time[kernel] += now - p.last
	p.last = now
	p.flops[kernel] += flops
	p.bytes[kernel] += bytes
	p.calls[kernel]++
}

func (p *profile) log(b *testing.B) {
	var names []string
	for n := range p.time {
		names = append(names, n)
	}
	sort.Slice(names, func(i, j int) bool { return p.time[names[i]] > p.time[names[j]] })
	for _, n := range names[:min(28, len(names))] {
		s := p.time[n].Seconds()
		b.Logf("%8.2f ms %4d calls %7.1f GFLOP/s %6.1f GB/s %s", 1e3*s/float64(p.steps), p.calls[n]/p.steps, p.flops[n]/s/1e9, p.bytes[n]/s/1e9, n)
	}
}

// BenchmarkStep times whole training steps; with -v it prints where the time goes.
func BenchmarkStep(b *testing.B) {
	for _, w := range []struct {
		name  string
		build func() (*prim.Program, map[string]*prim.Tensor, error)
	}{
		{"resnet20", func() (*prim.Program, map[string]*prim.Tensor, error) { return resnet20(128, 16, 3) }},
		{"mobilenet", func() (*prim.Program, map[string]*prim.Tensor, error) { return mobile(64) }},
		{"infer1", func() (*prim.Program, map[string]*prim.Tensor, error) { return inference(1) }},
		{"infer64", func() (*prim.Program, map[string]*prim.Tensor, error) { return inference(64) }},
		{"vit_tiny", func() (*prim.Program, map[string]*prim.Tensor, error) { return vit(64, 12) }},
	} {
		b.Run(w.name, func(b *testing.B) {
			p, init, err := w.build()
			if err != nil {
				b.Fatal(err)
			}
			prof := newProfile()
			opt := Options{}
			if testing.Verbose() {
				opt.Trace, opt.Threads = prof.add, 1
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			s := newStepper(b, New(opt), p, init)
			s.step(b)
			*prof = *newProfile()
			best := math.Inf(1)
			for b.Loop() {
				start := time.Now()
				prof.last = threadTime()
				s.step(b)
				best = min(best, time.Since(start).Seconds())
				prof.steps++
			}
			b.ReportMetric(1e3*best, "min-ms")
			b.ReportMetric(float64(s.exe.Memory())/1e6, "arena-MB")
			if testing.Verbose() {
				prof.log(b)
			}
		})
	}
}
