package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// packageIndex serves a plugin and the package that lists its libraries, and counts downloads.
func packageIndex(t *testing.T) (address string, downloads *int) {
	t.Helper()
	arch := map[string]string{"arm64": "aarch64"}[runtime.GOARCH]
	if arch == "" {
		arch = "x86_64"
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("jax_plugins/xla_cuda13/xla_cuda_plugin.so")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "no library")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	downloads = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Base(r.URL.Path)
		switch {
		case strings.HasSuffix(name, ".metadata"):
		case strings.HasSuffix(name, ".whl"):
			*downloads++
			w.Write(b.Bytes())
		default:
			file := fmt.Sprintf("%s-1.0-py3-none-manylinux_2_27_%s.whl", strings.ReplaceAll(name, "-", "_"), arch)
			json.NewEncoder(w).Encode(map[string]any{"files": []any{map[string]any{"filename": file, "url": file, "size": b.Len(), "hashes": map[string]string{"sha256": hex.EncodeToString(sum[:])}}}})
		}
	}))
	t.Cleanup(s.Close)
	return s.URL + "/simple", downloads
}

// TestInstallCUDA: doctor says what it would download and from where, and downloads it
// only when told to.
func TestInstallCUDA(t *testing.T) {
	index, downloads := packageIndex(t)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	installed, err := cacheFolder("cuda")
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
			args := append([]string{"entangle", "doctor", "--install-cuda", "--index", index}, c.args...)
			if code := run(context.Background(), args, strings.NewReader(c.answer), &out, &log); code != 0 {
				t.Fatalf("exit code %d: %s", code, log.String())
			}
			if !strings.Contains(log.String(), "jax-cuda13-pjrt  1.0") || !strings.Contains(log.String(), index+"/jax-cuda13-pjrt/jax_cuda13_pjrt-1.0") || !strings.Contains(log.String(), installed) {
				t.Errorf("want what, from where and to where, got %s", log.String())
			}
			if *downloads != c.want {
				t.Errorf("want %d downloads, got %d", c.want, *downloads)
			}
			_, err := os.Stat(filepath.Join(installed, "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so"))
			if (err == nil) != (c.want > 0) || strings.Contains(out.String(), "installed") != (c.want > 0) {
				t.Errorf("want it installed: %t, got %v and %q", c.want > 0, err, out.String())
			}
		})
	}
}
