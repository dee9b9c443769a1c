package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// LogVersion is the version that Log writes into every record.
const LogVersion = 1

// Record is one line of a run log. Kind is "step" for what every so many steps
// give; other kinds, such as "eval", name themselves. Text["stage"] names the stage
// of the run; steps count within it.
type Record struct {
	Version int    `json:"v"`
	Kind    string `json:"kind"`
	Step    int    `json:"step"`
	Epoch   int    `json:"epoch"`
	Values  Values `json:"values,omitempty"`
	// Coefficients holds, per dimension, the mean coefficient of every choice.
	Coefficients []Coefficients    `json:"coefficients,omitempty"`
	Text         map[string]string `json:"text,omitempty"`
}

// Coefficients are those of one dimension at one time.
type Coefficients struct {
	Dimension string   `json:"dimension"`
	Choices   []string `json:"choices,omitempty"`
	Values    []Number `json:"values"`
}

// Log appends records to a file, one JSON object per line, each written at once.
type Log struct {
	f    *os.File
	size int64
}

// CreateLog starts an empty log.
func CreateLog(path string) (*Log, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("report: log: %w", err)
	}
	return &Log{f: f}, nil
}

// ResumeLog continues a log at the size that Log.Size returned when the
// checkpoint was taken, or at any size up to the file's: what was written later
// is dropped, and so is a line without its end, as a killed run leaves it.
func ResumeLog(path string, size int64) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("report: log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && (size < 0 || info.Size() < size) {
		err = fmt.Errorf("%s: want at least %d bytes, got %d", path, size, info.Size())
	}
	if err == nil {
		size, err = wholeLines(f, size)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("report: log: %w", err)
	}
	return &Log{f, size}, nil
}

// wholeLines returns the bytes up to the last line end within the first size.
func wholeLines(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 1<<12)
	for end := size; end > 0; {
		n := min(int64(len(buf)), end)
		if _, err := f.ReadAt(buf[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// Write appends one record and sets its version.
func (l *Log) Write(r Record) error {
	r.Version = LogVersion
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("report: log: %w", err)
	}
	n, err := l.f.Write(append(line, '\n'))
	l.size += int64(n)
	if err != nil {
		return fmt.Errorf("report: log: %w", err)
	}
	return nil
}

// Size returns the bytes written so far, for ResumeLog.
func (l *Log) Size() int64 { return l.size }

// Close syncs and closes the file.
func (l *Log) Close() error { return errors.Join(l.f.Sync(), l.f.Close()) }

// maxLine bounds one record.
const maxLine = 64 << 20

// ReadLog reads every record. A last line without its end, as a killed run leaves
// it, is skipped.
func ReadLog(r io.Reader) ([]Record, error) {
	var out []Record
	in := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(in)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("report: log: line %d: %w", n, err)
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var rec Record
		if err := json.Unmarshal(line, &rec); err != nil {
			return out, fmt.Errorf("report: log: line %d: %w", n, err)
		}
		if rec.Version < 1 || rec.Version > LogVersion {
			return out, fmt.Errorf("report: log: line %d: want version 1 to %d, got %d", n, LogVersion, rec.Version)
		}
		out = append(out, rec)
	}
}

// readLine returns one line with its end, or io.EOF when no whole line is left.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case err != bufio.ErrBufferFull:
			return nil, err
		case len(line) > maxLine:
			return nil, fmt.Errorf("want at most %d bytes", maxLine)
		}
	}
}
