package entangle_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
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
	an, err := m.Analyse(map[string]int{"batch": 1})
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

// The whole line: search, cut, fine-tune, export.
func ExampleModel_Compress() {
	m, err := entangle.Normalise(tiny())
	if err != nil {
		log.Fatal(err)
	}
	set, err := data.Synthetic(data.SyntheticOptions{Classes: 4, Shape: [3]int{1, 16, 16}, Train: 320, Test: 64, Noise: 0.1, Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	j := entangle.DefaultJob()
	j.Batch, j.Space.Divisor = 16, 2
	j.Search.Weights.Epochs, j.Tune.Epochs = 1, 1
	j.Target = entangle.Target{Metric: space.MACs, Share: 0.5}
	res, err := m.Compress(context.Background(), cpu.New(cpu.Options{}), set, j)
	if err != nil {
		log.Fatal(err)
	}
	best := res.Candidates[0]
	fmt.Println("within the target:", best.Cost[space.MACs] <= 0.5*res.Cost[space.MACs])
	dir, err := os.MkdirTemp("", "entangle")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "subnet.onnx")
	if err := entangle.Export(path, best.Model); err != nil {
		log.Fatal(err)
	}
	back, err := entangle.Import(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(back.Raw.Graph.Inputs[0].Name, back.Raw.Graph.Outputs[0].Name)
	// Output:
	// within the target: true
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
