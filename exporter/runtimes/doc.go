// Package runtimes is the common face of everything that can run an ONNX model:
// ONNX Runtime (runtimes/ort), onnx-go with gorgonnx (runtimes/gorgonnx) and the
// engines of this module (runtimes/native).
//
// Tensors are ir.Tensor at this face, so every element type of ONNX keeps its
// own bytes.
package runtimes
