// Package optim holds the optimisers, learning-rate schedules and gradient clipping.
//
// A Method updates one parameter tensor. It exists twice with equal results: as
// primitives, so that a whole training step is one program, and on the host in
// float64 for the tiny architecture vectors:
//
//	m, err := optim.ByName("sgd")
//	for _, s := range m.State(h) { … declare one state input per parameter … }
//	next := m.Step(b, h, optim.Args{Param: w, Grad: g, LR: lr, State: state})
//	… next.Param and next.State are program outputs; donate the old ones …
//
//	alphas, err := optim.NewHost(m, h, 3, 4)
//	alphas.Update(lr, [][]float64{a, b}, [][]float64{da, db})
//
// Schedules are pure functions of the step, so they need no state to resume.
package optim
