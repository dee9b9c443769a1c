package ir

import (
	"fmt"
	"strconv"
	"strings"
)

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokWord             // bare name, number or keyword
	tokString           // quoted; text is unquoted
	tokPunct
)

type token struct {
	kind tokenKind
	text string
	pos  int
}

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end"
	case tokString:
		return strconv.Quote(t.text)
	}
	return "'" + t.text + "'"
}

// lexer cuts text into tokens, one ahead of the parser. The first error stays;
// from then on every token is the end.
type lexer struct {
	src  string
	at   int
	next token
	err  error
}

func newLexer(src string) *lexer {
	l := &lexer{src: src}
	l.next = l.scan()
	return l
}

// fail records an error at a position of the source.
func (l *lexer) fail(pos int, format string, args ...any) {
	if l.err != nil {
		return
	}
	line := 1 + strings.Count(l.src[:pos], "\n")
	col := pos - strings.LastIndexByte(l.src[:pos], '\n')
	l.err = fmt.Errorf("ir: line %d, column %d: %w", line, col, fmt.Errorf(format, args...))
	l.at = len(l.src)
	l.next = token{kind: tokEOF, pos: len(l.src)}
}

// take returns the next token and moves on.
func (l *lexer) take() token {
	t := l.next
	if l.err == nil {
		if next := l.scan(); l.err == nil {
			l.next = next
		}
	}
	return t
}

func (l *lexer) scan() token {
	for l.at < len(l.src) {
		c := l.src[l.at]
		if c == '#' {
			if i := strings.IndexByte(l.src[l.at:], '\n'); i >= 0 {
				l.at += i
			} else {
				l.at = len(l.src)
			}
		} else if c == ' ' || c == '\n' || c == '\t' || c == '\r' {
			l.at++
		} else {
			break
		}
	}
	start := l.at
	if start >= len(l.src) {
		return token{kind: tokEOF, pos: start}
	}
	c := l.src[start]
	switch {
	case isWord(c):
		for l.at < len(l.src) && isWord(l.src[l.at]) {
			l.at++
		}
		return token{kind: tokWord, text: l.src[start:l.at], pos: start}
	case c == '"':
		return l.quoted(start)
	case strings.HasPrefix(l.src[start:], "::"):
		l.at += 2
		return token{kind: tokPunct, text: "::", pos: start}
	case strings.IndexByte("{}[]()=,:~@?", c) >= 0:
		l.at++
		return token{kind: tokPunct, text: l.src[start:l.at], pos: start}
	}
	l.fail(start, "unexpected character %q", c)
	return token{kind: tokEOF, pos: start}
}

func (l *lexer) quoted(start int) token {
	for i := start + 1; i < len(l.src); i++ {
		switch l.src[i] {
		case '\\':
			i++
		case '"':
			s, err := strconv.Unquote(l.src[start : i+1])
			if err != nil {
				l.fail(start, "malformed quoted text")
				return token{kind: tokEOF, pos: start}
			}
			l.at = i + 1
			return token{kind: tokString, text: s, pos: start}
		}
	}
	l.fail(start, "quoted text has no end")
	return token{kind: tokEOF, pos: start}
}
