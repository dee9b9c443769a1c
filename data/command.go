package data

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// readCommand runs a command of the shell once for every part and reads the samples that it
// streams (docs/own-data.md has the framing). A part without samples is none.
func readCommand(command string, o Options) (*Set, error) {
	set := &Set{Spec: "cmd:" + command, opts: o}
	left := o.CacheBytes
	if left == 0 {
		left = defaultCache
	}
	for _, name := range partNames {
		s := newStream(nil, name, o, &left)
		if err := s.run(command); err != nil {
			return nil, fmt.Errorf("part %q: %w", name, err)
		}
		if s.samples == 0 {
			continue
		}
		if err := s.finish(set); err != nil {
			return nil, fmt.Errorf("part %q: %w", name, err)
		}
	}
	if len(set.Parts) == 0 {
		return nil, errors.New("want samples of the part train, val or test, got none of any")
	}
	return set, set.countClasses()
}

// grace is how long a program may take to end after its output has.
const grace = 5 * time.Second

// run runs the command and reads its stream. The program and its children are killed when the
// reading ends early.
func (s *stream) run(command string) error {
	outer := s.o.Host.context()
	ask, err := json.Marshal(s.request())
	if err != nil {
		return err
	}
	var errs tail
	c := shell(outer, command)
	c.Stdin, c.Stderr = bytes.NewReader(append(ask, '\n')), &errs
	c.WaitDelay = grace
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	// A child that left the group may hold the pipe.
	defer context.AfterFunc(outer, func() { time.AfterFunc(grace, func() { out.Close() }) })()
	s.r.Reset(out)
	err = s.read(func() error {
		if s.o.Inputs == nil {
			return nil
		}
		set := &Set{Spec: "cmd:" + command, opts: s.o, Fields: slices.Clone(s.fields), Vocab: s.vocab}
		if err := set.findWhole(); err != nil {
			return err
		}
		_, err := set.bind(s.o.Inputs, "")
		return err
	})
	var short *cut
	switch {
	case errors.As(err, &short):
		defer time.AfterFunc(grace, func() { c.Cancel() }).Stop()
	case err != nil:
		c.Cancel() // its error says at most that the program has ended
	}
	ended := c.Wait()
	switch {
	case outer.Err() != nil:
		return outer.Err()
	case err == nil && ended != nil:
		err = fmt.Errorf("the program failed after %d samples: %w", s.samples, ended)
	case short != nil && ended != nil:
		err = fmt.Errorf("the program failed: %w; its output: %w", ended, err)
	}
	if err != nil && errs.text() != "" {
		err = fmt.Errorf("%w\nits standard error:\n%s", err, errs.text())
	}
	return err
}

func (s *stream) request() request {
	q := request{Version: streamVersion, Part: s.part.Name, Limit: s.o.Limit, Inputs: []streamInput{}}
	for _, in := range s.o.Inputs {
		x := streamInput{Name: in.Name, DType: "float32"}
		if in.Shape != nil {
			x.Shape = []*int{}
		}
		if in.Integer {
			x.DType = "int64"
		}
		for _, n := range in.Shape {
			if n < 0 {
				x.Shape = append(x.Shape, nil)
			} else {
				x.Shape = append(x.Shape, &n)
			}
		}
		q.Inputs = append(q.Inputs, x)
	}
	return q
}

// tailBytes is how much of a program's standard error a message shows.
const tailBytes = 2048

// tail keeps the end of what is written.
type tail struct {
	buf []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if more := len(t.buf) - tailBytes; more > 0 {
		t.buf, t.cut = append(t.buf[:0], t.buf[more:]...), true
	}
	return len(p), nil
}

func (t *tail) text() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.buf), "?"))
	if t.cut {
		text = "…" + text
	}
	return text
}

// within is a command that goes to a folder first.
func within(dir, command string) string {
	if strings.HasPrefix(command, "cd '/") {
		return command
	}
	return "cd '" + strings.ReplaceAll(dir, "'", `'\''`) + "' && " + command
}
