package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

func (e *env) extractCommand() *cli.Command {
	return &cli.Command{
		Name:      "extract",
		Usage:     "cut the subnet of a recipe out of a model; without a recipe, write the model back",
		ArgsUsage: "MODEL",
		Description: "The subnet keeps the model's inputs, outputs, names and opsets and inherits its weights.\n" +
			"The file is written whole or not at all.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "recipe", Usage: "recipe.json of a search", TakesFile: true},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "file to write", TakesFile: true},
			&cli.BoolFlag{Name: "external", Usage: "write weights into OUT.data beside the file"},
			dimFlag(), jsonFlag(),
		},
		Action: e.extract,
	}
}

type extraction struct {
	Source string `json:"source"`
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Recipe string `json:"recipe,omitempty"`
}

func (e *env) extract(c *cli.Context) error {
	path, err := oneModel(c, &job{})
	if err != nil {
		return err
	}
	out := c.String("out")
	if out == "" {
		return usagef("extract: want --out FILE, got none")
	}
	m, err := loadModel(path)
	if err != nil {
		return err
	}
	result := m.raw
	if r := c.String("recipe"); r != "" {
		dims, err := bindings(c, "dim")
		if err != nil {
			return err
		}
		if result, err = m.cut(r, dims); err != nil {
			return err
		}
	}
	if err := exporter.Write(out, result, exporter.Options{External: c.Bool("external")}); err != nil {
		return err
	}
	size, sum, err := fileDigest(out)
	if err != nil {
		return err
	}
	x := extraction{Source: path, File: out, Bytes: size, SHA256: sum, Recipe: c.String("recipe")}
	if c.Bool("json") {
		return e.printJSON(x)
	}
	_, err = fmt.Fprintf(e.stdout, "%s  %d bytes  sha256 %s\n", x.File, x.Bytes, x.SHA256)
	return err
}

// cut applies a recipe file to the normal graph.
func (m *model) cut(recipe string, dims map[string]int) (*ir.Model, error) {
	b, err := os.ReadFile(recipe)
	if err != nil {
		return nil, err
	}
	r, err := subnet.UnmarshalRecipe(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", recipe, err)
	}
	f, err := m.facts(dims)
	if err != nil {
		return nil, err
	}
	an, err := space.Analyse(m.normal, f, r.Kinds()...)
	if err != nil {
		return nil, &modelError{err}
	}
	return subnet.Extract(an, r, nil)
}
