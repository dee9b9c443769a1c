// Package models builds reference networks as ONNX models: the base network of
// the demo, small versions of the common convolutional families and of
// transformers, and the search spaces of the TangleNAS paper.
//
//	e, ok := models.Lookup("resnet20")
//	m, err := e.Build(models.Options{Classes: 10, Seed: 1})
//	for _, e := range models.Tiny() {      // one small network per structure, for tests; TinyTransformers likewise
//		m, err := e.Build(models.Options{})
//		…
//	}
//	m, err = models.Macro{Channels: [4]int{8, 16, 32, 64}, Kernels: [4]int{3, 3, 3, 3}}.Build(models.Options{})
//	m, err = models.CellSpace().Build(models.Options{Seed: 1}) // a supernet, its space declared in the file
//	params, macs, err := models.LMTinyStories.Largest().Entry().Count(models.Options{}) // without its weights
//
// Every model is standard ONNX with a dynamic first dimension named "batch",
// normalisation kept as nodes, and a name on every node. Weights are drawn from
// one random stream per tensor, so the same options give the same bytes.
package models
