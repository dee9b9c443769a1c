package subnet_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/entangle-nas/entangle/ir"
)

// style says how a transformer of two blocks is spelled.
type style struct {
	image    bool   // patches in; else token ids and, with pad, a mask of 1 and 0
	pad      bool   // the mask becomes -1e4 where tokens are absent
	qkv      string // separate, five (Reshape to [3,H,D]), split, slice
	gemm     bool   // Gemm over merged rows; else MatMul and Add
	norm     string // layer, layer-spelled, rms, rms-spelled
	post     bool   // norms after the residual adds
	joined   bool   // the residual adds are part of the norms behind them, as in ONNX Runtime's files
	mask     string // "", add, where
	scale    string // Mul, Div, before (both operands by the root)
	kv       int    // key and value heads
	repeat   string // expand, concat, broadcast, gather: how they meet the query heads
	rotary   string // "", half, pairs, shared (angles that all layers have in common)
	flat     bool   // batch and heads merged
	rows     bool   // batch and heads merged, sequence first, as in torch.nn.MultiheadAttention
	einsum   bool   // products over heads by Einsum
	bias     string // relative position bias from a table, added to the scores: "", own, shared (the first layer's)
	cache    bool   // keys and values of three tokens before come in and go out with the new ones
	fused    string // mha, packed, packed-kv, grouped, grouped-packed, whole (ONNX Runtime's), standard: the attention is one node
	wide     int    // width of the heads of a grouped node; 0: deep
	odd      string // heads that cannot be followed: stacked (one projection each), strided
	mlp      string // erf, tanh, gated, gated-fused
	tied     bool   // the head is the transposed embedding
	computed bool   // targets of reshapes come from Shape
}

// Sizes: no two axes that could be confused have one size.
const (
	width, heads, deep, hidden, length, vocab, blocks = 12, 6, 2, 10, 5, 11, 2
)

type sketch struct {
	style
	g    *ir.Graph
	r    *rand.Rand
	made int
	once map[string]string // what all layers share
}

func (k *sketch) name(prefix string) string {
	k.made++
	return fmt.Sprintf("%s%d", prefix, k.made)
}

func (k *sketch) op(op string, in []string, attrs ...ir.Attr) string {
	return k.ops(op, 1, in, attrs...)[0]
}

func (k *sketch) ops(op string, outs int, in []string, attrs ...ir.Attr) []string {
	n := &ir.Node{Name: k.name(op), OpType: op, Inputs: in, Attrs: attrs}
	for range outs {
		n.Outputs = append(n.Outputs, k.name("v"))
	}
	k.g.Nodes = append(k.g.Nodes, n)
	return n.Outputs
}

func (k *sketch) weight(dims ...int) string {
	v := make([]float32, ir.Prod(dims))
	for i := range v {
		v[i] = float32(k.r.NormFloat64() * 0.6)
	}
	return k.init(ir.NewFloat32(k.name("w"), dims, v))
}

func (k *sketch) init(t *ir.Tensor) string {
	k.g.Inits = append(k.g.Inits, t)
	return t.Name
}

func (k *sketch) ints(v ...int64) string {
	return k.init(ir.NewInt64(k.name("i"), []int{len(v)}, v))
}

func (k *sketch) scalar(v float64) string {
	return k.init(ir.NewFloat32(k.name("s"), nil, []float32{float32(v)}))
}

func (k *sketch) add(x, y string) string { return k.op("Add", []string{x, y}) }
func (k *sketch) mul(x, y string) string { return k.op("Mul", []string{x, y}) }

// size is element axis of the sizes of x, [1].
func (k *sketch) size(x string, axis int) string {
	return k.op("Gather", []string{k.op("Shape", []string{x}), k.ints(int64(axis))}, ir.IntAttr("axis", 0))
}

// view reshapes x; a target entry of 0 copies the size of that axis of like.
func (k *sketch) view(x, like string, target ...int64) string {
	if !k.computed {
		return k.op("Reshape", []string{x, k.ints(target...)})
	}
	var parts []string
	for i, n := range target {
		if n == 0 {
			parts = append(parts, k.size(like, i))
		} else {
			parts = append(parts, k.ints(n))
		}
	}
	return k.op("Reshape", []string{x, k.op("Concat", parts, ir.IntAttr("axis", 0))})
}

func (k *sketch) transpose(x string, perm ...int) string {
	return k.op("Transpose", []string{x}, ir.IntsAttr("perm", perm...))
}

