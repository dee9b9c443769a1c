package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine/xla/plugin/plugintest"
)

// TestInstallCUDA: doctor says what it would download and from where, and downloads it
// only when told to.
func TestInstallCUDA(t *testing.T) {
	x, tag := plugintest.New(), "py3-none-"+plugintest.Platform()
	x.Add(t, "jax-cuda13-pjrt", "1.0", tag, "", map[string]string{"jax_plugins/xla_cuda13/xla_cuda_plugin.so": "no library"})
	x.Add(t, "jax-cuda13-plugin", "1.0", tag, "", nil)
	host := x.Serve(t)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	installed, err := entangle.CacheFolder("cuda")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, answer string
		args         []string
		want         int // downloads so far
	}{
		{"no", "n\n", nil, 0},
		{"no answer", "", nil, 0},
		{"yes", "y\n", nil, 1},
		{"not asked", "", []string{"--yes"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, log bytes.Buffer
			args := append([]string{"entangle", "doctor", "--install-cuda", "--index", host + "/simple"}, c.args...)
			if code := run(context.Background(), args, strings.NewReader(c.answer), &out, &log); code != 0 {
				t.Fatalf("exit code %d: %s", code, log.String())
			}
			if !strings.Contains(log.String(), "jax-cuda13-pjrt  1.0") || !strings.Contains(log.String(), host+"/files/jax_cuda13_pjrt-1.0") || !strings.Contains(log.String(), installed) {
				t.Errorf("want what, from where and to where, got %s", log.String())
			}
			if x.Downloads != c.want {
				t.Errorf("want %d downloads, got %d", c.want, x.Downloads)
			}
			_, err := os.Stat(filepath.Join(installed, "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so"))
			if (err == nil) != (c.want > 0) || strings.Contains(out.String(), "installed") != (c.want > 0) {
				t.Errorf("want it installed: %t, got %v and %q", c.want > 0, err, out.String())
			}
		})
	}
}
