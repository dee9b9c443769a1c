package stablehlo

import (
	"fmt"
	"strings"
)

// Func is a function being written, one operation after the other.
type Func struct {
	body   strings.Builder
	args   []argument
	next   int
	indent string
}

type argument struct {
	value Value
	attrs []attr
}

// NewFunc returns an empty function.
func NewFunc() *Func { return &Func{indent: "    "} }

// Arg declares the next argument.
func (f *Func) Arg(t Type) Value {
	v := Value{t, fmt.Sprintf("%%arg%d", len(f.args))}
	f.args = append(f.args, argument{value: v})
	return v
}

// Alias says that the storage of argument i may become that of result out.
func (f *Func) Alias(i, out int) {
	f.args[i].attrs = append(f.args[i].attrs, attr{"tf.aliasing_output", fmt.Sprintf("%d : i32", out)})
}

// Spread constrains how a value is spread over the mesh of the module: one entry per
// axis, the name of a mesh axis or "" for none.
func (f *Func) Spread(x Value, axes []string) Value {
	return f.op("sdy.sharding_constraint", []Value{x}, []attr{{"sharding", sharding(axes)}}, nil, x.Type)
}

// whole is a value that every device has whole.
func whole(t Type) attr { return attr{"sdy.sharding", sharding(make([]string, len(t.Shape)))} }

func sharding(axes []string) string {
	s := make([]string, len(axes))
	for i, a := range axes {
		if s[i] = "{}"; a != "" {
			s[i] = fmt.Sprintf("{%q}", a)
		}
	}
	return fmt.Sprintf("#sdy.sharding<@mesh, [%s]>", strings.Join(s, ", "))
}

// op writes an operation with one result.
func (f *Func) op(name string, in []Value, attrs []attr, regions []string, out Type) Value {
	v := Value{out, fmt.Sprintf("%%%d", f.next)}
	f.next++
	f.body.WriteString(f.indent)
	f.body.WriteString(v.name)
	f.body.WriteString(" = ")
	f.write(name, in, attrs, regions, out.String())
	return v
}

func (f *Func) write(name string, in []Value, attrs []attr, regions []string, out string) {
	b := &f.body
	names, types := make([]string, len(in)), make([]string, len(in))
	for i, v := range in {
		if !v.Valid() {
			panic(fmt.Sprintf("BUG: stablehlo: %s: operand %d is no value", name, i))
		}
		names[i], types[i] = v.name, v.Type.String()
	}
	fmt.Fprintf(b, "%q(%s)", name, strings.Join(names, ", "))
	if len(regions) > 0 {
		fmt.Fprintf(b, " (%s)", strings.Join(regions, ", "))
	}
	if len(attrs) > 0 {
		s := make([]string, len(attrs))
		for i, a := range attrs {
			s[i] = a.name + " = " + a.text
		}
		fmt.Fprintf(b, " {%s}", strings.Join(s, ", "))
	}
	fmt.Fprintf(b, " : (%s) -> %s\n", strings.Join(types, ", "), out)
}

// region writes a block of two scalar arguments that returns name applied to them.
func (f *Func) region(name string, e Elem) string {
	t := Type{Elem: e}
	r := &Func{indent: f.indent + "    "}
	x, y := Value{t, "%lhs"}, Value{t, "%rhs"}
	v := Value{t, "%fold"}
	r.body.WriteString(r.indent + v.name + " = ")
	r.write("stablehlo."+name, []Value{x, y}, nil, nil, t.String())
	r.body.WriteString(r.indent)
	r.write("stablehlo.return", []Value{v}, nil, nil, "()")
	return fmt.Sprintf("{\n%s  ^bb0(%%lhs: %s, %%rhs: %s):\n%s%s}", f.indent, t, t, r.body.String(), f.indent)
}

// Mesh is a row of devices that a module is partitioned over by Shardy. Every device has
// the arguments and results whole; see Func.Spread for what is between.
type Mesh struct {
	Axis    string
	Devices int // 0: no mesh
}

// Module is a function with the name of its module.
type Module struct {
	Name string
	Func *Func
	Mesh Mesh
}

// Text prints the module; main returns the given values.
func (m Module) Text(results []Value) string {
	f := m.Func
	var b strings.Builder
	fmt.Fprintf(&b, "module @%s", m.Name)
	if m.Mesh.Devices > 0 {
		fmt.Fprintf(&b, " attributes {mhlo.num_partitions = %d : i32, mhlo.num_replicas = 1 : i32}", m.Mesh.Devices)
	}
	b.WriteString(" {\n")
	if m.Mesh.Devices > 0 {
		fmt.Fprintf(&b, "  sdy.mesh @mesh = <[%q=%d]>\n", m.Mesh.Axis, m.Mesh.Devices)
	}
	b.WriteString("  func.func @main(")
	for i, a := range f.args {
		if i > 0 {
			b.WriteString(", ")
		}
		attrs := a.attrs
		if m.Mesh.Devices > 0 {
			attrs = append([]attr{whole(a.value.Type)}, attrs...)
		}
		fmt.Fprintf(&b, "%s: %s%s", a.value.name, a.value.Type, braces(attrs))
	}
	b.WriteString(") -> (")
	for i, v := range results {
		if i > 0 {
			b.WriteString(", ")
		}
		var attrs []attr
		if m.Mesh.Devices > 0 {
			attrs = []attr{whole(v.Type)}
		}
		b.WriteString(v.Type.String() + braces(attrs))
	}
	b.WriteString(") {\n")
	b.WriteString(f.body.String())
	tail := &Func{indent: f.indent}
	tail.body.WriteString(f.indent)
	tail.write("func.return", results, nil, nil, "()")
	b.WriteString(tail.body.String())
	b.WriteString("  }\n}\n")
	return b.String()
}

func braces(attrs []attr) string {
	if len(attrs) == 0 {
		return ""
	}
	s := make([]string, len(attrs))
	for i, a := range attrs {
		s[i] = a.name + " = " + a.text
	}
	return " {" + strings.Join(s, ", ") + "}"
}
