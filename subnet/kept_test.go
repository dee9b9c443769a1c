package subnet_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// TestKept: what kept.json says of an initialiser, taken from the source, is what the subnet
// has; what is gone is not there.
func TestKept(t *testing.T) {
	for _, name := range []string{"squeeze-excite-tiny", "grouped-tiny", "unet-tiny", "vit-fused-tiny", "llama-tiny"} {
		t.Run(name, func(t *testing.T) {
			e, _ := models.Lookup(name)
			m, err := e.Build(models.Options{})
			if err != nil {
				t.Fatal(err)
			}
			net := entangled(t, analysed(t, m, map[string]int{"batch": 1}), space.Options{Divisor: 1, MinRatio: 0.25, MaxChoices: 4}, space.Reader)
			r := rand.New(rand.NewPCG(1, 2))
			cut, gone := 0, 0
			for range 4 {
				choice := net.Space.Largest()
				for i := range choice {
					choice[i] = r.IntN(choice[i] + 1)
				}
				small, err := subnet.Cut(net, choice, nil)
				if err != nil {
					t.Fatal(err)
				}
				k, err := subnet.NewKept(net, choice, small)
				if err != nil {
					t.Fatal(err)
				}
				text, err := k.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				var back subnet.Kept
				if err := json.Unmarshal(text, &back); err != nil {
					t.Fatal(err)
				}
				if len(back.Inits) != len(net.An.Model.Graph.Inits) {
					t.Fatalf("want all %d initialisers, got %d", len(net.An.Model.Graph.Inits), len(back.Inits))
				}
				for i, x := range back.Inits {
					got := small.Graph.Init(x.Name)
					if x.Gone {
						if gone++; got != nil {
							t.Errorf("%s: said to be gone, the subnet has %s", x.Name, got.Type())
						}
						continue
					}
					want, err := ops.Take(net.An.Model.Graph.Inits[i], x.Keep)
					if err != nil {
						t.Fatal(err)
					}
					if d := ir.Diff(&ir.Model{Graph: &ir.Graph{Inits: []*ir.Tensor{want}}}, &ir.Model{Graph: &ir.Graph{Inits: []*ir.Tensor{got}}}); d != "" {
						t.Errorf("%s: kept is not what the subnet has: %s", x.Name, d)
					}
					if x.Keep.Changed() {
						cut++
					}
				}
			}
			if cut == 0 {
				t.Errorf("want initialisers that are cut, got none (%d gone)", gone)
			}
		})
	}
}
