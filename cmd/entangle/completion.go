package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

const bashCompletion = `_entangle() {
  local cur words
  cur="${COMP_WORDS[COMP_CWORD]}"
  words=("${COMP_WORDS[@]:0:$COMP_CWORD}")
  [[ "$cur" == -* ]] && words+=("$cur")
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur"))
}
complete -o default -F _entangle entangle
`

const zshCompletion = `#compdef entangle
_entangle() {
  local -a opts
  opts=("${(@f)$(${words[@]:0:#words[@]-1} ${words[-1]:#^-*} --generate-bash-completion 2>/dev/null)}")
  if [[ -n "$opts[1]" ]]; then compadd -- $opts; else _files; fi
}
compdef _entangle entangle
`

func (e *env) completionCommand() *cli.Command {
	return &cli.Command{
		Name:        "completion",
		Usage:       "print a completion script for bash, zsh or fish",
		ArgsUsage:   "SHELL",
		Description: "bash: source <(entangle completion bash)\nzsh:  entangle completion zsh > \"${fpath[1]}/_entangle\"\nfish: entangle completion fish > ~/.config/fish/completions/entangle.fish",
		Action: func(c *cli.Context) error {
			script := ""
			switch shell := c.Args().First(); shell {
			case "bash":
				script = bashCompletion
			case "zsh":
				script = zshCompletion
			case "fish":
				var err error
				if script, err = e.root.ToFishCompletion(); err != nil {
					return err
				}
			default:
				return usagef("completion: want bash, zsh or fish, got %q", shell)
			}
			_, err := fmt.Fprint(e.stdout, script)
			return err
		},
	}
}
