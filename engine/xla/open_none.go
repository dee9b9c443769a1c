//go:build !xla

package xla

import "context"

// Built reports whether this program can open a device.
const Built = false

// Open gives ErrNotBuilt.
func Open(context.Context, Options) (*Backend, error) { return nil, ErrNotBuilt }
