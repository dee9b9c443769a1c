//go:build xla && linux

package xla

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
import "C"

import "unsafe"

// preload loads libraries for everything that comes after, as far as they can be: one
// that cannot is reported by the plugin that needs it.
func preload(libraries []string) {
	for _, path := range libraries {
		name := C.CString(path)
		C.dlopen(name, C.RTLD_NOW|C.RTLD_GLOBAL)
		C.free(unsafe.Pointer(name))
	}
}
