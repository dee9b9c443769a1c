package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine/xla"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/train"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("disk full"), 1},
		{usagef("flag"), 2},
		{&entangle.JobError{}, 2},
		{&entangle.ModelError{Err: errors.New("truncated")}, 3},
		{&ops.UnsupportedError{}, 3},
		{&runtimes.UnsupportedError{}, 3},
		{&decide.TargetError{}, 4},
		{&exporter.MismatchError{Result: &exporter.Verification{}}, 5},
		{&qualityError{"top-1", 1, 0, false}, 6},
		{&entangle.DropError{Figure: entangle.Figure{Name: "accuracy"}}, 6},
		{&entangle.EvaluateError{Err: errors.New("exit status 1")}, 1},
		{&entangle.DeviceError{Err: xla.ErrNotBuilt}, 7},
		{&train.Interrupted{}, 130},
		{context.Canceled, 130},
		{&signalError{os.Interrupt}, 130},
		{&signalError{syscall.SIGTERM}, 143},
		{errors.Join(&train.Interrupted{}, &signalError{syscall.SIGTERM}), 143},
	} {
		for _, err := range []error{c.err, fmt.Errorf("stage: %w", c.err)} {
			if c.err == nil {
				err = nil
			}
			if got := exitCode(err); got != c.want {
				t.Errorf("%T: want %d, got %d", c.err, c.want, got)
			}
		}
	}
}

func TestExitCodesAreDocumentedOnce(t *testing.T) {
	want := []int{exitOK, exitFailure, exitUsage, exitModel, exitTarget, exitMismatch, exitQuality, exitDevice, exitInterrupted, exitTerminated}
	var got []int
	for _, d := range exitDocs {
		got = append(got, d.code)
		if d.meaning == "" {
			t.Errorf("code %d: want a meaning", d.code)
		}
	}
	if !slices.Equal(want, got) {
		t.Fatalf("want %v, got %v", want, got)
	}
}

// TestSignalEndsRun holds that a cancelled context ends a command with the
// signal's code and its name, not with the library's error.
func TestSignalEndsRun(t *testing.T) {
	for sig, want := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(&signalError{sig})
		var out, log bytes.Buffer
		got := run(ctx, []string{"entangle", "verify", "../../models/fixtures/resnet20a.onnx", "--runtime", "ref"}, strings.NewReader(""), &out, &log)
		if got != want || out.Len() > 0 || log.String() != "entangle: stopped by signal: "+sig.String()+"\n" {
			t.Errorf("%v: want code %d, got %d; stdout %q, stderr %q", sig, want, got, out.String(), log.String())
		}
	}
}

func TestReorder(t *testing.T) {
	e := &env{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: os.Getenv}
	for _, c := range []struct{ name, in, want string }{
		{"no command", "entangle", "entangle"},
		{"unknown command", "entangle what a --json", "entangle what a --json"},
		{"boolean behind", "entangle inspect m --json", "entangle inspect --json -- m"},
		{"value behind", "entangle extract m -o out", "entangle extract -o out -- m"},
		{"value with equals sign", "entangle extract m --out=x y", "entangle extract --out=x -- m y"},
		{"value that looks like an option", "entangle verify m --abs -1 n", "entangle verify --abs -1 -- m n"},
		{"end of options", "entangle inspect -- --json", "entangle inspect -- --json"},
		{"single dash is an argument", "entangle inspect - --json", "entangle inspect --json -- -"},
		{"completion", "entangle verify --ru --generate-bash-completion", "entangle verify --ru --generate-bash-completion"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(e.reorder(strings.Fields(c.in)), " "); got != c.want {
				t.Fatalf("want %q, got %q", c.want, got)
			}
		})
	}
}

// TestCommandsAreDocumented holds what every command owes its reader.
func TestCommandsAreDocumented(t *testing.T) {
	e := &env{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: os.Getenv}
	seen := map[string]bool{}
	for _, c := range e.app().Commands {
		if c.Usage == "" || seen[c.Name] {
			t.Errorf("command %q: want a usage line and a name of its own", c.Name)
		}
		seen[c.Name] = true
		flags := map[string]bool{}
		for _, f := range c.Flags {
			d, ok := f.(cli.DocGenerationFlag)
			if !ok || d.GetUsage() == "" {
				t.Errorf("command %q: flag %q: want a usage line", c.Name, f.Names()[0])
			}
			for _, n := range f.Names() {
				if flags[n] {
					t.Errorf("command %q: flag %q: stands twice", c.Name, n)
				}
				flags[n] = true
			}
		}
		if _, err := os.Stat("testdata/script/" + c.Name + ".txtar"); err != nil {
			t.Errorf("command %q: want a script: %v", c.Name, err)
		}
	}
}

// TestOptionsAreKeys: every option stands once and sets keys of a job.
func TestOptionsAreKeys(t *testing.T) {
	j := entangle.DefaultJob()
	known := map[string]bool{}
	for _, k := range j.Keys() {
		known[k.Path] = true
	}
	seen := map[string]bool{}
	for _, o := range options {
		if seen[o.name] || o.usage == "" || o.group == "" {
			t.Errorf("option %q: want a name of its own, a usage and a group", o.name)
		}
		seen[o.name] = true
		for _, k := range o.keys {
			if !known[k] {
				t.Errorf("option %q: %q is no key", o.name, k)
			}
		}
	}
}

// TestHelpFits: the help of compress is read in one sitting.
func TestHelpFits(t *testing.T) {
	var out bytes.Buffer
	if code := run(context.Background(), []string{"entangle", "compress", "--help"}, strings.NewReader(""), &out, io.Discard); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) > 70 || !strings.Contains(strings.Join(lines[:6], "\n"), "--target macs=0.5") {
		t.Errorf("want at most 70 lines with an example among the first, got %d:\n%s", len(lines), out.String())
	}
}

func TestTable(t *testing.T) {
	tb := columns("name", ">size", "note")
	tb.Add("ä", "10", "")
	tb.Add("longer", "1", "x")
	var b bytes.Buffer
	if err := tb.Text(&b); err != nil {
		t.Fatal(err)
	}
	want := "name    size  note\n------  ----  ----\nä         10\nlonger     1  x\n"
	if b.String() != want {
		t.Fatalf("want\n%s\ngot\n%s", want, b.String())
	}
}

func TestCount(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1 k", 40551040: "40.55 M", 3.2e9: "3.2 G", 1.5e12: "1.5 T"} {
		if got := count(v); got != want {
			t.Errorf("%v: want %q, got %q", v, want, got)
		}
	}
}
