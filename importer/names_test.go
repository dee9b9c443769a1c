package importer_test

import "testing"

// A name that several nodes have stays the first one's; no number is a name of another node.
func TestNodesOfOneName(t *testing.T) {
	normal(t, `
		input x float32[2] output y float32[2]
		node n: (a) = Relu(x)
		node n: (b) = Neg(a)
		node n_2: (c) = Abs(b)
		node n: (d) = Exp(c)
		node _: (e) = Log(d)
		node _: (y) = Neg(e)
	}`, `
		input x float32[2] output y float32[2]
		node n: (a) = Relu(x)
		node n_3: (b) = Neg(a)
		node n_2: (c) = Abs(b)
		node n_4: (d) = Exp(c)
		node _: (e) = Log(d)
		node _: (y) = Neg(e)
	}`)
}
