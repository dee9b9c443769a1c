package models

// Transformers lists the full-size transformers.
func Transformers() []Entry {
	return []Entry{
		{"vit", "vision transformer: patches by a convolution, class token, LayerNormalization, Gelu by Erf; separate q, k, v",
			Options{Classes: 10, Channels: 3, Size: 32, Width: 192, Depth: 6, Heads: 3, Patch: 4}, wireViT},
		{"vit-fused", "the same with one product for q, k, v, cut by Reshape, Transpose, Gather",
			Options{Classes: 10, Channels: 3, Size: 32, Width: 192, Depth: 6, Heads: 3, Patch: 4}, wireViTFused},
		{"encoder", "BERT-like classifier: token, type and position embeddings, padding mask, post-norm, pooler",
			Options{Classes: 2, Size: 64, Width: 128, Depth: 4, Heads: 4, Vocab: 8192}, wireEncoder},
		{"decoder", "GPT-like: causal mask, fused q, k, v cut by Split, head tied by a Transpose",
			Options{Size: 256, Width: 256, Depth: 6, Heads: 8, Vocab: 8192}, wireDecoder},
		{"llama", "Llama-like: RMSNorm spelled out, rotary positions, grouped queries, SwiGLU, head tied by a Gemm",
			Options{Size: 256, Width: 256, Depth: 6, Heads: 8, Vocab: 8192}, wireLlama},
	}
}

// Spaces lists the largest networks of the paper's larger search spaces.
func Spaces() []Entry {
	return []Entry{
		{"autoformer-t", "AutoFormer-T", autoFormerDefaults, AutoFormerT.Largest().wire},
		{"autoformer-s", "AutoFormer-S", autoFormerDefaults, AutoFormerS.Largest().wire},
		{"mobilenetv3", "MobileNetV3 as in once-for-all networks", mobileNetV3Defaults, LargestMobileNetV3().wire},
		{"lm-tinystories", "the language-model space for TinyStories", Options{Size: 224, Vocab: 50304}, LMTinyStories.Largest().wire},
		{"lm-openwebtext", "the language-model space for OpenWebText", Options{Size: 1024, Vocab: 50304}, LMOpenWebText.Largest().wire},
	}
}

// TinyTransformers lists one small version (at most 30,000 parameters, at most 16
// positions) of every transformer, named with the suffix "-tiny", scattered.
func TinyTransformers() []Entry {
	sizes := []struct {
		name string
		o    Options
	}{
		{"vit", Options{Classes: 5, Channels: 3, Size: 8, Width: 16, Depth: 2, Heads: 2, Patch: 4}},
		{"vit-fused", Options{Classes: 5, Channels: 3, Size: 8, Width: 16, Depth: 2, Heads: 2, Patch: 4}},
		{"encoder", Options{Classes: 3, Size: 8, Width: 16, Depth: 2, Heads: 2, Vocab: 40}},
		{"decoder", Options{Size: 8, Width: 16, Depth: 2, Heads: 2, Vocab: 40}},
		{"llama", Options{Size: 8, Width: 32, Depth: 2, Heads: 4, Vocab: 40}},
		{"autoformer", Options{Classes: 5, Channels: 3, Size: 48}},
	}
	wires := map[string]Entry{}
	for _, e := range Transformers() {
		wires[e.Name] = e
	}
	wires["autoformer"] = Entry{Doc: "AutoFormer: relative positions of keys and values by Einsum, mean over patches", Wire: tinyAutoFormer.wire}
	out := make([]Entry, len(sizes))
	for i, s := range sizes {
		e := wires[s.name]
		s.o.Seed, s.o.Scatter = 1, true
		out[i] = Entry{s.name + "-tiny", e.Doc + "; tiny", s.o, e.Wire}
	}
	return out
}
