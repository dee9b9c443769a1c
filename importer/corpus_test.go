package importer_test

import (
	"bytes"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/ir"
)

func TestReadCorpus(t *testing.T) {
	n := 0
	for _, f := range modeltest.Corpus(t) {
		if _, err := importer.Read(f); err != nil {
			t.Errorf("%v", err)
			continue
		}
		n++
	}
	t.Logf("%d models read", n)
}

// Every model has a normal form that keeps its inputs (but for initialisers) and outputs.
func TestNormalCorpus(t *testing.T) {
	n := 0
	for _, f := range modeltest.Corpus(t) {
		raw, err := importer.Read(f)
		if err != nil {
			continue
		}
		before := raw.Clone()
		m, err := importer.Normal(raw)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if d := ir.Diff(before, raw); d != "" {
			t.Errorf("%s: Normal changed the raw model: %s", f, d)
		}
		if len(m.Graph.Outputs) != len(raw.Graph.Outputs) {
			t.Errorf("%s: outputs: want %d, got %d", f, len(raw.Graph.Outputs), len(m.Graph.Outputs))
		}
		for i, o := range m.Graph.Outputs {
			if o.Name != raw.Graph.Outputs[i].Name {
				t.Errorf("%s: output %d: want %q, got %q", f, i, raw.Graph.Outputs[i].Name, o.Name)
			}
		}
		if len(m.Functions) > 0 {
			t.Errorf("%s: %d functions are left", f, len(m.Functions))
		}
		n++
	}
	t.Logf("%d models normalised", n)
}

// The text form says everything about every model.
func TestTextFormCorpus(t *testing.T) {
	n := 0
	for _, f := range modeltest.Corpus(t) {
		m, err := importer.Read(f)
		if err != nil {
			continue
		}
		var b bytes.Buffer
		if err := ir.PrintFull(&b, m); err != nil {
			t.Fatal(err)
		}
		back, err := ir.Parse(b.String())
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if d := ir.Diff(m, back); d != "" {
			t.Errorf("%s: printed and parsed: %s", f, d)
			continue
		}
		n++
	}
	t.Logf("%d models printed and parsed", n)
}
