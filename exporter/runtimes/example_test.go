package runtimes_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
)

// One run of a model on ONNX Runtime.
func Example() {
	m, err := importer.Read("model.onnx")
	if err != nil {
		log.Fatal(err)
	}
	rt := ort.New(ort.Options{Threads: 2})
	s, err := rt.Open(runtimes.Source{Path: "model.onnx", Model: m})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	x, err := ir.NewFloats("input", ir.Float32, []int{1, 3}, []float64{1, 2, 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := s.Run(map[string]*ir.Tensor{"input": x})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out["output"].Float64s())
}
