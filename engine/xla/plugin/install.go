package plugin

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Wheel is a package to download.
type Wheel struct {
	Project string `json:"project"`
	Version string `json:"version"`
	File    string `json:"file"`
	URL     string `json:"url"`
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size,omitempty"` // bytes; 0 where the index does not say
}

// Installer reads a Python package index.
type Installer struct {
	// Index is the address of its simple interface, of which JSON is read (PEP 691).
	Index string
	// CUDA is the major version: 13 or 12.
	CUDA int
	// Client makes the requests; nil means http.DefaultClient.
	Client *http.Client
}

func (in Installer) index() index {
	c := in.Client
	if c == nil {
		c = http.DefaultClient
	}
	return index{in.Index, c}
}

// Plan resolves what to download, for this processor: the newest PJRT plugin of JAX for
// CUDA, and NVIDIA's libraries that JAX's own package of that version asks for. It
// reads pages of the index and metadata, no package.
func (in Installer) Plan(ctx context.Context) ([]Wheel, error) {
	if in.CUDA != 12 && in.CUDA != 13 {
		return nil, fmt.Errorf("xla: install: CUDA: want 12 or 13, got %d", in.CUDA)
	}
	fail := func(err error) ([]Wheel, error) { return nil, fmt.Errorf("xla: install: %w", err) }
	x := in.index()
	pjrt, version, err := x.newest(ctx, requirement{project: fmt.Sprintf("jax-cuda%d-pjrt", in.CUDA)})
	if err != nil {
		return fail(err)
	}
	plan := []Wheel{pjrt}
	// The Python part is not needed, but its metadata lists NVIDIA's libraries.
	python := requirement{fmt.Sprintf("jax-cuda%d-plugin", in.CUDA), []bound{{"==", version}}}
	part, _, err := x.newest(ctx, python)
	if err != nil {
		return fail(err)
	}
	pending, err := x.requires(ctx, part, "with-cuda")
	if err != nil {
		return fail(err)
	}
	seen := map[string]bool{pjrt.Project: true}
	for len(pending) > 0 {
		r := pending[0]
		pending = pending[1:]
		if seen[r.project] || !strings.HasPrefix(r.project, "nvidia-") {
			continue
		}
		seen[r.project] = true
		w, _, err := x.newest(ctx, r)
		if err != nil {
			return fail(err)
		}
		plan = append(plan, w)
		more, err := x.requires(ctx, w, "")
		if err != nil {
			return fail(err)
		}
		pending = append(pending, more...)
	}
	return plan, nil
}

// platforms are the endings of wheels for this processor.
func platforms() []string {
	if runtime.GOARCH == "arm64" {
		return []string{"_aarch64.whl", "-any.whl"}
	}
	return []string{"_x86_64.whl", "-any.whl"}
}

// newest returns the newest wheel that r allows and its version.
func (x index) newest(ctx context.Context, r requirement) (Wheel, []int, error) {
	files, err := x.files(ctx, r.project)
	if err != nil {
		return Wheel{}, nil, err
	}
	var best Wheel
	var version []int
	for _, f := range files {
		parts := strings.Split(f.Name, "-")
		if len(parts) < 5 || normal(parts[0]) != r.project || (f.Yanked != nil && f.Yanked != false) || f.Hashes["sha256"] == "" {
			continue
		}
		v, ok := parseVersion(parts[1])
		fits := slices.ContainsFunc(platforms(), func(end string) bool { return strings.HasSuffix(f.Name, end) })
		linux := strings.Contains(f.Name, "linux") || strings.HasSuffix(f.Name, "-any.whl")
		if !ok || !fits || !linux || !r.allows(v) || (version != nil && compare(v, version) <= 0) {
			continue
		}
		version = v
		best = Wheel{Project: r.project, Version: parts[1], File: f.Name, URL: f.URL, SHA256: f.Hashes["sha256"], Size: f.Size}
	}
	if version == nil {
		return Wheel{}, nil, fmt.Errorf("project %q: want a released wheel for linux/%s within its bounds, found none among %d files", r.project, runtime.GOARCH, len(files))
	}
	return best, version, nil
}