func (k *sketch) slice(x string, axis, from, to, step int) string {
	return k.op("Slice", []string{x, k.ints(int64(from)), k.ints(int64(to)), k.ints(int64(axis)), k.ints(int64(step))})
}

func (k *sketch) linear(x string, in, out int) string {
	if !k.gemm {
		return k.add(k.op("MatMul", []string{x, k.weight(in, out)}), k.weight(out))
	}
	rows := k.op("Reshape", []string{x, k.ints(-1, int64(in))})
	y := k.op("Gemm", []string{rows, k.weight(out, in), k.weight(out)}, ir.IntAttr("transB", 1))
	return k.op("Reshape", []string{y, k.op("Concat", []string{k.size(x, 0), k.size(x, 1), k.ints(int64(out))}, ir.IntAttr("axis", 0))})
}

func (k *sketch) normalise(x string) string {
	mean := func(x string) string {
		return k.op("ReduceMean", []string{x}, ir.IntsAttr("axes", -1), ir.IntAttr("keepdims", 1))
	}
	switch k.norm {
	case "layer":
		return k.op("LayerNormalization", []string{x, k.weight(width), k.weight(width)}, ir.IntAttr("axis", -1), ir.FloatAttr("epsilon", 1e-5))
	case "counted":
		count := k.op("Cast", []string{k.size(x, 2)}, ir.IntAttr("to", int(ir.Float32)))
		sum := k.op("ReduceSum", []string{k.mul(x, x), k.ints(-1)}, ir.IntAttr("keepdims", 1))
		s := k.op("Sqrt", []string{k.add(k.op("Div", []string{sum, count}), k.scalar(1e-5))})
		return k.mul(k.op("Div", []string{x, s}), k.weight(width))
	case "simplified":
		return k.op("SimplifiedLayerNormalization", []string{x, k.weight(width)}, ir.IntAttr("axis", -1), ir.FloatAttr("epsilon", 1e-5))
	case "skip", "skip-simplified":
		// The sum with a constant stands for the residual one, which the depth needs as a node.
		in, op := []string{x, k.weight(1, length, width), k.weight(width)}, "SkipLayerNormalization"
		if k.norm == "skip-simplified" {
			op = "SkipSimplifiedLayerNormalization"
		}
		y := k.op(op, in, ir.FloatAttr("epsilon", 1e-5))
		k.g.Nodes[len(k.g.Nodes)-1].Domain = microsoft
		return y
	case "rms":
		return k.op("RMSNormalization", []string{x, k.weight(width)}, ir.IntAttr("axis", -1))
	case "layer-spelled":
		d := k.op("Sub", []string{x, mean(x)})
		s := k.op("Sqrt", []string{k.add(mean(k.op("Pow", []string{d, k.scalar(2)})), k.scalar(1e-5))})
		return k.add(k.mul(k.op("Div", []string{d, s}), k.weight(width)), k.weight(width))
	}
	s := k.op("Sqrt", []string{k.add(mean(k.mul(x, x)), k.scalar(1e-5))})
	return k.mul(k.mul(x, k.op("Div", []string{k.scalar(1), s})), k.weight(width))
}

// joined appends all blocks with norms that add.
func (k *sketch) joined(x, mask string) string {
	norm := func(x, branch string) (y, sum string) {
		n := &ir.Node{Name: k.name("SkipNorm"), OpType: "SkipLayerNormalization", Domain: microsoft,
			Inputs: []string{x, branch, k.weight(width), k.weight(width), k.weight(width)}, Outputs: []string{k.name("v"), "", "", k.name("v")}}
		if k.norm == "skip-simplified" {
			n.OpType, n.Inputs = "SkipSimplifiedLayerNormalization", n.Inputs[:3]
		}
		if k.post {
			n.Outputs = n.Outputs[:1]
		}
		k.g.Nodes = append(k.g.Nodes, n)
		return n.Outputs[0], n.Outputs[len(n.Outputs)-1]
	}
	y := x
	if !k.post {
		y = k.normalise(x)
	}
	for range blocks {
		y, x = norm(x, k.attention(y, mask))
		y, x = norm(x, k.feedforward(y))
	}
	return y
}

