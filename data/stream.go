package data

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// streamVersion is that of the framing.
const streamVersion = 1

// request is what a program is told: one line of JSON on its standard input.
type request struct {
	Version int           `json:"entangle"`
	Part    string        `json:"part"`
	Limit   int           `json:"limit"` // samples that are wanted at most; 0: all
	Inputs  []streamInput `json:"inputs"`
}

type streamInput struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []*int `json:"shape"` // batch first; null where it is open, nil when nothing is known
}

// frame is a line of JSON of a stream: the first one has the version and the part, each after
// it the names of the arrays that follow it, the last one end and the number of samples.
type frame struct {
	Version int      `json:"entangle"`
	Part    string   `json:"part"`
	Arrays  []string `json:"arrays"`
	End     bool     `json:"end"`
	Samples *int     `json:"samples"`
}

// maxLine bounds a line of a stream.
const maxLine = 1 << 20

// stream is one part while it is read.
type stream struct {
	r    *bufio.Reader
	o    Options
	left *int64
	part *Part

	fields  []Field
	columns []*spooled // of fields
	sizes   [][]int    // shapes of a sample as sent, of fields
	labels  labels
	spool   *spooled // of labels that are no classes
	labeled bool
	frames  int
	samples int
	vocab   int
}

func newStream(r io.Reader, part string, o Options, left *int64) *stream {
	return &stream{r: bufio.NewReaderSize(r, 1<<16), o: o, left: left, part: &Part{Name: part}}
}

// cut is a stream that ends too early.
type cut struct{ err error }

func (c *cut) Error() string { return c.err.Error() }

// read reads a whole stream; begun is called after the first frame.
func (s *stream) read(begun func() error) error {
	first, err := s.line()
	switch {
	case err != nil:
		return fmt.Errorf("first line: %w", err)
	case first.Version != streamVersion || first.Part != s.part.Name:
		return fmt.Errorf("first line: want {\"entangle\":%d,\"part\":%q}, the part that the program was asked for, got version %d and part %q", streamVersion, s.part.Name, first.Version, first.Part)
	}
	for {
		f, err := s.line()
		if err != nil {
			return fmt.Errorf("after %d frames with %d samples: %w", s.frames, s.samples, err)
		}
		if f.End {
			return s.end(f)
		}
		if err := s.frame(f.Arrays); err != nil {
			return fmt.Errorf("frame %d (after %d samples): %w", s.frames+1, s.samples, err)
		}
		s.frames++
		s.o.Host.progress(fmt.Sprintf("samples of part %q", s.part.Name), s.samples, 0)
		if s.frames == 1 {
			if err := begun(); err != nil {
				return fmt.Errorf("frame 1: %w", err)
			}
		}
	}
}

// line reads a line of JSON.
func (s *stream) line() (frame, error) {
	var f frame
	var text []byte
	for {
		part, err := s.r.ReadSlice('\n')
		text = append(text, part...)
		if err == nil {
			break
		}
		if errors.Is(err, io.EOF) {
			return f, &cut{fmt.Errorf("want a line of JSON, the stream ends without {\"end\":true,\"samples\":N}: it is cut short")}
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return f, err
		}
		if len(text) > maxLine {
			return f, fmt.Errorf("want a line of JSON of at most %d bytes, got %.60q…", maxLine, text)
		}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&f)
	if err == nil && d.More() {
		err = errors.New("more follows")
	}
	if err != nil {
		return f, fmt.Errorf("want a line of JSON such as {\"arrays\":[\"input\",\"labels\"]}, got %.60q (does something else print to standard output?): %w", bytes.TrimSpace(text), err)
	}
	return f, nil
}

// end checks the count and that nothing follows.
func (s *stream) end(f frame) error {
	if f.Samples == nil || *f.Samples != s.samples {
		got := "none"
		if f.Samples != nil {
			got = fmt.Sprint(*f.Samples)
		}
		return fmt.Errorf("last line: want the number of samples, %d came, got %s", s.samples, got)
	}
	if b, err := s.r.Peek(1); len(b) > 0 {
		return errors.New("want nothing after the line with end, more bytes follow")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	s.o.Host.progress(fmt.Sprintf("samples of part %q", s.part.Name), s.samples, s.samples)
	return nil
}

// frame reads the arrays of one frame.
func (s *stream) frame(names []string) error {
	if len(names) == 0 {
		return errors.New("want the names of arrays, got none")
	}
	var seen []string
	n, took := 0, 0
	for _, name := range names {
		if slices.Contains(seen, name) {
			return fmt.Errorf("array %q: named twice", name)
		}
		seen = append(seen, name)
		a, err := readNPY(s.r, "array "+fmt.Sprintf("%q", name), maxFrame, readSome)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				return &cut{err}
			}
			return err
		}
		a.Name = name
		if len(a.Shape) == 0 || a.Shape[0] == 0 {
			return fmt.Errorf("array %q: want samples along the first axis, got shape %v", name, a.Shape)
		}
		if len(seen) > 1 && a.Shape[0] != n {
			return fmt.Errorf("array %q: want %d samples as in array %q, got %d", name, n, names[0], a.Shape[0])
		}
		n = a.Shape[0]
		if name == labelsKey {
			err = s.label(a)
		} else {
			took++
			err = s.take(a)
		}
		if err != nil {
			return fmt.Errorf("array %q: %w", name, err)
		}
	}
	if took != len(s.fields) || s.labeled != slices.Contains(seen, labelsKey) {
		return fmt.Errorf("want the arrays of the first frame, %s%s, got %q", fieldList(s.fields), map[bool]string{true: " and " + labelsKey}[s.labeled], names)
	}
	if took == 0 {
		return fmt.Errorf("want an array for each model input, got none beside %q", labelsKey)
	}
	s.samples += n
	return nil
}

