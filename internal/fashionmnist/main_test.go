package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// standIn replaces the list of files by small ones for one test and returns their compressed bytes.
func standIn(t *testing.T) map[string][]byte {
	t.Helper()
	old := files
	t.Cleanup(func() { files = old })
	content := map[string][]byte{}
	files = nil
	for _, name := range []string{"a.gz", "b.gz"} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte("content of " + name))
		z.Close()
		content[name] = b.Bytes()
		sum := sha256.Sum256([]byte("content of " + name))
		files = append(files, struct{ name, sum string }{name, hex.EncodeToString(sum[:])})
	}
	return content
}

func serve(t *testing.T, content map[string][]byte) (url string, hits *int) {
	t.Helper()
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		b, ok := content[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(b)
	}))
	t.Cleanup(s.Close)
	return s.URL, &n
}

func TestLocateInstalled(t *testing.T) {
	dir := t.TempDir()
	for name, b := range standIn(t) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := locate(dir, filepath.Join(dir, "other"), "http://invalid.invalid")
	if err != nil || got != dir {
		t.Fatalf("want %s, got %s, %v", dir, got, err)
	}
}

func TestLocateDownloads(t *testing.T) {
	url, hits := serve(t, standIn(t))
	dir := filepath.Join(t.TempDir(), "data")
	for range 2 {
		if got, err := locate(filepath.Join(dir, "none"), dir, url); err != nil || got != dir {
			t.Fatalf("want %s, got %s, %v", dir, got, err)
		}
	}
	if *hits != 2 {
		t.Fatalf("want each file fetched once, got %d requests", *hits)
	}
}

func TestLocateRefusesOtherContent(t *testing.T) {
	content := standIn(t)
	content["b.gz"] = content["a.gz"]
	url, _ := serve(t, content)
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := locate(filepath.Join(dir, "none"), dir, url); err == nil || !strings.Contains(err.Error(), "want SHA-256") {
		t.Fatalf("want an error of the digest, got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "b.gz")); !os.IsNotExist(err) {
		t.Fatalf("want no file of wrong content, got %v", err)
	}
}

func TestLocateMissingFile(t *testing.T) {
	content := standIn(t)
	delete(content, "b.gz")
	url, _ := serve(t, content)
	dir := t.TempDir()
	if _, err := locate(filepath.Join(dir, "none"), dir, url); err == nil || !strings.Contains(err.Error(), "404") {
		t.Fatalf("want the server's status, got %v", err)
	}
}
