// Package runtimes is the common face of everything that can run an ONNX model:
// ONNX Runtime (runtimes/ort), onnx-go with gorgonnx (runtimes/gorgonnx) and the
// engines of this module (runtimes/native).
//
//	rt := ort.New(ort.Options{Threads: 2})
//	s, err := rt.Open(runtimes.Source{Path: "model.onnx", Model: m})
//	defer s.Close()
//	out, err := s.Run(map[string]*ir.Tensor{"input": x})
//
// Tensors are ir.Tensor at this face, so every element type of ONNX keeps its
// own bytes.
package runtimes