// readSome reads n bytes; memory grows with what is really there.
func readSome(r io.Reader, n int64) ([]byte, error) {
	var buf bytes.Buffer
	got, err := io.Copy(&buf, io.LimitReader(r, n))
	if err == nil && got < n {
		err = fmt.Errorf("the stream ends after %d: %w", got, io.ErrUnexpectedEOF)
	}
	return buf.Bytes(), err
}

// take adds the samples of an input's array.
func (s *stream) take(a Array) error {
	k := slices.IndexFunc(s.fields, func(f Field) bool { return f.Name == a.Name })
	if k < 0 && s.frames > 0 {
		return fmt.Errorf("want the arrays of the first frame, %s", fieldList(s.fields))
	}
	if k < 0 {
		f, _, err := npzField(a)
		if err != nil {
			return err
		}
		f.Optional = slices.Contains(sideFields, f.Name)
		c := s.column(a)
		s.sizes = append(s.sizes, f.Shape)
		if f.Image && s.o.Layout == NHWC {
			f.Shape = []int{f.Shape[2], f.Shape[0], f.Shape[1]}
		}
		k = len(s.fields)
		s.fields, s.columns = append(s.fields, f), append(s.columns, c)
	}
	if d, ok := a.Data.([]int64); ok && a.Name == "input_ids" && len(d) > 0 {
		s.vocab = max(s.vocab, int(min(slices.Max(d), maxToken))+1)
	}
	return s.add(s.columns[k], a, s.sizes[k])
}

// column makes an empty column for arrays like a.
func (s *stream) column(a Array) *spooled {
	raw, as := stored(a)
	return &spooled{spool: &spool{width: len(raw) / a.Shape[0], left: s.left}, as: as}
}

// add appends the samples of an array to a column, as which it must be stored.
func (s *stream) add(c *spooled, a Array, shape []int) error {
	if !slices.Equal(a.Shape[1:], shape) {
		return fmt.Errorf("want samples of %v as in the first frame, got %v", shape, a.Shape[1:])
	}
	raw, as := stored(a)
	if as != c.as {
		return fmt.Errorf("want %s as in the first frame, got %s", c.as, as)
	}
	if as == asFloats {
		if err := finite(a.floats(), max(prim.Prod(shape), 1), s.samples); err != nil {
			return err
		}
	}
	return c.spool.add(raw, a.Shape[0])
}

// label adds labels.
func (s *stream) label(a Array) error {
	l, err := readLabels(a)
	if err != nil {
		return err
	}
	if s.frames == 0 {
		s.labeled, s.labels = true, labels{shape: l.shape, floats: l.floats}
	}
	if !s.labeled || l.floats != s.labels.floats || (l.shape == nil) != (s.labels.shape == nil) {
		return fmt.Errorf("want labels as in the first frame, %s, got %s", labelKind(s.labels.shape, s.labels.floats), labelKind(l.shape, l.floats))
	}
	if l.shape == nil {
		s.labels.classes = append(s.labels.classes, l.classes...)
		return nil
	}
	if b, ok := a.Data.([]bool); ok {
		raw := make([]uint8, len(b))
		for i, v := range b {
			if v {
				raw[i] = 1
			}
		}
		a.Data = raw
	}
	m, mask := l.targets.(maskColumn)
	mask = mask && m.sparse
	if mask {
		s.labels.seen = cmp.Or(s.labels.seen, &maskClasses{})
		s.labels.seen.add(m.data)
	}
	if s.spool == nil {
		s.spool = s.column(a)
		s.spool.sparse = mask
		s.labels.targets = *s.spool
	}
	return s.add(s.spool, a, s.labels.shape)
}

// finish adds the part to a set.
func (s *stream) finish(set *Set) error {
	for i, c := range s.columns {
		var col column = *c
		if len(s.sizes[i]) > 0 && prim.Prod(s.sizes[i]) == 0 {
			col = noColumn(c.n)
		} else if f := s.fields[i]; f.Image && s.o.Layout == NHWC {
			col = channelsLast{col, f.Shape}
		}
		s.part.columns = append(s.part.columns, col)
	}
	if s.labeled {
		if err := set.label(s.part, s.labels); err != nil {
			return err
		}
	}
	set.Vocab = max(set.Vocab, s.vocab)
	return set.addPart(s.part, "program", s.fields)
}
