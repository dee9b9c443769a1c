package onnxpb_test

import (
	"testing"

	"github.com/entangle-nas/entangle/internal/onnxpb"
)

// The names in the global registry are the program's own.
func TestRegisteredNames(t *testing.T) {
	fd := (&onnxpb.ModelProto{}).ProtoReflect().Descriptor()
	if got := string(fd.FullName()); got != "entangle.onnx.ModelProto" {
		t.Errorf("message: got %s", got)
	}
	if got := fd.ParentFile().Path(); got != "internal/onnxpb/onnx.proto" {
		t.Errorf("file: got %s", got)
	}
}
