package data

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/internal/testenv"
)

// pieces writes a vocabulary of the 259 first tokens and the given pieces, the
// earlier the better.
func pieces(list ...string) []byte {
	var b bytes.Buffer
	put := func(score float32, s string) {
		binary.Write(&b, binary.LittleEndian, math.Float32bits(score))
		binary.Write(&b, binary.LittleEndian, uint32(len(s)))
		b.WriteString(s)
	}
	binary.Write(&b, binary.LittleEndian, uint32(16))
	for _, s := range []string{"<unk>", "<s>", "</s>"} {
		put(0, s)
	}
	for i := range 256 {
		put(0, "<0x"+string("0123456789ABCDEF"[i/16])+string("0123456789ABCDEF"[i%16])+">")
	}
	for i, s := range list {
		put(-float32(i), s)
	}
	return b.Bytes()
}

func scored(t *testing.T, list ...string) *Scored {
	t.Helper()
	s, err := readScored(bytes.NewReader(pieces(list...)), "test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func spell(s *Scored, tokens []uint32) string {
	var out []string
	for _, v := range tokens {
		out = append(out, s.Piece(int(v)))
	}
	return strings.Join(out, "|")
}

func TestScoredTokens(t *testing.T) {
	s := scored(t, "ab", "abc", "bc", " a", " ", "a", "b", "c")
	for text, want := range map[string]string{
		"abc":                               "<s>| |abc", // ab joins before bc and before " a"
		"bc é":                              "<s>| |bc| |<0xC3>|<0xA9>",
		"":                                  "",
		"a\n\nb":                            "<s>| a|<0x0A>|<0x0A>|b",
		"a\n<|endoftext|>\n b<|endoftext|>": "<s>| a|<s>| |b",
	} {
		got, err := s.Encode(text)
		if err != nil || spell(s, got) != want {
			t.Errorf("%q: want %s, got %s %v", text, want, spell(s, got), err)
		}
	}
}

// greedy is the definition: of all neighbours that join, the best score, leftmost first.
func greedy(s *Scored, text string) []uint32 {
	var tokens []uint32
	for _, c := range []byte(text) {
		tokens = append(tokens, s.id[string(c)])
	}
	for {
		best, at, id := math.Inf(-1), -1, uint32(0)
		for i := 0; i+1 < len(tokens); i++ {
			if k, ok := s.id[s.pieces[tokens[i]]+s.pieces[tokens[i+1]]]; ok && float64(s.scores[k]) > best {
				best, at, id = float64(s.scores[k]), i, k
			}
		}
		if at < 0 {
			return tokens
		}
		tokens = slices.Replace(tokens, at, at+2, id)
	}
}

func TestScoredTokensAreGreedy(t *testing.T) {
	r := rng.New(1, "test/pieces")
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abc"[r.IntN(3)]
		}
		return string(b)
	}
	for range 200 {
		list := []string{"a", "b", "c"}
		for range 12 {
			list = append(list, word(2+r.IntN(4)))
		}
		s := scored(t, list...)
		for i := range s.scores {
			s.scores[i] = float32(r.IntN(5))
		}
		text := word(1 + r.IntN(40))
		if got, want := s.encode(nil, text), greedy(s, text); !slices.Equal(got, want) {
			t.Fatalf("%q of %q: want %s, got %s", text, list, spell(s, want), spell(s, got))
		}
	}
}

func TestScoredFileErrors(t *testing.T) {
	whole := pieces("ab")
	for n := range len(whole) {
		if _, err := readScored(bytes.NewReader(whole[:n]), "cut"); n < len(whole)-10 && err == nil {
			t.Fatalf("file cut to %d bytes: want an error, got none", n)
		}
	}
	long := slices.Clone(whole)
	binary.LittleEndian.PutUint32(long[8:], 17)
	if _, err := readScored(bytes.NewReader(long), "long"); err == nil || !strings.Contains(err.Error(), "piece 0: want at most 16 bytes, got 17") {
		t.Errorf("piece beyond the longest: want an error, got %v", err)
	}
	if _, err := OpenTokenizer("words.xyz"); err == nil {
		t.Error("unknown ending: want an error, got none")
	}
}

// TestStoriesTokenizer reads a real vocabulary, where it is present, and spells a text.
func TestStoriesTokenizer(t *testing.T) {
	path := filepath.Join(testenv.Models(t), "stories260K.tok512.bin")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the vocabulary of stories260K is absent: %v", err)
	}
	tok, err := OpenTokenizer(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tok.Encode("Once upon a time, there was a girl.\nThe end.")
	if err != nil {
		t.Fatal(err)
	}
	s := tok.(*Scored)
	text := strings.ReplaceAll(spell(s, got[1:]), "|", "")
	if tok.Size() != 512 || len(got) > 25 || got[0] != 1 || strings.TrimSpace(strings.ReplaceAll(text, "<0x0A>", "\n")) != "Once upon a time, there was a girl.\nThe end." {
		t.Errorf("want 512 pieces that spell the text in at most 25 tokens, got %d: %s", tok.Size(), spell(s, got))
	}
}

// TestTextIsCutWhereNothingJoins compares the encoding word by word with that of the whole text.
func TestTextIsCutWhereNothingJoins(t *testing.T) {
	r := rng.New(2, "test/words")
	text := func() string {
		b := make([]byte, 1+r.IntN(30))
		for i := range b {
			b[i] = "ab  c"[r.IntN(5)]
		}
		return string(b)
	}
	cut := 0
	for range 300 {
		list := []string{"a", "b", "c", " "}
		for range 8 {
			if p := text(); len(p) < 5 {
				list = append(list, p)
			}
		}
		s := scored(t, list...)
		doc := strings.TrimSpace(text())
		if doc == "" {
			continue
		}
		if s.words {
			cut++
		}
		got, err := s.Encode(doc)
		if want := s.encode([]uint32{scoredBegin}, " "+doc); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q with %q: want %s, got %s %v", doc, list, spell(s, want), spell(s, got), err)
		}
	}
	if cut < 30 || cut > 270 {
		t.Errorf("want vocabularies of both kinds, got %d of 300 that separate words", cut)
	}
	for text, want := range map[string]string{"": "", "a": "a", "  a b  c ": "  a| b|  c| ", " ": " "} {
		if got := strings.Join(marked(text, " "), "|"); got != want {
			t.Errorf("%q: want words %q, got %q", text, want, got)
		}
	}
}
