package optim

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Hyper holds the constants of every method; each reads those that its Doc names.
type Hyper struct {
	Momentum    float64 `json:"momentum" want:"[0,1)" doc:"momentum of sgd"`
	Nesterov    bool    `json:"nesterov" doc:"Nesterov's momentum; nothing without momentum"`
	Beta1       float64 `json:"beta1" want:"[0,1)" doc:"decay of adam's first moment"`
	Beta2       float64 `json:"beta2" want:"[0,1)" doc:"decay of adam's second moment"`
	Epsilon     float64 `json:"epsilon" want:">=0" doc:"what adam adds to the root of the second moment"`
	WeightDecay float64 `json:"weight_decay" want:">=0" doc:"weight decay of matrices and kernels; vectors have none"`
}

// Check reports constants outside their range.
func (h Hyper) Check() error {
	var errs []error
	unit := func(name string, v float64) {
		if !(v >= 0 && v < 1) {
			errs = append(errs, fmt.Errorf("optimiser: %s: want a number in [0, 1), got %v", name, v))
		}
	}
	unit("momentum", h.Momentum)
	unit("beta1", h.Beta1)
	unit("beta2", h.Beta2)
	if !(h.Epsilon >= 0) || math.IsInf(h.Epsilon, 0) {
		errs = append(errs, fmt.Errorf("optimiser: epsilon: want a finite number of at least 0, got %v", h.Epsilon))
	}
	if !(h.WeightDecay >= 0) || math.IsInf(h.WeightDecay, 0) {
		errs = append(errs, fmt.Errorf("optimiser: weight decay: want a finite number of at least 0, got %v", h.WeightDecay))
	}
	return errors.Join(errs...)
}

// Slot is one state tensor of a parameter. It starts as zeros.
type Slot struct {
	Name string
	// Scalar says rank 0; otherwise the slot has the parameter's shape.
	Scalar bool
}

// Type returns the slot's tensor type for a parameter of type p.
func (s Slot) Type(p prim.Type) prim.Type {
	if s.Scalar {
		return prim.Type{DType: p.DType}
	}
	return p
}

// Args names the values of one update. Param, Grad and the non-scalar states
// have one shape; LR and scalar states have rank 0; all share one float dtype.
type Args struct {
	Param, Grad, LR prim.ID
	State           []prim.ID // in the order of Method.State
}

// Result names the updated values, of the same types as those in Args, so that
// the old ones may be donated.
type Result struct {
	Param prim.ID
	State []prim.ID
}

// Method is one optimiser.
type Method struct {
	Name string
	Doc  string
	// Defaults are the usual constants.
	Defaults Hyper
	// State lists the state tensors that one parameter needs.
	State func(h Hyper) []Slot
	// Step appends the update of one parameter to b; errors stay in the builder.
	Step func(b *prim.Builder, h Hyper, a Args) Result
	// Host updates param and state in place; a scalar state has one element.
	Host func(h Hyper, lr float64, param, grad []float64, state [][]float64)
}

// All lists the optimisers.
func All() []Method { return []Method{sgd, adam, adamw} }

// ByName returns the optimiser of that name, or an error that lists the names.
func ByName(name string) (Method, error) {
	var names []string
	for _, m := range All() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Method{}, fmt.Errorf("optimiser: want one of %s, got %q", strings.Join(names, ", "), name)
}

// Validate reports every method that is incomplete, listed twice or has unusable defaults.
func Validate(list []Method) error {
	var errs []error
	seen := map[string]bool{}
	for i, m := range list {
		if m.Name == "" || m.Doc == "" || m.State == nil || m.Step == nil || m.Host == nil {
			errs = append(errs, fmt.Errorf("optimiser %d (%q): want Name, Doc, State, Step and Host", i, m.Name))
		}
		if seen[m.Name] {
			errs = append(errs, fmt.Errorf("optimiser %q: listed twice", m.Name))
		}
		seen[m.Name] = true
		if err := m.Defaults.Check(); err != nil {
			errs = append(errs, fmt.Errorf("optimiser %q: defaults: %w", m.Name, err))
		}
	}
	return errors.Join(errs...)
}
