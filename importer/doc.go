// Package importer turns ONNX files into ir.Models. Together with exporter it
// is the only place that knows protobuf.
//
// Read gives the raw model, one ir.Node per ONNX node with every name kept; Normal
// makes of it one that is still standard ONNX, but inlined, folded and pruned.
//
// Input is not trusted: sizes are checked before memory is taken, nesting and
// the number of messages are bounded (Limits), and external tensor data is read
// from regular files inside the model's own folder only. Errors name the graph,
// node, attribute or tensor at fault.
package importer
