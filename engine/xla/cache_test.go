package xla

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCache(t *testing.T) {
	c := cache{filepath.Join(t.TempDir(), "modules"), 100}
	a, b := c.key("module", "gpu"), c.key("module", "other gpu")
	if a == b || a == c.key("modul", "egpu") || a != c.key("module", "gpu") {
		t.Error("want a key per module and circumstances")
	}
	if c.get(a) != nil {
		t.Error("want nothing from an empty cache")
	}
	c.put(a, bytes.Repeat([]byte{1}, 40))
	c.put(b, bytes.Repeat([]byte{2}, 40))
	if got := c.get(a); len(got) != 40 || got[0] != 1 {
		t.Errorf("want what was kept, got %v", got)
	}
	c.drop(b)
	if c.get(b) != nil {
		t.Error("want it forgotten")
	}
	c.put(b, bytes.Repeat([]byte{2}, 40))
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(c.path(a), old, old); err != nil {
		t.Fatal(err)
	}
	third := c.key("third")
	c.put(third, bytes.Repeat([]byte{3}, 40))
	if c.get(a) != nil || c.get(b) == nil || c.get(third) == nil {
		t.Error("want the least recently used one gone, and no other")
	}
	c.put(c.key("large"), make([]byte, 101))
	if c.get(c.key("large")) != nil || c.get(b) == nil {
		t.Error("want what is larger than the cache left out")
	}
	none := cache{"", 100}
	none.put(a, []byte{1})
	if none.get(a) != nil {
		t.Error("want nothing kept without a folder")
	}
	if m, _ := filepath.Glob(filepath.Join(c.dir, ".new-*")); len(m) > 0 {
		t.Errorf("want no temporary files, got %v", m)
	}
}
