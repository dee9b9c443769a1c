package workloads

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// images is what the networks of a step see: square ones of three channels.
type images struct{ size, classes int }

var cifar, imagenet = images{32, 10}, images{224, 1000}

// forward builds a network on images [n, 3, size, size] and returns logits [n, classes].
type forward func(n *net, x prim.ID) prim.ID

// Phase is one program of a step. Outputs that are named like inputs replace them;
// the output "loss" of a training phase is the mean cross-entropy before the update, rank 0.
type Phase struct {
	Name    string // "weights", "alpha" or "product"
	Program *prim.Program
	Data    map[string]*prim.Tensor // the batch, by input name
}

// Step is what is timed: its phases in order, with the initial values of
// everything that they update, by input name.
type Step struct {
	Phases []Phase
	Init   map[string]*prim.Tensor
	// Weights and Alphas count trained numbers.
	Weights, Alphas int
}

// build makes the step of a network on cifar.
func build(batch int, super bool, f forward) (*Step, error) { return cifar.build(batch, super, f) }

// build makes the step of a network.
func (im images) build(batch int, super bool, f forward) (*Step, error) {
	return train(batch, super, im.objective(f))
}

// objective builds a network and its loss on a batch of the stream of that name, and
// returns the batch by input name.
type objective func(n *net, stream string, batch int) (loss prim.ID, data map[string]*prim.Tensor)

// objective is the mean cross-entropy of a network.
func (im images) objective(f forward) objective {
	return func(n *net, stream string, batch int) (prim.ID, map[string]*prim.Tensor) {
		data := map[string]*prim.Tensor{
			"images": normal(stream+"/images", 1, batch, 3, im.size, im.size),
			"labels": oneHot(stream+"/labels", batch, im.classes),
		}
		x, labels := n.batch("images", data), n.batch("labels", data)
		return n.crossEntropy(f(n, x), labels), data
	}
}

// train makes the step that minimises f.
func train(batch int, super bool, f objective) (*Step, error) {
	if batch < 1 {
		return nil, fmt.Errorf("workloads: batch: want 1 or more, got %d", batch)
	}
	s := &Step{Init: map[string]*prim.Tensor{}}
	if super {
		if err := s.add("alpha", batch, f, "adam", 3e-4, optim.Hyper{Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-3}); err != nil {
			return nil, err
		}
	}
	return s, s.add("weights", batch, f, "sgd", 0.01, optim.Hyper{Momentum: 0.9})
}

// add appends the phase that updates the weights or the architecture parameters.
func (s *Step) add(phase string, batch int, f objective, method string, rate float64, h optim.Hyper) error {
	m, err := optim.ByName(method)
	if err != nil {
		return err
	}
	n := newNet()
	loss, data := f(n, phase, batch)
	trained := n.weights
	if phase == "alpha" {
		trained = n.alphas
	}
	ids := make([]prim.ID, len(trained))
	for i, t := range trained {
		ids[i] = t.id
	}
	grads, err := engine.Grad(n.Builder, loss, ids)
	if err != nil {
		return fmt.Errorf("workloads: %s phase: %w", phase, err)
	}
	n.Output("loss", loss)
	lr := n.Scalar(prim.F32, rate)
	for i, t := range trained {
		slots := m.State(h)
		state := make([]prim.ID, len(slots))
		for k, slot := range slots {
			state[k] = n.given(t.name+"/"+slot.Name, prim.NewTensor(slot.Type(n.Type(t.id))))
		}
		r := m.Step(n.Builder, h, optim.Args{Param: t.id, Grad: grads[i], LR: lr, State: state})
		n.replace(t.name, r.Param)
		for k, slot := range slots {
			n.replace(t.name+"/"+slot.Name, r.State[k])
		}
	}
	for _, st := range n.stats {
		n.replace(st.name, st.id)
	}
	p, err := n.Program()
	if err != nil {
		return fmt.Errorf("workloads: %s phase: %w", phase, err)
	}
	s.Phases = append(s.Phases, Phase{phase, p, data})
	for name, t := range n.init {
		s.Init[name] = t
	}
	s.Weights, s.Alphas = count(n, n.weights), count(n, n.alphas)
	return nil
}

// batch declares the input of that name of the batch.
func (n *net) batch(name string, data map[string]*prim.Tensor) prim.ID {
	id := n.Input(name, data[name].Type)
	n.Batch(name)
	return id
}

// replace makes id the new value of an input.
func (n *net) replace(name string, id prim.ID) {
	n.Donate(name)
	n.Output(name, id)
}

func count(n *net, leaves []leaf) int {
	total := 0
	for _, l := range leaves {
		total += n.Type(l.id).Len()
	}
	return total
}

// crossEntropy is the mean over rows of -Σ labels·log softmax(logits).
func (n *net) crossEntropy(logits, labels prim.ID) prim.ID {
	sum := n.Reduce(prim.ReduceSum, []int{0, 1}, prim.Op(prim.Mul, prim.A(0), prim.A(1)), n.LogSoftmax(logits, 1), labels)
	return n.Reshape(n.Scale(sum, -1/float64(n.Shape(labels)[0])))
}

// oneHot draws a class per row.
func oneHot(name string, rows, classes int) *prim.Tensor {
	r := rng.New(0, "workloads/"+name)
	t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{rows, classes}})
	for i := range rows {
		t.F32[i*classes+r.IntN(classes)] = 1
	}
	return t
}
