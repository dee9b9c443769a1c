// Package ir is the graph that every stage of entangle works on.
//
// A Model holds one Graph. One Node is one ONNX node; values are named by
// strings, as in ONNX, and every name of the source file is kept. Verify lists every
// fault of a model with its address.
//
// A graph is changed by patches, which are checked and applied whole (Patch,
// ir/pass), and asked through an Index. PrintFull and Parse are its text form. The
// example does one after the other.
//
// The package knows nothing of protobuf, of operators or of engines. An empty
// string in Node.Inputs or Node.Outputs is an omitted optional value.
package ir
