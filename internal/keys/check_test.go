package keys_test

import (
	"errors"
	"math"
	"testing"

	"github.com/entangle-nas/entangle/internal/keys"
)

func TestCheck(t *testing.T) {
	if faults := keys.Check(sound(), lists); faults != nil {
		t.Fatalf("sound settings: want no fault, got %v", faults)
	}
	below := -0.25
	for _, c := range []struct {
		name  string
		spoil func(*settings)
		want  string
	}{
		{"above is open", func(s *settings) { s.Tune.Rate = 0 }, "tune.lr: want a number > 0, got 0"},
		{"below", func(s *settings) { s.Tune.Rate = -1 }, "tune.lr: want a number > 0, got -1"},
		{"closed end", func(s *settings) { s.Tune.Share = math.Nextafter(1, 2) }, "tune.share: want a number in [0, 1], got 1.0000000000000002"},
		{"open end", func(s *settings) { s.Tune.Smooth = 1 }, "tune.smooth: want a number in [0, 1), got 1"},
		{"pointer", func(s *settings) { s.Tune.Warmup = &below }, "tune.warmup: want a number >= 0, got -0.25"},
		{"NaN", func(s *settings) { s.Tune.Rate = math.NaN() }, "tune.lr: want a finite number > 0, got NaN"},
		{"Inf", func(s *settings) { s.Search.Weights.Rate = math.Inf(1) }, "search.weights.lr: want a finite number > 0, got +Inf"},
		{"element", func(s *settings) { s.Search.Means = []float64{1, 0} }, "search.means: want numbers in (0, 1], got 0"},
		{"integer", func(s *settings) { s.Steps = 101 }, "steps: want an integer <= 100, got 101"},
		{"integers", func(s *settings) { s.Sizes = []int{3, -4} }, "sizes: want integers >= 0, got -4"},
		{"empty text", func(s *settings) { s.Name = "" }, `name: want text that is not empty, got ""`},
		{"empty list", func(s *settings) { s.Search.Kinds = []string{} }, `search.kinds: want a list that is not empty, got []`},
		{"word", func(s *settings) { s.Search.Kind = "dartss" }, `search.kind: want one of drnas, darts, gdas, got "dartss"; did you mean darts?`},
		{"word far off", func(s *settings) { s.Search.Kind = "" }, `search.kind: want one of drnas, darts, gdas, got ""`},
		{"words", func(s *settings) { s.Search.Kinds = []string{"darts", "evolution"} }, `search.kinds: want one of drnas, darts, gdas, got "evolution"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sound()
			c.spoil(s)
			faults := keys.Check(s, lists)
			var f *keys.Fault
			if len(faults) != 1 || !errors.As(faults[0], &f) || f.Error() != c.want {
				t.Fatalf("want %s, got %v", c.want, faults)
			}
		})
	}
	s := sound()
	s.Tune.Rate, s.Search.Kind, s.Steps = 0, "x", 1000
	if faults := keys.Check(s, lists); len(faults) != 3 {
		t.Errorf("want all 3 faults at once, got %v", faults)
	}
}
