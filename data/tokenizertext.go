package data

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// setNormaliser reads what is done to text before it is cut.
func (t *Fast) setNormaliser(c *component) error {
	if c == nil {
		return nil
	}
	add := func(f func(string) string) { t.normalise = append(t.normalise, f) }
	is := func(v *bool, otherwise bool) bool {
		if v == nil {
			return otherwise
		}
		return *v
	}
	switch c.Type {
	case "Sequence":
		for i := range c.Normalisers {
			if err := t.setNormaliser(&c.Normalisers[i]); err != nil {
				return err
			}
		}
	case "NFC":
		add(norm.NFC.String)
	case "NFD":
		add(norm.NFD.String)
	case "NFKC":
		add(norm.NFKC.String)
	case "NFKD":
		add(norm.NFKD.String)
	case "Lowercase":
		add(strings.ToLower)
	case "StripAccents":
		add(stripMarks)
	case "Prepend":
		add(func(s string) string {
			if s == "" {
				return s
			}
			return c.Prepend + s
		})
	case "Replace":
		if c.Pattern == nil || c.Pattern.String == nil || *c.Pattern.String == "" {
			return fmt.Errorf("normalizer: Replace: want a string to replace, got another pattern")
		}
		old := *c.Pattern.String
		add(func(s string) string { return strings.ReplaceAll(s, old, c.Content) })
	case "BertNormalizer":
		lower := is(c.Lowercase, true)
		if is(c.CleanText, true) {
			add(cleanText)
		}
		if is(c.Chinese, true) {
			add(spaceIdeographs)
		}
		if is(c.StripAccents, lower) {
			add(func(s string) string { return stripMarks(norm.NFD.String(s)) })
		}
		if lower {
			add(strings.ToLower)
		}
	default:
		return fmt.Errorf("normalizer: %q is not supported", c.Type)
	}
	return nil
}

func stripMarks(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, s)
}

// cleanText drops control characters and makes every white space a blank.
func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || unicode.IsSpace(r):
			return ' '
		case r == 0 || r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		return r
	}, s)
}

// spaceIdeographs puts blanks around CJK ideographs.
func spaceIdeographs(s string) string {
	var b strings.Builder
	for _, r := range s {
		if 0x4E00 <= r && r <= 0x9FFF || 0x3400 <= r && r <= 0x4DBF || 0x20000 <= r && r <= 0x2CEAF || 0xF900 <= r && r <= 0xFAFF || 0x2F800 <= r && r <= 0x2FA1F {
			b.WriteString(" " + string(r) + " ")
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// setWords reads how text is cut into words.
func (t *Fast) setWords(c *component) error {
	if c == nil {
		return nil
	}
	flag := func(v *bool, otherwise bool) bool {
		if v == nil {
			return otherwise
		}
		return *v
	}
	switch c.Type {
	case "Sequence":
		if len(c.PreTokenisers) == 1 {
			return t.setWords(&c.PreTokenisers[0])
		}
		return fmt.Errorf("pre_tokenizer: a Sequence of %d is not supported", len(c.PreTokenisers))
	case "ByteLevel":
		if !flag(c.UseRegex, true) {
			return fmt.Errorf("pre_tokenizer: ByteLevel without its own pattern is not supported")
		}
		space := flag(c.AddPrefixSpace, true)
		letters := byteLetters()
		t.words = func(text string, _ bool) []string {
			if r, _ := utf8.DecodeRuneInString(text); space && !unicode.IsSpace(r) {
				text = " " + text
			}
			var out []string
			for _, w := range gptWords(text) {
				var b strings.Builder
				for i := range len(w) {
					b.WriteRune(letters[w[i]])
				}
				out = append(out, b.String())
			}
			return out
		}
	case "Metaspace":
		mark, scheme := c.Replacement, c.PrependScheme
		if mark == "" {
			mark = "▁"
		}
		if scheme == "" {
			if scheme = "always"; !flag(c.AddPrefixSpace, true) {
				scheme = "never"
			}
		}
		split := flag(c.Split, true)
		t.words = func(text string, start bool) []string {
			text = strings.ReplaceAll(text, " ", mark)
			if !strings.HasPrefix(text, mark) && (scheme == "always" || scheme == "first" && start) {
				text = mark + text
			}
			if !split {
				return []string{text}
			}
			return cutBefore(text, mark)
		}
	case "BertPreTokenizer":
		t.words = func(text string, _ bool) []string { return bertWords(text) }
	case "WhitespaceSplit":
		t.words = func(text string, _ bool) []string { return strings.Fields(text) }
	default:
		return fmt.Errorf("pre_tokenizer: %q is not supported", c.Type)
	}
	return nil
}

// cutBefore cuts text before every mark.
func cutBefore(text, mark string) []string {
	var out []string
	for text != "" {
		n := strings.Index(text[min(len(mark), len(text)):], mark)
		if !strings.HasPrefix(text, mark) {
			n = strings.Index(text, mark)
		} else if n >= 0 {
			n += len(mark)
		}
		if n <= 0 {
			n = len(text)
		}
		out = append(out, text[:n])
		text = text[n:]
	}
	return out
}

// bertWords cuts at white space and makes every punctuation mark a word.
func bertWords(text string) []string {
	var out []string
	from := -1
	flush := func(to int) {
		if from >= 0 {
			out = append(out, text[from:to])
		}
		from = -1
	}
	for i, r := range text {
		switch {
		case unicode.IsSpace(r):
			flush(i)
		case r < 128 && (unicode.IsPunct(r) || unicode.IsSymbol(r)) || unicode.IsPunct(r):
			flush(i)
			out = append(out, string(r))
		case from < 0:
			from = i
		}
	}
	flush(len(text))
	return out
}

// gptWords cuts text as GPT-2's pattern does:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func gptWords(text string) []string {
	var out []string
	for text != "" {
		n := gptWord(text)
		out = append(out, text[:n])
		text = text[n:]
	}
	return out
}

func gptWord(text string) int {
	for _, s := range []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
		if strings.HasPrefix(text, s) {
			return len(s)
		}
	}
	at := 0
	if text[0] == ' ' {
		at = 1
	}
	if r, _ := utf8.DecodeRuneInString(text[at:]); at < len(text) && !unicode.IsSpace(r) {
		kind := charKind(r)
		for i, r := range text[at:] {
			if charKind(r) != kind {
				return at + i
			}
		}
		return len(text)
	}
	last, n := 0, 0 // start of the last white space, end of all
	for n < len(text) {
		r, w := utf8.DecodeRuneInString(text[n:])
		if !unicode.IsSpace(r) {
			break
		}
		last, n = n, n+w
	}
	if n < len(text) && last > 0 {
		return last
	}
	return n
}

// charKind tells letters, numbers, white space and others apart.
func charKind(r rune) int {
	switch {
	case unicode.IsLetter(r):
		return 1
	case unicode.IsNumber(r):
		return 2
	case unicode.IsSpace(r):
		return 3
	}
	return 0
}

// byteLetters returns the printable character that stands for each byte in GPT-2's vocabulary.
func byteLetters() [256]rune {
	var out [256]rune
	extra := rune(256)
	for b := range rune(256) {
		if b >= '!' && b <= '~' || b >= '¡' && b <= '¬' || b >= '®' && b <= 'ÿ' {
			out[b] = b
			continue
		}
		out[b] = extra
		extra++
	}
	return out
}
