package data

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// Scored is a byte-pair vocabulary with a score per piece: of all neighbours that
// join to a piece, those of the best score join first, the leftmost on a tie.
// Characters without a piece are spelled in bytes. It encodes as llama2.c does.
// It is not safe for concurrent use.
type Scored struct {
	pieces []string
	scores []float32
	id     map[string]uint32
	words  bool // text may be cut before blanks behind something else
	memory map[string][]uint32
}

// Tokens of a Scored vocabulary with a meaning of their own; bytes 0 to 255 follow them.
const (
	scoredBegin = 1
	scoredBytes = 3
)

// endOfText separates documents in plain text.
const endOfText = "<|endoftext|>"

// readScored reads llama2.c's format, little endian: u32 longest piece, then for
// every piece f32 score, u32 length and its bytes. Name is for errors.
func readScored(r io.Reader, name string) (*Scored, error) {
	b := bufio.NewReader(r)
	var longest uint32
	if err := binary.Read(b, binary.LittleEndian, &longest); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: want the length of the longest piece: %w", name, err)
	}
	if longest > 1<<16 {
		return nil, fmt.Errorf("tokenizer: %s: longest piece: want at most %d bytes, got %d", name, 1<<16, longest)
	}
	t := &Scored{id: map[string]uint32{}, memory: map[string][]uint32{}}
	for {
		var head [8]byte
		if _, err := io.ReadFull(b, head[:]); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("tokenizer: %s: piece %d: want score and length: %w", name, len(t.pieces), err)
		}
		size := binary.LittleEndian.Uint32(head[4:])
		if size > longest {
			return nil, fmt.Errorf("tokenizer: %s: piece %d: want at most %d bytes, got %d", name, len(t.pieces), longest, size)
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(b, text); err != nil {
			return nil, fmt.Errorf("tokenizer: %s: piece %d: want %d bytes: %w", name, len(t.pieces), size, err)
		}
		s := string(text)
		if _, ok := t.id[s]; !ok {
			t.id[s] = uint32(len(t.pieces))
		}
		t.pieces = append(t.pieces, s)
		t.scores = append(t.scores, math.Float32frombits(binary.LittleEndian.Uint32(head[:])))
	}
	if len(t.pieces) < scoredBytes+256 {
		return nil, fmt.Errorf("tokenizer: %s: want at least %d pieces, the bytes among them, got %d", name, scoredBytes+256, len(t.pieces))
	}
	_, t.words = t.id[" "]
	for _, p := range t.pieces {
		t.words = t.words && separates(" ", p)
	}
	return t, nil
}

// Size returns the number of pieces.
func (t *Scored) Size() int { return len(t.pieces) }

// Piece returns the text of a token.
func (t *Scored) Piece(id int) string { return t.pieces[id] }

// Encode encodes every document, trimmed, with token 1 before it. Documents are
// separated by lines "<|endoftext|>"; text without any is one document.
func (t *Scored) Encode(text string) ([]uint32, error) {
	var out []uint32
	for _, doc := range strings.Split(text, endOfText) {
		if doc = strings.TrimSpace(doc); doc != "" {
			out = append(out, scoredBegin)
			if doc = " " + doc; t.words {
				out = remembered(out, marked(doc, " "), t.memory, t.encode)
			} else {
				out = t.encode(out, doc)
			}
		}
	}
	return out, nil
}

// encode appends the tokens of one document.
func (t *Scored) encode(out []uint32, text string) []uint32 {
	var spans []span
	for i, w := 0, 0; i < len(text); i += w {
		_, w = utf8.DecodeRuneInString(text[i:])
		if id, ok := t.id[text[i:i+w]]; ok {
			spans = append(spans, span{i, i + w, id})
			continue
		}
		for k := range w {
			spans = append(spans, span{i + k, i + k + 1, scoredBytes + uint32(text[i+k])})
		}
	}
	return joined(out, spans, func(left, right span) (float64, uint32, bool) {
		id, ok := t.id[text[left.lo:right.hi]]
		return -float64(t.scores[id]), id, ok
	})
}
