package subnet_test

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// TestRecipeMarksWhatIsGone: with the second block's attention skipped, the number of
// its heads is the one choice that means nothing; nothing is gone in the original.
func TestRecipeMarksWhatIsGone(t *testing.T) {
	e, _ := models.Lookup("vit-tiny")
	m, err := e.Build(models.Options{})
	if err != nil {
		t.Fatal(err)
	}
	an := analysed(t, m, map[string]int{"batch": 1})
	sp, err := space.New(an, space.Options{Divisor: 1})
	if err != nil {
		t.Fatal(err)
	}
	net, err := space.Entangle(an, sp, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
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
		r, err := subnet.NewRecipe(net, c.choice, 1, "test")
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
		var gone []string
		for _, d := range r.Dims {
			if d.Gone {
				gone = append(gone, d.Name)
			}
		}
		if !slices.Equal(gone, c.gone) {
			t.Errorf("choice %v: want %q gone, got %q", c.choice, c.gone, gone)
		}
	}
}