// rotate turns pairs of positions of the last axis of x [B,T,H,D] by angles of their own.
func (k *sketch) rotate(x string) string {
	half := deep / 2
	if k.rotary == "shared" {
		if k.once["cos"] == "" {
			at := k.op("Cast", []string{k.op("Unsqueeze", []string{"ids", k.ints(2, 3)})}, ir.IntAttr("to", int(ir.Float32)))
			angles := k.mul(at, k.weight(half))
			angles = k.op("Concat", []string{angles, angles}, ir.IntAttr("axis", -1))
			k.once["cos"], k.once["sin"] = k.op("Cos", []string{angles}), k.op("Sin", []string{angles})
		}
		lo, hi := k.slice(x, 3, 0, half, 1), k.slice(x, 3, half, deep, 1)
		turned := k.op("Concat", []string{k.op("Neg", []string{hi}), lo}, ir.IntAttr("axis", -1))
		return k.add(k.mul(x, k.once["cos"]), k.mul(turned, k.once["sin"]))
	}
	sin, cos := k.weight(length, 1, half), k.weight(length, 1, half)
	switch k.rotary {
	case "half":
		wide := func(t string) string { return k.op("Concat", []string{t, t}, ir.IntAttr("axis", -1)) }
		lo, hi := k.slice(x, 3, 0, half, 1), k.slice(x, 3, half, deep, 1)
		turned := k.op("Concat", []string{k.op("Neg", []string{hi}), lo}, ir.IntAttr("axis", -1))
		return k.add(k.mul(x, wide(cos)), k.mul(turned, wide(sin)))
	case "pairs":
		even, odd := k.slice(x, 3, 0, math.MaxInt64, 2), k.slice(x, 3, 1, math.MaxInt64, 2)
		a := k.op("Sub", []string{k.mul(even, cos), k.mul(odd, sin)})
		b := k.add(k.mul(even, sin), k.mul(odd, cos))
		up := func(t string) string { return k.op("Unsqueeze", []string{t, k.ints(-1)}) }
		both := k.op("Concat", []string{up(a), up(b)}, ir.IntAttr("axis", -1))
		return k.op("Reshape", []string{both, k.ints(0, 0, 0, deep)})
	}
	return x
}

// project returns q, k, v as [B,H,T,D], k and v with k.kv heads.
func (k *sketch) project(x string) [3]string {
	var out [3]string
	if k.odd != "" {
		for i := range out {
			out[i] = k.oddHeads(x)
		}
		return out
	}
	if k.qkv == "five" {
		y := k.transpose(k.view(k.linear(x, width, 3*heads*deep), x, 0, 0, 3, heads, deep), 2, 0, 3, 1, 4)
		for i := range out {
			index := k.init(ir.NewInt64(k.name("i"), nil, []int64{int64(i)}))
			out[i] = k.op("Gather", []string{y, index}, ir.IntAttr("axis", 0))
		}
		return out
	}
	counts := [3]int{heads, k.kv, k.kv}
	switch k.qkv {
	case "split":
		y := k.linear(x, width, (heads+2*k.kv)*deep)
		lens := k.ints(int64(heads*deep), int64(k.kv*deep), int64(k.kv*deep))
		copy(out[:], k.ops("Split", 3, []string{y, lens}, ir.IntAttr("axis", -1)))
	case "slice":
		y, at := k.linear(x, width, (heads+2*k.kv)*deep), 0
		for i, n := range counts {
			out[i] = k.slice(y, 2, at, at+n*deep, 1)
			at += n * deep
		}
	default:
		for i, n := range counts {
			out[i] = k.linear(x, width, n*deep)
		}
	}
	for i, n := range counts {
		y := k.view(out[i], x, 0, 0, int64(n), deep)
		if i < 2 {
			y = k.rotate(y)
		}
		out[i] = k.transpose(y, 0, 2, 1, 3)
	}
	return out
}

// oddHeads returns x's projection as [B,H,T,D] in a way that hides the heads.
func (k *sketch) oddHeads(x string) string {
	var all []string
	wide := ""
	if k.odd == "strided" {
		wide = k.linear(x, width, heads*deep)
	}
	for i := range heads {
		var y string
		if k.odd == "strided" {
			y = k.slice(wide, 2, i, heads*deep, heads)
		} else {
			y = k.linear(x, width, deep)
		}
		all = append(all, k.op("Unsqueeze", []string{y, k.ints(1)}))
	}
	return k.op("Concat", all, ir.IntAttr("axis", 1))
}

