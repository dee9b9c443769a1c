package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// Fast is a tokenizer read from a tokenizer.json: byte-pair encoding (of bytes as in
// GPT-2, or of characters with or without a fallback to bytes as in Llama) or
// WordPiece as in BERT. It is not safe for concurrent use.
type Fast struct {
	vocab map[string]uint32
	size  int
	added []addedToken

	normalise []func(string) string
	words     func(text string, start bool) []string // nil: the whole text is one word
	encode    func(out []uint32, word string) []uint32
	memory    map[string][]uint32 // tokens of words seen before
	// before and after stand around a document, as the single template says.
	before, after []uint32
}

// addedToken is text that is a token wherever it stands.
type addedToken struct {
	text string
	id   uint32
}

// config is the part of tokenizer.json that Fast reads.
type config struct {
	Added []struct {
		ID      uint32 `json:"id"`
		Content string `json:"content"`
	} `json:"added_tokens"`
	Normaliser    *component `json:"normalizer"`
	PreTokeniser  *component `json:"pre_tokenizer"`
	PostProcessor *component `json:"post_processor"`
	Model         struct {
		Type                    string            `json:"type"`
		Vocab                   json.RawMessage   `json:"vocab"`
		Merges                  []json.RawMessage `json:"merges"`
		UnkToken                *string           `json:"unk_token"`
		ContinuingSubwordPrefix *string           `json:"continuing_subword_prefix"`
		EndOfWordSuffix         *string           `json:"end_of_word_suffix"`
		FuseUnk                 bool              `json:"fuse_unk"`
		ByteFallback            bool              `json:"byte_fallback"`
		IgnoreMerges            bool              `json:"ignore_merges"`
		MaxInputCharsPerWord    int               `json:"max_input_chars_per_word"`
	} `json:"model"`
}

// component is a normaliser, pre-tokeniser or post-processor of any type.
type component struct {
	Type          string      `json:"type"`
	Normalisers   []component `json:"normalizers"`
	PreTokenisers []component `json:"pretokenizers"`
	Processors    []component `json:"processors"`

	Prepend string `json:"prepend"`
	Content string `json:"content"`
	Pattern *struct {
		String *string
		Regex  *string
	} `json:"pattern"`

	Lowercase    *bool `json:"lowercase"`
	StripAccents *bool `json:"strip_accents"`
	CleanText    *bool `json:"clean_text"`
	Chinese      *bool `json:"handle_chinese_chars"`

	AddPrefixSpace *bool  `json:"add_prefix_space"`
	UseRegex       *bool  `json:"use_regex"`
	Replacement    string `json:"replacement"`
	PrependScheme  string `json:"prepend_scheme"`
	Split          *bool  `json:"split"`

	Single []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		}
		Sequence *struct{}
	} `json:"single"`
}

// maxTokenizerBytes bounds the file of a tokenizer.
const maxTokenizerBytes = 1 << 28

// readFast reads a tokenizer.json. What it cannot do exactly is an error.
func readFast(path string) (*Fast, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxTokenizerBytes))
	if err != nil {
		return nil, err
	}
	t, err := parseFast(raw)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return t, nil
}

func parseFast(raw []byte) (*Fast, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	t := &Fast{memory: map[string][]uint32{}}
	if err := json.Unmarshal(c.Model.Vocab, &t.vocab); err != nil {
		return nil, fmt.Errorf("model %q: vocab: want token numbers by piece: %w", c.Model.Type, err)
	}
	for _, id := range t.vocab {
		t.size = max(t.size, int(id)+1)
	}
	for _, a := range c.Added {
		t.size = max(t.size, int(a.ID)+1)
		if a.Content != "" {
			t.added = append(t.added, addedToken{a.Content, a.ID})
		}
	}
	if t.size > maxToken {
		return nil, fmt.Errorf("model: want token numbers up to %d, got %d", maxToken, t.size-1)
	}
	// At one place the longest text wins.
	slices.SortStableFunc(t.added, func(a, b addedToken) int { return len(b.text) - len(a.text) })
	return t, errors.Join(t.setNormaliser(c.Normaliser), t.setWords(c.PreTokeniser), t.setModel(&c), t.setTemplate(c.PostProcessor))
}

