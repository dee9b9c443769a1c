// Package ort runs models on ONNX Runtime through its C library, loaded when
// the first model is opened.
//
// The library is the first that exists of: Options.Library, the usual install
// directories, the system's own library search. Reading the environment is the
// caller's part: pass ONNXRUNTIME_LIB as Options.Library. A program built
// without cgo has no ONNX Runtime; Describe and Open then say so.
package ort
