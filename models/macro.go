package models

import (
	"fmt"
	"iter"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// Macro is one architecture of the paper's toy conv-macro space: the output
// channels and the kernels of the four searched convolutions. The space has
// 3⁸ = 6561 architectures.
type Macro struct {
	Channels, Kernels [4]int
}

// MacroChannels and MacroKernels list the choices per searched convolution.
var (
	MacroChannels = [4][3]int{{8, 16, 32}, {16, 32, 64}, {32, 64, 128}, {64, 128, 256}}
	MacroKernels  = [3]int{3, 5, 7}
)

// LargestMacro is the largest architecture, the one whose weights the others share.
func LargestMacro() Macro {
	return Macro{Channels: [4]int{32, 64, 128, 256}, Kernels: [4]int{7, 7, 7, 7}}
}

// Macros yields every architecture; the last kernel varies fastest, the first channel count slowest.
func Macros() iter.Seq[Macro] {
	return func(yield func(Macro) bool) {
		for i := range 6561 {
			var a Macro
			for k, r := 7, i; k >= 0; k, r = k-1, r/3 {
				if k < 4 {
					a.Channels[k] = MacroChannels[k][r%3]
				} else {
					a.Kernels[k-4] = MacroKernels[r%3]
				}
			}
			if !yield(a) {
				return
			}
		}
	}
}

// MacroSpace is the paper's conv-macro space: the output channels of the four searched
// convolutions, then their kernels.
func MacroSpace() Supernet {
	e := LargestMacro().entry()
	e.Name, e.Doc = "macro-space", "the paper's conv-macro space"
	return Supernet{Entry: e, Dims: func(Options) []space.Dim {
		out := make([]space.Dim, 8)
		for i := range 4 {
			name := fmt.Sprintf("conv%d", i+1)
			out[i] = space.Dim{Name: "width:" + name, Kind: "width", Node: name, Choices: slices.Clone(MacroChannels[i][:])}
			out[4+i] = space.Dim{Name: "kernel:" + name, Kind: "kernel", Node: name, Choices: slices.Clone(MacroKernels[:])}
		}
		return out
	}}
}

// MacroOf is the architecture of a choice of MacroSpace, by index per dimension.
func MacroOf(choice []int) (Macro, error) {
	var a Macro
	if len(choice) != 8 {
		return a, fmt.Errorf("models: conv-macro: want 8 choices, got %d", len(choice))
	}
	for i, c := range choice {
		if c < 0 || c > 2 {
			return a, fmt.Errorf("models: conv-macro: choice %d: want 0 to 2, got %d", i, c)
		}
		if i < 4 {
			a.Channels[i] = MacroChannels[i][c]
		} else {
			a.Kernels[i-4] = MacroKernels[c]
		}
	}
	return a, nil
}

// Build returns the network: convolutions of stride 1 and same padding with
// biases and Relu, 2×2 max pools after the second and third, a fixed 7×7
// convolution with padding 2, Dropout after the third and fifth, and four linear
// layers. Defaults: 10 classes, 3 channels, size 32, Width 256 (the fixed
// convolution's channels and the first linear layer; the others are a half and a
// quarter of it). Architectures built with one seed do not share weights; see Inherit.
func (a Macro) Build(o Options) (*ir.Model, error) { return a.entry().Build(o) }

func (a Macro) entry() Entry {
	return Entry{Name: "toy-macro", Defaults: Options{Classes: 10, Channels: 3, Size: 32, Width: 256}, Wire: a.wire}
}

func (a Macro) wire(n *Net, o Options) {
	x := n.Input("image", o.Channels, o.Size, o.Size)
	for i := range 4 {
		name := fmt.Sprintf("conv%d", i+1)
		x = n.Relu(name+".relu", n.Conv(name, x, a.Channels[i], ConvOptions{Kernel: a.Kernels[i], Bias: true}))
		if i == 1 || i == 2 {
			x = n.MaxPool(name+".pool", x, 2)
		}
		if i == 2 {
			x = n.Dropout(name+".dropout", x, 0.5)
		}
	}
	x = n.Dropout("conv5.dropout", n.Conv("conv5", x, o.Width, ConvOptions{Kernel: 7, Pad: 2, Bias: true}), 0.5)
	x = n.Flatten("flatten", x)
	for i, w := range []int{o.Width, o.Width / 2, o.Width / 4} {
		name := fmt.Sprintf("fc%d", i+1)
		x = n.Relu(name+".relu", n.Linear(name, x, w))
	}
	n.Output("logits", n.Linear("fc4", x, o.Classes))
}
