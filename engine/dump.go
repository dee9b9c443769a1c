package engine

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Dump writes p as text, one node per line:
//
//	%2 f32[64 10] = map(%0, %1) Expr: a0 a1 add(0,1), Compute: f32
func Dump(w io.Writer, p *prim.Program) error {
	buf := bufio.NewWriter(w)
	names := map[prim.ID]string{}
	for _, in := range p.Inputs {
		names[in.ID] = fmt.Sprintf("input %q", in.Name)
		if in.Donate {
			names[in.ID] += " donated"
		}
		if in.Batch {
			names[in.ID] += " batch"
		}
	}
	for i, n := range p.Nodes {
		fmt.Fprintf(buf, "%%%d %s = ", i, n.Type)
		if n.Prim == nil {
			fmt.Fprintln(buf, names[prim.ID(i)])
			continue
		}
		in := make([]string, len(n.In))
		for k, id := range n.In {
			in[k] = fmt.Sprintf("%%%d", id)
		}
		line := fmt.Sprintf("%s(%s) %s", n.Prim.Name(), strings.Join(in, ", "), strings.Join(attributes(reflect.ValueOf(n.Prim)), ", "))
		fmt.Fprintln(buf, strings.TrimSpace(line))
	}
	for _, o := range p.Outputs {
		fmt.Fprintf(buf, "output %q = %%%d\n", o.Name, o.ID)
	}
	return buf.Flush()
}

// attributes prints the fields of a primitive; those of embedded ones in line.
func attributes(v reflect.Value) []string {
	if t, ok := v.Interface().(prim.Const); ok {
		return []string{constant(t.Value)}
	}
	var out []string
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch x := v.Field(i); {
		case f.Anonymous && x.Kind() == reflect.Interface:
			out = append(out, attributes(x.Elem())...)
		case f.Anonymous:
			out = append(out, attributes(x)...)
		case x.IsZero() && f.Type.Kind() != reflect.Uint8:
		default:
			out = append(out, fmt.Sprintf("%s: %v", f.Name, x))
		}
	}
	return out
}

// constant prints up to eight elements.
func constant(t *prim.Tensor) string {
	var s []string
	for i := range min(t.Len(), 8) {
		if t.DType.Float() {
			s = append(s, fmt.Sprint(t.Float(i)))
		} else {
			s = append(s, fmt.Sprint(t.Int(i)))
		}
	}
	if t.Len() > 8 {
		s = append(s, "…")
	}
	return strings.Join(s, " ")
}
