package entangle_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// tiny returns a small residual network with four classes.
func tiny() *ir.Model {
	e, _ := models.Lookup("fashion-tiny")
	m, err := e.Build(models.Options{Classes: 4})
	if err != nil {
		log.Fatal(err)
	}
	return m
}

// What may change in a model, and in which steps.
func ExampleModel_Analyse() {
	m, err := entangle.Normalise(tiny())
	if err != nil {
		log.Fatal(err)
	}
	an, err := m.Analyse(nil)
	if err != nil {
		log.Fatal(err)
	}
	s, err := space.New(an, space.Options{Divisor: 4})
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range s.Dims[:3] {
		fmt.Println(d.Name, d.Choices)
	}
	// Output:
	// width:stage1.down.pw.conv [4 8]
	// width:stage1.0.a.conv [4 8]
	// width:stage2.down.pw.conv [4 8 12]
}

// The whole line: search, cut, fine-tune, write. Most programs open model and data by the
// job's paths, with Open in place of Prepare.
func ExamplePlan_Run() {
	m, err := entangle.Normalise(tiny())
	if err != nil {
		log.Fatal(err)
	}
	set, err := data.Synthetic(data.SyntheticOptions{Classes: 4, Shape: [3]int{1, 16, 16}, Train: 320, Test: 64, Noise: 0.1, Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "entangle")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	j := entangle.DefaultJob()
	j.Out, j.Data.Batch, j.Verify = filepath.Join(dir, "subnet.onnx"), 16, false
	for _, setting := range []string{"target=macs=0.5", "space.divisor=2", "search.weights.epochs=1", "tune.epochs=1", "device=cpu"} {
		key, value, _ := strings.Cut(setting, "=")
		if err := j.Set(key, value); err != nil {
			log.Fatal(err)
		}
	}
	plan, err := entangle.Prepare(m, set, j)
	if err != nil {
		log.Fatal(err)
	}
	steps := 0
	out, err := plan.Run(context.Background(), entangle.Options{Observe: func(e train.Event) { steps = e.Step }})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("within the target:", out.Candidates[0].Cost["macs"] <= 0.5*out.Cost["macs"], "after", steps, "steps of tuning")
	back, err := entangle.Import(j.Out)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(back.Raw.Graph.Inputs[0].Name, back.Raw.Graph.Outputs[0].Name)
	// Output:
	// within the target: true after 18 steps of tuning
	// image logits
}

// A recipe is data: it can be stored, edited and applied to a fresh import.
func ExampleModel_Extract() {
	m, err := entangle.Normalise(tiny())
	if err != nil {
		log.Fatal(err)
	}
	dims := map[string]int{"batch": 1}
	an, err := m.Analyse(dims)
	if err != nil {
		log.Fatal(err)
	}
	s, err := space.New(an, space.Options{Divisor: 4, Kinds: []string{"width"}})
	if err != nil {
		log.Fatal(err)
	}
	net, err := space.Entangle(an, s, space.Every)
	if err != nil {
		log.Fatal(err)
	}
	r, err := subnet.NewRecipe(net, s.Smallest(), 0, "by hand")
	if err != nil {
		log.Fatal(err)
	}
	small, err := m.Extract(r, dims)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d nodes before, %d after; parameters %.0f and %.0f\n", len(m.Normal.Graph.Nodes), len(small.Graph.Nodes), r.From["params"], r.Cost["params"])
	// Output:
	// 59 nodes before, 59 after; parameters 10704 and 1920
}
