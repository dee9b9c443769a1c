// Command entangle makes a smaller ONNX model out of a larger one.
//
//	entangle inspect model.onnx
//	entangle verify model.onnx
//
// docs/cli.md, printed from the command tree, lists every command, flag and
// exit code.
package main

import "os"

func main() { os.Exit(process()) }
