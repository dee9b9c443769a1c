//go:build !unix

package data

import (
	"context"
	"os/exec"
)

// shell is a command of the shell that is killed when the context ends.
func shell(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", command)
}
