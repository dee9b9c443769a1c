package depcheck

import (
	"slices"
	"strings"
	"testing"
)

func TestModule(t *testing.T) {
	imports, err := Imports("../..")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(imports, func(i Import) bool { return i.Package == "ops" && i.Path == Module+"/ir" }) {
		t.Fatal("want the imports of package ops among those found")
	}
	for _, f := range Check(imports, Allowed, Guarded) {
		t.Error(f)
	}
}

func TestCheck(t *testing.T) {
	allowed := map[string][]string{"ops": {"ir"}, "cmd": {Anything}, "engine/cpu": {}}
	guarded := map[string][]string{"example.org/pb": {"importer"}}
	for _, c := range []struct {
		name string
		im   Import
		want string
	}{
		{"allowed", Import{"ops", "ops/a.go:3", Module + "/ir"}, ""},
		{"up the line", Import{"ops", "ops/a.go:3", Module + "/space"}, "ops/a.go:3: package ops may not import space"},
		{"root", Import{"ops", "ops/a.go:3", Module}, "may not import ."},
		{"anything", Import{"cmd", "cmd/a.go:3", Module + "/space"}, ""},
		{"own internals", Import{"engine/cpu", "a.go:1", Module + "/engine/cpu/internal/x"}, ""},
		{"unlisted", Import{"new", "new/a.go:3", "fmt"}, "package new: no line"},
		{"guarded", Import{"ops", "ops/a.go:3", "example.org/pb/sub"}, "which is for [importer] alone"},
		{"not guarded by prefix of a word", Import{"ops", "ops/a.go:3", "example.org/pbx"}, ""},
		{"standard library", Import{"ops", "ops/a.go:3", "fmt"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(Check([]Import{c.im}, allowed, guarded), "\n")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Fatalf("want %q, got %q", c.want, got)
			}
		})
	}
}

func TestRulesNameNoUnknownPackage(t *testing.T) {
	for p, list := range Allowed {
		for _, q := range list {
			if _, ok := Allowed[q]; !ok && q != Anything {
				t.Errorf("rule of %s: %s has no line of its own", p, q)
			}
		}
	}
}

// TestOneWay holds that the rules themselves have no cycle.
func TestOneWay(t *testing.T) {
	state := map[string]int{}
	var visit func(p string, trail []string)
	visit = func(p string, trail []string) {
		if state[p] == 2 {
			return
		}
		trail = append(trail, p)
		if state[p] == 1 {
			t.Fatalf("rules go in a circle: %s", strings.Join(trail, " → "))
		}
		state[p] = 1
		for _, q := range Allowed[p] {
			if q != Anything {
				visit(q, trail)
			}
		}
		state[p] = 2
	}
	for p := range Allowed {
		visit(p, nil)
	}
}
