package space

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// DeclaredKey is the metadata property of a model that declares its space: the text of a
// space.yaml. New offers what it declares in place of what it finds.
const DeclaredKey = "entangle.space"

// Declare writes a space into a model's metadata, in place of one that is there.
func Declare(m *ir.Model, s *Space) error {
	text, err := (&Space{Dims: s.Dims}).Marshal()
	if err != nil {
		return err
	}
	m.Meta = append(Undeclared(m.Meta), ir.Prop{Key: DeclaredKey, Value: string(text)})
	return nil
}

// Undeclared returns metadata without a declared space.
func Undeclared(props []ir.Prop) []ir.Prop {
	return slices.DeleteFunc(slices.Clone(props), func(p ir.Prop) bool { return p.Key == DeclaredKey })
}

// Declared returns the space that the analysed model declares; nil where it declares none.
func Declared(an *Analysis) (*Space, error) {
	at := slices.IndexFunc(an.Model.Meta, func(p ir.Prop) bool { return p.Key == DeclaredKey })
	if at < 0 {
		return nil, nil
	}
	s, err := Unmarshal([]byte(an.Model.Meta[at].Value))
	if err != nil {
		return nil, fmt.Errorf("space: metadata %q: %w", DeclaredKey, err)
	}
	s.Source = an.Fingerprint()
	if _, err := s.Bind(an); err != nil {
		return nil, fmt.Errorf("space: metadata %q: %w", DeclaredKey, err)
	}
	return s, nil
}

// of lists the dims of a kind, or "" of all, of which no node must stay; of widths those are all
// nodes that give birth to units.
func (s *Space) of(kind string, an *Analysis, o Options) []Dim {
	var out []Dim
	for _, d := range s.Dims {
		free := kind == "" || d.Kind == kind
		for _, name := range d.Nodes() {
			if g := an.group(name); g != nil && d.CountsUnits() {
				free = free && o.allows(g.Nodes...)
			} else {
				free = free && o.allows(name)
			}
		}
		if free {
			out = append(out, d)
		}
	}
	return out
}
