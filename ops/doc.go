// Package ops holds one value per ONNX operator: what it computes (Lower), what
// shapes it gives (Infer), what its axes mean (Axes), what it costs (Cost) and
// how its attributes and shape constants follow when axes are cut (Cut).
//
// Everything that groups, masks, slices or prices layers is written over these
// rules; nothing outside this package switches on an operator's name. An
// operator without a rule is kept whole and pins its axes.
//
// To add an operator: one file with a func returning its *Op, one line in all.go.
//
//	facts, err := ops.InferModel(m, map[string]int{"batch": 8})
//	b := prim.NewBuilder()
//	vals, err := ops.Lower(b, m, facts, ops.Hooks{…})
package ops
