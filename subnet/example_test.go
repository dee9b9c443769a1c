package subnet_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// A choice is recorded as a recipe and cut out of the model by the recipe alone.
func Example() {
	e, _ := models.Lookup("resnet20-tiny")
	raw, err := e.Build(models.Options{})
	if err != nil {
		log.Fatal(err)
	}
	m, err := importer.Normal(raw)
	if err != nil {
		log.Fatal(err)
	}
	facts, err := ops.InferModel(m, map[string]int{"batch": 2})
	if err != nil {
		log.Fatal(err)
	}
	an, err := space.Analyse(m, facts)
	if err != nil {
		log.Fatal(err)
	}
	sp, err := space.New(an, space.Options{Divisor: 2})
	if err != nil {
		log.Fatal(err)
	}
	net, err := space.Entangle(an, sp, space.Reader)
	if err != nil {
		log.Fatal(err)
	}
	r, err := subnet.NewRecipe(net, sp.Smallest(), 1, "by hand")
	if err != nil {
		log.Fatal(err)
	}
	text, err := r.Marshal()
	if err != nil {
		log.Fatal(err)
	}
	again, err := subnet.UnmarshalRecipe(text)
	if err != nil {
		log.Fatal(err)
	}
	small, err := subnet.Extract(an, again, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(m.Graph.Nodes), "nodes,", r.From[space.Params], "parameters")
	fmt.Println(len(small.Graph.Nodes), "nodes,", r.Cost[space.Params], "parameters")
	// Output:
	// 52 nodes, 11289 parameters
	// 28 nodes, 115 parameters
}
