package ort_test

import (
	"fmt"

	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
)

// The version of ONNX Runtime, or why it cannot be used.
func Example() {
	rt := ort.New(ort.Options{Library: "/opt/lib/libonnxruntime.so.1", Threads: 1})
	info, err := rt.Describe()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.Version)
}
