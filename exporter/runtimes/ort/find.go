package ort

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// Name is the runtime's name.
const Name = "ort"

// MinVersion is the oldest ONNX Runtime that speaks the C interface this
// package is built against.
const MinVersion = "1.24"

// Options configure the runtime.
type Options struct {
	// Library is the shared library's path; empty: search the usual places.
	Library string
	// Threads is the number of threads within an operator; 0 means 1, so that
	// timings of two models compare.
	Threads int
	// NoOptimise turns graph optimisation off: the operators run as the file has them.
	NoOptimise bool
}

// LibraryName returns the file name of the shared library on this system.
func LibraryName() string {
	switch runtime.GOOS {
	case "darwin":
		return "libonnxruntime.dylib"
	case "windows":
		return "onnxruntime.dll"
	}
	return "libonnxruntime.so.1"
}

// Find returns the path of the shared library: the explicit one, which must
// exist, else the newest in the usual places below the given roots (system
// directories, then .cache of the working directory as `make deps` fills it).
func Find(explicit string) (string, error) {
	if explicit != "" {
		st, err := os.Stat(explicit)
		switch {
		case err != nil:
			return "", fmt.Errorf("ort: library %q: %w", explicit, err)
		case st.IsDir():
			return findIn([]string{explicit})
		}
		return filepath.Abs(explicit)
	}
	return findIn(usualPlaces())
}

func findIn(dirs []string) (string, error) {
	for _, dir := range dirs {
		for _, pattern := range []string{LibraryName(), "libonnxruntime.so*", "libonnxruntime.*.dylib"} {
			hits, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(hits) == 0 {
				continue
			}
			slices.Sort(hits)
			return filepath.Abs(hits[len(hits)-1])
		}
	}
	return "", fmt.Errorf("ort: no %s in %d usual places; name it with --ort-lib or ONNXRUNTIME_LIB", LibraryName(), len(dirs))
}

func usualPlaces() []string {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	triple := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	npm := filepath.Join("node_modules", "onnxruntime-node", "bin", "napi-v*", runtime.GOOS, arch)
	places := []string{}
	if exe, err := os.Executable(); err == nil {
		places = append(places, filepath.Dir(exe), filepath.Join(filepath.Dir(exe), "..", "lib"))
	}
	places = append(places,
		"/usr/local/lib", filepath.Join("/usr/lib", triple), "/usr/lib64", "/usr/lib", "/opt/onnxruntime/lib", "/opt/homebrew/lib",
		filepath.Join(".cache", "onnxruntime", npm), npm)
	return places
}
