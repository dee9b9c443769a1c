package workloads

import (
	"fmt"
	"strings"
)

// Workload is a training step, or a matrix product, that can be timed.
type Workload struct {
	Name, Doc string
	// Batch is the number of images or sequences that the workload is defined with.
	Batch int
	// Super says that the step is one of a supernet.
	Super bool
	// Product says that the step is one matrix product.
	Product bool
	// Build makes the step for a batch of at least 1; a product's is 1.
	Build func(batch int) (*Step, error)
}

// All lists the workloads.
func All() []Workload {
	return []Workload{
		{
			Name: "resnet20", Batch: 128,
			Doc:   "CIFAR ResNet-20, widths 16, 32 and 64",
			Build: func(batch int) (*Step, error) { return build(batch, false, resnet(16, 3, 0)) },
		},
		{
			Name: "mobilenet", Batch: 64,
			Doc:   "six inverted residuals, expansion 4, depthwise 3×3, ReLU6",
			Build: func(batch int) (*Step, error) { return build(batch, false, mobilenet) },
		},
		{
			Name: "vit_tiny", Batch: 64,
			Doc:   "ViT, embedding 192, depth 12, 3 heads of 64, MLP 768, patches of 4×4",
			Build: func(batch int) (*Step, error) { return build(batch, false, vitTiny.forward(false)) },
		},
		{
			Name: "resnet20_super", Batch: 128, Super: true,
			Doc:   "resnet20 with inner widths of 1/4, 1/2, 3/4 and 1 and kernels of 1 and 3",
			Build: func(batch int) (*Step, error) { return build(batch, true, resnet(16, 3, 4)) },
		},
		{
			Name: "vit_tiny_super", Batch: 64, Super: true,
			Doc:   "vit_tiny with 1, 2 or 3 heads, MLP 384, 576 or 768 and depth 10, 11 or 12",
			Build: func(batch int) (*Step, error) { return build(batch, true, vitTiny.forward(true)) },
		},
		{
			Name: "decoder", Batch: 16,
			Doc:   "GPT on 128 tokens of 2048, embedding 256, depth 6, 4 heads of 64, MLP 1024, tied head",
			Build: func(batch int) (*Step, error) { return train(batch, false, decoderSmall.objective(false)) },
		},
		{
			Name: "decoder_super", Batch: 16, Super: true,
			Doc:   "decoder with 1, 2, 3 or 4 heads, MLP 512, 768 or 1024 and depth 4, 5 or 6",
			Build: func(batch int) (*Step, error) { return train(batch, true, decoderSmall.objective(true)) },
		},
		product("matmul_1024", 1024, 1024, 1024),
		product("matmul_4096x192x768", 4096, 768, 192),
	}
}

// Large lists training steps on images of 224×224 with 1000 classes, which are for GPUs.
func Large() []Workload {
	return []Workload{
		{
			Name: "resnet50", Batch: 64,
			Doc:   "ResNet-50 at 224×224",
			Build: func(batch int) (*Step, error) { return imagenet.build(batch, false, resnet50(0)) },
		},
		{
			Name: "vit_s", Batch: 64,
			Doc:   "ViT-S/16 at 224×224: embedding 384, depth 12, 6 heads of 64, MLP 1536",
			Build: func(batch int) (*Step, error) { return imagenet.build(batch, false, vitSmall.forward(false)) },
		},
		{
			Name: "resnet50_super", Batch: 64, Super: true,
			Doc:   "resnet50 with inner widths of 1/4, 1/2, 3/4 and 1 and kernels of 1 and 3",
			Build: func(batch int) (*Step, error) { return imagenet.build(batch, true, resnet50(4)) },
		},
		{
			Name: "vit_s_super", Batch: 64, Super: true,
			Doc:   "vit_s with 1 to 6 heads, MLP 768, 1152 or 1536 and depth 10, 11 or 12",
			Build: func(batch int) (*Step, error) { return imagenet.build(batch, true, vitSmall.forward(true)) },
		},
	}
}

// Names lists the names of All, in order.
func Names() []string { return names(func(Workload) bool { return true }) }

// Training lists the names of the training steps, in order.
func Training() []string { return names(func(w Workload) bool { return !w.Product }) }

func names(which func(Workload) bool) []string {
	var out []string
	for _, w := range All() {
		if which(w) {
			out = append(out, w.Name)
		}
	}
	return out
}

// ByName returns the workload of All or Large of that name, or an error that lists the names of All.
func ByName(name string) (Workload, error) {
	for _, w := range append(All(), Large()...) {
		if w.Name == name {
			return w, nil
		}
	}
	return Workload{}, fmt.Errorf("workload: want one of %s, got %q", strings.Join(Names(), ", "), name)
}
