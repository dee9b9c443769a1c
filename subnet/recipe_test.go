package subnet_test

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// recipe returns the recipe of a choice, written and read back.
func recipe(t *testing.T, net *space.Supernet, choice []int) *subnet.Recipe {
	t.Helper()
	r, err := subnet.NewRecipe(net, choice, 1, "test")
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = subnet.UnmarshalRecipe(text); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRecipeMarksWhatIsGone: with the second block's attention skipped, the number of
// its heads is the one choice that means nothing; nothing is gone in the original.
func TestRecipeMarksWhatIsGone(t *testing.T) {
	e, _ := models.Lookup("vit-tiny")
	m, err := e.Build(models.Options{})
	if err != nil {
		t.Fatal(err)
	}
	an := analysed(t, m, map[string]int{"batch": 1})
	net := entangled(t, an, space.Options{Divisor: 1}, space.Reader)
	sp := net.Space
	skipped := sp.Largest()
	at := slices.IndexFunc(sp.Dims, func(d space.Dim) bool { return d.Name == "depth:block1.add1" })
	if at < 0 {
		t.Fatalf("no dimension depth:block1.add1 in %v", sp.Dims)
	}
	skipped[at] = 0
	for _, c := range []struct {
		choice []int
		gone   []string
	}{{sp.Largest(), nil}, {skipped, []string{"width:block1.attn.q"}}} {
		var gone []string
		for _, d := range recipe(t, net, c.choice).Dims {
			if d.Gone {
				gone = append(gone, d.Name)
			}
		}
		if !slices.Equal(gone, c.gone) {
			t.Errorf("choice %v: want %q gone, got %q", c.choice, c.gone, gone)
		}
	}
}
