package keys_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/keys"
)

func TestRead(t *testing.T) {
	half := 0.5
	for _, c := range []struct {
		name, text string
		change     func(*settings)
	}{
		{"nothing", "", func(*settings) {}},
		{"comment", "# nothing\n", func(*settings) {}},
		{"start and end", "---\nsteps: 3\n...\n", func(s *settings) { s.Steps = 3 }},
		{"byte order mark", "\ufeffsteps: 3\n", func(s *settings) { s.Steps = 3 }},
		{"line ends", "steps: 3\r\ntune:\r\n  lr: 1\r\n", func(s *settings) { s.Steps, s.Tune.Rate = 3, 1 }},
		{"sections", "tune:\n  lr: 1e-3 # low\nsearch:\n  weights: {lr: 2, share: .5}\n", func(s *settings) {
			s.Tune.Rate, s.Search.Weights.Rate, s.Search.Weights.Share = 1e-3, 2, 0.5
		}},
		{"JSON", "{\n\t\"name\": \"a\\/\\u00e9\\ud83d\\ude00\",\n\t\"tune\": {\n\t\t\"lr\": 1E-3,\n\t\t\"warmup\": null\n\t},\n\t\"search\": {\"kinds\": [\"darts\",\"gdas\"]},\"on\":true}", func(s *settings) {
			s.Name, s.Tune.Rate, s.Search.Kinds, s.On = "a/é😀", 1e-3, []string{"darts", "gdas"}, true
		}},
		{"null where nothing can be unset", "seed: null\ntune: ~\nname:\n", func(*settings) {}},
		{"null unsets", "search: {kinds: null}\ntext: ~\n", func(s *settings) { s.Search.Kinds, s.Text = nil, nil }},
		{"nothing after a key", "search:\n  kinds:\ntext:\n", func(*settings) {}},
		{"empty list", "search: {kinds: []}", func(s *settings) { s.Search.Kinds = []string{} }},
		{"block list", "search:\n  means:\n  - 0.5\n  - 1\n", func(s *settings) { s.Search.Means = []float64{0.5, 1} }},
		{"pointer", "tune: {warmup: 0.5}", func(s *settings) { s.Tune.Warmup = &half }},
		{"bool as YAML has it", "on: True", func(s *settings) { s.On = true }},
		{"text", "name: null and void\nsearch: {kind: 'true'}", func(s *settings) { s.Name, s.Search.Kind = "null and void", "true" }},
		{"block text", "name: |\n  a\n   b\n", func(s *settings) { s.Name = "a\n b\n" }},
		{"decimal with a leading 0", "steps: 010", func(s *settings) { s.Steps = 10 }},
		{"coded", "pair: 3x4\nmemory: \"5x6\"\ntarget: macs=0.5,params=0.6", func(s *settings) {
			s.Pair, s.Memory, s.Target = pair{3, 4}, &pair{5, 6}, target{"macs": 0.5, "params": 0.6}
		}},
		{"coded mapping", "target:\n  macs: 0.5\n  params: 1\n", func(s *settings) { s.Target = target{"macs": 0.5, "params": 1} }},
		{"coded list", "target: [macs=0.25, \"params=1\"]", func(s *settings) { s.Target = target{"macs": 0.25, "params": 1} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			present := "present"
			got, want := sound(), sound()
			got.Text, want.Text = &present, &present
			c.change(want)
			if err := keys.Read(got, "job.yaml", []byte(c.text)); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("want %+v, got %+v", want, got)
			}
		})
	}
}

