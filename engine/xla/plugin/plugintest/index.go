// Package plugintest serves tests an index of Python packages.
package plugintest

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// Platform returns the end of the tag of a wheel for this processor.
func Platform() string {
	if runtime.GOARCH == "arm64" {
		return "manylinux_2_27_aarch64"
	}
	return "manylinux_2_27_x86_64"
}

// Index is an index to fill with Add and to change before Serve.
type Index struct {
	Projects  map[string][]File
	Bodies    map[string][]byte // by name of file
	Downloads int               // wheels served so far

	metadata map[string]string
}

// File is one wheel of a project, as PEP 691 has it.
type File struct {
	Name   string            `json:"filename"`
	URL    string            `json:"url"`
	Hashes map[string]string `json:"hashes"`
	Size   int               `json:"size"`
}

// New returns an empty index.
func New() *Index {
	return &Index{Projects: map[string][]File{}, Bodies: map[string][]byte{}, metadata: map[string]string{}}
}

// Add puts a wheel of names and contents into a project.
func (x *Index) Add(t testing.TB, project, version, tag, metadata string, contents map[string]string) {
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
	x.Projects[project] = append(x.Projects[project], File{name, "../../files/" + name, map[string]string{"sha256": hex.EncodeToString(sum[:])}, b.Len()})
	x.Bodies[name], x.metadata[name] = b.Bytes(), metadata
}

// Serve returns the server's address until the test ends: the index is below /simple,
// the files are below /files.
func (x *Index) Serve(t testing.TB) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.URL.Path, "/files/"); ok {
			if of, meta := strings.CutSuffix(name, ".metadata"); meta {
				fmt.Fprint(w, x.metadata[of])
				return
			}
			x.Downloads++
			w.Write(x.Bodies[name])
			return
		}
		files, ok := x.Projects[strings.Trim(strings.TrimPrefix(r.URL.Path, "/simple/"), "/")]
		if !ok || r.Header.Get("Accept") != "application/vnd.pypi.simple.v1+json" {
			http.NotFound(w, r)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"files": files})
	}))
	t.Cleanup(s.Close)
	return s.URL
}
