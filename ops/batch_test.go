package ops_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// batchCases are graphs with an input x and an output y. Those that are not blocked give,
// for several batches of the file, what they give for each.
var batchCases = []struct{ name, text, blocked string }{
	{"heads", `input x float32[1, 5, 8]
  output y float32[1, 5, 8]
  init t int64[4] = [1, 5, 2, 4]
  init b int64[3] = [1, 5, 8]
  node n1: (s) = Reshape(x, t)
  node n2: (h) = Transpose(s) perm=[0, 2, 1, 3]
  node n3: (k) = Transpose(s) perm=[0, 2, 3, 1]
  node n4: (q) = MatMul(h, k)
  node n5: (p) = Softmax(q) axis=-1
  node n6: (o) = MatMul(p, h)
  node n7: (r) = Transpose(o) perm=[0, 2, 1, 3]
  node n8: (y) = Reshape(r, b)`, ""},
	{"batch and heads are one axis", `input x float32[1, 5, 8]
  output y float32[1, 5, 8]
  init t int64[4] = [1, 5, 2, 4]
  init m int64[3] = [2, 5, 4]
  init u int64[4] = [1, 2, 5, 4]
  init b int64[3] = [1, 5, 8]
  node n1: (s) = Reshape(x, t)
  node n2: (h) = Transpose(s) perm=[0, 2, 1, 3]
  node n3: (f) = Reshape(h, m)
  node n4: (k) = Transpose(f) perm=[0, 2, 1]
  node n5: (q) = MatMul(f, k)
  node n6: (o) = MatMul(q, f)
  node n7: (w) = Reshape(o, u)
  node n8: (r) = Transpose(w) perm=[0, 2, 1, 3]
  node n9: (y) = Reshape(r, b)`, ""},
	{"positions and batch are one axis, sequence first", `input x float32[1, 5, 4]
  output y float32[1, 5, 3]
  init w float32[4, 3] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
  init m int64[2] = [5, 4]
  init b int64[3] = [5, 1, 3]
  node n1: (s) = Transpose(x) perm=[1, 0, 2]
  node n2: (r) = Reshape(s, m)
  node n3: (z) = Gemm(r, w)
  node n4: (u) = Reshape(z, b)
  node n5: (y) = Transpose(u) perm=[1, 0, 2]`, ""},
	{"heads in a batch, sequence first", `input x float32[1, 5, 8]
  output y float32[1, 5, 8]
  init m int64[3] = [5, 2, 4]
  init b int64[3] = [5, 1, 8]
  node n1: (s) = Transpose(x) perm=[1, 0, 2]
  node n2: (r) = Reshape(s, m)
  node n3: (h) = Transpose(r) perm=[1, 0, 2]
  node n4: (k) = Transpose(h) perm=[0, 2, 1]
  node n5: (q) = MatMul(h, k)
  node n6: (o) = MatMul(q, h)
  node n7: (i) = Transpose(o) perm=[1, 0, 2]
  node n8: (u) = Reshape(i, b)
  node n9: (y) = Transpose(u) perm=[1, 0, 2]`, ""},
	{"heads in a batch joined to rows", `input x float32[1, 5, 8]
  output y float32[1, 5, 3]
  init w float32[8, 3] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]
  init m int64[3] = [5, 2, 4]
  init e int64[2] = [5, 8]
  init b int64[3] = [5, 1, 3]
  node n1: (s) = Transpose(x) perm=[1, 0, 2]
  node n2: (r) = Reshape(s, m)
  node n3: (h) = Transpose(r) perm=[1, 0, 2]
  node n4: (k) = Transpose(h) perm=[0, 2, 1]
  node n5: (q) = MatMul(h, k)
  node n6: (o) = MatMul(q, h)
  node n7: (i) = Transpose(o) perm=[1, 0, 2]
  node n8: (j) = Reshape(i, e)
  node n9: (z) = Gemm(j, w)
  node n10: (u) = Reshape(z, b)
  node n11: (y) = Transpose(u) perm=[1, 0, 2]`, ""},
	{"batch and heads are one axis, the positions inferred", `input x float32[2, 5, 8]
  output y float32[2, 5, 8]
  init t int64[4] = [2, 5, 2, 4]
  init m int64[3] = [4, -1, 4]
  init u int64[4] = [2, 2, 5, 4]
  init b int64[3] = [2, 5, 8]
  node n1: (s) = Reshape(x, t)
  node n2: (h) = Transpose(s) perm=[0, 2, 1, 3]
  node n3: (f) = Reshape(h, m)
  node n4: (k) = Transpose(f) perm=[0, 2, 1]
  node n5: (q) = MatMul(f, k)
  node n6: (o) = MatMul(q, f)
  node n7: (w) = Reshape(o, u)
  node n8: (r) = Transpose(w) perm=[0, 2, 1, 3]
  node n9: (y) = Reshape(r, b)`, ""},
	{"the rest is inferred", `input x float32[1, 2, 3]
  output y float32[1, 6]
  init t int64[2] = [1, -1]
  node n1: (y) = Reshape(x, t)`, ""},
	{"two samples in the file", `input x float32[2, 4, 3]
  output y float32[2, 4, 3]
  init t int64[3] = [4, 2, 3]
  init b int64[3] = [2, 4, 3]
  init e int64[3] = [2, 4, 3]
  node n1: (h) = Reshape(x, t)
  node n2: (p) = Softmax(h) axis=-1
  node n3: (u) = Reshape(p, b)
  node n4: (y) = Expand(u, e)`, ""},
	{"windows", `input x float32[1, 4, 6, 2]
  output y float32[1, 4, 6, 2]
  init t int64[6] = [1, 2, 2, 3, 2, 2]
  init m int64[3] = [6, 4, 2]
  init b int64[6] = [1, 2, 3, 2, 2, 2]
  init c int64[4] = [1, 4, 6, 2]
  node n1: (s) = Reshape(x, t)
  node n2: (w) = Transpose(s) perm=[0, 1, 3, 2, 4, 5]
  node n3: (f) = Reshape(w, m)
  node n4: (p) = Softmax(f) axis=1
  node n5: (u) = Reshape(p, b)
  node n6: (v) = Transpose(u) perm=[0, 1, 3, 2, 4, 5]
  node n7: (y) = Reshape(v, c)`, ""},
	{"a first token for all", `input x float32[1, 3, 2]
  output y float32[1, 4, 2]
  init c float32[1, 1, 2] = [1, 2]
  node n1: (y) = Concat(c, x) axis=1`, ""},
	{"a first token and an offset for each of two", `input x float32[2, 1, 2]
  output y float32[2, 2, 2]
  init c float32[2, 1, 2] = [1, 2, 1, 2]
  init o float32[2, 1, 2] = [3, 4, 3, 4]
  node n1: (h) = Add(o, x)
  node n2: (y) = Concat(c, h) axis=1`, ""},
	{"sizes of Resize", `input x float32[1, 2, 3, 4]
  output y float32[1, 2, 6, 8]
  init s int64[4] = [1, 2, 6, 8]
  node n1: (y) = Resize(x, "", "", s) mode="nearest"`, ""},
	{"a slice of all samples", `input x float32[1, 3, 4]
  output y float32[1, 2, 4]
  init f int64[2] = [0, 1]
  init e int64[2] = [1, 3]
  init a int64[2] = [0, 1]
  node n1: (y) = Slice(x, f, e, a)`, ""},
	{"an output without samples", `input x float32[1, 3]
  output y float32[1, 3]
  output z float32[2]
  init c float32[2] = [1, 2]
  node n1: (z) = Relu(c)
  node n2: (y) = Relu(x)`, ""},
	{"the batch is computed", `input x float32[1, 2, 3]
  output y float32[1, 6]
  init i int64[1] = [0]
  init r int64[1] = [-1]
  node n1: (s) = Shape(x)
  node n2: (g) = Gather(s, i)
  node n3: (t) = Concat(g, r) axis=0
  node n4: (y) = Reshape(x, t)`, ""},

	{"squeezed", `input x float32[1, 2, 3]
  output y float32[2, 3]
  init a int64[1] = [0]
  node cut: (y) = Squeeze(x, a)`, `node "cut" (Squeeze): `},
	{"channels that hold the samples", `input x float32[1, 2, 3]
  output y float32[3, 2]
  init t int64[2] = [2, 3]
  node merge: (h) = Reshape(x, t)
  node turn: (y) = Transpose(h) perm=[1, 0]`, `node "merge" (Reshape): samples and other positions are one axis: output "y" does not begin with the samples`},
	{"softmax over samples", `input x float32[1, 3]
  output y float32[1, 3]
  node mix: (y) = Softmax(x) axis=0`, `node "mix" (Softmax): samples: `},
	{"a product over samples", `input x float32[1, 3]
  output y float32[3, 3]
  node turn: (k) = Transpose(x) perm=[1, 0]
  node mix: (y) = MatMul(k, x)`, `node "mix" (MatMul): `},
	{"the first sample", `input x float32[1, 3]
  output y float32[1, 3]
  init i int64[1] = [0]
  node pick: (y) = Gather(x, i) axis=0`, `node "pick" (Gather): `},
	{"another offset for each of two", `input x float32[2, 2]
  output y float32[2, 2]
  init o float32[2, 2] = [3, 4, 5, 6]
  node sum: (y) = Add(o, x)`, `node "sum" (Add): with 3 times the samples: `},
	{"a mean over samples", `input x float32[1, 3]
  output y float32[1, 3]
  node mean: (y) = ReduceMean(x) axes=[0] keepdims=1`, `node "mean" (ReduceMean): `},
	{"rows of several samples", `input x float32[1, 4, 3]
  output y float32[1, 4, 3]
  init t int64[2] = [3, 4]
  init b int64[3] = [1, 4, 3]
  node turn: (h) = Transpose(x) perm=[1, 2, 0]
  node part: (r) = Reshape(h, t)
  node back: (y) = Reshape(r, b)`, `output "y"`},
	{"an operator without rules", `input x float32[1, 4]
  output y float32[1, 4]
  node odd: (y) = Mystery(x)`, `node "odd" (Mystery): it has no rules`},
	{"two leading sizes", `input x float32[1, 4]
  input z float32[2, 4]
  output y float32[2, 4]
  node sum: (y) = Add(x, z)`, `input "x" has the leading size 1 and input "z" 2`},
}

