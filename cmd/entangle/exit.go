package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/train"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitModel       = 3
	exitTarget      = 4
	exitMismatch    = 5
	exitQuality     = 6
	exitDevice      = 7
	exitInterrupted = 130
	exitTerminated  = 143
)

// exitDocs documents the codes, in the order of the help text.
var exitDocs = []struct {
	code    int
	meaning string
}{
	{exitOK, "done"},
	{exitFailure, "failed: the message says where and why"},
	{exitUsage, "the command line or the job file is wrong"},
	{exitModel, "the model is malformed, or has something that this command cannot work on"},
	{exitTarget, "no choice in the search space meets the target, or no size that was tried is within its drop"},
	{exitMismatch, "verification found a difference beyond the tolerance"},
	{exitQuality, "the measured quality is below the gate"},
	{exitDevice, "the device that was asked for cannot be used: no GPU, no plugin, or a program built without XLA"},
	{exitInterrupted, "interrupted (SIGINT); a run with a run folder can be resumed"},
	{exitTerminated, "terminated (SIGTERM); a run with a run folder can be resumed"},
}

func exitTable() string {
	var b strings.Builder
	for _, d := range exitDocs {
		fmt.Fprintf(&b, "  %3d  %s\n", d.code, d.meaning)
	}
	return strings.TrimRight(b.String(), "\n")
}

// usageError is a wrong command line or job file.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// qualityError is a measured quality below the gate that the user set.
type qualityError struct {
	what      string
	want, got float64
	lower     bool // is better
}

func (e *qualityError) Error() string {
	side := "more"
	if e.lower {
		side = "less"
	}
	return fmt.Sprintf("quality: %s: want %.4f or %s, got %.4f", e.what, e.want, side, e.got)
}

// signalError is why a context ended.
type signalError struct{ os.Signal }

func (e *signalError) Error() string { return "stopped by signal: " + e.Signal.String() }

// exitCode maps an error to the exit code that it is documented with.
func exitCode(err error) int {
	var (
		usage       *usageError
		job         *entangle.JobError
		model       *entangle.ModelError
		lowering    *ops.UnsupportedError
		unsupported *runtimes.UnsupportedError
		mismatch    *exporter.MismatchError
		quality     *qualityError
		drop        *entangle.DropError
		device      *entangle.DeviceError
		sig         *signalError
		unmet       *decide.TargetError
		none        *entangle.NoneWithinError
		interrupted *train.Interrupted
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &job):
		return exitUsage
	case errors.As(err, &model), errors.As(err, &lowering), errors.As(err, &unsupported):
		return exitModel
	case errors.As(err, &unmet), errors.As(err, &none):
		return exitTarget
	case errors.As(err, &mismatch):
		return exitMismatch
	case errors.As(err, &quality), errors.As(err, &drop):
		return exitQuality
	case errors.As(err, &device):
		return exitDevice
	case errors.As(err, &sig) && sig.Signal == syscall.SIGTERM:
		return exitTerminated
	case errors.As(err, &sig), errors.As(err, &interrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailure
}
