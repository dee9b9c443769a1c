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
// A graph is changed by patches, which are checked and applied whole (Patch,
// ir/pass), and asked through an Index. PrintFull and Parse are its text form:
//
//	users := ir.NewIndex(m.Graph).Consumers("x")
//	p := ir.NewPatch(m.Graph, "drop the first node")
//	p.Rewire(m.Graph.Nodes[0].Output(0), m.Graph.Nodes[0].Input(0))
//	p.Remove(m.Graph.Nodes[0])
//	err = p.Apply(m)
//	err = ir.Print(os.Stdout, m)
//
// The package knows nothing of protobuf, of operators or of engines. An empty
// string in Node.Inputs or Node.Outputs is an omitted optional value.
package ir
