// Package data reads data sets and hands out batches.
//
// Open reads a set named KIND:PATH, with a KIND of Sources. Its parts are split, and a
// Loader gives the batches of a split, as in the example.
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
// Labels are a class per sample, integers of more axes, such as masks, or floats: see
// Set.LabelShape and Set.FloatLabels. Open reads every file of a folder once, so that what is
// damaged is known before any work.
//
// Set.Bind finds the field for every input of a model.
//
// A batch is a pure function of the seed, the loader's name, the epoch and its
// position, whatever runs ahead in the background; so a Loader's State is a few
// numbers and a restored loader continues bit for bit.
package data