func TestFollowBatch(t *testing.T) {
	for _, c := range batchCases {
		t.Run(c.name, func(t *testing.T) {
			m, err := ir.Parse("model {\n  ir 8\n  opset _ 13\n}\ngraph g {\n  " + c.text + "\n}\n")
			if err != nil {
				t.Fatal(err)
			}
			b := ops.FollowBatch(m)
			if c.blocked != "" {
				if b.Blocked == nil || !strings.Contains(b.Blocked.Error(), c.blocked) || b.Model != nil {
					t.Errorf("want it blocked by %q, got %v", c.blocked, b.Blocked)
				}
				return
			}
			if b.Blocked != nil {
				t.Fatal(b.Blocked)
			}
			if err := ir.Verify(b.Model); err != nil {
				t.Error(err)
			}
			for i, v := range b.Model.Graph.Outputs {
				if v.Type.String() != m.Graph.Outputs[i].Type.String() {
					t.Errorf("output %q: want it declared %s, got %s", v.Name, m.Graph.Outputs[i].Type, v.Type)
				}
			}
			const batches = 3
			open := b.Model.Clone()
			in := &open.Graph.Inputs[0].Type.Shape[0]
			in.Size *= batches
			size := m.Graph.Inputs[0].Type.Shape[0].Size
			x := prim.NewTensor(prim.Type{DType: prim.F64, Shape: open.Graph.Inputs[0].Type.Sizes()})
			r := rand.New(rand.NewPCG(1, 2))
			for i := range x.F64 {
				x.F64[i] = r.NormFloat64()
			}
			whole := runBatch(t, open, x)
			each := x.Len() / batches
			for i := range batches {
				part := &prim.Tensor{Type: prim.Type{DType: prim.F64, Shape: slices.Clone(x.Shape)}, F64: x.F64[i*each : (i+1)*each]}
				part.Shape[0] = size
				want := runBatch(t, m, part)
				n := want.Len()
				if whole.Len() != batches*n || whole.Shape[0] != batches*want.Shape[0] {
					t.Fatalf("want %d batches of shape %v, got %v", batches, want.Shape, whole.Shape)
				}
				for k, v := range want.F64 {
					if math.Abs(v-whole.F64[i*n+k]) > 1e-12 {
						t.Fatalf("batch %d, element %d: want %g, got %g", i, k, v, whole.F64[i*n+k])
					}
				}
			}
		})
	}
}

