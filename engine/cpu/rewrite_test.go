package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	oracle "github.com/entangle-nas/entangle/engine/ref"
)

// normStep is a batch normalisation with a ReLU and its gradients.
func normStep(t *testing.T) (*prim.Program, map[string]*prim.Tensor) {
	t.Helper()
	n := newNetwork()
	n.init["x"] = randomTensor(n.r, 6, 5, 9, 7)
	n.init["g"] = randomTensor(n.r, 6, 5, 9, 7)
	x, g := n.Input("x", n.init["x"].Type), n.Input("g", n.init["g"].Type)
	y := n.Relu(n.norm(x))
	loss := n.Reshape(n.Sum(n.Times(y, g), 0, 1, 2, 3))
	grads, err := engine.Grad(n.Builder, loss, append([]prim.ID{x}, n.params...))
	if err != nil {
		t.Fatal(err)
	}
	n.Output("y", y)
	n.Output("dx", grads[0])
	n.Output("dg", grads[1])
	n.Output("db", grads[2])
	p, err := n.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p, n.init
}

// counts returns how many live nodes of p fold and how many write tensors of n elements.
func counts(p *prim.Program, n int) (folds, full int) {
	for i, live := range p.Live() {
		if !live || p.Nodes[i].Prim == nil {
			continue
		}
		switch p.Nodes[i].Prim.(type) {
		case prim.Reduce:
			folds++
		case prim.Map:
			if p.Nodes[i].Type.Len() == n {
				full++
			}
		}
	}
	return folds, full
}

func TestNormalisationTakesFewPasses(t *testing.T) {
	p, init := normStep(t)
	q, err := engine.RunVerified(p, Passes())
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Validate(); err != nil {
		t.Fatal(err)
	}
	if _, full := counts(q, init["x"].Len()); full != 2 {
		t.Errorf("want the result and the gradient as the only tensors of full size, got %d", full)
	}
	kernels := make([]kernel, len(q.Nodes))
	for i, n := range q.Nodes {
		if _, ok := n.Prim.(prim.Reduce); ok {
			kernels[i].folds = true
		}
	}
	passes, _ := counts(q, 0)
	if passes != 5 {
		t.Errorf("want 5 sums, of x, d·d, g, g·d and d for d = x - mean, got %d", passes)
	}
	for _, nodes := range siblings(q, q.Live(), kernels) {
		passes -= len(nodes) - 1
	}
	if passes != 3 {
		t.Errorf("want one pass for the mean, one for the variance and one for all gradients, got %d", passes)
	}
	y := q.Outputs[slices.IndexFunc(q.Outputs, func(o prim.Output) bool { return o.Name == "y" })].ID
	for i, n := range q.Nodes {
		if slices.Contains(n.In, y) {
			t.Errorf("node %d reads the result, want the mask computed from x again", i)
		}
		if e, _, ok := expressionOf(n.Prim); ok && slices.Contains(n.In, 0) && i != int(y) && slices.ContainsFunc(e, func(in prim.Instr) bool { return in.Code == prim.Max }) {
			t.Errorf("node %d clamps what it compares with 0", i)
		}
	}
	want, err := engine.RunHost(oracle.New(), p, init)
	if err != nil {
		t.Fatal(err)
	}
	backends(func(name string, b *Backend) {
		got, err := engine.RunHost(b, p, init)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range p.Outputs {
			w := want[o.Name].Cast(prim.F64).F64
			checkClose(t, name+": "+o.Name, got[o.Name].F32, w, 2e-5)
		}
	})
}

func TestUpdatesHappenInDonatedStorage(t *testing.T) {
	p, init, err := resnet20(2, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := New(Options{Threads: 2})
	s := newStepper(t, b, p, init)
	before := map[string]*float32{}
	for i, in := range p.Inputs {
		before[in.Name] = &s.in[i].(*buffer).v.f32()[0]
	}
	s.step(t)
	for i, in := range p.Inputs {
		if in.Donate && before[in.Name] != &s.in[i].(*buffer).v.f32()[0] {
			t.Errorf("%s: want the update in the donated storage", in.Name)
		}
	}
}

func TestDonatedBufferIsGone(t *testing.T) {
	pb := prim.NewBuilder()
	x := pb.Input("x", prim.Type{DType: prim.F32, Shape: []int{4}})
	pb.Donate("x")
	pb.Output("y", pb.Scale(x, 2))
	p, err := pb.Program()
	if err != nil {
		t.Fatal(err)
	}
	b := New(Options{})
	exe, err := b.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	buf, err := b.Upload(randomTensor(rand.New(rand.NewPCG(1, 2)), 4))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exe.Run([]engine.Buffer{buf}); err != nil {
		t.Fatal(err)
	}
	if _, err := buf.Read(); err == nil {
		t.Error("want an error from a donated buffer")
	}
	if _, err := exe.Run([]engine.Buffer{buf}); err == nil {
		t.Error("want an error from a donated input")
	}
}

func TestArenaNeverOverlaps(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	a := &arena{}
	held := map[int]int{}
	var order []int
	for range 5000 {
		if len(order) > 0 && r.IntN(2) == 0 {
			i := r.IntN(len(order))
			a.give(order[i])
			delete(held, order[i])
			order = append(order[:i], order[i+1:]...)
			continue
		}
		n := 1 + r.IntN(5000)
		off := a.take(n)
		for _, o := range order {
			if off < o+held[o] && o < off+n {
				t.Fatalf("range %d+%d overlaps %d+%d", off, n, o, held[o])
			}
		}
		held[off] = n
		order = append(order, off)
	}
	for _, o := range order {
		a.give(o)
	}
	if len(a.free) != 1 || a.free[0] != (span{0, a.top}) {
		t.Errorf("want one free range of %d bytes, got %v", a.top, a.free)
	}
}
