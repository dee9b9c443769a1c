// Package gorgonnx runs CNNs on onnx-go with its gorgonnx backend: pure Go, no
// cgo, about 45 operators.
//
// It lives in a package of its own because it brings Gorgonia into the program.
// onnx-go panics on much that it does not know and computes some attributes as
// if they were absent (Conv ignores group); Open therefore checks the model
// first and lists all that is in the way, and panics come back as errors.
package gorgonnx
