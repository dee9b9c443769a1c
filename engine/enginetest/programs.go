package enginetest

import (
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
)

// step is a training step with donated parameters and optimiser state.
type step struct {
	program *prim.Program
	in      map[string]*prim.Tensor // first values
}

// convnet is two convolutions with batch norm and a residual sum, pooling and a
// linear classifier, trained by adam or sgd with momentum on cross-entropy.
func convnet(adam bool, n, channels, size, classes int) (step, error) {
	random := rng.New(3, "enginetest/convnet")
	b := prim.NewBuilder()
	in := map[string]*prim.Tensor{}
	input := func(name string, t *prim.Tensor) prim.ID {
		in[name] = t
		return b.Input(name, t.Type)
	}
	var names []string
	var params []prim.ID
	param := func(name string, scale float64, shape ...int) prim.ID {
		t := normal(random, shape...)
		for i := range t.F64 {
			t.F64[i] *= scale
		}
		names = append(names, name)
		params = append(params, input(name, t.Cast(prim.F32)))
		return params[len(params)-1]
	}
	x := input("x", normal(random, n, 3, size, size).Cast(prim.F32))
	labels := input("labels", integers(random, 0, classes, n))
	b.Batch("x")
	b.Batch("labels")
	same := prim.Conv{Window: prim.UnitWindow(1, 1), Groups: 1}
	norm := func(name string, x prim.ID) prim.ID {
		return standardise(b, x, param(name+".scale", 1, 1, channels, 1, 1), param(name+".bias", 0.1, 1, channels, 1, 1), 0, 2, 3)
	}
	h := b.Relu(norm("bn1", b.Add(same, x, param("conv1", 0.3, channels, 3, 3, 3))))
	d := b.Add(prim.Conv{Window: prim.UnitWindow(1, 1), Groups: channels}, h, param("depthwise", 0.3, channels, 1, 3, 3))
	h = b.Relu(b.Plus(norm("bn2", d), h))
	h = b.Add(prim.MaxPool{Pool: prim.Pool{Window: prim.Window{Strides: []int{2, 2}, Dilations: []int{1, 1}, PadLo: []int{0, 0}, PadHi: []int{0, 0}}, Kernel: []int{2, 2}}}, h)
	h = b.Reshape(b.Mean(h, 2, 3), n, channels)
	logits := b.Plus(b.MatMul(h, param("fc", 0.3, classes, channels), false, true), param("fc.bias", 0.1, 1, classes))
	loss := crossEntropy(b, logits, labels, classes)
	grads, err := engine.Grad(b, loss, params)
	if err != nil {
		return step{}, err
	}
	b.Output("loss", loss)
	op, a, l := prim.Op, prim.A, prim.L
	for i, g := range grads {
		state := func(suffix string) prim.ID {
			name := names[i] + suffix
			id := input(name, prim.NewTensor(b.Type(params[i])))
			b.Donate(name)
			return id
		}
		b.Donate(names[i])
		m := state(".m")
		var update prim.ID
		if adam {
			v := state(".v")
			m2 := b.Map(op(prim.Add, op(prim.Mul, a(0), l(0.9)), op(prim.Mul, a(1), l(0.1))), m, g)
			v2 := b.Map(op(prim.Add, op(prim.Mul, a(0), l(0.99)), op(prim.Mul, op(prim.Mul, a(1), a(1)), l(0.01))), v, g)
			update = b.Map(op(prim.Sub, a(0), op(prim.Div, op(prim.Mul, l(0.01), a(1)), op(prim.Add, op(prim.Sqrt, a(2)), l(1e-3)))), params[i], m2, v2)
			b.Output(names[i]+".v", v2)
			b.Output(names[i]+".m", m2)
		} else {
			m2 := b.Map(op(prim.Add, op(prim.Mul, a(0), l(0.9)), a(1)), m, g)
			update = b.Map(op(prim.Sub, a(0), op(prim.Mul, l(0.05), a(1))), params[i], m2)
			b.Output(names[i]+".m", m2)
		}
		b.Output(names[i], update)
	}
	p, err := b.Program()
	return step{p, in}, err
}

// crossEntropy is the mean of -log softmax(logits) at the labels.
func crossEntropy(b *prim.Builder, logits, labels prim.ID, classes int) prim.ID {
	n := b.Shape(labels)[0]
	positions := make([]int64, classes)
	for i := range positions {
		positions[i] = int64(i)
	}
	hot := b.MapAs(prim.I64, prim.F32, prim.Op(prim.Eq, prim.A(0), prim.A(1)), b.Reshape(labels, n, 1), b.Const(prim.I64Tensor(positions, 1, classes)))
	total := b.Reduce(prim.ReduceSum, []int{0, 1}, prim.Op(prim.Mul, prim.A(0), prim.A(1)), b.LogSoftmax(logits, 1), hot)
	return b.Reshape(b.Scale(total, -1/float64(n)))
}

// train runs the step several times, feeding outputs back, and reads every output of the last run.
func (s step) train(b engine.Backend, steps int) (map[string]*prim.Tensor, error) {
	exe, err := b.Compile(s.program)
	if err != nil {
		return nil, err
	}
	bufs := make([]engine.Buffer, len(s.program.Inputs))
	for i, in := range s.program.Inputs {
		if bufs[i], err = b.Upload(s.in[in.Name]); err != nil {
			return nil, err
		}
	}
	var out []engine.Buffer
	for range steps {
		if out, err = exe.Run(bufs); err != nil {
			return nil, err
		}
		for k, o := range s.program.Outputs {
			if i := s.program.Input(o.Name); i >= 0 {
				bufs[i] = out[k]
			}
		}
	}
	res := map[string]*prim.Tensor{}
	for k, o := range s.program.Outputs {
		if res[o.Name], err = out[k].Read(); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// RunPrograms judges whole training steps, whose images and labels run over examples.
func RunPrograms(t *testing.T, b engine.Backend) {
	for _, adam := range []bool{false, true} {
		name := map[bool]string{false: "sgd", true: "adam"}[adam]
		t.Run("convnet_"+name, func(t *testing.T) {
			s, err := convnet(adam, 6, 12, 10, 5)
			if err != nil {
				t.Fatal(err)
			}
			skipLimited(t, b, s.program, prim.F32)
			// Adam divides by the root of a squared gradient, so rounding differences grow with steps.
			steps := map[bool]int{false: 3, true: 1}[adam]
			want, err := s.train(ref.New(), steps)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.train(b, steps)
			if err != nil {
				t.Fatal(err)
			}
			again, err := s.train(b, steps)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range s.program.Outputs {
				if err := Check(got[o.Name], want[o.Name], Tolerance{Abs: 3e-4, Rel: 3e-4}); err != nil {
					t.Errorf("output %q: %v", o.Name, err)
				}
				if err := Check(again[o.Name], got[o.Name], Tolerance{}); err != nil {
					t.Errorf("output %q of a second equal run: %v", o.Name, err)
				}
			}
		})
	}
	t.Run("loss_falls", func(t *testing.T) {
		s, err := convnet(false, 6, 12, 10, 5)
		if err != nil {
			t.Fatal(err)
		}
		skipLimited(t, b, s.program, prim.F32)
		first, err := s.train(b, 1)
		if err != nil {
			t.Fatal(err)
		}
		last, err := s.train(b, 25)
		if err != nil {
			t.Fatal(err)
		}
		if x, y := first["loss"].F32[0], last["loss"].F32[0]; !(y < x/2) {
			t.Errorf("want less than half of the first loss %g after 25 steps, got %g", x, y)
		}
	})
}
