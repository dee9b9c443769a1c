package importer_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ops"
)

// The same model as the file has it and as the rest of the program works on it.
func Example() {
	raw, err := importer.Read("../models/fixtures/functions.onnx")
	if err != nil {
		log.Fatal(err)
	}
	m, err := importer.Normal(raw, importer.WithFold(ops.ConstantValues))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("raw:", len(raw.Functions), "function,", len(raw.Graph.Nodes), "nodes")
	fmt.Println("normal:", len(m.Functions), "functions,", len(m.Graph.Nodes), "nodes")
	// Output:
	// raw: 1 function, 4 nodes
	// normal: 0 functions, 6 nodes
}
