package lower

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
	hlo "github.com/entangle-nas/entangle/engine/xla/stablehlo"
)

// Precision is how F32 products are computed, and how large values between them are
// held. Inputs and outputs (parameters, statistics, optimiser states), sums, and the
// arithmetic of everything that is not a product stay in float32.
type Precision string

// Precisions, from the most exact to the fastest.
const (
	F32  Precision = "f32"  // float32 throughout
	TF32 Precision = "tf32" // the device's fast float32 product: TF32 where it has it
	BF16 Precision = "bf16" // large products, and the large values between them, in bfloat16; sums in float32
)

// Precisions lists the values of Precision.
var Precisions = []Precision{F32, TF32, BF16}

// Options configure Lower; the zero value means float32 throughout.
type Options struct {
	Precision Precision
	// Devices partitions the program over so many devices, if more than one: the axis of
	// the batch is divided where it comes in, and XLA divides what follows from it.
	Devices int
}

// Module is a lowered program.
type Module struct {
	Text string
	// Fault is the position of the I64 result of rank 0 that is not zero when an
	// index was out of range, -1 when there is none. Faults[v-1] is then the error.
	Fault  int
	Faults []string
}

// lowerer is the state of one Lower.
type lowerer struct {
	*hlo.Func
	opt     Options
	scalars map[scalar]hlo.Value
	narrow  []bool      // nodes held in bfloat16
	values  []hlo.Value // by node, in its dtype; not valid where only halves is, so far
	halves  []hlo.Value // of narrow nodes, in bfloat16
	large   bool        // the node that is being written is a product that follows the precision
	fault   hlo.Value
	faults  []string
}

type scalar struct {
	elem hlo.Elem
	bits uint64
}

// Lower checks p and writes it.
func Lower(p *prim.Program, opt Options) (*Module, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("xla: lower: %w", err)
	}
	if opt.Devices < 2 { // else the element would be on one of them
		p = joinMoments(p)
	}
	l := &lowerer{Func: hlo.NewFunc(), opt: opt, scalars: map[scalar]hlo.Value{}, values: make([]hlo.Value, len(p.Nodes)), halves: make([]hlo.Value, len(p.Nodes))}
	if l.narrow = make([]bool, len(p.Nodes)); opt.Precision == BF16 {
		l.narrow = narrowValues(p)
	}
	to := aliases(p)
	for i, in := range p.Inputs {
		l.values[in.ID] = l.Arg(typeOf(p.Nodes[in.ID].Type))
		if to[i] >= 0 {
			l.Alias(i, to[i])
		}
	}
	l.divide(p)
	live := p.Live()
	for i, n := range p.Nodes {
		if n.Prim == nil || !live[i] {
			continue
		}
		l.large = largeProduct(p, n)
		v, err := l.node(i, n, l.operands(n, l.narrow[i]))
		if err != nil {
			return nil, fmt.Errorf("xla: lower: node %d (%s): %w", i, n.Prim.Name(), err)
		}
		want := typeOf(n.Type)
		if l.narrow[i] {
			want.Elem = hlo.BF16
			v = l.Convert(v, hlo.BF16)
			l.halves[i] = v
		} else {
			if l.large {
				v = l.Convert(v, want.Elem)
			}
			l.values[i] = v
		}
		if !v.Type.Equal(want) {
			panic(fmt.Sprintf("BUG: xla: lower: node %d (%s): want %s, got %s", i, n.Prim.Name(), want, v.Type))
		}
	}
	var results []hlo.Value
	for _, o := range p.Outputs {
		results = append(results, l.wide(o.ID))
	}
	m := &Module{Fault: -1, Faults: l.faults}
	if l.fault.Valid() {
		m.Fault = len(results)
		results = append(results, l.fault)
	}
	text := hlo.Module{Name: "entangle", Func: l.Func}
	if opt.Devices > 1 {
		text.Mesh = hlo.Mesh{Axis: meshAxis, Devices: opt.Devices}
	}
	m.Text = text.Text(results)
	return m, nil
}

// wide returns a node's value in its dtype.
func (l *lowerer) wide(id prim.ID) hlo.Value {
	if !l.values[id].Valid() {
		l.values[id] = l.Convert(l.halves[id], hlo.F32)
	}
	return l.values[id]
}

// half returns the value of an F32 node in bfloat16.
func (l *lowerer) half(id prim.ID) hlo.Value {
	if !l.halves[id].Valid() {
		l.halves[id] = l.Convert(l.values[id], hlo.BF16)
	}
	return l.halves[id]
}

