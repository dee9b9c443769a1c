package cpu

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
)

// ref names what an instruction reads.
type ref struct {
	kind  refKind
	index int
}

type refKind uint8

const (
	refArg refKind = iota
	refLit
	refSlot
)

// vmOp is one vector instruction: exactly one of the functions is set. It
// writes slot dst, or the result when dst is -1.
type vmOp struct {
	f1    op1
	f2    op2
	f3    op3
	slow  prim.Code // one element at a time, when no function is set
	in    [3]ref
	arity int
	dst   int
}

// vm is an expression compiled to vector instructions over slots of one tile.
type vm struct {
	ops   []vmOp
	slots int
	lits  []float32 // 8 copies each
	roots []root
}

// root is where a result that is folded lies: in a, or as the product a·b when dot.
type root struct {
	a, b ref
	dot  bool
}

// want is an instruction whose value is folded; a sum may be folded from the factors of a product.
type want struct {
	at  int
	sum bool
}

// compileMap translates e so that run writes its last instruction to the destination.
func (k *kernels) compileMap(e prim.Expr) *vm { return k.compile(e, nil) }

// compile translates e; products that feed one sum become fused multiply-adds,
// which round once. Without wants the result is the last instruction, otherwise
// the values of wants stay in the roots.
func (k *kernels) compile(e prim.Expr, wants []want) *vm {
	end := len(e)
	uses, reach := make([]int, end), make([]bool, end)
	result := end - 1
	if wants == nil {
		uses[result], reach[result] = 1, true
	} else {
		result = -1
	}
	for _, w := range wants {
		uses[w.at]++
		reach[w.at] = true
	}
	for i := end - 1; i >= 0; i-- {
		if reach[i] {
			for _, r := range operands(e[i]) {
				uses[r]++
				reach[r] = true
			}
		}
	}
	skip := make([]bool, end) // what a sum, a fold or a gate takes over
	for i, in := range e {
		if c := in.Code; reach[i] && (c == prim.Add || c == prim.Sub) {
			for _, r := range []int{in.A, in.B} {
				if e[r].Code == prim.Mul && uses[r] == 1 {
					skip[r] = true
					break
				}
			}
		}
	}
	for i, in := range e {
		if reach[i] && isGate(e, in) && uses[in.A] == 1 {
			skip[in.A] = true
		}
	}
	last := make([]int, end)
	for i, in := range e {
		if reach[i] {
			for _, r := range operands(in) {
				last[r] = i
				if skip[r] {
					last[e[r].A], last[e[r].B] = i, i
				}
			}
		}
	}
	v := &vm{}
	dots := make([]bool, len(wants))
	for j, w := range wants {
		last[w.at] = end
		if e[w.at].Code == prim.Mul && uses[w.at] == 1 && w.sum {
			dots[j], skip[w.at] = true, true
			last[e[w.at].A], last[e[w.at].B] = end, end
		}
	}
	at := make([]ref, end)
	var free []int
	take := func() int {
		if n := len(free); n > 0 {
			s := free[n-1]
			free = free[:n-1]
			return s
		}
		v.slots++
		return v.slots - 1
	}
	for i, in := range e {
		if !reach[i] || skip[i] {
			continue
		}
		switch in.Code {
		case prim.Arg:
			at[i] = ref{refArg, in.Index}
		case prim.Lit:
			at[i] = ref{refLit, len(v.lits) / 8}
			for range 8 {
				v.lits = append(v.lits, float32(in.Value))
			}
		}
		if in.Code <= prim.Lit && i != result {
			continue
		}
		op := k.operation(e, i, skip, at)
		op.dst = -1
		if i != result {
			op.dst = take()
			at[i] = ref{refSlot, op.dst}
		}
		for r := range i {
			if last[r] == i && reach[r] && !skip[r] && at[r].kind == refSlot {
				free = append(free, at[r].index)
			}
		}
		v.ops = append(v.ops, op)
	}
	for j, w := range wants {
		if dots[j] {
			v.roots = append(v.roots, root{at[e[w.at].A], at[e[w.at].B], true})
		} else {
			v.roots = append(v.roots, root{a: at[w.at]})
		}
	}
	return v
}

func operands(in prim.Instr) []int { return []int{in.A, in.B, in.C}[:in.Code.Arity()] }

// isGate reports whether an instruction passes a value where one is less than another,
// and is 0 elsewhere.
func isGate(e prim.Expr, in prim.Instr) bool {
	return in.Code == prim.Select && e[in.A].Code == prim.Lt && e[in.C].Code == prim.Lit &&
		e[in.C].Value == 0 && !math.Signbit(e[in.C].Value)
}

