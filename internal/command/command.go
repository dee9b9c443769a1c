package command

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Kept is how many bytes of the end of each stream are kept.
const Kept = 64 << 10

// Grace is how long a command that is told to end may go on, and how long what it left behind
// may hold its streams.
const Grace = 2 * time.Second

// Error is a command that failed.
type Error struct {
	Err            error
	Stdout, Stderr string // their ends
}

// Error says what failed, with the last lines of both streams.
func (e *Error) Error() string {
	text := e.Err.Error()
	for _, s := range []struct{ name, text string }{{"stdout", e.Stdout}, {"stderr", e.Stderr}} {
		end := LastLines(s.text, 8, 1000)
		if end == "" {
			text += fmt.Sprintf("\n%s is empty", s.name)
			continue
		}
		text += fmt.Sprintf("\n%s ends with\n  %s", s.name, strings.ReplaceAll(end, "\n", "\n  "))
	}
	return text
}

// Unwrap returns what failed.
func (e *Error) Unwrap() error { return e.Err }

// Run gives a line to the shell (sh -c) and returns the ends of its output; its input is empty.
// A command that takes longer than limit is ended with the processes that it started, and so
// is one whose context ends, whose error Run then returns. Every other failure, a code that
// is not 0 included, is an *Error.
func Run(ctx context.Context, line string, limit time.Duration) (stdout, stderr string, err error) {
	if err := ctx.Err(); err != nil {
		return "", "", err
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(within, "sh", "-c", line)
	var out, log tail
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &log, 2*Grace
	group(cmd)
	if err = cmd.Start(); err == nil {
		ended := make(chan struct{})
		stop := context.AfterFunc(within, func() {
			select {
			case <-time.After(Grace):
				end(cmd)
			case <-ended:
			}
		})
		err = cmd.Wait()
		stop()
		close(ended)
		if within.Err() != nil || errors.Is(err, exec.ErrWaitDelay) {
			end(cmd)
		}
	}
	switch {
	case ctx.Err() != nil:
		return "", "", ctx.Err()
	case err == nil:
		return out.String(), log.String(), nil
	case within.Err() != nil:
		err = fmt.Errorf("want an end within %s, it was still running and has been ended", limit)
	case errors.Is(err, exec.ErrWaitDelay):
		err = fmt.Errorf("it ended, and left processes behind that hold its output")
	}
	return "", "", &Error{err, out.String(), log.String()}
}

// tail keeps the last Kept bytes of what is written.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(len(p)-Kept, 0):]...)
	if len(t.b) > 2*Kept {
		t.b = append(t.b[:0], t.b[len(t.b)-Kept:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	return strings.ToValidUTF8(string(t.b[max(len(t.b)-Kept, 0):]), "\uFFFD")
}

// LastLines returns at most so many of the last lines, and of the last bytes, without the empty
// ones around them.
func LastLines(text string, lines, bytes int) string {
	text = strings.Trim(strings.ReplaceAll(text, "\r", "\n"), " \t\n")
	all := strings.Split(text, "\n")
	text = strings.Join(all[max(len(all)-lines, 0):], "\n")
	if len(text) > bytes {
		text = "…" + strings.ToValidUTF8(text[len(text)-bytes:], "")
	}
	return text
}

// Fill puts a value where the shell's line has a placeholder, so that the shell sees the value
// itself: quoted where the placeholder is not, else as those quotes need it.
func Fill(line, placeholder, value string) string {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(line); {
		if strings.HasPrefix(line[i:], placeholder) {
			b.WriteString(quoted(value, quote))
			i += len(placeholder)
			continue
		}
		switch c := line[i]; {
		case c == '\\' && quote != '\'' && i+1 < len(line):
			b.WriteByte(c)
			i++
		case (c == '\'' || c == '"') && quote == 0:
			quote = c
		case c == quote:
			quote = 0
		}
		b.WriteByte(line[i])
		i++
	}
	return b.String()
}

func quoted(value string, within byte) string {
	single := strings.ReplaceAll(value, "'", `'\''`)
	switch {
	case within == '\'':
		return single
	case within == '"':
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(value)
	case value != "" && strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-,@%=:") == "":
		return value
	}
	return "'" + single + "'"
}
