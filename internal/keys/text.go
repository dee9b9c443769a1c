package keys

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// null is the text of an unset pointer or list.
const null = "null"

// text returns Key.Value.
func (n *node) text() string {
	if n.unset() {
		return null
	}
	var parts []string
	for _, v := range n.values() {
		parts = append(parts, n.format(v))
	}
	return strings.Join(parts, ",")
}

// format returns one value's text.
func (n *node) format(v reflect.Value) string {
	if n.coded {
		b, err := v.Addr().Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			panic(fmt.Sprintf("BUG: keys: %s: no text: %v", n.path, err))
		}
		return string(b)
	}
	switch {
	case n.shape == boolean:
		return strconv.FormatBool(v.Bool())
	case n.unsigned():
		return strconv.FormatUint(v.Uint(), 10)
	case n.shape == integer:
		return strconv.FormatInt(v.Int(), 10)
	case n.shape == number:
		return withPoint(strconv.FormatFloat(v.Float(), 'g', -1, n.elem.Bits()))
	}
	return v.String()
}

// parse reads one value's text.
func (n *node) parse(s string) (reflect.Value, error) {
	v := reflect.New(n.elem)
	if n.coded {
		if err := v.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
			return reflect.Value{}, fmt.Errorf("%s: %w", n.path, err)
		}
		return v.Elem(), nil
	}
	fault := &Fault{Key: n.path, Want: n.wanted(), Got: quoted(s)}
	var err error
	switch {
	case n.shape == text:
		v.Elem().SetString(s)
	case n.shape == boolean:
		v.Elem().SetBool(s == "true")
		if s != "true" && s != "false" {
			err = fault
		}
	case n.unsigned():
		var x uint64
		x, err = strconv.ParseUint(s, 10, n.elem.Bits())
		v.Elem().SetUint(x)
	case n.shape == integer:
		var x int64
		x, err = strconv.ParseInt(s, 10, n.elem.Bits())
		v.Elem().SetInt(x)
	case strings.Trim(s, "0123456789+-.eE") != "": // Inf, NaN and hexadecimal are no numbers of a file
		err = fault
	default:
		var x float64
		x, err = strconv.ParseFloat(s, n.elem.Bits())
		v.Elem().SetFloat(x)
	}
	if errors.Is(err, strconv.ErrRange) {
		fault.Want += fmt.Sprintf(" that %d bits hold", n.elem.Bits())
	}
	if err != nil {
		return reflect.Value{}, fault
	}
	return v.Elem(), nil
}

// quoted shows a text in an error, a long one's begin.
func quoted(s string) string {
	if r := []rune(s); len(r) > 80 {
		return strconv.Quote(string(r[:80])) + "…"
	}
	return strconv.Quote(s)
}

// wrap makes a field's value of one value or a list's elements.
func (n *node) wrap(values ...reflect.Value) reflect.Value {
	if n.list {
		return reflect.Append(reflect.MakeSlice(n.value.Type(), 0, len(values)), values...)
	}
	if n.optional {
		p := reflect.New(n.elem)
		p.Elem().Set(values[0])
		return p
	}
	return values[0]
}

// withPoint writes 1e-08 as 1.0e-08: readers of YAML 1.1 take the first for text.
func withPoint(number string) string {
	digits, power, has := strings.Cut(number, "e")
	if !has || strings.Contains(digits, ".") {
		return number
	}
	return digits + ".0e" + power
}
