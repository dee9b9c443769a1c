package keys_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/keys"
)

const wantYAML = `seed: 7
name: base
tune:
  lr: 0.05
  share: 0
  smooth: 0
  warmup: null
search:
  weights:
    lr: 0.02
    share: 1
    smooth: 0
    warmup: null
  kind: drnas
  kinds: [gdas]
  means: null
"on": false
steps: 0
far: 0
sizes: null
maybe: null
text: null
pair: "32x48"
target: macs=0.5
memory: null
`

func TestWrite(t *testing.T) {
	s := sound()
	got, err := keys.Write(s)
	if err != nil || string(got) != wantYAML {
		t.Fatalf("err %v, got\n%s", err, got)
	}
	bad := "a\xff"
	s.Tune.Rate, s.Search.Means, s.Text = math.NaN(), []float64{1, math.Inf(-1)}, &bad
	_, err = keys.Write(s)
	want := "tune.lr: want a finite number, got NaN\nsearch.means: want a finite number, got -Inf\n" + `text: want UTF-8 text, got "a\xff"`
	if err == nil || err.Error() != want {
		t.Errorf("want %s, got %v", want, err)
	}
}

// TestRoundTrip reads random settings back over other random settings.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		v, got := random(r), random(r)
		got.Hidden, got.inner, got.Watch, got.Any = v.Hidden, v.inner, v.Watch, v.Any
		text, err := keys.Write(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.Read(got, "job.yaml", text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		again, err := keys.Write(got) // its text tells -0 from 0
		if err != nil || string(again) != string(text) || !reflect.DeepEqual(v, got) {
			t.Fatalf("want %+v, got %+v, from\n%s", v, got, text)
		}
	}
}

func random(r *rand.Rand) *settings {
	tricky := []string{"", " ", "null", "~", "true", "No", "y", "1", "-0", "1e3", "0x10", ".5", ".inf", ".nan", "-", "- a", "a: b", "a #b", "#", "a,b", "[a]", "{a}", "&a", "*a",
		"!a", "%a", "@a", "`a", "|", ">", "'", `"`, `\`, `\n`, "a\nb", "\n", "a\n\n b\n", "a\r\nb", "\ta", "a ", " a", "---", "...", "<<", "?", "2020-01-01", "12:30", "é", "\u0085", "\u2028", "\ufeff", "😀",
		"\U000e0001", "\x00", "\x7f", "idx:/usr/share", "=", "Infinity", "a.b/c_d-e", "0b1", "1_000"}
	text := func() string {
		if r.IntN(2) == 0 {
			return tricky[r.IntN(len(tricky))]
		}
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteString(tricky[r.IntN(len(tricky))])
			b.WriteRune(rune(r.IntN(0x300)))
		}
		return b.String()
	}
	number := func() float64 {
		for {
			x := math.Float64frombits(r.Uint64())
			if r.IntN(2) == 0 {
				x = []float64{0, math.Copysign(0, -1), 1, 1e6, 1e21, 1e-5, math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1, 1 << 53}[r.IntN(10)]
			}
			if !math.IsNaN(x) && !math.IsInf(x, 0) {
				return x
			}
		}
	}
	rule := func() rule {
		x := rule{Rate: number(), Share: number(), Smooth: r.Float32()}
		if r.IntN(2) == 0 {
			w := number()
			x.Warmup = &w
		}
		return x
	}
	s := &settings{common: common{Seed: r.Uint64(), Name: text()}, Tune: rule(), On: r.IntN(2) == 0, Steps: int(r.Uint64()), Far: int64(r.Uint64()),
		Pair: pair{r.IntN(9), -r.IntN(9)}}
	s.Search.Weights, s.Search.Kind = rule(), word(text())
	s.Search.Kinds = several(r, text)
	s.Search.Means = several(r, number)
	s.Sizes = several(r, func() int { return int(r.Uint64()) })
	if r.IntN(2) == 0 {
		b, x := r.IntN(2) == 0, text()
		s.Maybe, s.Text, s.Memory, s.Target = &b, &x, &pair{1, 2}, target{"macs": r.Float64(), "params": 1}
	}
	return s
}

// several returns nil, an empty or a longer list.
func several[T any](r *rand.Rand, one func() T) []T {
	n := r.IntN(4)
	if n == 3 {
		return nil
	}
	out := []T{}
	for range n {
		out = append(out, one())
	}
	return out
}
