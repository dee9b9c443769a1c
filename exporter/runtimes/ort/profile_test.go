//go:build cgo

package ort

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadProfile(t *testing.T) {
	event := func(cat, name string, micro string) string {
		return `{"cat":"` + cat + `","name":"` + name + `","dur":` + micro + `,"args":{"op_name":"Conv"}}`
	}
	run := func(a, b string) string {
		return strings.Join([]string{event("Node", "a_kernel_time", a), event("Node", "a_fence_before", "9"), event("Node", "b_kernel_time", b), event("Node", "a_kernel_time", "1"), event("Session", "model_run", "50")}, ",")
	}
	for name, c := range map[string]struct{ text, fault string }{
		"good":  {"[" + event("Session", "model_loading", "7") + "," + run("100", "100") + "," + run("3", "5") + "," + run("4", "6") + "]", ""},
		"short": {"[" + run("1", "1") + "]", "want nodes of 3 runs, got 0 nodes of 1"},
		"cut":   {"[" + run("1", "1"), "profile"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "p.json")
			if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
				t.Fatal(err)
			}
			got, err := readProfile(path, 1, 2)
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("want %q, got %v", c.fault, err)
				}
				return
			}
			if err != nil || len(got) != 2 || got[0].Name != "a" || got[0].Op != "Conv" || got[0].Times[0] != 0.004 || got[0].Times[1] != 0.005 || got[1].Times[1] != 0.006 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
