//go:build unix

package data

import (
	"context"
	"os/exec"
	"syscall"
)

// shell is a command of the shell that is killed, with its children, when the context ends.
func shell(ctx context.Context, command string) *exec.Cmd {
	c := exec.CommandContext(ctx, "sh", "-c", command)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	return c
}
