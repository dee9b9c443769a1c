// Package keys reads settings off a struct: the struct's fields and their tags are
// the only place that says which settings there are, and files, options, help,
// tables, a JSON Schema and checks are all made from it.
//
// Every function takes a non-nil pointer to a struct. A field is a key or, if it is a
// struct, a section of keys; a key's path is the names down to it, joined by dots
// ("tune.objective.distill"). Unexported, func and interface fields are none. A key
// holds a bool, an integer, a float, a string, a list of these, a pointer to one but
// a list, or any type with MarshalText and UnmarshalText, whose text is the value. A
// nil pointer or list is unset, written null; an empty list is set. The text that
// MarshalText gives, of the zero value too, must be one that UnmarshalText takes back.
//
// Tags:
//
//	json:"name"         the key's name; "-" is no key; an embedded struct without a name is inlined
//	doc:"…"             one line of help
//	unit:"epochs"       what a number counts
//	want:">0"           range of a number, or of each of a list: >, >=, <, <= or an interval such as [0,1)
//	want:"nonempty"     of a string or a list
//	oneof:"relaxation"  the caller's list of words that a string, or each of a list, is one of
//
// Numbers are always finite. A struct or tag that the package cannot read, or a list
// that the caller lacks, panics with BUG; text and files never do.
package keys
