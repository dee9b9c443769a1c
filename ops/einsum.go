package ops

import (
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opEinsum() *Op {
	return &Op{
		Name: "Einsum", Since: 12, Params: []int{0, 1},
		Doc:   "y = the sum of products of the operands that equation states, ellipses and diagonals included, two operands at a time. Version 12.",
		Infer: inferEinsum,
		Lower: lowerEinsum,
		Axes: func(s *Site, a *Axes) {
			q, err := parseEinsum(s)
			if err != nil {
				return
			}
			first := map[int]AxisRef{}
			for i, list := range q.in {
				for k, label := range list {
					if d := s.In[i].Type.Shape[k]; d.Size == 1 {
						continue
					}
					role := Carried
					if !slices.Contains(q.out, label) {
						role = Contracted
					}
					if _, ok := first[label]; !ok {
						first[label] = In(i, k)
					}
					a.Tie(role, In(i, k), first[label])
				}
			}
			for k, label := range q.out {
				if x, ok := first[label]; ok {
					a.Tie(Carried, x, Out(0, k))
				}
			}
		},
		Cost: func(s *Site) Cost {
			q, err := parseEinsum(s)
			if err != nil {
				return Cost{}
			}
			dims, err := q.dims(s)
			if err != nil {
				return Cost{}
			}
			macs := 0.0
			seen := slices.Clone(q.in[0])
			for i := 1; i < len(q.in); i++ {
				union := seen
				for _, l := range q.in[i] {
					if !slices.Contains(union, l) {
						union = append(union, l)
					}
				}
				n := 1.0
				for k, l := range union {
					if !slices.Contains(union[:k], l) {
						n *= float64(dims[l].Size)
					}
				}
				macs += n
				seen = q.later(union, i+1)
			}
			return Cost{MACs: macs}
		},
	}
}

// einsum is an equation: a label per axis of every operand and of the result.
// Letters are their code points; the axes under an ellipsis are numbered from
// ellipsisLabel on, the last axis first.
type einsum struct {
	in  [][]int
	out []int
}

const ellipsisLabel = 1 << 24

func parseEinsum(s *Site) (einsum, error) {
	var q einsum
	eq := strings.ReplaceAll(s.Node.Str("equation", ""), " ", "")
	left, right, explicit := strings.Cut(eq, "->")
	terms := strings.Split(left, ",")
	if err := s.inputs("ops", 1, -1); err != nil {
		return q, err
	}
	if len(terms) != len(s.Node.Inputs) {
		return q, s.Errorf("ops", "equation %q: want %d operands, got %d", eq, len(s.Node.Inputs), len(terms))
	}
	wide := 0
	for i, term := range terms {
		if !s.Input(i).Present() {
			return q, s.Errorf("ops", "input %d: want a tensor, got nothing", i)
		}
		rank := len(s.In[i].Type.Shape)
		list, under, ok := labels(term, rank)
		if !ok {
			return q, s.Errorf("ops", "equation %q: operand %d: want labels for %d axes, got %q", eq, i, rank, term)
		}
		wide = max(wide, under)
		q.in = append(q.in, list)
	}
	if explicit {
		list, _, ok := labels(right, len(strings.Replace(right, "...", "", 1))+wide)
		if !ok {
			return q, s.Errorf("ops", "equation %q: want letters and an ellipsis on the right, got %q", eq, right)
		}
		for k, l := range list {
			if slices.Contains(list[:k], l) || !slices.ContainsFunc(q.in, func(x []int) bool { return slices.Contains(x, l) }) {
				return q, s.Errorf("ops", "equation %q: want every label of the result once, and in an operand, got %q", eq, right)
			}
		}
		q.out = list
		return q, nil
	}
	for k := range wide {
		q.out = append(q.out, ellipsisLabel+wide-1-k)
	}
	all := slices.Concat(q.in...)
	slices.Sort(all)
	for k, l := range all {
		if l < ellipsisLabel && (k == 0 || all[k-1] != l) && (k == len(all)-1 || all[k+1] != l) {
			q.out = append(q.out, l)
		}
	}
	return q, nil
}

// labels reads one term of an equation for a value of that rank, and the number of axes under its ellipsis.
func labels(term string, rank int) (list []int, under int, ok bool) {
	before, after, dots := strings.Cut(term, "...")
	if letters := before + after; strings.ContainsFunc(letters, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}) {
		return nil, 0, false
	}
	under = rank - len(before) - len(after)
	if under < 0 || under > 0 && !dots {
		return nil, 0, false
	}
	for _, r := range before {
		list = append(list, int(r))
	}
	for k := range under {
		list = append(list, ellipsisLabel+under-1-k)
	}
	for _, r := range after {
		list = append(list, int(r))
	}
	return list, under, true
}

// dims returns the dimension of every label.
func (q einsum) dims(s *Site) (map[int]ir.Dim, error) {
	out := map[int]ir.Dim{}
	for i, list := range q.in {
		for k, l := range list {
			d := s.In[i].Type.Shape[k]
			old, ok := out[l]
			if !ok {
				out[l] = d
				continue
			}
			m, err := broadcastDim(old, d)
			if err != nil {
				return nil, s.Errorf("ops", "equation: operand %d, axis %d: want size %s, got %s", i, k, old, d)
			}
			out[l] = m
		}
	}
	return out, nil
}

