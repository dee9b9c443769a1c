package exporter

import (
	"fmt"
	"io"
	"strconv"

	"github.com/entangle-nas/entangle/internal/onnxpb"
)

// pageSize aligns tensors in the side file, so that runtimes can map them.
const pageSize = 4096

// side collects the bytes of initialisers that live outside the model file.
type side struct {
	name      string // as the model file calls it: a plain file name
	threshold int    // bytes
	w         io.Writer
	at        int64
}

// put appends b at the next page and returns where it is.
func (s *side) put(b []byte) ([]*onnxpb.StringStringEntryProto, error) {
	var zero [pageSize]byte
	if pad := (pageSize - s.at%pageSize) % pageSize; pad > 0 {
		if _, err := s.w.Write(zero[:pad]); err != nil {
			return nil, fmt.Errorf("external data %q: %w", s.name, err)
		}
		s.at += pad
	}
	if _, err := s.w.Write(b); err != nil {
		return nil, fmt.Errorf("external data %q: %w", s.name, err)
	}
	at := s.at
	s.at += int64(len(b))
	return []*onnxpb.StringStringEntryProto{
		entry("location", s.name),
		entry("offset", strconv.FormatInt(at, 10)),
		entry("length", strconv.Itoa(len(b))),
	}, nil
}
