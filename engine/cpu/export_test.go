package cpu

import (
	"testing"
	"time"
)

// ThreadTime returns the processor time of the calling thread.
func ThreadTime() time.Duration { return threadTime() }

// Profile adds up processor time by kernel.
type Profile struct{ p *profile }

// NewProfile returns an empty profile.
func NewProfile() Profile { return Profile{newProfile()} }

// Add is for Options.Trace.
func (p Profile) Add(node int, kernel string, start, end time.Time, flops, bytes float64) {
	p.p.add(node, kernel, start, end, flops, bytes)
}

// Start begins a step.
func (p Profile) Start(time.Time) {
	p.p.last = threadTime()
	p.p.steps++
}

// Log prints the profile.
func (p Profile) Log(b *testing.B) { p.p.log(b) }
