package optim

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
)

func TestLists(t *testing.T) {
	if err := Validate(All()); err != nil {
		t.Error(err)
	}
	if err := ValidateSchedules(Schedules()); err != nil {
		t.Error(err)
	}
	if err := Validate(append(All(), Method{Name: "sgd"})); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("want the fault of a double entry, got %v", err)
	}
	if _, err := ByName("nothing"); err == nil || !strings.Contains(err.Error(), "adamw") {
		t.Errorf("want an error that lists the names, got %v", err)
	}
}

// TestByHand follows one parameter over three steps computed on paper.
func TestByHand(t *testing.T) {
	grads := []float64{1, -0.5, 2}
	for _, c := range []struct {
		name, method string
		h            Hyper
		lr           float64
		want         []float64
	}{
		{"plain", "sgd", Hyper{}, 0.1, []float64{1.9, 1.95, 1.75}},
		// v: 1, 0.4, 2.36
		{"momentum", "sgd", Hyper{Momentum: 0.9}, 0.1, []float64{1.9, 1.86, 1.624}},
		// dir: 1+0.9·1, −0.5+0.9·0.4, 2+0.9·2.36
		{"nesterov", "sgd", Hyper{Momentum: 0.9, Nesterov: true}, 0.1, []float64{1.81, 1.824, 1.4116}},
		// g: 1+0.1·2; −0.5+0.1·1.88; 2+0.1·1.9112
		{"decay", "sgd", Hyper{WeightDecay: 0.1}, 0.1, []float64{1.88, 1.9112, 1.692088}},
	} {
		m, err := ByName(c.method)
		if err != nil {
			t.Fatal(err)
		}
		got := runHost(t, m, c.h, c.lr, []float64{2}, grads)
		for i, p := range got {
			if math.Abs(p[0]-c.want[i]) > 1e-12 {
				t.Errorf("%s: step %d: want %v, got %v", c.name, i, c.want[i], p[0])
			}
		}
	}
}

// TestAdamByDefinition compares with the published formulas, powers and all.
func TestAdamByDefinition(t *testing.T) {
	grads := []float64{0.3, -1.2, 0.05, 4, 0.7}
	for _, decoupled := range []bool{false, true} {
		h := Hyper{Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-2}
		method, lr := adam, 0.03
		if decoupled {
			method = adamw
		}
		got := runHost(t, method, h, lr, []float64{0.8}, grads)
		p, m, v := 0.8, 0.0, 0.0
		for k, g := range grads {
			if !decoupled {
				g += h.WeightDecay * p
			}
			m = h.Beta1*m + (1-h.Beta1)*g
			v = h.Beta2*v + (1-h.Beta2)*g*g
			mh := m / (1 - math.Pow(h.Beta1, float64(k+1)))
			vh := v / (1 - math.Pow(h.Beta2, float64(k+1)))
			if decoupled {
				p -= lr * h.WeightDecay * p
			}
			p -= lr * mh / (math.Sqrt(vh) + h.Epsilon)
			if math.Abs(got[k][0]-p) > 1e-12 {
				t.Errorf("%s: step %d: want %v, got %v", method.Name, k, p, got[k][0])
			}
		}
	}
	// The first step of Adam is lr against the sign of the gradient, whatever its size.
	first := runHost(t, adam, Hyper{Beta1: 0.9, Beta2: 0.999}, 0.1, []float64{1}, []float64{1e-3})
	if math.Abs(first[0][0]-0.9) > 1e-12 {
		t.Errorf("first step: want 0.9, got %v", first[0][0])
	}
}

func runHost(t *testing.T, m Method, h Hyper, lr float64, start []float64, grads []float64) [][]float64 {
	t.Helper()
	o, err := NewHost(m, h, len(start))
	if err != nil {
		t.Fatal(err)
	}
	p := slices.Clone(start)
	var out [][]float64
	for _, g := range grads {
		o.Update(lr, [][]float64{p}, [][]float64{{g}})
		out = append(out, slices.Clone(p))
	}
	return out
}

