// Package command runs a line of the shell for a limited time, with everything that it starts.
package command
