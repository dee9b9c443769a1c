package exporter_test

import (
	"bytes"
	"testing"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/ir"
)

// TestCopiesAreWrittenOnce: a copy that is as it was made is written as what it was copied
// from; one that was trained or cut stands for itself.
func TestCopiesAreWrittenOnce(t *testing.T) {
	const text = `model { ir 8 opset _ 17 } graph g { input x float32[1,2,2,2] output y none
		init zero float32[2] = [0, 0] init other float32[2] = [%s] init a float32[2,2,1,1] = [1, 2, 3, 4]
		node p: (u) = Conv(x, a, zero) node q: (y) = Conv(u, a, %s) }`
	parse := func(elements, reads, drop string) *ir.Model {
		t.Helper()
		m, err := ir.Parse(string(bytes.ReplaceAll(bytes.Replace(bytes.Replace([]byte(text), []byte("%s"), []byte(elements), 1), []byte("%s"), []byte(reads), 1), []byte(drop), nil)))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	encode := func(m *ir.Model) []byte {
		t.Helper()
		b, err := exporter.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	copied := func(elements string) *ir.Model {
		m := parse(elements, "other", "\x00")
		m.Graph.Init("other").Of = "zero"
		return m
	}
	m := copied("0, 0")
	if want := parse("0, 0", "zero", "init other float32[2] = [0, 0]"); !bytes.Equal(encode(m), encode(want)) {
		t.Error("an equal copy: the file is not that of the source")
	}
	if m.Graph.Init("other") == nil || m.Graph.Nodes[1].Input(2) != "other" {
		t.Error("the model was changed by writing it")
	}
	if want := parse("0, 1", "other", "\x00"); !bytes.Equal(encode(copied("0, 1")), encode(want)) {
		t.Error("a trained copy is not written as it is")
	}
}
