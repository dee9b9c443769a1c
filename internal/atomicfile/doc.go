// Package atomicfile writes files whole or not at all.
//
//	err := atomicfile.Write("model.onnx", func(w io.Writer) error { … })
//
// A reader sees the old file or the new one, never a part, also after a crash.
package atomicfile
