package importer

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/entangle-nas/entangle/internal/onnxpb"
)

// external reads tensor data from regular files inside one folder. Paths that
// leave the folder, also through symbolic links, are refused by os.Root.
type external struct {
	dir  string
	root *os.Root
	name string // the file that is open
	file *os.File
	size int64
	seen map[string]int64 // sizes of all files that were open, by location
}

func newExternal(dir string) *external { return &external{dir: dir, seen: map[string]int64{}} }

func (e *external) close() {
	if e.file != nil {
		e.file.Close()
	}
	if e.root != nil {
		e.root.Close()
	}
}

// read returns the want bytes that the entries point at.
func (e *external) read(entries []*onnxpb.StringStringEntryProto, want int) ([]byte, error) {
	var location string
	var offset int64
	length := int64(-1)
	for _, kv := range entries {
		var err error
		switch kv.GetKey() {
		case "location":
			location = kv.GetValue()
		case "offset":
			offset, err = number(kv)
		case "length":
			length, err = number(kv)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := e.open(location); err != nil {
		return nil, err
	}
	if offset > e.size {
		return nil, fmt.Errorf("external data %q: offset %d is behind the end (%d bytes)", location, offset, e.size)
	}
	if length < 0 {
		length = e.size - offset
	}
	if length > e.size-offset {
		return nil, fmt.Errorf("external data %q: want bytes %d to %d, the file has %d", location, offset, offset+length, e.size)
	}
	if length != int64(want) {
		return nil, fmt.Errorf("external data %q: want %d bytes for the tensor, got %d", location, want, length)
	}
	b := make([]byte, want)
	if _, err := io.ReadFull(io.NewSectionReader(e.file, offset, length), b); err != nil {
		return nil, fmt.Errorf("external data %q: %w", location, err)
	}
	return b, nil
}

func number(kv *onnxpb.StringStringEntryProto) (int64, error) {
	v, err := strconv.ParseInt(kv.GetValue(), 10, 64)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("external data: %s %q: want a non-negative number", kv.GetKey(), kv.GetValue())
	}
	return v, nil
}

func (e *external) open(location string) error {
	if e.dir == "" {
		return fmt.Errorf("external data %q: the model was not read from a folder", location)
	}
	if location == "" {
		return fmt.Errorf("external data: it has no location")
	}
	if e.file != nil && e.name == location {
		return nil
	}
	if e.root == nil {
		root, err := os.OpenRoot(e.dir)
		if err != nil {
			return fmt.Errorf("external data: %w", err)
		}
		e.root = root
	}
	st, err := e.root.Stat(location)
	if err != nil {
		return fmt.Errorf("external data %q: want a file inside the model's folder: %w", location, err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("external data %q: want a regular file, got %s", location, st.Mode().Type())
	}
	f, err := e.root.Open(location)
	if err != nil {
		return fmt.Errorf("external data %q: %w", location, err)
	}
	if e.file != nil {
		e.file.Close()
	}
	e.file, e.name, e.size = f, location, st.Size()
	e.seen[location] = e.size
	return nil
}
