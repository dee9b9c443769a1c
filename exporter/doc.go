// Package exporter writes ir.Models as ONNX files and checks what it wrote.
// Together with importer it is the only place that knows protobuf.
//
// A file is written whole or not at all, and equal models give equal bytes.
package exporter
