package keys_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/keys"
)

func TestNearest(t *testing.T) {
	words := strings.Fields("relaxation weights warmup epochs lr kl order hard hand distill Temperature x")
	for _, c := range []struct{ word, want string }{
		{"relaxation", "relaxation"},
		{"ralaxtion", "relaxation"},
		{"wieghts", "weights"}, // one swap
		{"epoch", "epochs"},
		{"temprature", "Temperature"},
		{"lR", "lr"},
		{"rl", "lr kl"}, // a swap is one edit, as a change is
		{"ordre", "order"},
		{"harp", "hard"},
		{"har", "hard"},
		{"hadd", "hard hand"},
		{"zzz", ""},
		{"y", ""},
		{"", ""},
		{"x", "x"},
		{"oder", "order"},
		{"distribution", ""},
	} {
		if got := strings.Join(keys.Nearest(c.word, words), " "); got != c.want {
			t.Errorf("%q: want %q, got %q", c.word, c.want, got)
		}
	}
	if got := keys.Nearest("epoch", []string{"epochs", "epochs"}); len(got) != 1 {
		t.Errorf("want a word once, got %q", got)
	}
}
