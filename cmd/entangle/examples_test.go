package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestDocumentedCommandLines holds that every command line shown in a Markdown
// page names a command that exists and options that it takes.
func TestDocumentedCommandLines(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, "../../README.md")
	line := regexp.MustCompile(`(?m)^(?:    )?(?:\./bin/)?entangle ([a-z].*)$`)
	found := 0
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "[OPTIONS]") || strings.HasPrefix(m[0], "entangle") && !strings.Contains(m[0], " --") {
				continue
			}
			found++
			if err := parses(m[1]); err != nil {
				t.Errorf("%s: entangle %s: %v", page, m[1], err)
			}
		}
	}
	if found == 0 {
		t.Fatal("want command lines in the pages, found none")
	}
}

func parses(line string) error {
	line, _, _ = strings.Cut(line, " #")
	e := &env{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: os.Getenv}
	app := e.app()
	args := e.reorder(append([]string{"entangle"}, strings.Fields(line)...))
	for _, c := range app.Commands {
		c.Action = func(*cli.Context) error { return nil }
	}
	err := app.Run(args)
	if err == flag.ErrHelp {
		return nil
	}
	return err
}
