package latency_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/latencytest"
	"github.com/entangle-nas/entangle/latency"
)

// few are options that make a small folder.
var few = latency.Options{Calibrate: 10, Check: 5}

// folder writes the pieces of a tiny model.
func folder(t *testing.T, src latency.Source) (string, latency.Manifest) {
	t.Helper()
	dir := t.TempDir()
	n, err := latency.WritePieces(dir, src, few, false)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, latency.ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	var list latency.Manifest
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Files) != n || list.Version != 1 {
		t.Fatalf("want a manifest of %d files, got %d", n, len(list.Files))
	}
	if _, err := latency.WritePieces(dir, src, few, false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("want a second folder in the same place refused, got %v", err)
	}
	return dir, list
}

// TestTable: times of the files that a folder lists make prices that predict.
func TestTable(t *testing.T) {
	src := source(t, "fashion-tiny")
	dir, list := folder(t, src)
	lines := []string{"# runtime: a board", "id,runs,milliseconds"}
	for _, f := range list.Files {
		m, err := importer.Read(filepath.Join(dir, f.File))
		if err != nil {
			t.Fatal(err)
		}
		us, err := latencytest.Microseconds(m)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s,9,%g", f.ID, us/1e3))
	}
	read := func(lines []string) (*latency.Prices, error) {
		path := filepath.Join(dir, "table.csv")
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o666); err != nil {
			t.Fatal(err)
		}
		return latency.ReadTable(path, src, few)
	}
	p, err := read(lines)
	if err != nil {
		t.Fatal(err)
	}
	if q := p.Quality(); p.Runtime != "a board" || len(p.Checks) != 5 || q.P90 > 0.06 || p.Noise != 0 {
		t.Errorf("want a board's prices that predict, got %s, %+v", p.Runtime, q)
	}
	for want, bad := range map[string][]string{
		"got none for " + list.Files[len(list.Files)-1].ID: lines[:len(lines)-1],
		"another model":        {"id,milliseconds", "piece-000000000000,1"},
		"id and milliseconds":  {"name,ms", "x,1"},
		"milliseconds above 0": append(lines[:len(lines):len(lines)], "x,1,-1"),
		"twice":                append(lines[:len(lines):len(lines)], lines[len(lines)-1]),
	} {
		if _, err := read(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// TestWeb: the script for onnxruntime-web prints a table that is read; ENTANGLE_ORT_WEB names a
// folder where the npm package is installed.
func TestWeb(t *testing.T) {
	home := os.Getenv("ENTANGLE_ORT_WEB")
	if home == "" {
		t.Skip("ENTANGLE_ORT_WEB names no folder with onnxruntime-web")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node")
	}
	script, err := filepath.Abs("../bench/onnxruntime_web.mjs")
	if err != nil {
		t.Fatal(err)
	}
	src := source(t, "fashion-tiny")
	dir, list := folder(t, src)
	run := exec.Command("node", script, dir, "--rounds", "1")
	run.Dir, run.Stderr = home, os.Stderr
	out, err := run.Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "table.csv")
	if err := os.WriteFile(path, out, 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := latency.ReadTable(path, src, few)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(p.Runtime, "onnxruntime-web") || p.Timed != len(list.Files) {
		t.Errorf("want %d times of onnxruntime-web, got %d of %s", len(list.Files), p.Timed, p.Runtime)
	}
}
