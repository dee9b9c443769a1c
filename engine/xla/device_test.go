//go:build xla

package xla

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle/engine/enginetest"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/engine/xla/plugin"
)

// openDevice opens the first GPU, or skips in one line that says why it cannot.
func openDevice(t *testing.T) *Backend {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = ""
	}
	found, err := plugin.Find(context.Background(), plugin.Search{Getenv: os.Getenv, Cache: filepath.Join(cache, "entangle", "cuda")})
	if err != nil {
		t.Skip(err)
	}
	be, err := Open(context.Background(), Options{Plugin: found.Path, Libraries: found.Libraries(), CUDAData: found.CUDAData(), Grow: true, Precision: lower.F32})
	if err != nil {
		t.Skip(err)
	}
	t.Log(be.Describe())
	return be
}

// TestDevice judges the GPU.
func TestDevice(t *testing.T) {
	be := openDevice(t)
	enginetest.Run(t, be)
	t.Run("precision", func(t *testing.T) { runPrecision(t, be.dev, 1e-5, 5e-3) })
}

// TestOpenFails: what is no plugin is refused in one line, and does not hang.
func TestOpenFails(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path string }{{"relative", "plugin.so"}, {"absent", filepath.Join(t.TempDir(), "absent.so")}, {"no library", text}} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Open(context.Background(), Options{Plugin: c.path}); err == nil {
				t.Error("want an error, got none")
			} else {
				t.Log(err)
			}
		})
	}
}