var hypers = []struct {
	method string
	h      Hyper
}{
	{"sgd", Hyper{}},
	{"sgd", Hyper{WeightDecay: 0.01}},
	{"sgd", Hyper{Momentum: 0.9}},
	{"sgd", Hyper{Momentum: 0.9, WeightDecay: 0.01}},
	{"sgd", Hyper{Momentum: 0.9, Nesterov: true}},
	{"sgd", Hyper{Momentum: 0.9, Nesterov: true, WeightDecay: 0.01}},
	{"adam", Hyper{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}},
	{"adam", Hyper{Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-2}},
	{"adamw", Hyper{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-6}},
	{"adamw", Hyper{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-6, WeightDecay: 0.1}},
}

// TestProgramEqualsHost runs the primitives on the oracle beside the host version.
func TestProgramEqualsHost(t *testing.T) {
	const n, count = 6, 12
	for _, c := range hypers {
		m, err := ByName(c.method)
		if err != nil {
			t.Fatal(err)
		}
		typ := prim.Type{DType: prim.F64, Shape: []int{2, 3}}
		b := prim.NewBuilder()
		args := Args{Param: b.Input("p", typ), Grad: b.Input("g", typ), LR: b.Input("lr", prim.Type{DType: prim.F64})}
		in := map[string]*prim.Tensor{"lr": prim.NewTensor(prim.Type{DType: prim.F64}), "p": prim.NewTensor(typ)}
		slots := m.State(c.h)
		for _, s := range slots {
			args.State = append(args.State, b.Input(s.Name, s.Type(typ)))
			in[s.Name] = prim.NewTensor(s.Type(typ))
		}
		res := m.Step(b, c.h, args)
		b.Output("p", res.Param)
		for i, s := range slots {
			b.Output(s.Name, res.State[i])
		}
		p, err := b.Program()
		if err != nil {
			t.Fatalf("%s %+v: %v", c.method, c.h, err)
		}
		for _, o := range p.Outputs {
			if k := p.Input(o.Name); !p.Nodes[o.ID].Type.Equal(p.Nodes[p.Inputs[k].ID].Type) {
				t.Errorf("%s: %s: want the type of the old value, to donate it", c.method, o.Name)
			}
		}
		host, err := NewHost(m, c.h, n)
		if err != nil {
			t.Fatal(err)
		}
		r := rng.New(1, "test/optim")
		param := make([]float64, n)
		for i := range param {
			param[i] = r.NormFloat64()
		}
		copy(in["p"].F64, param)
		for k := range count {
			g := prim.NewTensor(typ)
			for i := range g.F64 {
				g.F64[i] = r.NormFloat64()
			}
			in["g"] = g
			lr := 0.1 / float64(k+1)
			in["lr"].F64[0] = lr
			host.Update(lr, [][]float64{param}, [][]float64{g.F64})
			out := evaluate(t, p, in)
			for name, v := range out {
				in[name] = v
			}
			for i, v := range param {
				if got := in["p"].F64[i]; math.Abs(got-v) > 1e-14 {
					t.Fatalf("%s %+v: step %d: host %v, program %v", c.method, c.h, k, v, got)
				}
			}
			for s, slot := range slots {
				for i, v := range host.Slots[0][s] {
					if got := in[slot.Name].F64[i]; math.Abs(got-v) > 1e-14 {
						t.Fatalf("%s %+v: step %d: %s: host %v, program %v", c.method, c.h, k, slot.Name, v, got)
					}
				}
			}
		}
	}
}