// requires reads a wheel's requirements from the metadata that the index keeps beside
// it: those of the named extra, or with "" those without a condition on extras.
func (x index) requires(ctx context.Context, w Wheel, extra string) ([]requirement, error) {
	b, err := x.get(ctx, w.URL+".metadata", "")
	if err != nil {
		return nil, err
	}
	var out []requirement
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		line := lines.Text()
		if line == "" {
			break // the description follows
		}
		text, ok := strings.CutPrefix(line, "Requires-Dist:")
		if !ok {
			continue
		}
		marker := ""
		if _, m, has := strings.Cut(text, ";"); has {
			marker = strings.ReplaceAll(m, "'", `"`)
		}
		wants := extra != "" && strings.Contains(marker, fmt.Sprintf("extra == %q", extra))
		if !wants && (extra != "" || strings.Contains(marker, "extra")) || strings.Contains(marker, `"win32"`) || strings.Contains(marker, `"darwin"`) {
			continue
		}
		r, _, err := parseRequirement(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.File, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// Limits of what a package unpacks to.
const (
	maxUnpacked = 16 << 30
	maxEntries  = 200_000
)

// Install downloads the wheels of a plan, checks their SHA-256 and unpacks them into
// the folder dir, which it replaces as a whole at the end, or not at all. before is
// called with each wheel when its download begins.
func (in Installer) Install(ctx context.Context, plan []Wheel, dir string, before func(Wheel)) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return fmt.Errorf("xla: install: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".install-*")
	if err != nil {
		return fmt.Errorf("xla: install: %w", err)
	}
	defer os.RemoveAll(tmp)
	site := filepath.Join(tmp, "site-packages")
	for _, w := range plan {
		if before != nil {
			before(w)
		}
		path := filepath.Join(tmp, "wheel")
		if err := in.download(ctx, w, path); err != nil {
			return fmt.Errorf("xla: install: %s: %w", w.File, err)
		}
		if err := unpack(path, site); err != nil {
			return fmt.Errorf("xla: install: %s: %w", w.File, err)
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("xla: install: %w", err)
		}
	}
	if _, ok := first([]string{site}, ""); !ok {
		return fmt.Errorf("xla: install: the packages hold no plugin: want %s", strings.Join(inSite, " or "))
	}
	old := filepath.Join(tmp, "old")
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("xla: install: %w", err)
	}
	if err := os.Rename(site, dir); err != nil {
		return errors.Join(fmt.Errorf("xla: install: %w", err), os.Rename(old, dir))
	}
	return nil
}

func (in Installer) download(ctx context.Context, w Wheel, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL, nil)
	if err != nil {
		return err
	}
	res, err := in.index().client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", w.URL, res.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), res.Body)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, w.SHA256) {
		return fmt.Errorf("SHA-256: want %s, got %s", w.SHA256, got)
	}
	return nil
}

// unpack writes the files of a wheel below dir. Links and names that lead out of dir
// are errors.
func unpack(path, dir string) error {
	z, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer z.Close()
	if len(z.File) > maxEntries {
		return fmt.Errorf("want at most %d entries, got %d", maxEntries, len(z.File))
	}
	left := int64(maxUnpacked)
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) || !f.Mode().IsRegular() {
			return fmt.Errorf("entry %q: want a plain file below the folder", f.Name)
		}
		n, err := unpackFile(f, filepath.Join(dir, filepath.FromSlash(f.Name)), left)
		if err != nil {
			return fmt.Errorf("entry %q: %w", f.Name, err)
		}
		left -= n
	}
	return nil
}

func unpackFile(f *zip.File, to string, limit int64) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return 0, err
	}
	r, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, f.Mode().Perm()|0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("want at most %d bytes unpacked in all", int64(maxUnpacked))
	}
	return n, errors.Join(err, w.Close())
}