// operands returns what a node reads: in bfloat16 what a large product of BF16 reads, and
// what a narrow node only moves.
func (l *lowerer) operands(n prim.Node, narrow bool) []hlo.Value {
	in := make([]hlo.Value, len(n.In))
	halves := 0
	switch {
	case l.large && l.opt.Precision == BF16:
		halves = len(in)
	case narrow:
		halves = len(movedOperands(n))
	}
	for k, id := range n.In {
		if k < halves {
			in[k] = l.half(id)
		} else {
			in[k] = l.wide(id)
		}
	}
	return in
}

// aliases gives, for every input, the output that takes over its storage, -1 for
// none: the output of the input's name where types agree, else the first one left.
func aliases(p *prim.Program) []int {
	to := make([]int, len(p.Inputs))
	taken := make([]bool, len(p.Outputs))
	fits := func(i, k int) bool {
		return k >= 0 && !taken[k] && p.Nodes[p.Inputs[i].ID].Type.Equal(p.Nodes[p.Outputs[k].ID].Type)
	}
	for i, in := range p.Inputs {
		to[i] = -1
		if k := p.Output(in.Name); in.Donate && fits(i, k) {
			to[i], taken[k] = k, true
		}
	}
	for i, in := range p.Inputs {
		for k := 0; k < len(p.Outputs) && in.Donate && to[i] < 0; k++ {
			if fits(i, k) {
				to[i], taken[k] = k, true
			}
		}
	}
	return to
}

// node writes one application.
func (l *lowerer) node(i int, n prim.Node, in []hlo.Value) (hlo.Value, error) {
	switch p := n.Prim.(type) {
	case prim.Const:
		return l.constant(p.Value), nil
	case prim.Random:
		return l.random(p, in[0]), nil
	case prim.Map:
		return l.mapped(p, in), nil
	case prim.Reduce:
		return l.reduced(p, in), nil
	case prim.ArgReduce:
		return l.argReduced(p, in[0]), nil
	case prim.MatMul:
		return l.matmul(p, in[0], in[1]), nil
	case prim.Conv:
		return l.conv(p, in[0], in[1], n.Type.Shape), nil
	case prim.ConvInputGrad:
		return l.convInputGrad(p, in[0], in[1], n.Type.Shape), nil
	case prim.ConvWeightGrad:
		return l.convWeightGrad(p, in[0], in[1], n.Type.Shape), nil
	case prim.MaxPool:
		return l.maxPool(p.Pool, in[0], n.Type.Shape), nil
	case prim.MaxPoolIndex:
		return l.Convert(l.maxIndex(p.Pool, in[0], n.Type.Shape), hlo.I64), nil
	case prim.MaxPoolGrad:
		return l.maxPoolGrad(p.Pool, in[0], in[1]), nil
	case prim.SumPool:
		return l.sumPool(p.Pool, in[0], n.Type.Shape), nil
	case prim.SumPoolGrad:
		return l.sumPoolGrad(p, in[0], n.Type.Shape), nil
	case prim.Reshape:
		return l.Reshape(in[0], p.Shape), nil
	case prim.Transpose:
		return l.Transpose(in[0], p.Perm), nil
	case prim.Slice:
		return l.Slice(in[0], p.Start, p.Size, p.Step), nil
	case prim.Pad:
		return l.Pad(in[0], l.literal(in[0].Type.Elem, p.Value), p.Lo, p.Hi, p.Interior), nil
	case prim.Concat:
		return l.Concat(p.Axis, in...), nil
	case prim.Reverse:
		return l.Reverse(in[0], once(p.Axes)), nil
	case prim.Gather:
		l.checkIndex(i, n.Prim.Name(), in[1], in[0].Type.Shape[p.Axis])
		return l.Take(in[0], in[1], p.Axis), nil
	case prim.ScatterAdd:
		l.checkIndex(i, n.Prim.Name(), in[0], p.Size)
		return l.scatterAdd(p, in[0], in[1], n.Type.Shape), nil
	case prim.StopGrad:
		return in[0], nil
	case prim.Barrier:
		return l.Barrier(in), nil
	}
	return hlo.Value{}, fmt.Errorf("want one of the primitives of prim.All, got %T", n.Prim)
}

// once returns the axes that flip when those listed flip one after the other.
func once(axes []int) []int {
	odd := map[int]bool{}
	for _, a := range axes {
		odd[a] = !odd[a]
	}
	var out []int
	for _, a := range axes {
		if odd[a] {
			out = append(out, a)
			odd[a] = false
		}
	}
	return out
}