// repeated gives every key or value head to its query heads.
func (k *sketch) repeated(x string) string {
	each := int64(heads / k.kv)
	kv := int64(k.kv)
	up := func() string { return k.op("Unsqueeze", []string{x, k.ints(2)}) }
	if k.kv == heads || k.kv == 1 && k.repeat == "" {
		return x
	}
	switch k.repeat {
	case "gather":
		var index []int64
		for i := range int64(heads) {
			index = append(index, i/each)
		}
		return k.op("Gather", []string{x, k.ints(index...)}, ir.IntAttr("axis", 1))
	case "concat":
		u := up()
		var all []string
		for range each {
			all = append(all, u)
		}
		return k.view(k.op("Concat", all, ir.IntAttr("axis", 2)), x, 0, heads, length, deep)
	}
	target := k.op("Concat", []string{k.size(x, 0), k.ints(kv), k.ints(each), k.size(x, 2), k.ints(deep)}, ir.IntAttr("axis", 0))
	if !k.computed {
		target = k.ints(1, kv, each, 1, deep)
	}
	return k.view(k.op("Expand", []string{up(), target}), x, 0, heads, length, deep)
}

func (k *sketch) attention(x, mask string) string {
	switch {
	case k.fused != "":
		return k.fusedAttention(x)
	case k.rows:
		return k.rowsAttention(x)
	case k.einsum:
		return k.einsumAttention(x)
	}
	p := k.project(x)
	if k.cache {
		for i := 1; i < 3; i++ {
			past := k.name("past")
			t := ir.TensorType(ir.Float32, -1, k.kv, 3, deep)
			t.Shape[0].Param = "batch"
			k.g.Inputs = append(k.g.Inputs, ir.Value{Name: past, Type: t})
			p[i] = k.op("Concat", []string{past, p[i]}, ir.IntAttr("axis", 2))
			k.g.Outputs = append(k.g.Outputs, ir.Value{Name: p[i]})
		}
	}
	q, key, v := p[0], k.repeated(p[1]), k.repeated(p[2])
	if k.repeat == "broadcast" {
		each := int64(heads / k.kv)
		q = k.view(q, x, 0, int64(k.kv), each, length, deep)
		key, v = k.op("Unsqueeze", []string{p[1], k.ints(2)}), k.op("Unsqueeze", []string{p[2], k.ints(2)})
		key = k.transpose(key, 0, 1, 2, 4, 3)
	} else {
		key = k.transpose(key, 0, 1, 3, 2)
	}
	if k.flat {
		q = k.op("Reshape", []string{q, k.ints(-1, length, deep)})
		v = k.op("Reshape", []string{v, k.ints(-1, length, deep)})
		key = k.op("Reshape", []string{key, k.ints(-1, deep, length)})
	}
	root := math.Sqrt(deep)
	if k.scale == "before" {
		q, key = k.mul(q, k.scalar(1/math.Sqrt(root))), k.mul(key, k.scalar(1/math.Sqrt(root)))
	}
	s := k.op("MatMul", []string{q, key})
	switch k.scale {
	case "Mul":
		s = k.mul(s, k.scalar(1/root))
	case "Div":
		s = k.op("Div", []string{s, k.scalar(root)})
	}
	parted := k.flat && (mask != "" || k.mask == "add")
	if parted {
		s = k.op("Reshape", []string{s, k.ints(-1, heads, length, length)})
	}
	if mask != "" {
		s = k.add(s, mask)
	}
	switch {
	case k.bias == "own":
		s = k.add(s, k.relative())
	case k.bias == "shared" && k.once["bias"] == "":
		k.once["bias"] = k.relative()
		fallthrough
	case k.bias == "shared":
		s = k.add(s, k.once["bias"])
	}
	causal := make([]int64, length*length)
	low := make([]float32, length*length)
	for i := range causal {
		if i%length <= i/length {
			causal[i] = 1
		} else {
			low[i] = -1e4
		}
	}
	switch k.mask {
	case "add":
		s = k.add(s, k.init(ir.NewFloat32(k.name("m"), []int{length, length}, low)))
	case "where":
		t, _ := ir.NewInts(k.name("m"), ir.Bool, []int{1, 1, length, length}, causal)
		s = k.op("Where", []string{k.init(t), s, k.scalar(-1e4)})
	}
	if parted {
		s = k.op("Reshape", []string{s, k.ints(-1, length, length)})
	}
	y := k.op("MatMul", []string{k.op("Softmax", []string{s}, ir.IntAttr("axis", -1)), v})
	switch {
	case k.flat:
		y = k.op("Reshape", []string{y, k.ints(-1, heads, length, deep)})
	case k.repeat == "broadcast":
		y = k.view(y, x, 0, heads, length, deep)
	}
	return k.linear(k.view(k.transpose(y, 0, 2, 1, 3), x, 0, 0, heads*deep), heads*deep, width)
}

