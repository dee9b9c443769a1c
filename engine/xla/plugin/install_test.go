package plugin

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

// fakeIndex serves wheels made of names and contents; broken ones have a wrong sum.
type fakeIndex struct {
	projects map[string][]file
	bodies   map[string][]byte
	metadata map[string]string
}

func arch() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64"
	}
	return "x86_64"
}

func newIndex() *fakeIndex {
	return &fakeIndex{map[string][]file{}, map[string][]byte{}, map[string]string{}}
}

func (x *fakeIndex) add(t *testing.T, project, version, tag, metadata string, contents map[string]string) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range contents {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s-%s-%s.whl", strings.ReplaceAll(project, "-", "_"), version, tag)
	sum := sha256.Sum256(b.Bytes())
	x.projects[project] = append(x.projects[project], file{Name: name, URL: "../../files/" + name, Hashes: map[string]string{"sha256": hex.EncodeToString(sum[:])}, Size: int64(b.Len())})
	x.bodies[name], x.metadata[name] = b.Bytes(), metadata
}

func (x *fakeIndex) serve(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.URL.Path, "/files/"); ok {
			if of, meta := strings.CutSuffix(name, ".metadata"); meta {
				fmt.Fprint(w, x.metadata[of])
				return
			}
			w.Write(x.bodies[name])
			return
		}
		files, ok := x.projects[strings.Trim(strings.TrimPrefix(r.URL.Path, "/simple/"), "/")]
		if !ok || r.Header.Get("Accept") != "application/vnd.pypi.simple.v1+json" {
			http.NotFound(w, r)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"files": files})
	}))
	t.Cleanup(s.Close)
	return s
}

// cudaIndex is an index with two releases of the plugin and the libraries it needs.
func cudaIndex(t *testing.T) *fakeIndex {
	x := newIndex()
	linux := "py3-none-manylinux_2_27_" + arch()
	so := map[string]string{cuda13: "the plugin"}
	x.add(t, "jax-cuda13-pjrt", "0.8.0", linux, "", map[string]string{cuda13: "old"})
	x.add(t, "jax-cuda13-pjrt", "0.8.1", linux, "", so)
	x.add(t, "jax-cuda13-pjrt", "0.9.0rc1", linux, "", so)
	x.add(t, "jax-cuda13-pjrt", "0.8.2", "py3-none-win_amd64", "", so)
	requires := "Metadata-Version: 2.1\nName: jax-cuda13-plugin\nRequires-Dist: jax-cuda13-pjrt==0.8.1\n" +
		"Requires-Dist: nvidia-cublas>=13.0,<14; extra == \"with-cuda\"\nRequires-Dist: nvidia-cudnn-cu13 (>=9.8,<10.0) ; sys_platform == \"linux\" and extra == 'with-cuda'\n" +
		"Requires-Dist: nvidia-other ; extra == 'docs'\n\nRequires-Dist: nvidia-in-prose; extra == 'with-cuda'\n"
	x.add(t, "jax-cuda13-plugin", "0.8.1", "cp312-cp312-manylinux_2_27_"+arch(), requires, nil)
	x.add(t, "jax-cuda13-plugin", "0.8.0", "cp312-cp312-manylinux_2_27_"+arch(), "", nil)
	x.add(t, "nvidia-cublas", "12.9.1", linux, "", nil)
	x.add(t, "nvidia-cublas", "13.1.0.3", linux, "", map[string]string{"nvidia/cu13/lib/libcublas.so.13": "blas"})
	x.add(t, "nvidia-cublas", "14.0.0", linux, "", nil)
	x.add(t, "nvidia-cudnn-cu13", "9.13.0.50", linux, "Requires-Dist: nvidia-cublas\nRequires-Dist: nvidia-nvjitlink\n", map[string]string{"nvidia/cudnn/lib/libcudnn.so.9": "dnn"})
	x.add(t, "nvidia-nvjitlink", "13.0.39", linux, "", map[string]string{"nvidia/cu13/lib/libnvJitLink.so.13": "link"})
	return x
}

func TestInstall(t *testing.T) {
	s := cudaIndex(t).serve(t)
	in := Installer{Index: s.URL + "/simple", CUDA: 13}
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
	linux := "py3-none-manylinux_2_27_" + arch()
	for _, c := range []struct {
		name, want string
		change     func(x *fakeIndex)
	}{
		{"wrong sum", "SHA-256: want", func(x *fakeIndex) {
			name := x.projects["nvidia-cublas"][1].Name
			x.bodies[name] = append([]byte{}, x.bodies[name][:10]...)
		}},
		{"path out of the folder", "want a plain file below the folder", func(x *fakeIndex) {
			x.projects["nvidia-nvjitlink"] = nil
			x.add(t, "nvidia-nvjitlink", "13.0.39", linux, "", map[string]string{"../evil": "x"})
		}},
		{"no plugin inside", "hold no plugin", func(x *fakeIndex) {
			x.projects["jax-cuda13-pjrt"] = nil
			x.add(t, "jax-cuda13-pjrt", "0.8.1", linux, "", map[string]string{"readme": "x"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := cudaIndex(t)
			c.change(x)
			s := x.serve(t)
			in := Installer{Index: s.URL + "/simple", CUDA: 13}
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
	s := cudaIndex(t).serve(t)
	for _, c := range []struct {
		name, want string
		in         Installer
	}{
		{"version", "want 12 or 13, got 11", Installer{Index: s.URL + "/simple", CUDA: 11}},
		{"no such project", "404", Installer{Index: s.URL + "/simple", CUDA: 12}},
		{"no index there", "404", Installer{Index: s.URL + "/other", CUDA: 13}},
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
