// Package entangle makes pretrained ONNX models smaller by architecture search
// over weight-entangled choice blocks (TangleNAS).
//
//	m, err := entangle.Import("model.onnx")
//	set, err := data.Open("cifar10:cifar-10-batches-bin", data.Options{…})
//	job := entangle.DefaultJob()
//	job.Target = search.Target{Metric: space.MACs, Share: 0.5}
//	res, err := m.Compress(ctx, cpu.New(cpu.Options{}), set, job)
//	err = entangle.Export("subnet.onnx", res.Candidates[0].Model)
//
// It is a façade: every step is a package of its own (importer, space, search,
// subnet, exporter), usable by itself.
package entangle
