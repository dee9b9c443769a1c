package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter/runtimes"
)

// source returns a model as a runtime takes it.
func source(m *entangle.Model, runtime string) (runtimes.Source, error) {
	return m.Source(isNative(runtime))
}

// fileDigest returns the size and the SHA-256 of a file.
func fileDigest(path string) (int64, string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, "", err
	}
	sum := sha256.Sum256(b)
	return int64(len(b)), hex.EncodeToString(sum[:]), nil
}
