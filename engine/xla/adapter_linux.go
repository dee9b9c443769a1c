//go:build xla

package xla

// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "adapter_linux.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/gomlx/go-xla/pkg/pjrt"
)

// preload loads libraries for everything that comes after, as far as they can be: one
// that cannot is reported by the plugin that needs it.
func preload(libraries []string) {
	for _, path := range libraries {
		name := C.CString(path)
		C.adapter_library(name)
		C.free(unsafe.Pointer(name))
	}
}

// loadedPlugin is the one of this process, behind the adapter.
var loadedPlugin struct {
	sync.Mutex
	path string
}

// loadPlugin loads a plugin that may be newer than the binding. One process has one.
func loadPlugin(path string) (*pjrt.Plugin, error) {
	loadedPlugin.Lock()
	defer loadedPlugin.Unlock()
	switch loadedPlugin.path {
	case "":
	case path:
		return pjrt.GetPlugin(path)
	default:
		return nil, fmt.Errorf("this process has loaded %s before, and can load no second plugin", loadedPlugin.path)
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var api unsafe.Pointer
	if text := C.adapter_load(name, &api); text != nil {
		defer C.free(unsafe.Pointer(text))
		return nil, errors.New(C.GoString(text))
	}
	if err := pjrt.RegisterPreloadedPlugin(path, uintptr(api)); err != nil {
		return nil, err
	}
	loadedPlugin.path = path
	return pjrt.GetPlugin(path)
}

// deviceRoom returns how many bytes the first device has left, where the plugin knows.
func deviceRoom() (int, bool) {
	loadedPlugin.Lock()
	defer loadedPlugin.Unlock()
	var bytes C.int64_t
	if C.adapter_room(&bytes) == 0 {
		return 0, false
	}
	return int(bytes), true
}

// compiling guards what the adapter knows of the compilation that is running.
var compiling sync.Mutex

// adaptedCompile calls compile, which compiles one module: with a serialised executable
// it is loaded instead, where the plugin can; else, when keep is set, the new one is
// returned serialised, if the plugin can.
func adaptedCompile(serialised []byte, keep bool, compile func() error) (fresh []byte, loaded bool, err error) {
	compiling.Lock()
	defer compiling.Unlock()
	if len(serialised) > 0 {
		var pin runtime.Pinner
		pin.Pin(unsafe.SliceData(serialised))
		defer pin.Unpin()
		C.adapter_cached(unsafe.Pointer(unsafe.SliceData(serialised)), C.size_t(len(serialised)))
	}
	if keep {
		C.adapter_serialise()
	}
	if err := compile(); err != nil {
		C.adapter_cached(nil, 0)
		return nil, false, err
	}
	var was C.int
	n := C.adapter_result(&was)
	if n > 0 {
		fresh = make([]byte, n)
		C.adapter_take(unsafe.Pointer(unsafe.SliceData(fresh)))
	}
	return fresh, was != 0, nil
}
