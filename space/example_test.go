package space_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// From a model to a supernet and what its subnets cost.
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
	costs, err := net.Costs()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(sp.Dims), "dimensions")
	for _, m := range net.Metrics {
		fmt.Println(m.Name, costs[m.Name].At(sp.Largest()), costs[m.Name].At(sp.Smallest()))
	}
	// Output:
	// 26 dimensions
	// macs 109392 724
	// params 11289 115
	// bytes 46276 620
	// peak 3072 1280
}
