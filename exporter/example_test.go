package exporter_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
)

// Write a model and read it back.
func Example() {
	m, err := ir.Parse(`model { ir 8 opset _ 17 } graph g { input x float32[2] output y float32[2] node a: (y) = Relu(x) }`)
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "exporter")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "small.onnx")
	if err := exporter.Write(path, m, exporter.Options{}); err != nil {
		fmt.Println(err)
		return
	}
	back, err := importer.Read(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(back.Graph.Nodes[0].OpType)
	// Output: Relu
}