// TestSettle: at the batch of the file nothing is left of what opened it but the sizes.
func TestSettle(t *testing.T) {
	m, err := ir.Parse(`model {
  ir 8
  opset _ 13
}
graph g {
  input x float32[1, 3, 2]
  output y float32[1, 8]
  init c float32[1, 1, 2] = [1, 2]
  init t int64[2] = [1, 8]
  node a: (h) = Concat(c, x) axis=1
  node b: (y) = Reshape(h, t)
}
`)
	if err != nil {
		t.Fatal(err)
	}
	open := ops.FollowBatch(m).Model
	if len(open.Graph.Nodes) == 2 {
		t.Fatal("want nodes that expand the token")
	}
	got := ops.Settle(open)
	if err := ir.Verify(got); err != nil || len(got.Graph.Nodes) != 2 || len(got.Graph.Inits) != 2 {
		t.Errorf("want two nodes and two initialisers, got %d and %d, %v", len(got.Graph.Nodes), len(got.Graph.Inits), err)
	}
}

// runBatch returns y.
func runBatch(t *testing.T, m *ir.Model, x *prim.Tensor) *prim.Tensor {
	t.Helper()
	p, _, err := ops.Program(m, nil, prim.F64)
	if err != nil {
		t.Fatal(err)
	}
	out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	return out["y"]
}
