package keys

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds that keep the time of a hostile file small.
const (
	mostBytes  = 256 << 10
	mostTokens = 10000 // the parser's time grows with their square
	mostDepth  = 64    // of brackets, and of dashes on one line
)

// body parses the file and returns its only document's content, nil if there is none.
func (r *reader) body(text []byte) ast.Node {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if len(text) > mostBytes {
		r.fault(0, 0, fmt.Errorf("want at most %d bytes, got %d", mostBytes, len(text)))
		return nil
	}
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRune(text[i:])
		if c == utf8.RuneError && size == 1 {
			r.fault(1+bytes.Count(text[:i], []byte("\n")), 1+utf8.RuneCount(text[bytes.LastIndexByte(text[:i], '\n')+1:i]), fmt.Errorf("want UTF-8 text, got the byte %#x", text[i]))
			return nil
		}
		i += size
	}
	f, err := r.parse(text)
	if err != nil {
		var e interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &e) && e.GetToken() != nil {
			p := e.GetToken().Position
			r.fault(p.Line, p.Column, fmt.Errorf("want YAML: %s", e.GetMessage()))
		} else {
			r.fault(0, 0, fmt.Errorf("want YAML: %w", err))
		}
		return nil
	}
	var body ast.Node
	for _, d := range f.Docs {
		if d.Body != nil && body != nil {
			r.at(d.Body, errors.New("want one document, got a second"))
			return nil
		}
		if d.Body != nil {
			body = d.Body
		}
	}
	return body
}

// parse returns no file and no error if it noted faults of its own.
func (r *reader) parse(text []byte) (f *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil { // the parser's, on text that it does not foresee
			f, err = nil, fmt.Errorf("the parser does not understand the text: %v", p)
		}
	}()
	tokens := lexer.Tokenize(string(text))
	if r.refuse(tokens) {
		return &ast.File{}, nil
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// refuse notes a fault at each token of YAML that job files do without, and at the
// first that nests too deep.
func (r *reader) refuse(tokens token.Tokens) bool {
	if len(tokens) > mostTokens {
		r.fault(0, 0, fmt.Errorf("want at most %d words and signs, got %d", mostTokens, len(tokens)))
		return true
	}
	depth, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		what := ""
		switch t.Type {
		case token.AnchorType:
			what = "an anchor (quote text that begins with &)"
		case token.AliasType:
			what = "an alias (quote text that begins with *)"
		case token.TagType:
			what = "a tag (quote text that begins with !)"
		case token.DirectiveType:
			what = "a directive (quote text that begins with %)"
		case token.MergeKeyType:
			what = "a merge key"
		case token.MappingKeyType:
			what = "a complex key (quote text that begins with ?)"
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType:
			dashes++
		}
		if what != "" {
			r.fault(t.Position.Line, t.Position.Column, fmt.Errorf("want plain keys and values, got %s", what))
		}
		if max(depth, dashes) > mostDepth {
			r.fault(t.Position.Line, t.Position.Column, fmt.Errorf("want at most %d levels", mostDepth))
			break
		}
	}
	return r.faults != nil
}

// The forms of a node.
const (
	nested   = iota // a mapping, a list or what no key takes
	empty           // null
	literal         // a number, true or false
	bare            // text without quotes
	inQuotes        // text in quotes or a block
)

func form(y ast.Node) int {
	switch y := y.(type) {
	case *ast.NullNode:
		return empty
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return literal
	case *ast.StringNode:
		if y.Token.Type == token.StringType {
			return bare
		}
		return inQuotes
	case *ast.LiteralNode:
		return inQuotes
	}
	return nested
}

// content returns the text of a node that is not nested.
func content(y ast.Node) string {
	switch y := y.(type) {
	case *ast.StringNode:
		return y.Value
	case *ast.LiteralNode:
		return y.Value.Value
	case *ast.BoolNode: // as True is true
		return strconv.FormatBool(y.Value)
	}
	if form(y) == nested {
		return ""
	}
	return y.GetToken().Value
}

// show says what stands at a node.
func show(y ast.Node) string {
	s := content(y)
	switch is := form(y); {
	case is == bare, is == inQuotes, len(s) > 80:
		return quoted(s)
	case is != nested:
		return s
	}
	if _, ok := y.(*ast.SequenceNode); ok {
		return "a list"
	}
	return "a mapping"
}
