//go:build !linux

package cpu

import "time"

var processStart = time.Now()

// threadTime stands in with the time of day.
func threadTime() time.Duration { return time.Since(processStart) }