// relative is a position bias [1,H,T,T]: a table of one row per distance.
func (k *sketch) relative() string {
	var index []int64
	for i := range length * length {
		index = append(index, int64(i/length-i%length+length-1))
	}
	rows := k.op("Gather", []string{k.weight(2*length-1, heads), k.ints(index...)}, ir.IntAttr("axis", 0))
	square := k.transpose(k.op("Reshape", []string{rows, k.ints(length, length, heads)}), 2, 0, 1)
	return k.op("Unsqueeze", []string{square, k.ints(0)})
}

// rowsAttention works on [T,B,E] and on [B·H,T,D].
func (k *sketch) rowsAttention(x string) string {
	x = k.transpose(x, 1, 0, 2)
	many := k.mul(k.size(x, 1), k.ints(heads))
	var p [3]string
	for i := range p {
		target := k.op("Concat", []string{k.size(x, 0), many, k.ints(deep)}, ir.IntAttr("axis", 0))
		p[i] = k.transpose(k.op("Reshape", []string{k.linear(x, width, heads*deep), target}), 1, 0, 2)
	}
	s := k.op("MatMul", []string{k.mul(p[0], k.scalar(1/math.Sqrt(deep))), k.transpose(p[1], 0, 2, 1)})
	y := k.op("MatMul", []string{k.op("Softmax", []string{s}, ir.IntAttr("axis", -1)), p[2]})
	back := k.op("Concat", []string{k.size(x, 0), k.size(x, 1), k.ints(heads * deep)}, ir.IntAttr("axis", 0))
	y = k.op("Reshape", []string{k.transpose(y, 1, 0, 2), back})
	return k.transpose(k.linear(y, heads*deep, width), 1, 0, 2)
}

// fusedAttention leaves q·k, softmax and mix to one node.
func (k *sketch) fusedAttention(x string) string {
	own := func(op string, in []string, attrs ...ir.Attr) string {
		y := k.op(op, in, attrs...)
		k.g.Nodes[len(k.g.Nodes)-1].Domain = microsoft
		return y
	}
	absent := ""
	if k.pad {
		absent = k.op("Cast", []string{"mask"}, ir.IntAttr("to", int(ir.Int32)))
	}
	var y string
	switch k.fused {
	case "whole":
		in := []string{x, k.weight(width, 3*heads*deep), k.weight(3 * heads * deep), absent}
		if k.bias == "own" {
			in = append(in, "", k.relative())
		}
		y = own("Attention", in, ir.IntAttr("num_heads", heads))
	case "packed":
		five := k.view(k.linear(x, width, heads*3*deep), x, 0, 0, heads, 3, deep)
		y = own("MultiHeadAttention", []string{five, "", "", k.weight(3 * heads * deep)}, ir.IntAttr("num_heads", heads))
	case "packed-kv":
		pair := k.view(k.linear(x, width, heads*2*deep), x, 0, 0, heads, 2, deep)
		y = own("MultiHeadAttention", []string{k.linear(x, width, heads*deep), pair}, ir.IntAttr("num_heads", heads))
	case "grouped", "grouped-packed":
		y = k.groupedNode(x)
	case "mha":
		q, key, v := k.linear(x, width, heads*deep), k.linear(x, width, heads*deep), k.linear(x, width, heads*deep)
		if k.cache {
			return k.cachedNode(q, key, v)
		}
		at := k.ints(0)
		q = own("RotaryEmbedding", []string{q, at, k.weight(length, deep/2), k.weight(length, deep/2)})
		y = own("MultiHeadAttention", []string{q, key, v, k.weight(3 * heads * deep), absent}, ir.IntAttr("num_heads", heads))
	default:
		q, key, v := k.linear(x, width, heads*deep), k.linear(x, width, k.kv*deep), k.linear(x, width, k.kv*deep)
		cos, sin := k.weight(1, length, deep/2), k.weight(1, length, deep/2)
		cos, sin = k.op("Expand", []string{cos, k.op("Concat", []string{k.size(x, 0), k.ints(1, 1)}, ir.IntAttr("axis", 0))}), k.op("Expand", []string{sin, k.op("Concat", []string{k.size(x, 0), k.ints(1, 1)}, ir.IntAttr("axis", 0))})
		q = k.op("RotaryEmbedding", []string{q, cos, sin}, ir.IntAttr("num_heads", heads))
		y = k.op("Attention", []string{q, key, v}, ir.IntAttr("q_num_heads", heads), ir.IntAttr("kv_num_heads", k.kv), ir.IntAttr("is_causal", 1))
	}
	return k.linear(y, heads*k.headWidth(), width)
}

