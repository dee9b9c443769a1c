package importer_test

import "testing"

// An If of a known condition is the branch that it takes; one that depends on inputs stays.
func TestBranchesThatAreAlwaysTaken(t *testing.T) {
	normal(t, `
		input x float32[2] input p bool[] output y float32[2] output z float32[2] output u float32[2] output w float32[2]
		init yes bool[] = [1]
		node r: (h) = Relu(x)
		node s: (y, z, u) = If(yes)
			then_branch=graph then {
				output a none output b none output c none
				init k float32[1] = [3]
				node m: (a) = Mul(h, k)
				node t: (t) = Neg(a)
				node h: (b) = Add(a, t)
				node i: (c) = Identity(x)
			}
			else_branch=graph else { output a none output b none output c none node m: (a) = Neg(h) node n: (b) = Abs(a) node o: (c) = Abs(x) }
		node v: (w) = If(p) then_branch=graph then { output a none node m: (a) = Neg(h) } else_branch=graph else { output a none node m: (a) = Abs(h) }
	}`, `
		input x float32[2] input p bool[] output y float32[2] output z float32[2] output u float32[2] output w float32[2]
		init s/k float32[1] = [3]
		node r: (h) = Relu(x)
		node s/m: (y) = Mul(h, s/k)
		node s/t: (s/t_2) = Neg(y)
		node s/h: (z) = Add(y, s/t_2)
		node s/i: (u) = Identity(x)
		node v: (w) = If(p) then_branch=graph then { output a none node m: (a) = Neg(h) } else_branch=graph else { output a none node m: (a) = Abs(h) }
	}`)
}
