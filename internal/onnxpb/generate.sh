#!/bin/sh
# Writes onnx.pb.go from onnx.proto. Needs protoc (Debian: protobuf-compiler).
# protoc runs in the module's root, so that the file is registered under a path of its own.
set -e
cd "$(dirname "$0")/../.."
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go
PATH="$bin:$PATH" protoc --go_out=. --go_opt=paths=source_relative internal/onnxpb/onnx.proto