func (k *sketch) headWidth() int {
	if k.wide > 0 {
		return k.wide
	}
	return deep
}

// groupedNode is ONNX Runtime's attention of decoders.
func (k *sketch) groupedNode(x string) string {
	n := &ir.Node{Name: k.name("GroupQueryAttention"), OpType: "GroupQueryAttention", Domain: microsoft, Outputs: []string{k.name("v")},
		Attrs: []ir.Attr{ir.IntAttr("num_heads", heads), ir.IntAttr("kv_num_heads", k.kv)}}
	if k.fused == "grouped" {
		n.Inputs = []string{k.linear(x, width, heads*k.headWidth()), k.linear(x, width, k.kv*k.headWidth()), k.linear(x, width, k.kv*k.headWidth()), "", ""}
	} else {
		n.Inputs = []string{k.linear(x, width, (heads+2*k.kv)*k.headWidth()), "", "", "", ""}
	}
	all := length
	if k.cache {
		all += 3
	}
	for i := range 2 {
		if present := k.name("present"); k.cache {
			n.Inputs[3+i] = k.name("past")
			t := ir.TensorType(ir.Float32, -1, k.kv, 3, k.headWidth())
			t.Shape[0].Param = "batch"
			k.g.Inputs = append(k.g.Inputs, ir.Value{Name: n.Inputs[3+i], Type: t})
			n.Outputs = append(n.Outputs, present)
			k.g.Outputs = append(k.g.Outputs, ir.Value{Name: present})
		}
	}
	number := func(v int, dims ...int) string {
		t, err := ir.NewInts(k.name("i"), ir.Int32, dims, []int64{int64(v)})
		if err != nil {
			panic(err)
		}
		return k.init(t)
	}
	n.Inputs = append(n.Inputs, k.op("Expand", []string{number(all-1, 1), k.size(x, 0)}), number(all))
	if k.rotary == "half" {
		n.Attrs = append(n.Attrs, ir.IntAttr("do_rotary", 1))
		n.Inputs = append(n.Inputs, k.weight(all, k.headWidth()/2), k.weight(all, k.headWidth()/2))
	}
	k.g.Nodes = append(k.g.Nodes, n)
	return n.Outputs[0]
}

// cachedNode is ONNX Runtime's attention with a cache of three tokens.
func (k *sketch) cachedNode(q, key, v string) string {
	n := &ir.Node{Name: k.name("MultiHeadAttention"), OpType: "MultiHeadAttention", Domain: microsoft,
		Inputs: []string{q, key, v, "", "", ""}, Outputs: []string{k.name("v")}, Attrs: []ir.Attr{ir.IntAttr("num_heads", heads)}}
	for range 2 {
		t := ir.TensorType(ir.Float32, -1, heads, 3, deep)
		t.Shape[0].Param = "batch"
		past, present := k.name("past"), k.name("present")
		k.g.Inputs = append(k.g.Inputs, ir.Value{Name: past, Type: t})
		n.Inputs, n.Outputs = append(n.Inputs, past), append(n.Outputs, present)
		k.g.Outputs = append(k.g.Outputs, ir.Value{Name: present})
	}
	k.g.Nodes = append(k.g.Nodes, n)
	return k.linear(n.Outputs[0], heads*deep, width)
}

// einsumAttention never moves the heads from axis 2 of [B,T,H,D].
func (k *sketch) einsumAttention(x string) string {
	var p [3]string
	for i := range p {
		p[i] = k.view(k.linear(x, width, heads*deep), x, 0, 0, heads, deep)
	}
	s := k.op("Einsum", []string{p[0], p[1]}, ir.StringAttr("equation", "bthd,bshd->bhts"))
	s = k.op("Softmax", []string{k.op("Div", []string{s, k.scalar(math.Sqrt(deep))})}, ir.IntAttr("axis", -1))
	y := k.op("Einsum", []string{s, p[2]}, ir.StringAttr("equation", "bhts,bshd->bthd"))
	return k.linear(k.view(y, x, 0, 0, heads*deep), heads*deep, width)
}

