package search

import (
	"testing"

	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// built returns a network of that name, and entangled as well.
func built(t *testing.T, name string, batch int) (plain, super *Network) {
	t.Helper()
	return builtWith(t, name, batch, space.Reader, space.Options{Divisor: 2})
}

func builtWith(t *testing.T, name string, batch int, sp space.Superposition, o space.Options) (plain, super *Network) {
	t.Helper()
	m := modeltest.Normal(t, name, models.Options{})
	plain, err := NewNetwork(m, batch, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := ops.InferModel(plain.Model, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(plain.Model, facts)
	if err != nil {
		t.Fatal(err)
	}
	dims, err := space.New(an, o)
	if err != nil {
		t.Fatal(err)
	}
	supernet, err := space.Entangle(an, dims, sp)
	if err != nil {
		t.Fatal(err)
	}
	if super, err = NewNetwork(m, batch, nil, supernet); err != nil {
		t.Fatal(err)
	}
	return plain, super
}
