//go:build unix

package command_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/internal/command"
)

func TestRun(t *testing.T) {
	out, log, err := command.Run(context.Background(), "cat; echo one; echo two >&2", time.Minute)
	if err != nil || out != "one\n" || log != "two\n" {
		t.Fatalf("want one and two, got %q, %q and %v", out, log, err)
	}
	for _, c := range []struct{ line, want string }{
		{"echo no model; exit 3", "exit status 3\nstdout ends with\n  no model\nstderr is empty"},
		{"echo a; echo >&2 b; echo >&2 c; kill -9 $$", "signal: killed\nstdout ends with\n  a\nstderr ends with\n  b\n  c"},
	} {
		_, _, err := command.Run(context.Background(), c.line, time.Minute)
		var failed *command.Error
		if !errors.As(err, &failed) || err.Error() != c.want {
			t.Errorf("%s: want %q, got %v", c.line, c.want, err)
		}
	}
}

// TestEnds: a command that takes too long, or whose context ends, is ended with its children,
// also those that ignore the first signal.
func TestEnds(t *testing.T) {
	for _, how := range []string{"limit", "context"} {
		for _, line := range []string{"sleep 60", "trap '' TERM; sleep 60; sleep 60"} {
			t.Run(how+"/"+line, func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "child")
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				limit := 300 * time.Millisecond
				if how == "context" {
					limit = time.Minute
					time.AfterFunc(300*time.Millisecond, cancel)
				}
				start := time.Now()
				_, _, err := command.Run(ctx, fmt.Sprintf("echo begun; (%s) & echo $! >%s; wait; wait", line, file), limit)
				if took := time.Since(start); took > 20*time.Second {
					t.Errorf("it took %s", took)
				}
				if how == "context" && !errors.Is(err, context.Canceled) {
					t.Errorf("want the context's error, got %v", err)
				}
				if how == "limit" && !strings.HasPrefix(err.Error(), "want an end within 300ms, it was still running and has been ended\nstdout ends with\n  begun\n") {
					t.Errorf("got %v", err)
				}
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				child, err := strconv.Atoi(strings.TrimSpace(string(text)))
				if err != nil {
					t.Fatal(err)
				}
				for until := time.Now().Add(5 * time.Second); alive(child); time.Sleep(20 * time.Millisecond) {
					if time.Now().After(until) {
						t.Fatalf("process %d is still there", child)
					}
				}
			})
		}
	}
}

// alive reports whether a process runs; one that waits to be reaped does not.
func alive(id int) bool {
	if syscall.Kill(id, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

// TestKeepsTheEnd: of much output the end stays.
func TestKeepsTheEnd(t *testing.T) {
	out, _, err := command.Run(context.Background(), "yes | head -c 1000000; echo; echo last", time.Minute)
	if err != nil || len(out) > command.Kept || !strings.HasSuffix(out, "y\n\nlast\n") {
		t.Fatalf("%d bytes that end with %q, %v", len(out), out[max(0, len(out)-20):], err)
	}
}

func TestLastLines(t *testing.T) {
	for _, c := range []struct{ text, want string }{{"\n a\nb\nc\n\n", "b\nc"}, {"", ""}, {"0123456789abc", "…6789abc"}} {
		if got := command.LastLines(c.text, 2, 7); got != c.want {
			t.Errorf("%q: want %q, got %q", c.text, c.want, got)
		}
	}
}

// TestFill: the shell sees the value, wherever the placeholder stands.
func TestFill(t *testing.T) {
	for _, value := range []string{"a/b.onnx", "my model's \"best\" $HOME `x` \\ file.onnx", "two  words", "*"} {
		for _, line := range []string{`printf %s {model}`, `printf %s "{model}"`, `printf %s '{model}'`, `printf %s \""{model}" | tail -c +2`, `printf %s ''{model}`} {
			got, err := exec.Command("sh", "-c", command.Fill(line, "{model}", value)).Output()
			if err != nil || string(got) != value {
				t.Errorf("%s: want %q, got %q, %v", line, value, got, err)
			}
		}
	}
	if got := command.Fill("run {model} --copy={model}", "{model}", "m.onnx"); got != "run m.onnx --copy=m.onnx" {
		t.Errorf("got %s", got)
	}
}
