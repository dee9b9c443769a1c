package hloeval

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Run evaluates main on its arguments.
func (m *Module) Run(args []*Tensor) (out []*Tensor, err error) {
	line := 0
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fault)
			if !ok {
				panic(r)
			}
			out, err = nil, fmt.Errorf("hloeval: line %d: %s", line, string(f))
		}
	}()
	if len(args) != len(m.Args) {
		return nil, fmt.Errorf("hloeval: want %d arguments, got %d", len(m.Args), len(args))
	}
	env := map[string]*Tensor{}
	for i, a := range m.Args {
		if !args[i].Type.Equal(a.Type) {
			return nil, fmt.Errorf("hloeval: argument %d: want %v, got %v", i, a.Type, args[i].Type)
		}
		env[a.Name] = args[i]
	}
	last := lastUse(m.Body)
	for i := range m.Body {
		o := &m.Body[i]
		line = o.line
		in := make([]*Tensor, len(o.in))
		for k, name := range o.in {
			in[k] = env[name]
		}
		if o.name == "func.return" {
			for k, v := range in {
				if k >= len(m.Results) || !v.Type.Equal(m.Results[k].Type) {
					fail("return: result %d: want %v, got %v", k, m.Results, v.Type)
				}
			}
			if i != len(m.Body)-1 || len(in) != len(m.Results) {
				fail("return: want it last, with %d values", len(m.Results))
			}
			return in, nil
		}
		for k, v := range results(o, in) {
			name := o.result
			if o.results > 1 {
				name = fmt.Sprintf("%s#%d", o.result, k)
			}
			if !v.Type.Equal(o.outs[k]) {
				fail("%s: result %d is %v, written is %v", o.name, k, v.Type, o.outs[k])
			}
			env[name] = v
		}
		for _, name := range o.in {
			if last[name] == i {
				delete(env, name)
			}
		}
	}
	return nil, fmt.Errorf("hloeval: want a return")
}

// results evaluates an operation; only a barrier has several.
func results(o *op, in []*Tensor) []*Tensor {
	if o.name != "stablehlo.optimization_barrier" {
		if o.results != 1 {
			fail("%s: want one result, got %d", o.name, o.results)
		}
		return []*Tensor{evaluate(o, in)}
	}
	if len(in) == 0 || len(in) != o.results || len(o.attrs) > 0 {
		fail("%s: want as many results as operands, got %d and %d", o.name, o.results, len(in))
	}
	return in
}

func lastUse(body []op) map[string]int {
	last := map[string]int{}
	for i, o := range body {
		for _, name := range o.in {
			last[name] = i
		}
	}
	return last
}

// fault is how an operation gives up.
type fault string

func fail(format string, args ...any) { panic(fault(fmt.Sprintf(format, args...))) }

// rule evaluates an operation with that many operands and exactly the named attributes.
type rule struct {
	operands int // -1: one or more
	attrs    []string
	eval     func(o *op, in []*Tensor) *Tensor
}

func evaluate(o *op, in []*Tensor) *Tensor {
	r, ok := rules()[o.name]
	if !ok {
		fail("%s: no such operation", o.name)
	}
	if len(in) != r.operands && (r.operands >= 0 || len(in) == 0) {
		fail("%s: want %d operands, got %d", o.name, r.operands, len(in))
	}
	if len(o.attrs) != len(r.attrs) {
		fail("%s: want the attributes %v, got %v", o.name, r.attrs, o.attrs)
	}
	for _, a := range r.attrs {
		if _, ok := o.attrs[a]; !ok {
			fail("%s: want the attribute %q", o.name, a)
		}
	}
	return r.eval(o, in)
}

// array reads array<i64: …>.
func (o *op) array(name string) []int {
	s := o.attrs[name]
	if s == "array<i64>" {
		return []int{}
	}
	body, ok := strings.CutPrefix(s, "array<i64: ")
	if !ok || !strings.HasSuffix(body, ">") {
		fail("%s: %s: want array<i64: …>, got %s", o.name, name, s)
	}
	return o.numbers(name, strings.TrimSuffix(body, ">"))
}

func (o *op) numbers(name, s string) []int {
	out := []int{}
	if strings.TrimSpace(s) == "" {
		return out
	}
	for _, f := range strings.Split(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil {
			fail("%s: %s: want integers, got %q", o.name, name, s)
		}
		out = append(out, n)
	}
	return out
}

// perAxis is array with one entry per axis of rank.
func (o *op) perAxis(name string, rank int) []int {
	a := o.array(name)
	if len(a) != rank {
		fail("%s: %s: want %d entries, got %v", o.name, name, rank, a)
	}
	return a
}