// evaluate runs a program on the oracle.
func evaluate(t *testing.T, p *prim.Program, in map[string]*prim.Tensor) map[string]*prim.Tensor {
	t.Helper()
	out, err := engine.RunHost(ref.New(), p, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFloat32StaysNearFloat64 takes many steps in float32 on the CPU engine, with
// every old value donated, and compares with the host's float64.
func TestFloat32StaysNearFloat64(t *testing.T) {
	const n, count = 20, 400
	for _, c := range hypers {
		m, err := ByName(c.method)
		if err != nil {
			t.Fatal(err)
		}
		typ := prim.Type{DType: prim.F32, Shape: []int{n}}
		b := prim.NewBuilder()
		args := Args{Param: b.Input("p", typ), Grad: b.Input("g", typ), LR: b.Input("lr", prim.Type{DType: prim.F32})}
		b.Donate("p")
		for _, s := range m.State(c.h) {
			args.State = append(args.State, b.Input(s.Name, s.Type(typ)))
			b.Donate(s.Name)
		}
		res := m.Step(b, c.h, args)
		b.Output("p", res.Param)
		for i, s := range m.State(c.h) {
			b.Output(s.Name, res.State[i])
		}
		p, err := b.Program()
		if err != nil {
			t.Fatal(err)
		}
		backend := cpu.New(cpu.Options{})
		exe, err := backend.Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		host, err := NewHost(m, c.h, n)
		if err != nil {
			t.Fatal(err)
		}
		param, target, grad := make([]float64, n), make([]float64, n), make([]float64, n)
		r := rng.New(2, "test/float32")
		for i := range target {
			target[i] = r.NormFloat64()
		}
		buffers := make([]engine.Buffer, len(p.Inputs))
		for i, in := range p.Inputs {
			if buffers[i], err = backend.Upload(prim.NewTensor(p.Nodes[in.ID].Type)); err != nil {
				t.Fatal(err)
			}
		}
		for range count {
			noise := r.NormFloat64()
			g := prim.NewTensor(typ)
			for i := range grad {
				grad[i] = float64(float32(param[i] - target[i] + 0.1*noise))
				g.F32[i] = float32(grad[i])
			}
			if err := buffers[p.Input("g")].Write(g); err != nil {
				t.Fatal(err)
			}
			if err := buffers[p.Input("lr")].Write(prim.F32Tensor([]float32{0.01})); err != nil {
				t.Fatal(err)
			}
			host.Update(float64(float32(0.01)), [][]float64{param}, [][]float64{grad})
			out, err := exe.Run(buffers)
			if err != nil {
				t.Fatal(err)
			}
			for i, o := range p.Outputs {
				buffers[p.Input(o.Name)] = out[i]
			}
		}
		got, err := buffers[p.Input("p")].Read()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range param {
			if math.Abs(float64(got.F32[i])-v) > 2e-5*(1+math.Abs(v)) {
				t.Fatalf("%s %+v: element %d: host %v, float32 %v", c.method, c.h, i, v, got.F32[i])
			}
		}
	}
}

func TestClip(t *testing.T) {
	grads := [][]float64{{3, -1, 2}, {0.5}, {4, 4}}
	shapes := [][]int{{3}, {}, {1, 2}}
	var sum float64
	for _, g := range grads {
		for _, v := range g {
			sum += v * v
		}
	}
	norm := math.Sqrt(sum)
	for _, limit := range []float64{5, 100, 0} {
		b := prim.NewBuilder()
		in := map[string]*prim.Tensor{}
		var ids []prim.ID
		for i, g := range grads {
			name := string(rune('a' + i))
			ids = append(ids, b.Input(name, prim.Type{DType: prim.F64, Shape: shapes[i]}))
			in[name] = prim.F64Tensor(g, shapes[i]...)
		}
		clipped, id := Clip(b, ids, limit)
		b.Output("norm", id)
		for i, c := range clipped {
			b.Output(string(rune('a'+i)), c)
		}
		p, err := b.Program()
		if err != nil {
			t.Fatal(err)
		}
		out := evaluate(t, p, in)
		if got := out["norm"].F64[0]; math.Abs(got-norm) > 1e-12 {
			t.Errorf("limit %v: want the norm %v before clipping, got %v", limit, norm, got)
		}
		host := [][]float64{slices.Clone(grads[0]), slices.Clone(grads[1]), slices.Clone(grads[2])}
		if got := ClipHost(host, limit); got != norm {
			t.Errorf("limit %v: host: want the norm %v before clipping, got %v", limit, norm, got)
		}
		k := 1.0
		if limit == 5 {
			k = 5 / (norm + 1e-6)
		}
		for i, g := range grads {
			for j, v := range g {
				got := out[string(rune('a'+i))].F64[j]
				if math.Abs(got-k*v) > 1e-12 || math.Abs(host[i][j]-k*v) > 1e-12 {
					t.Errorf("limit %v: want %v, got %v and on the host %v", limit, k*v, got, host[i][j])
				}
			}
		}
	}
	b := prim.NewBuilder()
	if _, norm := Clip(b, nil, 1); b.Err() != nil || norm == prim.Invalid {
		t.Errorf("no gradients: want norm 0, got %v", b.Err())
	}
}

// TestResume stores the host state as JSON between two steps.
func TestResume(t *testing.T) {
	for _, c := range hypers {
		m, _ := ByName(c.method)
		grads := []float64{0.1, -3, 0.7, 1.0 / 3, 5}
		whole := runHost(t, m, c.h, 0.1, []float64{1}, grads)
		first, _ := NewHost(m, c.h, 1)
		p := []float64{1}
		for _, g := range grads[:3] {
			first.Update(0.1, [][]float64{p}, [][]float64{{g}})
		}
		text, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		var stored Host
		if err := json.Unmarshal(text, &stored); err != nil {
			t.Fatal(err)
		}
		second, _ := NewHost(m, c.h, 1)
		if err := second.Restore(stored.Slots); err != nil {
			t.Fatal(err)
		}
		for _, g := range grads[3:] {
			second.Update(0.1, [][]float64{p}, [][]float64{{g}})
		}
		if want := whole[len(whole)-1][0]; p[0] != want {
			t.Errorf("%s %+v: want %v as without the stop, got %v", c.method, c.h, want, p[0])
		}
		other, _ := NewHost(m, c.h, 2)
		if len(m.State(c.h)) > 0 && other.Restore(stored.Slots) == nil {
			t.Errorf("%s: want an error for the state of another size", c.method)
		}
		if other.Restore(nil) == nil {
			t.Errorf("%s: want an error for no state", c.method)
		}
	}
}

func TestHyperCheck(t *testing.T) {
	for say, h := range map[string]Hyper{
		"momentum": {Momentum: 1}, "beta1": {Beta1: -0.1}, "beta2": {Beta2: math.NaN()},
		"epsilon": {Epsilon: math.Inf(1)}, "weight decay": {WeightDecay: -1},
	} {
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%+v: want an error that says %q, got %v", h, say, err)
		}
	}
}

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		p    Plan
		want map[int]float64
	}{
		{Plan{Schedule: "cosine", Base: 1, Min: 0.1, Total: 100}, map[int]float64{0: 1, 50: 0.55, 99: 0.1 + 0.9*(1+math.Cos(math.Pi*0.99))/2, 100: 0.1, 500: 0.1}},
		{Plan{Schedule: "cosine", Base: 1, Warmup: 10, Total: 110}, map[int]float64{0: 0.1, 4: 0.5, 9: 1, 10: 1, 60: 0.5, 110: 0}},
		{Plan{Schedule: "linear", Base: 2, Min: 1, Total: 10}, map[int]float64{0: 2, 5: 1.5, 10: 1}},
		{Plan{Schedule: "constant", Base: 0.3, Total: 10}, map[int]float64{0: 0.3, 9: 0.3, 20: 0.3}},
		{Plan{Schedule: "step", Base: 1, Total: 30, Gamma: 0.1, Drops: 2}, map[int]float64{0: 1, 9: 1, 10: 0.1, 19: 0.1, 20: 0.01, 29: 0.01, 30: 0.01}},
	} {
		if err := c.p.Check(); err != nil {
			t.Fatal(err)
		}
		for step, want := range c.want {
			if got := c.p.At(step); math.Abs(got-want) > 1e-12 {
				t.Errorf("%+v: step %d: want %v, got %v", c.p, step, want, got)
			}
		}
	}
	for _, bad := range []Plan{
		{Schedule: "x", Base: 1, Total: 1}, {Schedule: "cosine", Base: 1, Min: 2, Total: 1}, {Schedule: "cosine", Base: 1},
		{Schedule: "cosine", Base: math.NaN(), Total: 1}, {Schedule: "cosine", Base: 1, Total: 5, Warmup: 6}, {Schedule: "step", Base: 1, Total: 5},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v: want an error", bad)
		}
	}
}