// operation picks the function of instruction i.
func (k *kernels) operation(e prim.Expr, i int, skip []bool, at []ref) vmOp {
	in := e[i]
	switch {
	case in.Code <= prim.Lit:
		return vmOp{f1: k.copy, in: [3]ref{at[i]}, arity: 1}
	case in.Code == prim.Select && skip[in.A]:
		c := e[in.A]
		return vmOp{f3: k.gate, in: [3]ref{at[c.A], at[c.B], at[in.B]}, arity: 3}
	case in.Code == prim.Select:
		return vmOp{f3: k.sel, in: [3]ref{at[in.A], at[in.B], at[in.C]}, arity: 3}
	case (in.Code == prim.Add || in.Code == prim.Sub) && skip[in.A]:
		f := k.fma
		if in.Code == prim.Sub {
			f = k.fms
		}
		return vmOp{f3: f, in: [3]ref{at[e[in.A].A], at[e[in.A].B], at[in.B]}, arity: 3}
	case (in.Code == prim.Add || in.Code == prim.Sub) && skip[in.B]:
		f := k.fma
		if in.Code == prim.Sub {
			f = k.fnma
		}
		return vmOp{f3: f, in: [3]ref{at[e[in.B].A], at[e[in.B].B], at[in.A]}, arity: 3}
	}
	op := vmOp{slow: in.Code, arity: in.Code.Arity()}
	for j, r := range operands(in) {
		op.in[j] = at[r]
	}
	op.f1, op.f2 = k.unary[in.Code], k.binary[in.Code]
	return op
}

// operand is where a tile's argument lies: step 32 for consecutive elements, 0
// for the first 8 again and again.
type operand struct {
	p    *float32
	step int
}

// machine runs a vm on one worker.
type machine struct {
	*vm
	tile  int // elements of a slot
	slot  []float32
	steps []int
	args  []operand
}

func (v *vm) machine(w *worker, tile, args int) *machine {
	tile = (tile + 7) &^ 7
	return &machine{vm: v, tile: tile, slot: w.scratch(scratchSlot, (v.slots+1)*(tile+16)), steps: make([]int, v.slots), args: make([]operand, args)}
}

func (m *machine) read(r ref) operand {
	switch r.kind {
	case refArg:
		return m.args[r.index]
	case refLit:
		return operand{&m.lits[8*r.index], 0}
	}
	return operand{m.at(r.index), m.steps[r.index]}
}

func (m *machine) at(slot int) *float32 { return &m.slot[slot*(m.tile+16)] }

// own returns the tile that no instruction uses, for a result.
func (m *machine) own() *float32 { return m.at(m.slots) }

// run evaluates n ≤ tile elements into dst. Values that depend on repeated
// operands only are computed once.
func (m *machine) run(n int, dst *float32) {
	for i := range m.ops {
		op := &m.ops[i]
		var x [3]operand
		step := 0
		for j := range op.arity {
			x[j] = m.read(op.in[j])
			step |= x[j].step
		}
		d, count := dst, n
		if op.dst >= 0 {
			d = m.at(op.dst)
			m.steps[op.dst] = step
			if step == 0 {
				count = 8
			}
		}
		switch {
		case op.f1 != nil:
			op.f1(count, d, x[0].p, x[0].step)
		case op.f2 != nil:
			op.f2(count, d, x[0].p, x[1].p, x[0].step, x[1].step)
		case op.f3 != nil:
			op.f3(count, d, x[0].p, x[1].p, x[2].p, x[0].step, x[1].step, x[2].step)
		default:
			m.scalar(op, count, d, x)
		}
	}
}

// scalar runs an instruction that has no vector function.
func (m *machine) scalar(op *vmOp, n int, d *float32, x [3]operand) {
	var v [3][]float32
	for j := range op.arity {
		v[j] = slice(x[j].p, extent(n, x[j].step))
	}
	for i := range slice(d, n) {
		var a [3]float64
		for j := range op.arity {
			a[j] = float64(v[j][lane(i, x[j].step)])
		}
		slice(d, n)[i] = float32(op.slow.Float(a[0], a[1], a[2]))
	}
}

// tileFor returns how many elements a tile of v takes so that its slots and
// streams stay in the first-level cache.
func (v *vm) tileFor(args int) int {
	switch n := v.slots + args; {
	case v.slots == 0:
		return 4096
	case n <= 3:
		return 2048
	}
	return 1024
}

// identity returns the start of a fold.
func identity(op prim.ReduceOp) float64 {
	switch op {
	case prim.ReduceProd:
		return 1
	case prim.ReduceMax:
		return math.Inf(-1)
	case prim.ReduceMin:
		return math.Inf(1)
	}
	return 0
}
