// Package onnxpb holds the protobuf messages of ONNX files, generated from
// onnx.proto. Only importer and exporter use it; everything else works on ir.
//
// The messages live in a protobuf package of their own (entangle.onnx), so that
// they never collide with the ONNX messages of another library in one program.
package onnxpb

//go:generate sh generate.sh