// later returns the labels, each once, that operands from i on or the result still need.
func (q einsum) later(list []int, i int) []int {
	var out []int
	for _, l := range list {
		need := slices.Contains(q.out, l) || slices.ContainsFunc(q.in[min(i, len(q.in)):], func(x []int) bool { return slices.Contains(x, l) })
		if need && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

func inferEinsum(s *Site) ([]Fact, error) {
	q, err := parseEinsum(s)
	if err != nil {
		return nil, err
	}
	dims, err := q.dims(s)
	if err != nil {
		return nil, err
	}
	out := make([]ir.Dim, len(q.out))
	for k, l := range q.out {
		out[k] = dims[l]
	}
	return []Fact{tensorFact(s.In[0].Type.Elem, out)}, nil
}

// labelled is a value with a label per axis, each once.
type labelled struct {
	id   prim.ID
	axes []int
}

func lowerEinsum(l *Lowering) ([]prim.ID, error) {
	q, err := parseEinsum(l.Site)
	if err != nil {
		return nil, err
	}
	b := l.B
	x := diagonals(b, labelled{l.In[0], q.in[0]})
	for i := 1; i < len(q.in); i++ {
		y := diagonals(b, labelled{l.In[i], q.in[i]})
		keep := q.later(slices.Concat(x.axes, y.axes), i+1)
		x = contract(b, x, y, keep)
	}
	x = sumOut(b, x, q.out)
	return []prim.ID{arrange(b, x, q.out)}, nil
}

// diagonals leaves one axis of those that share a label.
func diagonals(b *prim.Builder, x labelled) labelled {
	for k := 0; k < len(x.axes); k++ {
		j := slices.Index(x.axes[k+1:], x.axes[k])
		if j < 0 || b.Err() != nil {
			continue
		}
		j += k + 1
		shape := b.Shape(x.id)
		n := shape[k]
		if shape[j] != n {
			return labelled{b.Fail(errDiagonal), x.axes}
		}
		var perm, rest, axes []int
		for i := range shape {
			if i != k && i != j {
				perm, rest, axes = append(perm, i), append(rest, shape[i]), append(axes, x.axes[i])
			}
		}
		index := make([]int64, n)
		for i := range index {
			index[i] = int64(i * (n + 1))
		}
		flat := b.Reshape(b.Transpose(x.id, append(perm, k, j)...), append(rest, n*n)...)
		x = labelled{b.Add(prim.Gather{Axis: len(rest)}, flat, b.Const(prim.I64Tensor(index, n))), append(axes, x.axes[k])}
		k = -1
	}
	return x
}

// sumOut adds up the axes whose labels are not kept.
func sumOut(b *prim.Builder, x labelled, keep []int) labelled {
	var drop, axes []int
	for k, l := range x.axes {
		if slices.Contains(keep, l) {
			axes = append(axes, l)
		} else {
			drop = append(drop, k)
		}
	}
	if drop == nil || b.Err() != nil {
		return x
	}
	return labelled{b.Squeeze(b.Sum(x.id, drop...), drop...), axes}
}

// arrange transposes x to the order of labels; labels that x lacks become axes of size 1.
func arrange(b *prim.Builder, x labelled, order []int) prim.ID {
	if b.Err() != nil {
		return prim.Invalid
	}
	var perm, shape []int
	for _, l := range order {
		if k := slices.Index(x.axes, l); k >= 0 {
			perm = append(perm, k)
			shape = append(shape, b.Shape(x.id)[k])
		} else {
			shape = append(shape, 1)
		}
	}
	return b.Reshape(b.Transpose(x.id, perm...), shape...)
}

// contract multiplies two values and sums over the labels that are not kept.
func contract(b *prim.Builder, x, y labelled, keep []int) labelled {
	both := func(l int) bool { return slices.Contains(x.axes, l) && slices.Contains(y.axes, l) }
	x = sumOut(b, x, append(slices.Clone(keep), y.axes...))
	y = sumOut(b, y, append(slices.Clone(keep), x.axes...))
	if b.Err() != nil {
		return labelled{prim.Invalid, keep}
	}
	var batch, inner, rows, cols []int
	for k, l := range x.axes {
		switch {
		case both(l) && slices.Contains(keep, l):
			batch = append(batch, l)
		case both(l):
			if n, m := b.Shape(x.id)[k], b.Shape(y.id)[slices.Index(y.axes, l)]; n != m {
				x, y = stretch(b, x, l, max(n, m)), stretch(b, y, l, max(n, m))
			}
			inner = append(inner, l)
		default:
			rows = append(rows, l)
		}
	}
	for _, l := range y.axes {
		if !both(l) {
			cols = append(cols, l)
		}
	}
	px, py := arrange(b, x, slices.Concat(batch, rows, inner)), arrange(b, y, slices.Concat(batch, inner, cols))
	if b.Err() != nil {
		return labelled{prim.Invalid, keep}
	}
	sx, sy, n := b.Shape(px), b.Shape(py), len(batch)
	r, m := sx[n:n+len(rows)], prim.Prod(sx[n+len(rows):])
	c := sy[n+len(inner):]
	z := b.MatMul(b.Reshape(px, slices.Concat(sx[:n], []int{prim.Prod(r), m})...), b.Reshape(py, slices.Concat(sy[:n], []int{m, prim.Prod(c)})...), false, false)
	if b.Err() != nil {
		return labelled{prim.Invalid, keep}
	}
	return labelled{b.Reshape(z, slices.Concat(b.Shape(z)[:n], r, c)...), slices.Concat(batch, rows, cols)}
}

// stretch broadcasts the axis of one label to size n.
func stretch(b *prim.Builder, x labelled, label, n int) labelled {
	shape := slices.Clone(b.Shape(x.id))
	shape[slices.Index(x.axes, label)] = n
	return labelled{b.Broadcast(x.id, shape...), x.axes}
}
