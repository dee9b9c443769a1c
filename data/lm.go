package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultSeq is the length of samples of tokens when Options.Seq is 0.
const DefaultSeq = 256

// readLM reads streams of tokens for next-token prediction: FILE as the part
// "train", or the parts of a folder. Samples are windows of Options.Seq tokens;
// the label of a position is the token after it.
func readLM(path string, o Options) (*Set, error) {
	if o.Seq == 0 {
		o.Seq = DefaultSeq
	}
	if o.Seq < 1 || o.Stride < 0 || o.Stride > o.Seq {
		return nil, fmt.Errorf("want a sequence of at least 1 token and a stride from 1 to its length, got %d and %d", o.Seq, o.Stride)
	}
	files, err := partFiles(path, ".bin", ".u16", ".u32", ".npy", ".txt")
	if err != nil {
		return nil, err
	}
	var tok Tokenizer
	if o.Tokenizer != "" {
		if tok, err = OpenTokenizer(o.Tokenizer); err != nil {
			return nil, err
		}
	}
	n := o.Seq
	set := &Set{LabelShape: []int{n}, Fields: []Field{intField("input_ids", n, false), intField("attention_mask", n, true), intField("position_ids", n, true)}}
	for _, f := range files {
		stride := n
		if f.part == "train" && o.Stride > 0 {
			stride = o.Stride
		}
		stream, err := readStream(f.path, tok)
		if err != nil {
			return nil, err
		}
		p := &Part{Name: f.part, overlap: (n+stride-1)/stride - 1, stride: stride}
		var tokens column
		switch s := stream.(type) {
		case []uint16:
			tokens, p.targets = windows[uint16]{s, n, stride, 0}, windows[uint16]{s, n, stride, 1}
			set.Vocab = max(set.Vocab, largest(s)+1)
		case []uint32:
			tokens, p.targets = windows[uint32]{s, n, stride, 0}, windows[uint32]{s, n, stride, 1}
			set.Vocab = max(set.Vocab, largest(s)+1)
		}
		if tokens.count() == 0 {
			return nil, fmt.Errorf("%s: want more tokens than one sequence of %d, got fewer", f.path, n)
		}
		p.ordered = true
		p.columns = []column{tokens, fixedInts{tokens.count(), slices.Repeat([]int64{1}, n)}, fixedInts{tokens.count(), counting(n)}}
		set.Parts = append(set.Parts, p)
	}
	return set, nil
}

// largest returns the largest of some tokens, 0 without any.
func largest[T uint16 | uint32](tokens []T) int {
	top := T(0)
	for _, t := range tokens {
		top = max(top, t)
	}
	return int(top)
}

// readStream returns the tokens of a file as []uint16 or []uint32: raw little
// endian (.u32 with four bytes a token, .bin and .u16 with two), .npy of rank 1,
// or .txt through the tokenizer.
func readStream(path string, tok Tokenizer) (any, error) {
	switch ext := filepath.Ext(path); ext {
	case ".txt":
		if tok == nil {
			return nil, &OptionError{"tokenizer", fmt.Errorf("%s: text needs a tokenizer: want the option tokenizer, got none", path)}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return tok.Encode(string(text))
	case ".npy":
		arrays, err := readArrays(path)
		if err != nil {
			return nil, err
		}
		ints := arrays[0].Ints()
		if ints == nil || len(arrays[0].Shape) != 1 {
			return nil, fmt.Errorf("%s: want integers of rank 1, got %T of shape %v", path, arrays[0].Data, arrays[0].Shape)
		}
		out := make([]uint32, len(ints))
		for i, v := range ints {
			if v < 0 || v > maxToken {
				return nil, fmt.Errorf("%s: token %d: want 0 to %d, got %d", path, i, maxToken, v)
			}
			out[i] = uint32(v)
		}
		return out, nil
	case ".bin", ".u16", ".u32":
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		width := 2
		if ext == ".u32" {
			width = 4
		}
		if len(raw)%width != 0 {
			return nil, fmt.Errorf("%s: want whole tokens of %d bytes, got %d bytes", path, width, len(raw))
		}
		if width == 2 {
			out := make([]uint16, len(raw)/2)
			for i := range out {
				out[i] = binary.LittleEndian.Uint16(raw[2*i:])
			}
			return out, nil
		}
		out := make([]uint32, len(raw)/4)
		for i := range out {
			if out[i] = binary.LittleEndian.Uint32(raw[4*i:]); out[i] > maxToken {
				return nil, fmt.Errorf("%s: token %d: want 0 to %d, got %d: are these two bytes a token (.u16)?", path, i, maxToken, out[i])
			}
		}
		return out, nil
	default:
		return nil, fmt.Errorf("%s: want the ending .bin, .u16, .u32, .npy or .txt, got %q", path, ext)
	}
}

// maxToken bounds token numbers, which float32 must hold exactly.
const maxToken = 1<<24 - 1

// Tokenizer turns text into tokens.
type Tokenizer interface {
	// Encode returns the tokens of text, documents one after the other.
	Encode(text string) ([]uint32, error)
	// Size is the size of the vocabulary.
	Size() int
}

// OpenTokenizer reads a tokenizer: a vocabulary with scores as llama2.c writes it
// (.bin) or a tokenizer.json (.json).
func OpenTokenizer(path string) (Tokenizer, error) {
	if strings.HasSuffix(path, ".bin") {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readScored(f, path)
	}
	if strings.HasSuffix(path, ".json") {
		return readFast(path)
	}
	return nil, &OptionError{"tokenizer", errors.New("tokenizer: " + path + ": want the ending .bin (llama2.c) or .json (tokenizer.json)")}
}