func elemOf(d prim.DType) hlo.Elem {
	return [...]hlo.Elem{hlo.F32, hlo.F64, hlo.I64, hlo.I1, hlo.F16, hlo.BF16}[d]
}

func typeOf(t prim.Type) hlo.Type { return hlo.Type{Elem: elemOf(t.DType), Shape: t.Shape} }

func (l *lowerer) constant(t *prim.Tensor) hlo.Value {
	typ := typeOf(t.Type)
	switch t.DType {
	case prim.F32:
		v := make([]float64, len(t.F32))
		for i, x := range t.F32 {
			v[i] = float64(x)
		}
		return l.Floats(typ, v)
	case prim.F64:
		return l.Floats(typ, t.F64)
	case prim.I64:
		return l.Ints(typ, t.I64)
	case prim.Bool:
		return l.Bools(typ, t.B)
	}
	return l.Halves(typ, t.U16)
}

// literal returns the scalar v in element type e, written once.
func (l *lowerer) literal(e hlo.Elem, v float64) hlo.Value {
	key := scalar{e, math.Float64bits(v)}
	s, ok := l.scalars[key]
	if !ok {
		switch e {
		case hlo.I32, hlo.I64:
			s = l.Integer(e, prim.ToInt(v))
		default:
			s = l.Scalar(e, v)
		}
		l.scalars[key] = s
	}
	return s
}

// full returns a tensor of equal elements.
func (l *lowerer) full(t hlo.Type, v float64) hlo.Value {
	return l.Broadcast(l.literal(t.Elem, v), t.Shape, nil)
}

// checkIndex adds to the fault result that index must lie in [0, size).
func (l *lowerer) checkIndex(node int, name string, index hlo.Value, size int) {
	t := index.Type
	bad := l.Binary("or", l.Compare("LT", index, l.full(t, 0)), l.Compare("GE", index, l.full(t, float64(size))))
	all := make([]int, len(t.Shape))
	for i := range all {
		all[i] = i
	}
	any := l.Reduce("or", bad, l.literal(hlo.I1, 0), all)
	l.faults = append(l.faults, fmt.Sprintf("node %d: %s: index: want 0 ≤ index < %d, got one out of range", node, name, size))
	code := l.Select(any, l.literal(hlo.I64, float64(len(l.faults))), l.literal(hlo.I64, 0))
	if l.fault.Valid() {
		code = l.Binary("maximum", l.fault, code)
	}
	l.fault = code
}

func (l *lowerer) scatterAdd(p prim.ScatterAdd, index, updates hlo.Value, shape []int) hlo.Value {
	fold := "add"
	if updates.Type.Elem == hlo.I1 {
		fold = "or"
	}
	zero := l.full(hlo.Type{Elem: updates.Type.Elem, Shape: shape}, 0)
	return l.Scatter(fold, zero, index, updates, p.Axis)
}

// random computes prim.Random's numbers: splitmix64's finaliser on a counter.
func (l *lowerer) random(p prim.Random, seed hlo.Value) hlo.Value {
	n := prim.Prod(p.Shape)
	t := hlo.Type{Elem: hlo.I64, Shape: []int{n}}
	word := func(i int) hlo.Value {
		return l.Broadcast(l.Slice(seed, []int{i}, []int{1}, []int{1}), t.Shape, []int{0})
	}
	integer := func(v uint64) hlo.Value { return l.Broadcast(l.Integer(hlo.I64, int64(v)), t.Shape, nil) }
	shifted := func(z hlo.Value, by uint64) hlo.Value {
		return l.Binary("shift_right_logical", z, integer(by))
	}
	mix := func(z hlo.Value) hlo.Value {
		z = l.Binary("multiply", l.Binary("xor", z, shifted(z, 30)), integer(0xBF58476D1CE4E5B9))
		z = l.Binary("multiply", l.Binary("xor", z, shifted(z, 27)), integer(0x94D049BB133111EB))
		return l.Binary("xor", z, shifted(z, 31))
	}
	z := l.Binary("add", word(0), l.Binary("multiply", l.Iota(t, 0), integer(0x9E3779B97F4A7C15)))
	z = mix(l.Binary("xor", mix(z), word(1)))
	u := l.Convert(shifted(z, 40), elemOf(p.Out))
	return l.Reshape(l.Binary("multiply", u, l.full(u.Type, 1.0/(1<<24))), p.Shape)
}
