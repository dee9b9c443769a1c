// Command fashionmnist prints a folder that holds the Fashion-MNIST data set as
// IDX files: the one that the Debian package dataset-fashion-mnist installs, or
// a folder that it fills from the data set's own site.
//
//	go run ./internal/fashionmnist -dir .cache/fashion-mnist
//
// Files are checked by the SHA-256 of their uncompressed content, wherever they
// come from.
package main

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/entangle-nas/entangle/internal/atomicfile"
)

const (
	debianDir = "/usr/share/datasets/fashion-mnist"
	site      = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
	maxBytes  = 64 << 20 // of one compressed file
)

// files lists the four files with the SHA-256 of their uncompressed content.
var files = []struct{ name, sum string }{
	{"train-images-idx3-ubyte.gz", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
	{"train-labels-idx1-ubyte.gz", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
	{"t10k-images-idx3-ubyte.gz", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
	{"t10k-labels-idx1-ubyte.gz", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
}

func main() {
	dir := flag.String("dir", ".cache/fashion-mnist", "folder to fill when the Debian package is not there")
	flag.Parse()
	got, err := locate(debianDir, *dir, site)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fashionmnist:", err)
		os.Exit(1)
	}
	fmt.Println(got)
}

// locate returns the first folder that holds all files, filling dir if need be.
// Files that are there but differ are an error, never replaced.
func locate(installed, dir, site string) (string, error) {
	if err := check(installed); err == nil {
		return installed, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := download(site+"/"+f.name, path, f.sum); err != nil {
			return "", err
		}
	}
	return dir, check(dir)
}

// check reports the first file of dir that is missing or has other content.
func check(dir string) error {
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		r, err := os.Open(path)
		if err != nil {
			return err
		}
		err = checkContent(r, f.sum)
		r.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func checkContent(r io.Reader, want string) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(z, maxBytes)); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("content: want SHA-256 %s, got %s", want, got)
	}
	return nil
}

// download writes a file whole, after its content has been checked, or not at all.
func download(url, path, sum string) error {
	client := &http.Client{Timeout: 10 * time.Minute}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: want status 200, got %s", url, resp.Status)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		pr, pw := io.Pipe()
		done := make(chan error, 1)
		go func() {
			err := checkContent(pr, sum)
			pr.CloseWithError(err) // what is left is read by nobody
			done <- err
		}()
		n, err := io.Copy(w, io.TeeReader(io.LimitReader(resp.Body, maxBytes), sink{pw}))
		pw.CloseWithError(err)
		if err == nil && n == maxBytes {
			err = fmt.Errorf("%s: want less than %d bytes", url, maxBytes)
		}
		return errors.Join(err, <-done)
	})
}

// sink drops write errors: the reader's own verdict says what went wrong.
type sink struct{ io.Writer }

func (s sink) Write(p []byte) (int, error) {
	_, _ = s.Writer.Write(p)
	return len(p), nil
}
