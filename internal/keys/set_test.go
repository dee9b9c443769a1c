package keys_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/entangle-nas/entangle/internal/keys"
)

func TestSet(t *testing.T) {
	s := sound()
	half, yes, text := 0.5, true, "a b"
	for _, c := range []struct {
		path, text string
		got        any
		want       any
	}{
		{"seed", "18446744073709551615", &s.Seed, uint64(math.MaxUint64)},
		{"tune.lr", "1e-3", &s.Tune.Rate, 1e-3},
		{"tune.lr", "-0.5", &s.Tune.Rate, -0.5}, // ranges are Check's
		{"tune.smooth", "0.1", &s.Tune.Smooth, float32(0.1)},
		{"tune.warmup", "0.5", &s.Tune.Warmup, &half},
		{"tune.warmup", "null", &s.Tune.Warmup, (*float64)(nil)},
		{"search.kind", "darts", &s.Search.Kind, word("darts")},
		{"search.kinds", "darts, gdas", &s.Search.Kinds, []string{"darts", "gdas"}},
		{"search.kinds", "", &s.Search.Kinds, []string{}},
		{"search.kinds", "null", &s.Search.Kinds, []string(nil)},
		{"search.means", "0.25,1", &s.Search.Means, []float64{0.25, 1}},
		{"search.means", "[0.25, 1]", &s.Search.Means, []float64{0.25, 1}},
		{"sizes", "-3", &s.Sizes, []int{-3}},
		{"on", "true", &s.On, true},
		{"maybe", "true", &s.Maybe, &yes},
		{"text", "a b", &s.Text, &text},
		{"name", "", &s.Name, ""},
		{"far", "-9223372036854775808", &s.Far, int64(math.MinInt64)},
		{"pair", "3x4", &s.Pair, pair{3, 4}},
		{"memory", "3x4", &s.Memory, &pair{3, 4}},
		{"target", "macs=0.5,params=0.6", &s.Target, target{"macs": 0.5, "params": 0.6}},
	} {
		if err := keys.Set(s, c.path, c.text); err != nil {
			t.Errorf("%s=%s: %v", c.path, c.text, err)
		} else if got := reflect.ValueOf(c.got).Elem().Interface(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s=%s: want %v, got %v", c.path, c.text, c.want, got)
		}
	}
}

func TestSetFaults(t *testing.T) {
	for _, c := range []struct{ path, text, want string }{
		{"seed", "-1", `seed: want an integer >= 0, got "-1"`},
		{"seed", "18446744073709551616", `seed: want an integer >= 0 that 64 bits hold, got "18446744073709551616"`},
		{"steps", "1.5", `steps: want an integer <= 100, got "1.5"`},
		{"steps", "0x10", `steps: want an integer <= 100, got "0x10"`},
		{"tune.lr", "x", `tune.lr: want a number > 0, got "x"`},
		{"tune.lr", "", `tune.lr: want a number > 0, got ""`},
		{"tune.lr", "NaN", `tune.lr: want a number > 0, got "NaN"`},
		{"tune.lr", "-Inf", `tune.lr: want a number > 0, got "-Inf"`},
		{"tune.lr", "0x1p-2", `tune.lr: want a number > 0, got "0x1p-2"`},
		{"tune.lr", "null", `tune.lr: want a number > 0, got "null"`},
		{"tune.lr", "1e999", `tune.lr: want a number > 0 that 64 bits hold, got "1e999"`},
		{"tune.smooth", "1e39", `tune.smooth: want a number in [0, 1) that 32 bits hold, got "1e39"`},
		{"on", "yes", `on: want true or false, got "yes"`},
		{"search.means", "1,,2", `search.means: want numbers in (0, 1], got ""`},
		{"search.means", "1,a", `search.means: want numbers in (0, 1], got "a"`},
		{"pair", "3", `pair: want HEIGHTxWIDTH, got "3"`},
		{"tune", "3", `tune: want a key of this section, one of lr, share, smooth, warmup`},
		{"lr", "3", `lr: no such key; did you mean tune.lr or search.weights.lr?`},
		{"search.lr", "3", `search.lr: no such key; did you mean tune.lr or search.weights.lr?`},
		{"warmpu", "3", `warmpu: no such key; did you mean tune.warmup or search.weights.warmup?`},
		{"tune.warmpu", "3", `tune.warmpu: no such key; did you mean tune.warmup?`},
		{"tunes.lr", "3", `tunes.lr: no such key; did you mean tune.lr?`},
		{"kidn", "3", `kidn: no such key; did you mean search.kind?`},
		{"tune.nothing", "3", `tune.nothing: no such key; want one of lr, share, smooth, warmup`},
		{"seed.nothing", "3", `seed.nothing: no such key; want one of seed, name, tune, search, on, steps, far, sizes, maybe, text, pair, target, memory`},
		{"", "3", `"": no such key; want one of seed, name, tune, search, on, steps, far, sizes, maybe, text, pair, target, memory`},
		{"a\nb", "3", `"a\nb": no such key; want one of seed, name, tune, search, on, steps, far, sizes, maybe, text, pair, target, memory`},
	} {
		s := sound()
		err := keys.Set(s, c.path, c.text)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s=%s:\nwant %s\ngot  %v", c.path, c.text, c.want, err)
		}
		if !reflect.DeepEqual(s, sound()) {
			t.Errorf("%s=%s: want the settings as they were, got %+v", c.path, c.text, s)
		}
	}
}

// TestSetOfList holds that every listed value is one that Set takes.
func TestSetOfList(t *testing.T) {
	s, again := sound(), &settings{}
	for _, k := range keys.List(s, lists) {
		if err := keys.Set(again, k.Path, k.Value); err != nil {
			t.Error(err)
		}
	}
	if !reflect.DeepEqual(s, again) {
		t.Errorf("want %+v, got %+v", s, again)
	}
}