// Size is above every token number.
func (t *Fast) Size() int { return t.size }

// Encode encodes documents separated by "<|endoftext|>". Where that is a token of the
// vocabulary it stands for itself; otherwise each document, trimmed, gets the tokens
// that the single template puts around it.
func (t *Fast) Encode(text string) ([]uint32, error) {
	if slices.ContainsFunc(t.added, func(a addedToken) bool { return a.text == endOfText }) {
		return t.document(nil, text), nil
	}
	var out []uint32
	for _, doc := range strings.Split(text, endOfText) {
		if doc = strings.TrimSpace(doc); doc != "" {
			out = append(t.document(append(out, t.before...), doc), t.after...)
		}
	}
	return out, nil
}

// document encodes text between added tokens.
func (t *Fast) document(out []uint32, text string) []uint32 {
	next := make([]int, len(t.added)) // where each added token stands next
	for i := range next {
		next[i] = -1
	}
	for from := 0; from < len(text); {
		at, hit := len(text), addedToken{}
		for i, a := range t.added {
			if next[i] < from {
				next[i] = len(text)
				if k := strings.Index(text[from:], a.text); k >= 0 {
					next[i] = from + k
				}
			}
			if next[i] < at {
				at, hit = next[i], a
			}
		}
		if at > from {
			out = t.plain(out, text[from:at], from == 0)
		}
		if hit.text != "" {
			out = append(out, hit.id)
		}
		from = at + len(hit.text)
	}
	return out
}

// plain encodes text without added tokens; start says that it begins the document.
func (t *Fast) plain(out []uint32, text string, start bool) []uint32 {
	for _, f := range t.normalise {
		text = f(text)
	}
	if text == "" {
		return out
	}
	if t.words == nil {
		return t.encode(out, text)
	}
	return remembered(out, t.words(text, start), t.memory, t.encode)
}

func (t *Fast) setModel(c *config) error {
	m := &c.Model
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	switch {
	case m.Type == "WordPiece":
		unknown, ok := t.vocab[text(m.UnkToken)]
		if !ok {
			return fmt.Errorf("model: want the token for unknown words %q in the vocabulary", text(m.UnkToken))
		}
		prefix, most := text(m.ContinuingSubwordPrefix), m.MaxInputCharsPerWord
		t.encode = func(out []uint32, word string) []uint32 { return t.wordPiece(out, word, prefix, most, unknown) }
		return nil
	case m.Type != "BPE" && m.Type != "":
		return fmt.Errorf("model: want BPE or WordPiece, got %q", m.Type)
	case text(m.ContinuingSubwordPrefix) != "" || text(m.EndOfWordSuffix) != "" || m.IgnoreMerges:
		return errors.New("model: BPE with continuing_subword_prefix, end_of_word_suffix or ignore_merges is not supported")
	}
	ranks := map[[2]uint32]joinRank{}
	for i, raw := range m.Merges {
		left, right, err := parseMerge(raw)
		if err != nil {
			return fmt.Errorf("model: merge %d: %w", i, err)
		}
		a, okA := t.vocab[left]
		b, okB := t.vocab[right]
		id, ok := t.vocab[left+right]
		if !okA || !okB || !ok {
			return fmt.Errorf("model: merge %d: want %q, %q and their join in the vocabulary", i, left, right)
		}
		if _, seen := ranks[[2]uint32{a, b}]; !seen {
			ranks[[2]uint32{a, b}] = joinRank{float64(i), id}
		}
	}
	pair := func(left, right span) (float64, uint32, bool) {
		r, ok := ranks[[2]uint32{left.id, right.id}]
		return r.rank, r.id, ok
	}
	unknown, hasUnknown := t.vocab[text(m.UnkToken)]
	var spell [256]uint32
	bytes := m.ByteFallback
	for i := range spell {
		id, ok := t.vocab[fmt.Sprintf("<0x%02X>", i)]
		spell[i] = id
		bytes = bytes && ok
	}
	t.encode = func(out []uint32, word string) []uint32 {
		var spans []span
		fused := false
		for i, w := 0, 0; i < len(word); i += w {
			_, w = utf8.DecodeRuneInString(word[i:])
			if id, ok := t.vocab[word[i:i+w]]; ok {
				spans, fused = append(spans, span{i, i + w, id}), false
				continue
			}
			switch {
			case bytes:
				for k := range w {
					spans = append(spans, span{i + k, i + k + 1, spell[word[i+k]]})
				}
				fused = false
			case hasUnknown && fused && m.FuseUnk:
				spans[len(spans)-1].hi = i + w
			case hasUnknown:
				spans, fused = append(spans, span{i, i + w, unknown}), true
			}
		}
		return joined(out, spans, pair)
	}
	const mark = "▁"
	if _, ok := t.vocab[mark]; ok && t.words == nil {
		for piece := range t.vocab {
			ok = ok && separates(mark, piece)
		}
		if ok {
			t.words = func(text string, _ bool) []string { return marked(text, mark) }
		}
	}
	return nil
}

