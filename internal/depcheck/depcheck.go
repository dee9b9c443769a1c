package depcheck

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Import is one import of a non-test file.
type Import struct {
	Package string // relative to the module
	File    string // relative to the module, with line
	Path    string
}

// Imports parses every non-test Go file below root, whatever its build tags, and
// returns its imports in file order. Folders that are modules of their own, and
// those that the go command ignores, are left out.
func Imports(root string) ([]Import, error) {
	var out []Import
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			name := d.Name()
			if rel == "." {
				return nil
			}
			if name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
				return filepath.SkipDir
			}
			if nested, _ := filepath.Glob(filepath.Join(file, "go.mod")); nested != nil {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, s := range f.Imports {
			p, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			out = append(out, Import{path.Dir(rel), fmt.Sprintf("%s:%d", rel, set.Position(s.Pos()).Line), p})
		}
		return nil
	})
	return out, err
}

// Check returns one line per import that breaks a rule, and per package without a rule.
func Check(imports []Import, allowed, guarded map[string][]string) []string {
	var faults []string
	seen := map[string]bool{}
	for _, im := range imports {
		rule, known := allowed[im.Package]
		if !known && !seen[im.Package] {
			faults = append(faults, fmt.Sprintf("package %s: no line in Allowed", im.Package))
		}
		seen[im.Package] = true
		if rel, ok := inModule(im.Path); ok {
			if known && !slices.Contains(rule, Anything) && !slices.Contains(rule, rel) && !under(rel, im.Package+"/internal") {
				faults = append(faults, fmt.Sprintf("%s: package %s may not import %s", im.File, im.Package, rel))
			}
			continue
		}
		for outside, places := range guarded {
			if under(im.Path, outside) && !slices.Contains(places, im.Package) {
				faults = append(faults, fmt.Sprintf("%s: package %s may not import %s, which is for %v alone", im.File, im.Package, im.Path, places))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

func inModule(p string) (string, bool) {
	if p == Module {
		return ".", true
	}
	return strings.CutPrefix(p, Module+"/")
}

func under(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }
