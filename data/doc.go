// Package data reads data sets and hands out batches.
//
//	set, err := data.Open("cifar10:/data/cifar10", data.Options{
//		Mean: []float64{.485, .456, .406}, Std: []float64{.229, .224, .225},
//	})
//	parts, err := set.Part("train").All().Split(seed,
//		data.Share{Name: "weights", Fraction: 0.4}, data.Share{Name: "alpha", Fraction: 0.4}, data.Share{Name: "val", Fraction: 0.2})
//	loader, err := parts[0].Loader(data.LoaderOptions{Batch: 128, Shuffle: true, Seed: seed, Name: "weights"})
//	defer loader.Close()
//	batch, err := loader.Next()   // batch.Inputs[0] is f32[128 3 32 32]
//
// Samples stay in memory as they are stored (a byte per pixel where the source
// has bytes) and become float32 when a batch is assembled:
//
//	x = s·(pixel/255 − mean)/std,  s = 1, or 255 with ScaleRaw
//
// Tokens are integers. Streams of them (lm:PATH) are cut into samples of
// Options.Seq whose labels are the next token at every position; then a set has a
// LabelShape and batches have labels [batch, positions].
//
// Set.Bind finds the field for every input of a model.
//
// A batch is a pure function of the seed, the loader's name, the epoch and its
// position, whatever runs ahead in the background; so a Loader's State is a few
// numbers and a restored loader continues bit for bit.
package data
