package enginetest

import (
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// workload is one benchmark: a function of normal F32 inputs, and its size.
type workload struct {
	name   string
	shapes [][]int
	make   Function
	// flops counts multiplications and additions; 0 means that the workload is
	// measured by bytes, the least number of tensor passes times the first shape.
	flops  int
	passes int
}

// Bench measures a backend on named workloads, in GFLOP/s or GB/s.
func Bench(b *testing.B, backend engine.Backend) {
	for _, w := range workloads() {
		b.Run(w.name, func(b *testing.B) { w.run(b, backend) })
	}
}

func (w workload) run(b *testing.B, backend engine.Backend) {
	random := rng.New(1, "enginetest/bench")
	bld := prim.NewBuilder()
	var ids []prim.ID
	var bufs []engine.Buffer
	for i, s := range w.shapes {
		x := normal(random, s...).Cast(prim.F32)
		ids = append(ids, bld.Input(string(rune('a'+i)), x.Type))
		buf, err := backend.Upload(x)
		if err != nil {
			b.Fatal(err)
		}
		bufs = append(bufs, buf)
	}
	bld.Output("y", w.make(bld, ids))
	p, err := bld.Program()
	if err != nil {
		b.Fatal(err)
	}
	exe, err := backend.Compile(p)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		out, err := exe.Run(bufs)
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range out {
			o.Free()
		}
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	if w.flops > 0 {
		b.ReportMetric(float64(w.flops)/seconds/1e9, "GFLOP/s")
	} else {
		b.ReportMetric(float64(w.passes*4*prim.Prod(w.shapes[0]))/seconds/1e9, "GB/s")
	}
}

// workloads are the products of a transformer layer and the layers of ResNet-20
// at batch 128, with memory-bound work beside them.
func workloads() []workload {
	product := func(name string, m, k, n int, p prim.MatMul) workload {
		return workload{name: "matmul_" + name, shapes: [][]int{swapped(m, k, p.TransA), swapped(k, n, p.TransB)}, make: apply(p), flops: 2 * m * k * n}
	}
	list := []workload{
		product("1024x1024x1024", 1024, 1024, 1024, prim.MatMul{}),
		product("4096x192x768", 4096, 192, 768, prim.MatMul{}),
		product("4096x192x768_tb", 4096, 192, 768, prim.MatMul{TransB: true}),
		product("192x4096x768_ta", 192, 4096, 768, prim.MatMul{TransA: true}),
	}
	for _, l := range []struct {
		name                                 string
		groups, cg, mg, size, kernel, stride int
	}{
		{"3x3_3_16_32", 1, 3, 16, 32, 3, 1},
		{"3x3_16_16_32", 1, 16, 16, 32, 3, 1},
		{"3x3_16_32_32_s2", 1, 16, 32, 32, 3, 2},
		{"3x3_32_32_16", 1, 32, 32, 16, 3, 1},
		{"3x3_64_64_8", 1, 64, 64, 8, 3, 1},
		{"1x1_64_64_16", 1, 64, 64, 16, 1, 1},
		{"depthwise3x3_64_16", 64, 1, 1, 16, 3, 1},
	} {
		list = append(list, convolutionWorkloads(l.name, 128, l.groups, l.cg, l.mg, l.size, l.kernel, l.stride)...)
	}
	return append(list, memoryWorkloads()...)
}

func convolutionWorkloads(name string, n, groups, cg, mg, size, kernel, stride int) []workload {
	w := prim.UnitWindow(kernel/2, kernel/2)
	w.Strides = []int{stride, stride}
	c := prim.Conv{Window: w, Groups: groups}
	o := w.OutSize(0, size, kernel)
	x, k, g := []int{n, groups * cg, size, size}, []int{groups * mg, cg, kernel, kernel}, []int{n, groups * mg, o, o}
	flops := 2 * prim.Prod(g) * cg * kernel * kernel
	return []workload{
		{name: "conv_" + name, shapes: [][]int{x, k}, make: apply(c), flops: flops},
		{name: "conv_input_grad_" + name, shapes: [][]int{g, k}, make: apply(prim.ConvInputGrad{Conv: c, In: x[2:]}), flops: flops},
		{name: "conv_weight_grad_" + name, shapes: [][]int{x, g}, make: apply(prim.ConvWeightGrad{Conv: c, Kernel: k[2:]}), flops: flops},
	}
}

func memoryWorkloads() []workload {
	image, channel := []int{128, 16, 32, 32}, []int{1, 16, 1, 1}
	tokens, feature := []int{8192, 192}, []int{1, 192}
	block := func(b *prim.Builder, in []prim.ID) prim.ID {
		return b.Relu(standardise(b, in[0], in[1], in[2], 0, 2, 3))
	}
	return []workload{
		{name: "add", shapes: [][]int{image, image}, make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Plus(in[0], in[1]) }, passes: 3},
		{name: "batchnorm_relu", shapes: [][]int{image, channel, channel}, make: block, passes: 4},
		{name: "batchnorm_relu_grad", shapes: [][]int{image, channel, channel, image}, make: gradient(block), passes: 8},
		{name: "softmax", shapes: [][]int{tokens}, make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Softmax(in[0], 1) }, passes: 2},
		{name: "layernorm", shapes: [][]int{tokens, feature, feature}, passes: 2,
			make: func(b *prim.Builder, in []prim.ID) prim.ID { return standardise(b, in[0], in[1], in[2], 1) }},
		{name: "transpose_nhwc", shapes: [][]int{image}, make: apply(prim.Transpose{Perm: []int{0, 2, 3, 1}}), passes: 2},
		{name: "gelu", shapes: [][]int{tokens}, passes: 2, make: func(b *prim.Builder, in []prim.ID) prim.ID {
			op, x := prim.Op, prim.A(0)
			return b.Map(op(prim.Mul, op(prim.Mul, x, prim.L(0.5)), op(prim.Add, prim.L(1), op(prim.Erf, op(prim.Mul, x, prim.L(0.70710678))))), in[0])
		}},
	}
}

// gradient returns the gradient of Σ last·f in the first input, forward included.
func gradient(f Function) Function {
	return func(b *prim.Builder, in []prim.ID) prim.ID {
		last := len(in) - 1
		y := f(b, in[:last])
		axes := make([]int, len(b.Shape(y)))
		for i := range axes {
			axes[i] = i
		}
		g, err := engine.Grad(b, b.Reduce(prim.ReduceSum, axes, prim.Op(prim.Mul, prim.A(0), prim.A(1)), y, in[last]), in[:1])
		if err != nil {
			return b.Fail(err)
		}
		return g[0]
	}
}
