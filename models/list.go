package models

// All lists the full-size networks.
func All() []Entry {
	return []Entry{
		{"fashion", "base network for Fashion-MNIST: depthwise-separable and residual blocks, 5×5 and 3×3 kernels",
			Options{Classes: 10, Channels: 1, Size: 28, Width: 16, Depth: 1}, wireFashion},
		{"resnet20", "CIFAR ResNet-20, projection shortcuts", Options{Classes: 10, Channels: 3, Size: 32, Width: 16, Depth: 3}, wireResNet},
		{"resnet20a", "CIFAR ResNet-20, option-A shortcuts (Slice and channel Pad)", Options{Classes: 10, Channels: 3, Size: 32, Width: 16, Depth: 3}, wireResNetA},
		{"preact", "pre-activation ResNet, the residual stream a bare sum", Options{Classes: 10, Channels: 3, Size: 32, Width: 32, Depth: 2}, wirePreact},
		{"mobilenet", "MobileNetV2 for small images: inverted residuals, Relu6", Options{Classes: 10, Channels: 3, Size: 32, Width: 32, Depth: 2}, wireMobile},
		{"squeeze-excite", "MobileNetV3-like: HardSwish, squeeze-and-excitation, 5×5 depthwise", Options{Classes: 10, Channels: 3, Size: 32, Width: 16, Depth: 2}, wireSqueeze},
		{"grouped", "ShuffleNet-like: grouped convolutions, channel shuffle by Reshape and Transpose", Options{Classes: 10, Channels: 3, Size: 32, Width: 64, Depth: 2}, wireGrouped},
		{"concat", "DenseNet-like: every layer appends its channels", Options{Classes: 10, Channels: 3, Size: 32, Width: 32, Depth: 6}, wireConcat},
		{"inception", "parallel branches of different kernels, joined by Concat", Options{Classes: 10, Channels: 3, Size: 32, Width: 32, Depth: 2}, wireInception},
		{"vgg-small", "3×3 convolutions, Flatten, linear layers", Options{Classes: 10, Channels: 3, Size: 32, Width: 32, Depth: 2}, wireVGG},
		{"flatten", "LeNet-like: biases, Tanh, Reshape to [0, -1], MatMul and Add", Options{Classes: 10, Channels: 1, Size: 28, Width: 16, Depth: 2}, wireFlatten},
		{"unet", "U-Net: ConvTranspose and Resize decoder, Concat skips", Options{Classes: 4, Channels: 3, Size: 64, Width: 16, Depth: 2}, wireUNet},
		{"conv1d", "1-D residual network with dilation", Options{Classes: 6, Channels: 4, Size: 256, Width: 32, Depth: 2}, wireConv1D},
		{"volume", "3-D residual network", Options{Classes: 4, Channels: 1, Size: 16, Width: 16, Depth: 2}, wireVolume},
		{"norms", "PRelu, InstanceNormalization, group normalisation as exported before opset 18", Options{Classes: 10, Channels: 3, Size: 32, Width: 32, Depth: 2}, wireNorms},
		{"groupnorm", "GroupNormalization of opset 21, PRelu", Options{Classes: 10, Channels: 3, Size: 32, Width: 32, Depth: 2}, wireGroupNorm},
		{"multi-output", "one trunk, outputs logits, embedding and heat", Options{Classes: 10, Channels: 3, Size: 32, Width: 32, Depth: 2}, wireMulti},
		{"toy-macro", "the paper's conv-macro space, largest choices", Options{Classes: 10, Channels: 3, Size: 32, Width: 256}, LargestMacro().wire},
		{"toy-cell", "the paper's cell space, largest candidates of both kinds on every edge, added", cellDefaults, wireCellSuper},
	}
}

// Tiny lists one small version (at most 20,000 parameters, maps of at most 16×16) of
// every network, named with the suffix "-tiny", scattered: the inputs of tests.
func Tiny() []Entry {
	sizes := []struct {
		name                         string
		channels, size, width, depth int
	}{
		{"fashion", 1, 16, 4, 1},
		{"resnet20", 3, 8, 4, 2},
		{"resnet20a", 3, 8, 4, 2},
		{"preact", 3, 8, 8, 2},
		{"mobilenet", 3, 8, 8, 2},
		{"squeeze-excite", 3, 8, 4, 2},
		{"grouped", 3, 8, 16, 2},
		{"concat", 3, 8, 8, 3},
		{"inception", 3, 8, 8, 1},
		{"vgg-small", 3, 8, 8, 1},
		{"flatten", 1, 8, 4, 2},
		{"unet", 3, 8, 4, 1},
		{"conv1d", 2, 32, 8, 2},
		{"volume", 1, 6, 4, 1},
		{"norms", 3, 8, 8, 1},
		{"groupnorm", 3, 8, 8, 1},
		{"multi-output", 3, 8, 8, 1},
		{"toy-macro", 1, 16, 16, 1},
		{"toy-cell", 1, 16, 8, 1},
	}
	wires := map[string]Entry{}
	for _, e := range All() {
		wires[e.Name] = e
	}
	wires["toy-macro"] = Entry{Doc: wires["toy-macro"].Doc, Wire: tinyMacro.wire}
	out := make([]Entry, len(sizes))
	for i, s := range sizes {
		e := wires[s.name]
		out[i] = Entry{s.name + "-tiny", e.Doc + "; tiny",
			Options{Classes: 5, Channels: s.channels, Size: s.size, Width: s.width, Depth: s.depth, Seed: 1, Scatter: true}, e.Wire}
	}
	return out
}

// tinyMacro keeps the largest kernels of the conv-macro space with an eighth of its channels.
var tinyMacro = Macro{Channels: [4]int{4, 4, 4, 8}, Kernels: [4]int{7, 7, 5, 3}}

// Lookup returns the network of that name from any of the lists.
func Lookup(name string) (Entry, bool) {
	for _, list := range [][]Entry{All(), Tiny(), Transformers(), TinyTransformers(), Spaces()} {
		for _, e := range list {
			if e.Name == name {
				return e, true
			}
		}
	}
	s, ok := LookupSupernet(name)
	return s.Entry, ok
}