// joinRank is what a pair of tokens joins to, and when.
type joinRank struct {
	rank float64
	id   uint32
}

// parseMerge reads "a b" or ["a", "b"].
func parseMerge(raw json.RawMessage) (left, right string, err error) {
	var pair []string
	if json.Unmarshal(raw, &pair) == nil && len(pair) == 2 {
		return pair[0], pair[1], nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", "", fmt.Errorf("want two pieces, got %.40s", raw)
	}
	left, right, ok := strings.Cut(s, " ")
	if !ok {
		return "", "", fmt.Errorf("want two pieces with a blank between, got %.40q", s)
	}
	return left, right, nil
}

// wordPiece takes the longest piece of the vocabulary from the front, again and again.
func (t *Fast) wordPiece(out []uint32, word, prefix string, most int, unknown uint32) []uint32 {
	if most > 0 && utf8.RuneCountInString(word) > most {
		return append(out, unknown)
	}
	start := len(out)
	for at := 0; at < len(word); {
		end := len(word)
		for ; end > at; end-- {
			if end < len(word) && !utf8.RuneStart(word[end]) {
				continue
			}
			piece := word[at:end]
			if at > 0 {
				piece = prefix + piece
			}
			if id, ok := t.vocab[piece]; ok {
				out = append(out, id)
				break
			}
		}
		if end == at {
			return append(out[:start], unknown)
		}
		at = end
	}
	return out
}

// setTemplate reads the tokens that stand around a document.
func (t *Fast) setTemplate(c *component) error {
	if c == nil {
		return nil
	}
	switch c.Type {
	case "Sequence":
		for i := range c.Processors {
			if err := t.setTemplate(&c.Processors[i]); err != nil {
				return err
			}
		}
	case "TemplateProcessing":
		text := false
		for _, s := range c.Single {
			if s.SpecialToken == nil {
				text = true
				continue
			}
			id, ok := t.token(s.SpecialToken.ID)
			if !ok {
				return fmt.Errorf("post_processor: want %q among the tokens", s.SpecialToken.ID)
			}
			if text {
				t.after = append(t.after, id)
			} else {
				t.before = append(t.before, id)
			}
		}
	}
	return nil
}

func (t *Fast) token(text string) (uint32, bool) {
	for _, a := range t.added {
		if a.text == text {
			return a.id, true
		}
	}
	id, ok := t.vocab[text]
	return id, ok
}
