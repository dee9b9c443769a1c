package relax_test

import (
	"fmt"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// Three choices with known losses: the search finds the second.
func Example() {
	loss := []float64{0.9, 0.3, 0.6}
	r, err := relax.ByName("drnas")
	if err != nil {
		fmt.Println(err)
		return
	}
	adam, err := optim.ByName("adam")
	if err != nil {
		fmt.Println(err)
		return
	}
	alpha := relax.Init(len(loss), rng.New(1, "search/alpha"))
	o, err := optim.NewHost(adam, optim.Hyper{Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-3}, len(alpha))
	if err != nil {
		fmt.Println(err)
		return
	}
	draw := rng.New(1, "search/relax")
	for step := range 500 {
		_, back := r.Sample(alpha, draw, float64(step)/499)
		o.Update(0.01, [][]float64{alpha}, [][]float64{back(loss)})
	}
	fmt.Println("choice", relax.Argmax(alpha))
	// Output: choice 1
}
