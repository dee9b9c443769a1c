// Package modeltest gives tests networks of package models, with data, and ONNX files.
package modeltest

import (
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
)

// Normal builds the network of that name, in normal form.
func Normal(t testing.TB, name string, o models.Options) *ir.Model {
	t.Helper()
	e, ok := models.Lookup(name)
	if !ok {
		t.Fatalf("no model %q", name)
	}
	raw, err := e.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := importer.Normal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// WithImages is Normal for four classes, with a set of so many images of its size.
func WithImages(t testing.TB, name string, train, test int) (*ir.Model, *data.Set) {
	t.Helper()
	m := Normal(t, name, models.Options{Classes: 4})
	e, _ := models.Lookup(name)
	d := e.Defaults
	set, err := data.Synthetic(data.SyntheticOptions{Classes: 4, Shape: [3]int{d.Channels, d.Size, d.Size}, Train: train, Test: test, Noise: 0.1, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	return m, set
}
