package data

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fastCase is a tokenizer with a text and the tokens that @huggingface/tokenizers
// 0.2.0 gives it, without those that a template puts around.
type fastCase struct {
	Name      string
	Tokenizer json.RawMessage
	Text      string
	IDs       []uint32
}

func fastCases(t testing.TB) []fastCase {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "tokenizers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []fastCase
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFastTokens(t *testing.T) {
	cases := fastCases(t)
	if len(cases) != 6 {
		t.Fatalf("want 6 cases, got %d", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := parseFast(c.Tokenizer)
			if err != nil {
				t.Fatal(err)
			}
			piece := map[uint32]string{}
			for s, id := range tok.vocab {
				piece[id] = s
			}
			spell := func(ids []uint32) string {
				var out []string
				for _, v := range ids {
					out = append(out, piece[v])
				}
				return strings.Join(out, "|")
			}
			if got := tok.document(nil, c.Text); !slices.Equal(got, c.IDs) {
				t.Errorf("want %s\ngot  %s", spell(c.IDs), spell(got))
			}
		})
	}
}

func TestFastDocuments(t *testing.T) {
	for _, c := range fastCases(t) {
		tok, err := parseFast(c.Tokenizer)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tok.Encode("the ships<|endoftext|>\nthe wind\n")
		if err != nil {
			t.Fatal(err)
		}
		switch c.Name {
		case "bytes":
			end, _ := tok.token(endOfText)
			want := append(append(tok.document(nil, "the ships"), end), tok.document(nil, "\nthe wind\n")...)
			if !slices.Equal(got, want) {
				t.Errorf("%s: want the separator as a token, got %v", c.Name, got)
			}
		case "word pieces":
			want := append(append([]uint32{2}, tok.document(nil, "the ships")...), 3, 2)
			want = append(append(want, tok.document(nil, "the wind")...), 3)
			if !slices.Equal(got, want) {
				t.Errorf("%s: want [CLS] and [SEP] around each document, got %v", c.Name, got)
			}
		case "metaspace":
			if got[0] != 1 || !slices.Contains(got[1:], 1) {
				t.Errorf("%s: want <s> before each document, got %v", c.Name, got)
			}
		}
		if slices.Max(got) >= uint32(tok.Size()) {
			t.Errorf("%s: want tokens below %d, got %d", c.Name, tok.Size(), slices.Max(got))
		}
	}
}

func TestFastErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{`, "unexpected end"},
		{`{"model":{"type":"Unigram","vocab":[["a",0]]}}`, "vocab: want token numbers by piece"},
		{`{"model":{"type":"WordLevel","vocab":{}}}`, `want BPE or WordPiece, got "WordLevel"`},
		{`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, `merge 0: want "a", "b" and their join in the vocabulary`},
		{`{"model":{"type":"BPE","vocab":{"a":0},"merges":["ab"]}}`, "want two pieces with a blank between"},
		{`{"model":{"type":"BPE","vocab":{"a":99999999}}}`, "want token numbers up to"},
		{`{"model":{"type":"BPE","vocab":{},"end_of_word_suffix":"</w>"}}`, "end_of_word_suffix"},
		{`{"model":{"type":"BPE","vocab":{}},"normalizer":{"type":"Precompiled"}}`, `normalizer: "Precompiled" is not supported`},
		{`{"model":{"type":"BPE","vocab":{}},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split"},{"type":"ByteLevel"}]}}`, "a Sequence of 2 is not supported"},
		{`{"model":{"type":"WordPiece","vocab":{},"unk_token":"[UNK]"}}`, `want the token for unknown words "[UNK]"`},
		{`{"model":{"type":"BPE","vocab":{}},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}]}}`, `want "<s>" among the tokens`},
	} {
		if _, err := parseFast([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want error %q, got %v", c.text, c.want, err)
		}
	}
}

// FuzzFast holds that no text makes a tokenizer panic or invent tokens.
func FuzzFast(f *testing.F) {
	var list []*Fast
	for _, c := range fastCases(f) {
		t, err := parseFast(c.Tokenizer)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, t)
		f.Add(c.Text)
	}
	f.Add("\xff\xfe \u00a0\u2003'")
	f.Fuzz(func(t *testing.T, text string) {
		for _, tok := range list {
			ids, err := tok.Encode(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if id >= uint32(tok.Size()) {
					t.Fatalf("%q: token %d of %d", text, id, tok.Size())
				}
			}
		}
	})
}
