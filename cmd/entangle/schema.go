package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
)

func (e *env) schemaCommand() *cli.Command {
	return &cli.Command{
		Name:        "schema",
		Usage:       "list every setting of a job, or print the JSON Schema of job files",
		UsageText:   "entangle schema > job.schema.json",
		Description: "Prints the JSON Schema (draft 2020-12). With --keys it prints a table of all keys with their defaults,\nas --set takes them.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "keys", Usage: "print a table of keys, defaults and meanings"}},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("schema: want no arguments, got %d", c.NArg())
			}
			if c.Bool("keys") {
				t := columns("key", "default", "meaning")
				j := entangle.DefaultJob()
				for _, k := range j.Keys() {
					t.Add(k.Path, k.Value, k.Doc)
				}
				return t.Text(e.stdout)
			}
			text, err := entangle.Schema()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(e.stdout, "%s\n", text)
			return err
		},
	}
}
