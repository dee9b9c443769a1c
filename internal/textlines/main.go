package main

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/internal/rng"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	text := flag.String("text", "", "file whose words are drawn")
	train := flag.Int("train", 3000, "images of the training part")
	test := flag.Int("test", 500, "images of the test part")
	size := flag.String("size", "48x128", "HEIGHTxWIDTH of every image")
	seed := flag.Uint64("seed", 1, "seed of every random stream")
	flag.Parse()
	if flag.NArg() != 1 {
		return fmt.Errorf("textlines: want DIR, got %d arguments", flag.NArg())
	}
	var height, width int
	if n, err := fmt.Sscanf(*size, "%dx%d", &height, &width); n != 2 || err != nil || height < minHeight || width < minWidth || height > maxSide || width > maxSide {
		return fmt.Errorf("textlines: -size: want HEIGHTxWIDTH from %dx%d to %dx%d, got %q", minHeight, minWidth, maxSide, maxSide, *size)
	}
	body, err := os.ReadFile(*text)
	if err != nil {
		return fmt.Errorf("textlines: -text: %w", err)
	}
	words := printable(strings.Fields(string(body)))
	if len(words) < 20 {
		return fmt.Errorf("textlines: %s: want at least 20 words of ASCII letters, got %d", *text, len(words))
	}
	cut := len(words) - len(words)/10
	for _, p := range []struct {
		name  string
		count int
		words []string
	}{{"train", *train, words[:cut]}, {"test", *test, words[cut:]}} {
		w, err := newWriter(height, width, p.words, rng.New(*seed, "textlines/"+p.name))
		if err != nil {
			return err
		}
		dir := filepath.Join(flag.Arg(0), p.name, "lines")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("textlines: %w", err)
		}
		for i := range p.count {
			img, _, err := w.line()
			if err != nil {
				return err
			}
			var out bytes.Buffer
			if err := png.Encode(&out, img); err != nil {
				return fmt.Errorf("textlines: %w", err)
			}
			if err := atomicfile.WriteBytes(filepath.Join(dir, fmt.Sprintf("%05d.png", i)), out.Bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}

// printable keeps the words of ASCII letters, digits and punctuation.
func printable(words []string) []string {
	var out []string
	for _, w := range words {
		if strings.IndexFunc(w, func(r rune) bool { return r <= ' ' || r > '~' }) < 0 {
			out = append(out, w)
		}
	}
	return out
}
