package space_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// TestDeclared: what a file declares is offered, unless kinds or nodes are asked for by name or must stay;
// a declaration that does not fit names the property.
func TestDeclared(t *testing.T) {
	analysed := func(declare func(m *ir.Model)) *space.Analysis {
		m := branches()
		declare(m)
		f, err := ops.InferModel(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		an, err := space.Analyse(m, f)
		if err != nil {
			t.Fatal(err)
		}
		return an
	}
	d := space.Dim{Name: "d", Kind: "operations", Node: "add", Choices: []int{1, 2}, Candidates: []string{"tanh", "around"}, Kernels: []int{3, 0}}
	an := analysed(func(m *ir.Model) {
		m.Meta = []ir.Prop{{Key: "other", Value: "1"}}
		for range 2 {
			if err := space.Declare(m, &space.Space{Dims: []space.Dim{d}}); err != nil {
				t.Fatal(err)
			}
		}
		if len(m.Meta) != 2 {
			t.Errorf("want one declared space beside the other property, got %v", m.Meta)
		}
	})
	for _, c := range []struct {
		o    space.Options
		want string
	}{
		{space.Options{}, "d"},
		{space.Options{Elastic: []string{"a*"}}, "d"},
		{space.Options{Kinds: []string{"operations"}}, "d"},
		{space.Options{Kinds: []string{"operations", "kernel"}}, "d"}, // its kernel is the candidates'
		{space.Options{Operations: []string{"add"}, Kinds: []string{"operations"}}, "operations:add"},
		{space.Options{Kinds: []string{"kernel"}}, "kernel:wide"},
		{space.Options{Keep: []string{"add"}}, "nothing in this model may change"},
	} {
		s, err := space.New(an, c.o)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: want %q, got %v", c.o, c.want, err)
			}
			continue
		}
		if len(s.Dims) != 1 || s.Dims[0].Name != c.want || s.Source != an.Fingerprint() {
			t.Errorf("%+v: want %q alone, got %v", c.o, c.want, s.Dims)
		}
	}
	for text, want := range map[string]string{
		"version: 1\ndimensions:\n- {name: d, kind: operations, node: nowhere, choices: [1]}\n": `space: metadata "entangle.space": space: dimension "d": the model has no node "nowhere"`,
		"version: 2\n": `space: metadata "entangle.space": space: read: version: want 1, got 2`,
		"\x00":         `space: metadata "entangle.space": `,
	} {
		an := analysed(func(m *ir.Model) { m.Meta = []ir.Prop{{Key: space.DeclaredKey, Value: text}} })
		if _, err := space.New(an, space.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want %q, got %v", text, want, err)
		}
	}
}
