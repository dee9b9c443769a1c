package keys_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/keys"
)

func TestList(t *testing.T) {
	s := sound()
	var paths []string
	byPath := map[string]keys.Key{}
	for _, k := range keys.List(s, lists) {
		paths = append(paths, k.Path)
		byPath[k.Path] = k
	}
	want := "seed name tune.lr tune.share tune.smooth tune.warmup search.weights.lr search.weights.share search.weights.smooth " +
		"search.weights.warmup search.kind search.kinds search.means on steps far sizes maybe text pair target memory"
	if got := strings.Join(paths, " "); got != want {
		t.Fatalf("paths: want %s, got %s", want, got)
	}
	for _, want := range []keys.Key{
		{Path: "seed", Type: "integer", Want: ">=0", Value: "7"},
		{Path: "tune.warmup", Type: "number", Doc: "rise", Unit: "epochs", Want: ">=0", Optional: true, Value: "null"},
		{Path: "search.kinds", Type: "list of texts", Want: "nonempty", Values: []string{"drnas", "darts", "gdas"}, Optional: true, Value: "gdas"},
		{Path: "search.means", Type: "list of numbers", Want: "(0,1]", Optional: true, Value: "null"},
		{Path: "on", Type: "boolean", Value: "false"},
		{Path: "pair", Type: "text", Value: "32x48"},
		{Path: "target", Type: "text", Value: "macs=0.5"},
	} {
		if got := byPath[want.Path]; !reflect.DeepEqual(got, want) {
			t.Errorf("want %+v, got %+v", want, got)
		}
	}
}

// TestBugs holds that a struct or tag that cannot be read panics and says where.
func TestBugs(t *testing.T) {
	for _, c := range []struct {
		name, want string
		v          any
	}{
		{"no pointer", "want a pointer to a struct", rule{}},
		{"nil pointer", "want a pointer to a struct", (*rule)(nil)},
		{"no struct", "want a pointer to a struct", new(int)},
		{"no tag", ".A: want a json tag", &struct{ A int }{}},
		{"dot in a name", ".A: want a json tag", &struct {
			A int `json:"a.b"`
		}{}},
		{"twice", `.Seed: name "seed": given twice`, &struct {
			common
			Seed int `json:"seed"`
		}{}},
		{"map", ".A: type map[string]int", &struct {
			A map[string]int `json:"a"`
		}{}},
		{"pointer to a struct", ".A: type *keys_test.rule", &struct {
			A *rule `json:"a"`
		}{}},
		{"pointer to a list", ".A: type *[]int", &struct {
			A *[]int `json:"a"`
		}{}},
		{"list of structs", ".A: type []keys_test.rule", &struct {
			A []rule `json:"a"`
		}{}},
		{"list of coded", ".A: type []keys_test.pair", &struct {
			A []pair `json:"a"`
		}{}},
		{"array", ".A: type [2]int", &struct {
			A [2]int `json:"a"`
		}{}},
		{"range of text", `want:">0" does not suit type text`, &struct {
			A string `json:"a" want:">0"`
		}{}},
		{"nonempty number", `want:"nonempty" does not suit type number`, &struct {
			A float64 `json:"a" want:"nonempty"`
		}{}},
		{"oneof of a number", `oneof:"kind" does not suit type integer`, &struct {
			A int `json:"a" oneof:"kind"`
		}{}},
		{"range of a section", `does not suit type section`, &struct {
			A rule `json:"a" want:">0"`
		}{}},
		{"unknown list", `a: no list "nowhere"`, &struct {
			A string `json:"a" oneof:"nowhere"`
		}{}},
		{"word", `want:"positive"`, &struct {
			A int `json:"a" want:"positive"`
		}{}},
		{"no bound", `want:">"`, &struct {
			A int `json:"a" want:">"`
		}{}},
		{"endless bound", `want:">inf"`, &struct {
			A int `json:"a" want:">inf"`
		}{}},
		{"empty interval", `want:"[1,0]"`, &struct {
			A int `json:"a" want:"[1,0]"`
		}{}},
		{"half an interval", `want:"[0,1"`, &struct {
			A int `json:"a" want:"[0,1"`
		}{}},
		{"two wants", `want:">0,<1"`, &struct {
			A int `json:"a" want:">0,<1"`
		}{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				got, _ := recover().(string)
				if !strings.HasPrefix(got, "BUG: keys: ") || !strings.Contains(got, c.want) {
					t.Errorf("want a panic with %q, got %q", c.want, got)
				}
			}()
			keys.List(c.v, lists)
		})
	}
}
