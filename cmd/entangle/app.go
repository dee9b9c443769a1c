package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/internal/keys"
	"github.com/entangle-nas/entangle/search/train"
)

// commands lists every verb in the order of the help text.
func (e *env) commands() []*cli.Command {
	list := []*cli.Command{
		e.inspectCommand(),
		e.spaceCommand(),
		e.searchCommand(),
		e.sensitivityCommand(),
		e.extractCommand(),
		e.finetuneCommand(),
		e.evalCommand(),
		e.verifyCommand(),
		e.measureCommand(),
		e.compressCommand(),
		e.familyCommand(),
		e.trainCommand(),
		e.schemaCommand(),
		e.benchCommand(),
		e.doctorCommand(),
		e.completionCommand(),
		e.versionCommand(),
	}
	for _, c := range list {
		if slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return f.Names()[0] == "job" }) {
			c.Flags = append(c.Flags, unusedFlags(c.Flags)...)
		}
	}
	return list
}

// env is what a command may touch of the world around it.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	verbosity      int // -1 quiet, 0, 1 verbose
	root           *cli.App
	world          *entangle.Host
}

// host returns what runs may touch of the world.
func (e *env) host() *entangle.Host {
	if e.world == nil {
		e.world = &entangle.Host{Getenv: e.getenv, Log: func(level int, format string, a ...any) {
			if e.verbosity >= level {
				fmt.Fprintf(e.stderr, format+"\n", a...)
			}
		}}
	}
	return e.world
}

// process runs the program on the process's own streams; SIGINT and SIGTERM
// cancel the context, a second one ends the process at once.
func process() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals
		signal.Stop(signals)
		cancel(&signalError{s})
	}()
	return run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
}

// run executes one command line and returns its exit code. Results go to
// stdout, everything else to stderr. The environment is read here and nowhere deeper.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr, getenv: os.Getenv}
	err := e.app().RunContext(ctx, e.reorder(args))
	if cause := context.Cause(ctx); cause != nil && err != nil {
		var stopped *train.Interrupted
		switch {
		case errors.As(err, &stopped):
			err = errors.Join(err, cause)
		case errors.Is(err, context.Canceled):
			err = cause
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "entangle: %v\n", err)
	}
	if errors.Is(err, engine.ErrMemory) {
		fmt.Fprintln(stderr, "entangle: less memory is needed with --set step_memory=least, with a smaller --batch and as much more tune.accumulate, or with --set device_data=0")
	}
	return exitCode(err)
}

func (e *env) app() *cli.App {
	app := &cli.App{
		Name:                      "entangle",
		Usage:                     "make a smaller ONNX model out of a larger one",
		UsageText:                 "entangle COMMAND [OPTIONS] [ARGUMENTS]",
		Description:               "Results go to stdout, logs and progress to stderr. With --json a result is one JSON value.\n\nExit codes:\n" + exitTable(),
		Commands:                  e.commands(),
		HideVersion:               true,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		Suggest:                   true,
		UseShortOptionHandling:    false,
		Reader:                    e.stdin,
		Writer:                    e.stdout,
		ErrWriter:                 e.stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              onUsageError(nil),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				text := fmt.Sprintf("command: want one of %s, got %q", strings.Join(names(c.App.Commands), ", "), c.Args().First())
				if near := keys.Nearest(c.Args().First(), names(c.App.Commands)); len(near) > 0 {
					text += "; did you mean " + strings.Join(near, " or ") + "?"
				}
				return usagef("%s", text)
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = onUsageError(c)
		c.Flags = append(c.Flags, e.commonFlags()...)
		c.Action = e.guarded(c)
		c.CustomHelpTemplate = strings.ReplaceAll(helpText(c), "{{", "{{\"{{\"}}")
	}
	e.root = app
	return app
}

func (e *env) commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no logs and no progress", Category: groupJob},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "more logs", Category: groupJob},
	}
}

// guarded reads the common flags before the command runs.
func (e *env) guarded(c *cli.Command) cli.ActionFunc {
	action := c.Action
	return func(ctx *cli.Context) error {
		switch {
		case ctx.Bool("quiet") && ctx.Bool("verbose"):
			return usagef("flags: want --quiet or --verbose, got both")
		case ctx.Bool("quiet"):
			e.verbosity = -1
		case ctx.Bool("verbose"):
			e.verbosity = 1
		}
		e.noteUnused(ctx)
		return action(ctx)
	}
}

// onUsageError makes a usage error of what the parser says, with what may be meant by an
// option that the command does not have.
func onUsageError(cmd *cli.Command) cli.OnUsageErrorFunc {
	return func(_ *cli.Context, err error, _ bool) error {
		text := err.Error()
		name, unknown := strings.CutPrefix(text, "flag provided but not defined: -")
		if !unknown || cmd == nil {
			return &usageError{text}
		}
		name = strings.TrimLeft(name, "-")
		text = fmt.Sprintf("%s: --%s: no such option", cmd.Name, name)
		if meant := unknownOption(name, cmd.Flags); meant != "" {
			text += "; " + meant
		}
		return &usageError{text}
	}
}

func names(cs []*cli.Command) []string {
	var out []string
	for _, c := range cs {
		if !c.Hidden && c.Name != "help" {
			out = append(out, c.Name)
		}
	}
	return out
}

// reorder moves a command's options before its arguments, so that they may stand
// anywhere. What follows "--" stays where it is.
func (e *env) reorder(args []string) []string {
	if len(args) < 3 {
		return args
	}
	var cmd *cli.Command
	for _, c := range e.commands() {
		if c.Name == args[1] {
			cmd = c
		}
	}
	if cmd == nil || args[len(args)-1] == "--generate-bash-completion" {
		return args
	}
	takesValue := map[string]bool{}
	for _, f := range append(cmd.Flags, e.commonFlags()...) {
		_, isBool := f.(*cli.BoolFlag)
		for _, n := range f.Names() {
			takesValue[n] = !isBool
		}
	}
	options, rest := []string{}, []string{}
	for i := 2; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		options = append(options, a)
		if name, _, given := strings.Cut(strings.TrimLeft(a, "-"), "="); !given && takesValue[name] && i+1 < len(args) {
			i++
			options = append(options, args[i])
		}
	}
	out := append([]string{args[0], args[1]}, options...)
	return append(append(out, "--"), rest...)
}

// logf writes a line to stderr unless --quiet is given.
func (e *env) logf(format string, args ...any) {
	if e.verbosity >= 0 {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}

// debugf writes a line to stderr with --verbose.
func (e *env) debugf(format string, args ...any) {
	if e.verbosity > 0 {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}
