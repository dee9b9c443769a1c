package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/subnet"
)

func (e *env) extractCommand() *cli.Command {
	return &cli.Command{
		Name:      "extract",
		Usage:     "cut the subnet of a recipe out of a model; without a recipe, write the model back",
		ArgsUsage: "MODEL",
		Description: "The subnet keeps the model's inputs, outputs, names and opsets and inherits its weights.\n" +
			"The file is written whole or not at all. Open sizes are those that the recipe carries, unless --dim gives others.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "recipe", Usage: "recipe.json of a search", TakesFile: true},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "file to write", TakesFile: true},
			&cli.StringFlag{Name: "kept", Usage: "also write what the recipe keeps of every initialiser, as JSON (docs/for-pytorch.md)", TakesFile: true},
			&cli.BoolFlag{Name: "external", Usage: "write weights into OUT.data beside the file"},
			forceFlag(), dimFlag(), jsonFlag(),
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
	// Sizes of open dimensions that the recipe gave.
	Sizes map[string]int `json:"sizes,omitempty"`
	Kept  string         `json:"kept,omitempty"`
}

func (e *env) extract(c *cli.Context) error {
	path, err := argument(c)
	if err != nil {
		return err
	}
	out := c.String("out")
	if out == "" {
		return usagef("extract: want --out FILE, got none")
	}
	if err := entangle.CheckOut(out, path); err != nil {
		return usagef("--out: %v", err)
	}
	if err := entangle.Writable(out, c.Bool("force")); err != nil {
		return err
	}
	x := extraction{Source: path, File: out, Recipe: c.String("recipe"), Kept: c.String("kept")}
	if x.Kept != "" {
		if x.Recipe == "" {
			return usagef("--kept: want --recipe FILE beside it, got none")
		}
		if err := entangle.Writable(x.Kept, c.Bool("force")); err != nil {
			return err
		}
	}
	m, err := entangle.Import(path)
	if err != nil {
		return err
	}
	result := m.Raw
	if x.Recipe != "" {
		dims, err := bindings(c, "dim")
		if err != nil {
			return err
		}
		if err := e.checkDims(dims, m); err != nil {
			return err
		}
		small, err := cut(m, x.Recipe, dims)
		if err != nil {
			return err
		}
		result, x.Sizes = small.Model, small.Sizes
		if x.Kept != "" {
			text, err := small.Kept.Marshal()
			if err != nil {
				return err
			}
			if err := atomicfile.WriteBytes(x.Kept, text); err != nil {
				return err
			}
		}
	}
	if err := exporter.Write(out, result, exporter.Options{External: c.Bool("external")}); err != nil {
		return err
	}
	file, err := entangle.Digest(out)
	if err != nil {
		return err
	}
	x.Bytes, x.SHA256 = file.Bytes, file.SHA256
	if c.Bool("json") {
		return e.printJSON(x)
	}
	if len(x.Sizes) > 0 {
		var given []string
		for _, name := range slices.Sorted(maps.Keys(x.Sizes)) {
			given = append(given, fmt.Sprintf("%s=%d", name, x.Sizes[name]))
		}
		fmt.Fprintf(e.stderr, "sizes of the recipe: %s\n", strings.Join(given, ", "))
	}
	_, err = fmt.Fprintf(e.stdout, "%s  %d bytes  sha256 %s\n", x.File, x.Bytes, x.SHA256)
	return err
}

// cut applies a recipe file to a model.
func cut(m *entangle.Model, recipe string, dims map[string]int) (*entangle.Cut, error) {
	b, err := os.ReadFile(recipe)
	if err != nil {
		return nil, err
	}
	r, err := subnet.UnmarshalRecipe(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", recipe, err)
	}
	return m.Cut(r, dims)
}
