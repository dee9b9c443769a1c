package keys

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// Write returns all keys as YAML, nested and in field order, such that Read gives the
// same values over any others. Numbers that are not finite and strings that are not
// UTF-8 are errors.
func Write(v any) ([]byte, error) {
	w := &writer{}
	w.section(tree(v), "")
	return []byte(w.text.String()), errors.Join(w.faults...)
}

type writer struct {
	text   strings.Builder
	faults []error
}

func (w *writer) section(n *node, indent string) {
	for _, c := range n.below {
		fmt.Fprintf(&w.text, "%s%s:", indent, quote(c.name))
		switch {
		case c.shape != section:
			fmt.Fprintf(&w.text, " %s\n", w.value(c))
		case len(c.below) == 0:
			w.text.WriteString(" {}\n")
		default:
			w.text.WriteString("\n")
			w.section(c, indent+"  ")
		}
	}
}

func (w *writer) value(n *node) string {
	if n.unset() {
		return null
	}
	var parts []string
	for _, v := range n.values() {
		s := n.format(v)
		switch {
		case n.shape == number && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)):
			w.faults = append(w.faults, &Fault{Key: n.path, Want: "a finite number", Got: s})
		case n.shape == text && !utf8.ValidString(s):
			w.faults = append(w.faults, &Fault{Key: n.path, Want: "UTF-8 text", Got: quoted(s)})
		case n.shape == text && !(n.coded && numeral.MatchString(s)):
			s = quote(s)
		}
		parts = append(parts, s)
	}
	if n.list {
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return parts[0]
}

// numeral is what a coded value is read from without quotes as well.
var numeral = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

var plain = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_/.=-]*$`)

// quote returns a string as a YAML scalar that every reader takes for this string.
func quote(s string) string {
	if plain.MatchString(s) && !token.IsNeedQuoted(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
