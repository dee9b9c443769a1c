// Package engine differentiates, simplifies and runs tensor programs.
//
//	b := prim.NewBuilder()
//	… build the loss …
//	grads, err := engine.Grad(b, loss, params)      // appends the reverse pass
//	… append optimiser updates, declare outputs …
//	p, err := b.Program()
//	exe, err := cpu.New(cpu.Options{}).Compile(p)   // simplifies, plans, picks kernels
//	out, err := exe.Run([]engine.Buffer{…})
//
// A Backend is one way of running programs: engine/ref (the oracle), engine/cpu
// (the default) and engine/xla (GPUs, behind a build tag). engine/enginetest is
// the suite that each of them must pass.
package engine
