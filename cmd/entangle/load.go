package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// model is one model file in both stages that commands work on.
type model struct {
	path   string
	raw    *ir.Model // as in the file
	normal *ir.Model // inlined, folded, pruned
}

// loadModel reads a file. What the file system refuses is a failure; what the
// importer refuses is a malformed model.
func loadModel(path string) (*model, error) {
	m := &model{path: path}
	var err error
	if m.raw, err = importer.Read(path); err != nil {
		var file *fs.PathError
		if errors.As(err, &file) {
			return nil, err
		}
		return nil, &modelError{err}
	}
	if m.normal, err = importer.Normal(m.raw, importer.WithFold(ops.ConstantValues)); err != nil {
		return nil, &modelError{err}
	}
	return m, nil
}

// source returns the model as a runtime takes it: the file for foreign runtimes,
// the normal graph for the module's own engines.
func (m *model) source(runtime string) runtimes.Source {
	if isNative(runtime) {
		return runtimes.Source{Path: m.path, Model: m.normal}
	}
	return runtimes.Source{Path: m.path, Model: m.raw}
}

// facts infers every value's type. Unknown leading dimensions of inputs are 1 and
// other unknown ones stay open unless dims gives them.
func (m *model) facts(dims map[string]int) (*ops.Facts, error) {
	bind := map[string]int{}
	for _, v := range m.normal.Graph.Inputs {
		if len(v.Type.Shape) == 0 || v.Type.Shape[0].Known() {
			continue
		}
		if p := v.Type.Shape[0].Param; p != "" {
			bind[p] = 1
		} else {
			bind[ops.AnyDim] = 1
		}
	}
	for k, n := range dims {
		bind[k] = n
	}
	f, err := ops.InferModel(m.normal, bind)
	if err != nil {
		return nil, &modelError{err}
	}
	return f, nil
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
