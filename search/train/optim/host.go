package optim

import (
	"fmt"
	"math"
)

// Host optimises vectors of float64 with a Method. Its fields are its whole
// state and survive a round trip through JSON.
type Host struct {
	// Slots holds, per vector, the state tensors in the order of Method.State.
	Slots [][][]float64 `json:"slots"`

	method Method
	hyper  Hyper
	sizes  []int
}

// NewHost prepares m for vectors of the given lengths.
func NewHost(m Method, h Hyper, sizes ...int) (*Host, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	o := &Host{method: m, hyper: h, sizes: sizes}
	for _, n := range sizes {
		var slots [][]float64
		for _, s := range m.State(h) {
			if s.Scalar {
				slots = append(slots, make([]float64, 1))
			} else {
				slots = append(slots, make([]float64, n))
			}
		}
		o.Slots = append(o.Slots, slots)
	}
	return o, nil
}

// Update moves params in place. params and grads hold one vector per size given to NewHost.
func (o *Host) Update(lr float64, params, grads [][]float64) {
	if len(params) != len(o.sizes) || len(grads) != len(o.sizes) {
		panic(fmt.Sprintf("BUG: optim: want %d vectors, got %d and %d gradients", len(o.sizes), len(params), len(grads)))
	}
	for i, p := range params {
		o.method.Host(o.hyper, lr, p, grads[i], o.Slots[i])
	}
}

// Restore replaces the state by one of an optimiser of the same method and sizes.
func (o *Host) Restore(slots [][][]float64) error {
	if len(slots) != len(o.Slots) {
		return fmt.Errorf("optimiser state: want %d vectors, got %d", len(o.Slots), len(slots))
	}
	for i, s := range slots {
		if len(s) != len(o.Slots[i]) {
			return fmt.Errorf("optimiser state: vector %d: want %d slots of %s, got %d", i, len(o.Slots[i]), o.method.Name, len(s))
		}
		for k := range s {
			if len(s[k]) != len(o.Slots[i][k]) {
				return fmt.Errorf("optimiser state: vector %d: slot %d: want %d elements, got %d", i, k, len(o.Slots[i][k]), len(s[k]))
			}
		}
	}
	for i, s := range slots {
		for k := range s {
			copy(o.Slots[i][k], s[k])
		}
	}
	return nil
}

// ClipHost scales grads in place so that their common L2 norm is at most limit,
// and returns the norm before. A limit of 0 or less leaves them.
func ClipHost(grads [][]float64, limit float64) float64 {
	var sum float64
	for _, g := range grads {
		for _, v := range g {
			sum += v * v
		}
	}
	norm := math.Sqrt(sum)
	if k := limit / (norm + clipEpsilon); limit > 0 && k < 1 {
		for _, g := range grads {
			for i := range g {
				g[i] *= k
			}
		}
	}
	return norm
}
