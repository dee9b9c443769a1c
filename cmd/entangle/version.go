package main

import (
	"fmt"
	"runtime"

	"github.com/entangle-nas/entangle"
	"github.com/urfave/cli/v2"
)

func (e *env) versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the program's version",
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if c.Bool("json") {
				return e.printJSON(map[string]string{"version": entangle.Version(), "go": runtime.Version()})
			}
			_, err := fmt.Fprintf(e.stdout, "entangle %s\n", entangle.Version())
			return err
		},
	}
}
