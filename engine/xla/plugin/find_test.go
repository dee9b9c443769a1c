package plugin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// touch makes empty files below dir.
func touch(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, f := range files {
		p := filepath.Join(dir, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	cuda12 = "jax_plugins/xla_cuda12/xla_cuda_plugin.so"
	cuda13 = "jax_plugins/xla_cuda13/xla_cuda_plugin.so"
)

func TestFindOrder(t *testing.T) {
	dir := t.TempDir()
	venv, conda, cache, python, plain := filepath.Join(dir, "ve[n]v"), filepath.Join(dir, "conda"), filepath.Join(dir, "cache"), filepath.Join(dir, "py"), filepath.Join(dir, "plain")
	touch(t, venv, "lib/python3.12/site-packages/"+cuda12, "lib/python3.12/site-packages/"+cuda13)
	touch(t, conda, "lib/python3.11/site-packages/"+cuda12)
	touch(t, cache, cuda13)
	touch(t, python, cuda12)
	touch(t, plain, "pjrt_c_api_cuda_plugin.so", "pjrt_c_api_cpu_plugin.so")
	all := map[string]string{"PJRT_PLUGIN_LIBRARY_PATH": dir + ":" + plain, "VIRTUAL_ENV": venv, "CONDA_PREFIX": conda}
	sites := func(context.Context) []string { return []string{filepath.Join(dir, "absent"), python} }
	without := func(names ...string) map[string]string {
		m := map[string]string{}
		for k, v := range all {
			if !slices.Contains(names, k) {
				m[k] = v
			}
		}
		return m
	}
	for _, c := range []struct {
		name   string
		path   string
		env    map[string]string
		cache  string
		want   string
		origin string
	}{
		{"named", filepath.Join(python, cuda12), all, cache, filepath.Join(python, cuda12), "named"},
		{"named folder", plain, all, cache, filepath.Join(plain, "pjrt_c_api_cuda_plugin.so"), "named"},
		{"path variable", "", all, cache, filepath.Join(plain, "pjrt_c_api_cuda_plugin.so"), "$PJRT_PLUGIN_LIBRARY_PATH"},
		{"path variable names a file", "", map[string]string{"PJRT_PLUGIN_LIBRARY_PATH": filepath.Join(cache, cuda13)}, "", filepath.Join(cache, cuda13), "$PJRT_PLUGIN_LIBRARY_PATH"},
		{"environment, newest CUDA", "", without("PJRT_PLUGIN_LIBRARY_PATH"), cache, filepath.Join(venv, "lib/python3.12/site-packages", cuda13), "$VIRTUAL_ENV"},
		{"conda", "", without("PJRT_PLUGIN_LIBRARY_PATH", "VIRTUAL_ENV"), cache, filepath.Join(conda, "lib/python3.11/site-packages", cuda12), "$CONDA_PREFIX"},
		{"cache", "", nil, cache, filepath.Join(cache, cuda13), "installed by doctor --install-cuda"},
		{"python", "", nil, "", filepath.Join(python, cuda12), "Python on PATH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Find(context.Background(), Search{Path: c.path, Getenv: func(k string) string { return c.env[k] }, Cache: c.cache, Sites: sites})
			if err != nil || f.Path != c.want || f.Origin != c.origin {
				t.Errorf("want %s (%s), got %+v, %v", c.want, c.origin, f, err)
			}
		})
	}
}

func TestGPU(t *testing.T) {
	dir := t.TempDir()
	was := devices
	t.Cleanup(func() { devices = was })
	devices = []string{filepath.Join(dir, "nvidia[0-9]*"), filepath.Join(dir, "dxg")}
	touch(t, dir, "nvidiactl")
	if GPU() {
		t.Error("a driver without a GPU: want false")
	}
	touch(t, dir, "nvidia0")
	if !GPU() {
		t.Error("want true")
	}
}

func TestFindNone(t *testing.T) {
	none := func(context.Context) []string { return nil }
	_, err := Find(context.Background(), Search{Cache: t.TempDir(), Sites: none})
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "--install-cuda") {
		t.Errorf("want ErrNone with what to do, got %v", err)
	}
	if _, err = Find(context.Background(), Search{Path: filepath.Join(t.TempDir(), "no.so")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a named file that is not there: want its error, got %v", err)
	}
	if _, err = Find(context.Background(), Search{Path: t.TempDir()}); !errors.Is(err, ErrNone) {
		t.Errorf("a named folder without a plugin: want ErrNone, got %v", err)
	}
}

func TestLibraries(t *testing.T) {
	site := t.TempDir()
	touch(t, site, cuda12, cuda13, "nvidia/cu13/lib/libcublas.so.13", "nvidia/cu13/lib/libcublasLt.so.13", "nvidia/cudnn/lib/libcudnn.so.9",
		"nvidia/cublas/lib/libcublas.so.12", "nvidia/cu13/nvvm/libdevice/libdevice.10.bc", "nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc", "nvidia/cudnn/lib/libcudnn_ops.so.9")
	base := func(paths []string) string {
		var s []string
		for _, p := range paths {
			s = append(s, filepath.Base(p))
		}
		return strings.Join(s, " ")
	}
	new, old := Found{Path: filepath.Join(site, cuda13), Site: site}, Found{Path: filepath.Join(site, cuda12), Site: site}
	if got := base(new.Libraries()); got != "libcublasLt.so.13 libcublas.so.13 libcudnn.so.9" {
		t.Errorf("CUDA 13: got %s", got)
	}
	if got := base(old.Libraries()); got != "libcublas.so.12 libcudnn.so.9" {
		t.Errorf("CUDA 12: got %s", got)
	}
	if got, want := new.CUDAData(), filepath.Join(site, "nvidia", "cu13"); got != want {
		t.Errorf("toolkit: want %s, got %s", want, got)
	}
	if got, want := old.CUDAData(), filepath.Join(site, "nvidia", "cuda_nvcc"); got != want {
		t.Errorf("toolkit: want %s, got %s", want, got)
	}
	elsewhere := Found{Path: filepath.Join(site, "x.so")}
	if elsewhere.Libraries() != nil || elsewhere.CUDAData() != "" {
		t.Error("a plugin elsewhere: want no libraries and no toolkit")
	}
}
