// Package native runs models on the engines of this module, behind the same
// face as the runtimes that users deploy on.
//
//	rt := native.New(cpu.New(cpu.Options{}), native.Options{Float: prim.F32})
//	s, err := rt.Open(runtimes.Source{Model: m})
package native