func TestReadFaults(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"all at once", "seed: -1\ntune:\n  lr: x\n  warmpu: 1\nsearch:\n  means: [1, a,\n    b]\nlr: 2\n",
			`job: f:1:7: seed: want an integer >= 0, got "-1"
job: f:3:7: tune.lr: want a number > 0, got "x"
job: f:4:3: tune.warmpu: no such key; did you mean tune.warmup?
job: f:6:14: search.means: want numbers in (0, 1], got "a"
job: f:7:5: search.means: want numbers in (0, 1], got "b"
job: f:8:1: lr: no such key; did you mean tune.lr or search.weights.lr?`},
		{"twice", "steps: 1\ntune: {lr: 1}\nsteps: 2\n", `job: f:3:1: steps: given twice, first in line 1`},
		{"section twice", "tune: {lr: 1}\ntune: {share: 1}\n", `job: f:2:1: tune: given twice, first in line 1`},
		{"twice in a coded mapping", "target: {macs: 1, macs: 2}", `job: f:1:19: target.macs: given twice, first in line 1`},
		{"path as a key", "tune.lr: 1", `job: f:1:1: tune.lr: want each part of the path as a section of its own, got "tune.lr"`},
		{"number for text", "name: 5", `job: f:1:7: name: want text ("5" in quotes), got 5`},
		{"bool for text", "search: {kinds: [darts, yes, true]}", `job: f:1:30: search.kinds: want text ("true" in quotes), got true`},
		{"text for a number", "steps: '5'", `job: f:1:8: steps: want an integer <= 100 without quotes, got "5"`},
		{"fraction", "steps: 1.5", `job: f:1:8: steps: want an integer <= 100, got "1.5"`},
		{"not finite", "tune: {lr: .inf, share: .nan, warmup: 1e999}", `job: f:1:12: tune.lr: want a number > 0, got ".inf"
job: f:1:25: tune.share: want a number in [0, 1], got ".nan"
job: f:1:39: tune.warmup: want a number >= 0 that 64 bits hold, got "1e999"`},
		{"no list", "search: {means: 0.5}", `job: f:1:17: search.means: want a list of numbers in (0, 1], got 0.5`},
		{"list", "tune: {lr: [1]}", `job: f:1:12: tune.lr: want a number > 0, got a list`},
		{"mapping", "on:\n  a: 1", `job: f:2:3: on: want true or false, got a mapping`},
		{"null in a list", "sizes: [1, null]", `job: f:1:12: sizes: want integers >= 0, got null`},
		{"list in a list", "sizes: [[1]]", `job: f:1:9: sizes: want integers >= 0, got a list`},
		{"nested in a coded mapping", "target: {macs: [1]}", `job: f:1:16: target: want text, got a list`},
		{"coded", "pair: [3, 4]", `job: f:1:7: pair: want HEIGHTxWIDTH, got "3,4"`},
		{"value for a section", "tune: 5", `job: f:1:7: tune: want a mapping of keys to values, got 5`},
		{"root list", "- 1", `job: f:1:1: want a mapping of keys to values, got a list`},
		{"root text", "hello", `job: f:1:1: want a mapping of keys to values, got "hello"`},
		{"documents", "steps: 1\n---\nsteps: 2\n", `job: f:3:1: want one document, got a second`},
		{"alias", "steps: &n 5\nfar: *n\n", `job: f:1:8: want plain keys and values, got an anchor (quote text that begins with &)
job: f:2:6: want plain keys and values, got an alias (quote text that begins with *)`},
		{"tag", "steps: !!int 5", `job: f:1:8: want plain keys and values, got a tag (quote text that begins with !)`},
		{"merge", "tune: {<<: {lr: 1}}", `job: f:1:8: want plain keys and values, got a merge key`},
		{"directive", "%YAML 1.2\n---\nsteps: 5", `job: f:1:1: want plain keys and values, got a directive (quote text that begins with %)`},
		{"complex key", "? steps\n: 5", `job: f:1:1: want plain keys and values, got a complex key (quote text that begins with ?)`},
		{"null key", "null: 5", `job: f:1:1: want a word as key, got null`},
		{"number key", "5: 5", `job: f:1:1: "5": no such key; want one of seed, name, tune, search, on, steps, far, sizes, maybe, text, pair, target, memory`},
		{"syntax", "steps: 5\ntune: {", `job: f:2:7: want YAML: could not find flow mapping end token '}'`},
		{"bytes", "steps: 5\né: a\xff", `job: f:2:5: want UTF-8 text, got the byte 0xff`},
		{"depth", "sizes: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), `job: f:1:72: want at most 64 levels`},
		{"dashes", strings.Repeat("- ", 100), `job: f:1:129: want at most 64 levels`},
		{"size", strings.Repeat("#", 1<<18+1), `job: f: want at most 262144 bytes, got 262145`},
		{"tokens", strings.Repeat("steps:\n", 10000), `job: f: want at most 10000 words and signs, got 20000`},
		{"long value", "steps: " + strings.Repeat("a", 1000), `job: f:1:8: steps: want an integer <= 100, got "` + strings.Repeat("a", 80) + `"…`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sound()
			err := keys.Read(s, "f", []byte(c.text))
			if err == nil || err.Error() != c.want {
				t.Errorf("want\n%s\ngot\n%v", c.want, err)
			}
			if !reflect.DeepEqual(s, sound()) {
				t.Errorf("want the settings as they were, got %+v", s)
			}
		})
	}
	var f *keys.Fault
	if err := keys.Read(sound(), "f", []byte("steps: a")); !errors.As(err, &f) || f.Key != "steps" {
		t.Errorf("want a *Fault of steps among the errors, got %v", err)
	}
}

// TestReadJSON holds that what encoding/json writes is read as encoding/json reads it.
func TestReadJSON(t *testing.T) {
	s := sound()
	s.Search.Means, s.Name = []float64{1e-9, 1e21}, "a\"b\\c\u2028<&>\n\t'"
	for _, indent := range []string{"", "  ", "\t"} {
		text, err := json.MarshalIndent(map[string]any{"name": s.Name, "search": map[string]any{"means": s.Search.Means}}, "", indent)
		if err != nil {
			t.Fatal(err)
		}
		got := sound()
		if err := keys.Read(got, "job.json", text); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("indent %q: err %v, want %+v, got %+v", indent, err, s, got)
		}
	}
}

// FuzzRead holds that no text panics, that on an error the settings stay, and that
// what is read can be written and read again.
func FuzzRead(f *testing.F) {
	for _, s := range []string{wantYAML, "tune: {lr: 1, share: [}", "? a\n: b", "a: &a *a", "name: |\n  x\nname: >-\n y", "{\"a\": [1, {}]}", "- - a: b\n - c", "!!x !y z", "%a\n---\n...\n---", "target: {macs: {}}", "'': \"\\x", "\t- :\n,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := sound()
		if err := keys.Read(s, "f", text); err != nil {
			if !reflect.DeepEqual(s, sound()) {
				t.Fatalf("want the settings as they were, got %+v", s)
			}
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "job: f:") {
					t.Fatalf("want a file in every line, got %q", err)
				}
			}
			return
		}
		written, err := keys.Write(s)
		if err != nil {
			t.Fatal(err)
		}
		got := &settings{}
		if err := keys.Read(got, "f", written); err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("err %v, want %+v, got %+v, from\n%s", err, s, got, written)
		}
	})
}
