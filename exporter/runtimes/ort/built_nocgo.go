//go:build !cgo

package ort

// Built reports whether this program can load ONNX Runtime: it was built with cgo.
const Built = false
