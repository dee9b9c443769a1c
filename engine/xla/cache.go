package xla

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// cache keeps compiled modules in a folder, the least recently used of which go first.
// A cache that cannot be read or written is an empty one: errors are of no consequence.
type cache struct {
	dir   string // "" keeps nothing
	limit int64  // bytes
}

// key names a module compiled under the given circumstances.
func (cache) key(module string, circumstances ...string) string {
	h := sha256.New()
	for _, s := range append(circumstances, module) {
		fmt.Fprintf(h, "%d\n%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (c cache) path(key string) string { return filepath.Join(c.dir, key+".pjrt") }

// get returns what was kept under key, nil for nothing.
func (c cache) get(key string) []byte {
	if c.dir == "" {
		return nil
	}
	b, err := os.ReadFile(c.path(key))
	if err != nil {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(c.path(key), now, now)
	return b
}

// drop forgets a key.
func (c cache) drop(key string) {
	if c.dir != "" {
		_ = os.Remove(c.path(key))
	}
}

// put keeps b whole or not at all, and makes room for it.
func (c cache) put(key string, b []byte) {
	if c.dir == "" || len(b) == 0 || int64(len(b)) > c.limit || os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(c.dir, ".new-*")
	if err != nil {
		return
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), c.path(key))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return
	}
	c.prune()
}

// prune removes the least recently used files beyond the limit.
func (c cache) prune() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && filepath.Ext(e.Name()) == ".pjrt" {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	total := int64(0)
	for _, f := range files {
		if total += f.Size(); total > c.limit {
			_ = os.Remove(filepath.Join(c.dir, f.Name()))
		}
	}
}
