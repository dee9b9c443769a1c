package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/urfave/cli/v2"
)

// A job file holds a run's settings in sections, each a mapping from option
// names without dashes to scalars or lists of scalars:
//
//	model: base.onnx
//	data:
//	  data: idx:/usr/share/datasets/fashion-mnist
//	  mean: [0.286]
//	train:
//	  epochs: 10
//
// Options on the command line win over the file. A section that the command
// does not use is checked and left alone, so one file serves several commands.
const jobHelp = "YAML file with the settings; options given on the command line win"

func jobFlag() cli.Flag {
	return &cli.StringFlag{Name: "job", Usage: jobHelp, TakesFile: true}
}

// section is a group of options with its name in a job file.
type section struct {
	name, doc string
	flags     []cli.Flag
}

// sections lists all sections, in the order of docs/cli.md.
func sections() []section {
	return []section{
		{"data", "the data set and how its samples reach the model", dataFlags()},
		{"train", "weight training", trainFlags()},
		{"search", "the search space and the search", searchFlags()},
	}
}

// job is a parsed job file.
type job struct {
	path  string
	model string
	out   string
	set   []jobValue
}

type jobValue struct {
	flag, value, at string
}

// readJob reads and checks a job file. Errors carry file:line:column.
func readJob(path string) (*job, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	return parseJob(path, b)
}

func parseJob(path string, b []byte) (*job, error) {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, usagef("job: %s: %s", path, strings.TrimSpace(err.Error()))
	}
	j := &job{path: path}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		err := each(path, doc.Body, func(key string, at string, v ast.Node) error {
			switch key {
			case "model", "out":
				s, err := scalar(at, key, v)
				if key == "model" {
					j.model = s
				} else {
					j.out = s
				}
				return err
			}
			var known []string
			for _, s := range sections() {
				if s.name == key {
					return j.section(path, s, v)
				}
				known = append(known, s.name)
			}
			return usagef("job: %s: key: want one of model, out, %s, got %q", at, strings.Join(known, ", "), key)
		})
		if err != nil {
			return nil, err
		}
	}
	return j, nil
}

func (j *job) section(path string, s section, v ast.Node) error {
	return each(path, v, func(key, at string, v ast.Node) error {
		var known []string
		for _, f := range s.flags {
			if f.Names()[0] == key {
				text, err := scalar(at, s.name+"."+key, v)
				j.set = append(j.set, jobValue{key, text, at})
				return err
			}
			known = append(known, f.Names()[0])
		}
		return usagef("job: %s: key of %s: want one of %s, got %q", at, s.name, strings.Join(known, ", "), key)
	})
}

// each walks a mapping, refusing repeated keys.
func each(path string, n ast.Node, f func(key, at string, v ast.Node) error) error {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	case *ast.NullNode:
		return nil
	default:
		return usagef("job: %s: want a mapping, got %s", position(path, n), n.Type())
	}
	seen := map[string]bool{}
	for _, v := range values {
		key, at := v.Key.GetToken().Value, position(path, v.Key)
		if seen[key] {
			return usagef("job: %s: key %q: given twice", at, key)
		}
		seen[key] = true
		if err := f(key, at, v.Value); err != nil {
			return err
		}
	}
	return nil
}

func position(path string, n ast.Node) string {
	p := n.GetToken().Position
	return fmt.Sprintf("%s:%d:%d", path, p.Line, p.Column)
}

// scalar returns a scalar's text, or the texts of a list joined by commas.
func scalar(at, name string, n ast.Node) (string, error) {
	if list, ok := n.(*ast.SequenceNode); ok {
		var parts []string
		for _, v := range list.Values {
			s, err := scalar(at, name, v)
			if err != nil {
				return "", err
			}
			parts = append(parts, s)
		}
		return strings.Join(parts, ","), nil
	}
	if _, ok := n.(ast.ScalarNode); !ok {
		return "", usagef("job: %s: %s: want a value or a list of values, got %s", at, name, n.Type())
	}
	return n.GetToken().Value, nil
}

// applyJob reads the --job file, if any, and sets every option of the command
// that the command line leaves open. It returns an empty job without a file.
func applyJob(c *cli.Context) (*job, error) {
	path := c.String("job")
	if path == "" {
		return &job{}, nil
	}
	j, err := readJob(path)
	if err != nil {
		return nil, err
	}
	has := map[string]cli.Flag{}
	for _, f := range c.Command.Flags {
		has[f.Names()[0]] = f
	}
	given := map[string]bool{}
	for _, v := range j.set {
		given[v.flag] = c.IsSet(v.flag)
	}
	for _, v := range j.set {
		f := has[v.flag]
		if f == nil || given[v.flag] {
			continue
		}
		err := c.Set(v.flag, v.value)
		if check, ok := f.(cli.ActionableFlag); ok && err == nil {
			err = check.RunAction(c)
		}
		if err != nil {
			return nil, usagef("job: %s: %s: %v", v.at, v.flag, err)
		}
	}
	return j, nil
}
