package exporter

import (
	"os"
	"path/filepath"
	"testing"
)

// A replaced file comes back, a new one goes away, and no second name stays.
func TestKeepRestores(t *testing.T) {
	for _, before := range []string{"old", ""} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		if before != "" {
			if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, undo := range []bool{true, false} {
			k, err := keep(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+".new", []byte("new"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
			want := "new"
			if undo {
				want = before
				if err := k.restore(); err != nil {
					t.Fatal(err)
				}
			} else {
				k.drop()
			}
			b, _ := os.ReadFile(path)
			list, _ := os.ReadDir(dir)
			if files := min(len(want), 1); string(b) != want || len(list) != files {
				t.Errorf("before %q, undo %t: want %q and %d files, got %q and %d", before, undo, want, files, b, len(list))
			}
		}
	}
}