func (k *sketch) feedforward(x string) string {
	switch k.mlp {
	case "gated", "gated-fused":
		var gate, up string
		if k.mlp == "gated" {
			gate, up = k.linear(x, width, hidden), k.linear(x, width, hidden)
		} else {
			both := k.ops("Split", 2, []string{k.linear(x, width, 2*hidden), k.ints(hidden, hidden)}, ir.IntAttr("axis", -1))
			gate, up = both[0], both[1]
		}
		return k.linear(k.mul(k.mul(gate, k.op("Sigmoid", []string{gate})), up), hidden, width)
	}
	h := k.linear(x, width, hidden)
	var bend string
	if k.mlp == "erf" {
		bend = k.op("Erf", []string{k.op("Div", []string{h, k.scalar(math.Sqrt2)})})
	} else {
		cube := k.op("Pow", []string{h, k.scalar(3)})
		bend = k.op("Tanh", []string{k.mul(k.add(h, k.mul(cube, k.scalar(0.044715))), k.scalar(math.Sqrt(2/math.Pi)))})
	}
	return k.linear(k.mul(k.mul(h, k.add(bend, k.scalar(1))), k.scalar(0.5)), hidden, width)
}

// transformer builds the model of a style: inputs "x" or "ids" (and "mask"), output "y".
func transformer(s style) *ir.Model {
	k := &sketch{style: s, g: &ir.Graph{Name: "transformer"}, r: rand.New(rand.NewPCG(3, 4)), once: map[string]string{}}
	opset := int64(17)
	if s.norm == "rms" || s.fused == "standard" {
		opset = 23
	}
	input := func(name string, d ir.DType, sizes ...int) {
		t := ir.TensorType(d, append([]int{-1}, sizes...)...)
		t.Shape[0].Param = "batch"
		k.g.Inputs = append(k.g.Inputs, ir.Value{Name: name, Type: t})
	}
	var x, mask, table string
	if s.image {
		input("x", ir.Float32, length-1, 7)
		x = k.linear("x", 7, width)
		shape := k.op("Concat", []string{k.size("x", 0), k.ints(1), k.ints(width)}, ir.IntAttr("axis", 0))
		first := k.op("Expand", []string{k.weight(1, 1, width), shape})
		x = k.add(k.op("Concat", []string{first, x}, ir.IntAttr("axis", 1)), k.weight(length, width))
	} else {
		input("ids", ir.Int64, length)
		table = k.weight(vocab, width)
		x = k.add(k.op("Gather", []string{table, "ids"}), k.weight(length, width))
	}
	if s.pad {
		input("mask", ir.Int64, length)
		m := k.op("Cast", []string{k.op("Unsqueeze", []string{"mask", k.ints(1, 2)})}, ir.IntAttr("to", int(ir.Float32)))
		mask = k.mul(k.op("Sub", []string{k.scalar(1), m}), k.scalar(-1e4))
	}
	if s.joined {
		x = k.joined(x, mask)
	}
	for range blocks {
		if s.joined {
			break
		}
		if s.post {
			x = k.normalise(k.add(x, k.attention(x, mask)))
			x = k.normalise(k.add(k.feedforward(x), x))
		} else {
			x = k.add(x, k.attention(k.normalise(x), mask))
			x = k.add(x, k.feedforward(k.normalise(x)))
		}
	}
	if !s.post && !s.joined {
		x = k.normalise(x)
	}
	var y string
	switch {
	case s.tied:
		y = k.op("MatMul", []string{x, k.transpose(table, 1, 0)})
	case s.image:
		index := k.init(ir.NewInt64(k.name("i"), nil, []int64{0}))
		y = k.op("Gemm", []string{k.op("Gather", []string{x, index}, ir.IntAttr("axis", 1)), k.weight(7, width), k.weight(7)}, ir.IntAttr("transB", 1))
	default:
		y = k.op("MatMul", []string{x, k.weight(width, vocab)})
	}
	k.g.Outputs = append([]ir.Value{{Name: y}}, k.g.Outputs...)
	return &ir.Model{IRVersion: 10, Opsets: []ir.Opset{{Version: opset}, {Domain: microsoft, Version: 1}}, Graph: k.g}
}
