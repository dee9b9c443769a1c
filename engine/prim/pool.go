package prim

import "fmt"

// Pool is the geometry of a pooling window over [N, C, S…].
type Pool struct {
	Window
	Kernel []int
}

func (p Pool) shape(name string, x []int) ([]int, error) {
	if len(x) < 3 || len(p.Kernel) != len(x)-2 {
		return nil, fmt.Errorf("%s: want rank ≥ 3 and a kernel size per spatial axis, got %v and kernel %v", name, x, p.Kernel)
	}
	if err := p.Window.check(name, len(x)-2); err != nil {
		return nil, err
	}
	out := []int{x[0], x[1]}
	for i, k := range p.Kernel {
		o := p.OutSize(i, x[i+2], k)
		if k < 1 || o < 1 {
			return nil, fmt.Errorf("%s: spatial axis %d: size %d with pads %d, %d is smaller than the kernel %d (dilation %d)", name, i, x[i+2], p.PadLo[i], p.PadHi[i], k, p.Dilations[i])
		}
		out = append(out, o)
	}
	return out, nil
}

// MaxPool takes the maximum over each window; padding never wins (-Inf). A
// window that holds only padding gives -Inf, the smallest value in I64. What a
// window with a NaN gives is up to the backend.
type MaxPool struct {
	Pool
}

// Name returns "maxpool".
func (MaxPool) Name() string { return "maxpool" }

// Infer returns [N, C, O…].
func (p MaxPool) Infer(in []Type) (Type, error) {
	if len(in) != 1 || in[0].DType == Bool {
		return Type{}, fmt.Errorf("maxpool: want 1 numeric operand, got %v", in)
	}
	s, err := p.shape("maxpool", in[0].Shape)
	return Type{in[0].DType, s}, err
}

// MaxPoolIndex gives, as I64, the flat position within the spatial plane S… of
// the element that MaxPool takes (the first among equals), -1 where the window is all padding.
type MaxPoolIndex struct {
	Pool
}

// Name returns "maxpool_index".
func (MaxPoolIndex) Name() string { return "maxpool_index" }

// Infer returns I64 [N, C, O…].
func (p MaxPoolIndex) Infer(in []Type) (Type, error) {
	if len(in) != 1 || in[0].DType == Bool {
		return Type{}, fmt.Errorf("maxpool_index: want 1 numeric operand, got %v", in)
	}
	s, err := p.shape("maxpool_index", in[0].Shape)
	return Type{I64, s}, err
}

// MaxPoolGrad maps x [N, C, S…] and g [N, C, O…] to the gradient of MaxPool in
// x: each g goes to the first maximum of its window.
type MaxPoolGrad struct {
	Pool
}

// Name returns "maxpool_grad".
func (MaxPoolGrad) Name() string { return "maxpool_grad" }

// Infer returns x's type.
func (p MaxPoolGrad) Infer(in []Type) (Type, error) {
	if len(in) != 2 || in[0].DType != in[1].DType || !in[0].DType.Float() {
		return Type{}, fmt.Errorf("maxpool_grad: want 2 float operands of one dtype, got %v", in)
	}
	return in[0], p.checkGrad("maxpool_grad", in[0].Shape, in[1].Shape)
}

func (p Pool) checkGrad(name string, x, g []int) error {
	s, err := p.shape(name, x)
	if err == nil && fmt.Sprint(s) != fmt.Sprint(g) {
		err = fmt.Errorf("%s: gradient: want %v, got %v", name, s, g)
	}
	return err
}

// SumPool adds up each window of x [N, C, S…]; padding counts as zero. Average
// pooling is SumPool divided by a constant.
type SumPool struct {
	Pool
}

// Name returns "sumpool".
func (SumPool) Name() string { return "sumpool" }

// Infer returns [N, C, O…].
func (p SumPool) Infer(in []Type) (Type, error) {
	if len(in) != 1 || !in[0].DType.Float() {
		return Type{}, fmt.Errorf("sumpool: want 1 float operand, got %v", in)
	}
	s, err := p.shape("sumpool", in[0].Shape)
	return Type{in[0].DType, s}, err
}

// SumPoolGrad maps g [N, C, O…] to [N, C, In…]: the adjoint of SumPool.
type SumPoolGrad struct {
	Pool
	In []int // spatial sizes of the result
}

// Name returns "sumpool_grad".
func (SumPoolGrad) Name() string { return "sumpool_grad" }

// Infer returns [N, C, In…].
func (p SumPoolGrad) Infer(in []Type) (Type, error) {
	if len(in) != 1 || len(in[0].Shape) < 3 || !in[0].DType.Float() {
		return Type{}, fmt.Errorf("sumpool_grad: want 1 float operand of rank ≥ 3, got %v", in)
	}
	x := append([]int{in[0].Shape[0], in[0].Shape[1]}, p.In...)
	return Type{in[0].DType, x}, p.checkGrad("sumpool_grad", x, in[0].Shape)
}