func (o *op) integer(name string) int {
	body, ok := strings.CutSuffix(o.attrs[name], " : i64")
	n, err := strconv.Atoi(body)
	if !ok || err != nil {
		fail("%s: %s: want N : i64, got %s", o.name, name, o.attrs[name])
	}
	return n
}

// padding reads two numbers per axis.
func (o *op) padding(name string, rank int) (lo, hi []int) {
	t, err := dense(o.attrs[name])
	if err != nil || !t.Type.Equal(Type{"i64", []int{rank, 2}}) {
		fail("%s: %s: want dense<…> : tensor<%dx2xi64>, got %s", o.name, name, rank, o.attrs[name])
	}
	for i := range rank {
		lo, hi = append(lo, int(t.I[2*i])), append(hi, int(t.I[2*i+1]))
	}
	return lo, hi
}

// record reads the entries of #stablehlo.KIND<name = value, …>.
func (o *op) record(name, kind string) map[string]string {
	body, ok := strings.CutPrefix(o.attrs[name], "#stablehlo."+kind+"<")
	if !ok || !strings.HasSuffix(body, ">") {
		fail("%s: %s: want #stablehlo.%s<…>, got %s", o.name, name, kind, o.attrs[name])
	}
	p := &parser{s: "{" + strings.TrimSuffix(body, ">") + "}"}
	return p.attrs()
}

func (o *op) axesOf(r map[string]string, name string) []int {
	body, ok := strings.CutPrefix(r[name], "[")
	if !ok || !strings.HasSuffix(body, "]") {
		fail("%s: %s: want […], got %q", o.name, name, r[name])
	}
	return o.numbers(name, strings.TrimSuffix(body, "]"))
}

// enum reads #stablehlo<kind VALUE>.
func (o *op) enum(name, kind string, values ...string) string {
	body, ok := strings.CutPrefix(o.attrs[name], "#stablehlo<"+kind+" ")
	v := strings.TrimSuffix(body, ">")
	if !ok || !slices.Contains(values, v) {
		fail("%s: %s: want one of %v, got %s", o.name, name, values, o.attrs[name])
	}
	return v
}

func (o *op) flag(name string) {
	if v := o.attrs[name]; v != "true" && v != "false" {
		fail("%s: %s: want true or false, got %s", o.name, name, v)
	}
}

func (o *op) precision() {
	for _, p := range []string{"DEFAULT", "HIGH", "HIGHEST"} {
		if o.attrs["precision_config"] == fmt.Sprintf("[#stablehlo<precision %s>, #stablehlo<precision %s>]", p, p) {
			return
		}
	}
	fail("%s: precision_config: got %s", o.name, o.attrs["precision_config"])
}

// fold returns the operation of a region of two scalars.
func (o *op) fold(elem string) func(t *Tensor, i int, x *Tensor, j int) {
	if len(o.regions) != 1 {
		fail("%s: want one region, got %d", o.name, len(o.regions))
	}
	r := o.regions[0]
	scalar := Type{Elem: elem}
	if len(r.args) != 2 || len(r.body) != 2 || !r.args[0].Type.Equal(scalar) || !r.args[1].Type.Equal(scalar) {
		fail("%s: want a region of two %s scalars with one operation", o.name, elem)
	}
	body, ret := r.body[0], r.body[1]
	if !slices.Equal(body.in, []string{r.args[0].Name, r.args[1].Name}) || !body.out.Equal(scalar) || len(body.inTypes) != 2 || !body.inTypes[0].Equal(scalar) || !body.inTypes[1].Equal(scalar) ||
		ret.name != "stablehlo.return" || !slices.Equal(ret.in, []string{body.result}) || len(ret.inTypes) != 1 || !ret.inTypes[0].Equal(scalar) {
		fail("%s: want a region that returns an operation of its arguments", o.name)
	}
	if f, ok := binaryFloat[body.name]; ok && scalar.Float() {
		return func(t *Tensor, i int, x *Tensor, j int) { t.F[i] = f(t.F[i], x.F[j]) }
	}
	if f, ok := binaryInt[body.name]; ok && !scalar.Float() {
		return func(t *Tensor, i int, x *Tensor, j int) { t.setI(i, f(elem, t.I[i], x.I[j])) }
	}
	fail("%s: no fold %s on %s", o.name, body.name, elem)
	return nil
}

// rounded brings the elements of a folded result to their type.
func rounded(t *Tensor) *Tensor {
	for i, v := range t.F {
		t.setF(i, v)
	}
	return t
}
