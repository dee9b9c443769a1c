package importer

import "github.com/entangle-nas/entangle/ir"

// Folder returns values of m that are constant, by name.
type Folder func(m *ir.Model) (map[string]*ir.Tensor, error)
