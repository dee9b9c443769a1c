// Package ir is the graph that every stage of entangle works on.
//
// A Model holds one Graph. One Node is one ONNX node; values are named by
// strings, as in ONNX, and every name of the source file is kept:
//
//	m, err := importer.Read("model.onnx")
//	for _, n := range m.Graph.Nodes {
//		fmt.Println(n.Name, n.OpType, n.Inputs, n.Outputs)
//	}
//	if err := ir.Verify(m); err != nil { … }      // lists every fault with its address
//
// The package knows nothing of protobuf, of operators or of engines. An empty
// string in Node.Inputs or Node.Outputs is an omitted optional value.
package ir
