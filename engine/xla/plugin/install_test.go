package plugin

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/xla/plugin/plugintest"
)

// cudaIndex is an index with two releases of the plugin and the libraries it needs.
func cudaIndex(t *testing.T) *plugintest.Index {
	x := plugintest.New()
	linux := "py3-none-" + plugintest.Platform()
	so := map[string]string{cuda13: "the plugin"}
	x.Add(t, "jax-cuda13-pjrt", "0.8.0", linux, "", map[string]string{cuda13: "old"})
	x.Add(t, "jax-cuda13-pjrt", "0.8.1", linux, "", so)
	x.Add(t, "jax-cuda13-pjrt", "0.9.0rc1", linux, "", so)
	x.Add(t, "jax-cuda13-pjrt", "0.8.2", "py3-none-win_amd64", "", so)
	requires := "Metadata-Version: 2.1\nName: jax-cuda13-plugin\nRequires-Dist: jax-cuda13-pjrt==0.8.1\n" +
		"Requires-Dist: nvidia-cublas>=13.0,<14; extra == \"with-cuda\"\nRequires-Dist: nvidia-cudnn-cu13 (>=9.8,<10.0) ; sys_platform == \"linux\" and extra == 'with-cuda'\n" +
		"Requires-Dist: nvidia-other ; extra == 'docs'\n\nRequires-Dist: nvidia-in-prose; extra == 'with-cuda'\n"
	x.Add(t, "jax-cuda13-plugin", "0.8.1", "cp312-cp312-"+plugintest.Platform(), requires, nil)
	x.Add(t, "jax-cuda13-plugin", "0.8.0", "cp312-cp312-"+plugintest.Platform(), "", nil)
	x.Add(t, "nvidia-cublas", "12.9.1", linux, "", nil)
	x.Add(t, "nvidia-cublas", "13.1.0.3", linux, "", map[string]string{"nvidia/cu13/lib/libcublas.so.13": "blas"})
	x.Add(t, "nvidia-cublas", "14.0.0", linux, "", nil)
	x.Add(t, "nvidia-cudnn-cu13", "9.13.0.50", linux, "Requires-Dist: nvidia-cublas\nRequires-Dist: nvidia-nvjitlink\n", map[string]string{"nvidia/cudnn/lib/libcudnn.so.9": "dnn"})
	x.Add(t, "nvidia-nvjitlink", "13.0.39", linux, "", map[string]string{"nvidia/cu13/lib/libnvJitLink.so.13": "link"})
	return x
}

func TestInstall(t *testing.T) {
	host := cudaIndex(t).Serve(t)
	in := Installer{Index: host + "/simple", CUDA: 13}
	plan, err := in.Plan(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range plan {
		got = append(got, w.Project+" "+w.Version)
	}
	want := "jax-cuda13-pjrt 0.8.1, nvidia-cublas 13.1.0.3, nvidia-cudnn-cu13 9.13.0.50, nvidia-nvjitlink 13.0.39"
	if strings.Join(got, ", ") != want {
		t.Fatalf("plan: want %s, got %s", want, strings.Join(got, ", "))
	}
	dir := filepath.Join(t.TempDir(), "entangle", "cuda")
	touch(t, dir, "left-over")
	if err := in.Install(context.Background(), plan, dir, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Find(context.Background(), Search{Cache: dir, Sites: func(context.Context) []string { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Path)
	if err != nil || string(b) != "the plugin" {
		t.Errorf("want the newest plugin, got %q, %v", b, err)
	}
	if len(f.Libraries()) != 3 {
		t.Errorf("want three libraries beside it, got %v", f.Libraries())
	}
	if isFile(filepath.Join(dir, "left-over")) {
		t.Error("want the folder replaced as a whole")
	}
	if m, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".install-*")); len(m) > 0 {
		t.Errorf("want no temporary folders left, got %v", m)
	}
}

func TestInstallRefuses(t *testing.T) {
	linux := "py3-none-" + plugintest.Platform()
	for _, c := range []struct {
		name, want string
		change     func(x *plugintest.Index)
	}{
		{"wrong sum", "SHA-256: want", func(x *plugintest.Index) {
			name := x.Projects["nvidia-cublas"][1].Name
			x.Bodies[name] = append([]byte{}, x.Bodies[name][:10]...)
		}},
		{"path out of the folder", "want a plain file below the folder", func(x *plugintest.Index) {
			x.Projects["nvidia-nvjitlink"] = nil
			x.Add(t, "nvidia-nvjitlink", "13.0.39", linux, "", map[string]string{"../evil": "x"})
		}},
		{"no plugin inside", "hold no plugin", func(x *plugintest.Index) {
			x.Projects["jax-cuda13-pjrt"] = nil
			x.Add(t, "jax-cuda13-pjrt", "0.8.1", linux, "", map[string]string{"readme": "x"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := cudaIndex(t)
			c.change(x)
			in := Installer{Index: x.Serve(t) + "/simple", CUDA: 13}
			plan, err := in.Plan(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "cuda")
			touch(t, dir, "kept")
			err = in.Install(context.Background(), plan, dir, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
			if !isFile(filepath.Join(dir, "kept")) {
				t.Error("want what was there before kept")
			}
		})
	}
}

func TestPlanErrors(t *testing.T) {
	host := cudaIndex(t).Serve(t)
	for _, c := range []struct {
		name, want string
		in         Installer
	}{
		{"version", "want 12 or 13, got 11", Installer{Index: host + "/simple", CUDA: 11}},
		{"no such project", "404", Installer{Index: host + "/simple", CUDA: 12}},
		{"no index there", "404", Installer{Index: host + "/other", CUDA: 13}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := c.in.Plan(context.Background()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
		})
	}
}

func TestRequirements(t *testing.T) {
	for _, c := range []struct {
		text, version string
		want          bool
	}{
		{"a>=1.2,<2", "1.10.1", true}, {"a>=1.2,<2", "2.0", false}, {"a>=1.2", "1.1.9", false}, {"a (==1.2.*)", "1.2.7", true}, {"a==1.2.*", "1.3", false},
		{"a~=1.4.2", "1.4.9", true}, {"a~=1.4.2", "1.5", false}, {"a!=1.0", "1.0.0", false}, {"a", "7", true}, {"a[x]>1", "1", false},
	} {
		r, _, err := parseRequirement(c.text)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := parseVersion(c.version)
		if !ok || r.allows(v) != c.want {
			t.Errorf("%s allows %s: want %t", c.text, c.version, c.want)
		}
	}
	for _, bad := range []string{"", "a>=one", "a=>1", "; x"} {
		if _, _, err := parseRequirement(bad); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}
