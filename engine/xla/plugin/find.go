package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNone says that no plugin was found.
var ErrNone = errors.New("xla: no PJRT plugin for CUDA found")

// Search says where to look.
type Search struct {
	// Path is the plugin that the user names; when set, nothing else is tried.
	Path string
	// Getenv reads the environment: PJRT_PLUGIN_LIBRARY_PATH, VIRTUAL_ENV, CONDA_PREFIX, PATH.
	Getenv func(string) string
	// Cache is the folder that Install fills; "" for none.
	Cache string
	// Sites overrides what the Python on PATH is asked for: its folders site-packages.
	Sites func(context.Context) []string
}

// Found is a plugin.
type Found struct {
	Path string `json:"path"` // absolute
	// Origin says how it was found, for people.
	Origin string `json:"origin"`
	// Site is the folder site-packages that holds it, "" when it lies elsewhere.
	Site string `json:"site,omitempty"`
}

// names are the files that are plugins for CUDA, in folders of PJRT_PLUGIN_LIBRARY_PATH.
var names = []string{"xla_cuda_plugin.so", "pjrt_c_api_cuda*_plugin.so", "pjrt-plugin-cuda*.so", "pjrt_plugin_cuda*.so"}

// inSite are the places of JAX's plugins in a folder site-packages, newest CUDA first.
var inSite = []string{"jax_plugins/xla_cuda13/xla_cuda_plugin.so", "jax_plugins/xla_cuda12/xla_cuda_plugin.so"}

// Find returns the first plugin: the one that is named, of PJRT_PLUGIN_LIBRARY_PATH, of
// the active Python environment, of the cache, of the Python on PATH. The error wraps
// ErrNone when there is none.
func Find(ctx context.Context, s Search) (Found, error) {
	getenv := s.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	if s.Path != "" {
		return named(s.Path)
	}
	for _, p := range filepath.SplitList(getenv("PJRT_PLUGIN_LIBRARY_PATH")) {
		if f, ok := inFolder(p); ok {
			return f, nil
		}
	}
	for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if dir := getenv(name); dir != "" {
			sites, _ := filepath.Glob(filepath.Join(escape(dir), "lib*", "python3*", "site-packages"))
			if f, ok := first(sites, "$"+name); ok {
				return f, nil
			}
		}
	}
	if s.Cache != "" {
		if f, ok := first([]string{s.Cache}, "installed by doctor --install-cuda"); ok {
			return f, nil
		}
	}
	sites := s.Sites
	if sites == nil {
		sites = pythonSites
	}
	if f, ok := first(sites(ctx), "Python on PATH"); ok {
		return f, nil
	}
	return Found{}, fmt.Errorf("%w: looked in PJRT_PLUGIN_LIBRARY_PATH, the Python environment's jax_plugins and the cache; install jax[cuda13] there, or run entangle doctor --install-cuda", ErrNone)
}

func named(path string) (Found, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Found{}, err
	}
	info, err := os.Stat(abs)
	switch {
	case err != nil:
		return Found{}, fmt.Errorf("xla: plugin: %w", err)
	case info.IsDir():
		if f, ok := inFolder(abs); ok {
			f.Origin = "named"
			return f, nil
		}
		return Found{}, fmt.Errorf("%w in %s", ErrNone, abs)
	}
	return Found{abs, "named", siteOf(abs)}, nil
}

// inFolder looks at one entry of PJRT_PLUGIN_LIBRARY_PATH: a file, a folder with a
// plugin, or a folder site-packages.
func inFolder(entry string) (Found, bool) {
	const origin = "$PJRT_PLUGIN_LIBRARY_PATH"
	abs, err := filepath.Abs(entry)
	if entry == "" || err != nil {
		return Found{}, false
	}
	if isFile(abs) && strings.Contains(filepath.Base(abs), "cuda") {
		return Found{abs, origin, siteOf(abs)}, true
	}
	for _, n := range names {
		if m, _ := filepath.Glob(filepath.Join(escape(abs), n)); len(m) > 0 {
			return Found{m[0], origin, siteOf(m[0])}, true
		}
	}
	return first([]string{abs}, origin)
}

// escape quotes the characters of a folder's name that Glob gives a meaning.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

func first(sites []string, origin string) (Found, bool) {
	for _, rel := range inSite {
		for _, site := range sites {
			if p := filepath.Join(site, filepath.FromSlash(rel)); isFile(p) {
				if abs, err := filepath.Abs(p); err == nil {
					return Found{abs, origin, siteOf(abs)}, true
				}
			}
		}
	}
	return Found{}, false
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// siteOf returns the folder above jax_plugins/xla_cudaN, "" for another place.
func siteOf(path string) string {
	dir := filepath.Dir(filepath.Dir(path))
	if filepath.Base(dir) != "jax_plugins" {
		return ""
	}
	return filepath.Dir(dir)
}

// pythonSites asks the Python on PATH, when there is one.
func pythonSites(ctx context.Context) []string {
	python, err := exec.LookPath("python3")
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	const script = `import site, sysconfig
print("\n".join([sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()] + site.getsitepackages()))`
	out, err := exec.CommandContext(ctx, python, "-c", script).Output()
	if err != nil {
		return nil
	}
	var sites []string
	for _, s := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if s != "" && !slices.Contains(sites, s) {
			sites = append(sites, s)
		}
	}
	return sites
}

// devices are where the driver shows GPUs: NVIDIA's own and that of Windows' Linux.
var devices = []string{"/dev/nvidia[0-9]*", "/dev/dxg"}

// GPU reports whether a driver shows a GPU on this machine. It loads nothing.
func GPU() bool {
	return slices.ContainsFunc(devices, func(pattern string) bool {
		m, _ := filepath.Glob(pattern)
		return len(m) > 0
	})
}

// libraries are NVIDIA's, in an order in which each finds what it needs loaded.
var libraries = []string{"libcudart", "libnvJitLink", "libnvrtc", "libcublasLt", "libcublas", "libcusparse", "libcusolver", "libcufft", "libcupti", "libnccl", "libcudnn"}

// Libraries lists NVIDIA's libraries beside the plugin in the order to load them, of
// the CUDA version of the plugin where there are several.
func (f Found) Libraries() []string {
	if f.Site == "" {
		return nil
	}
	var out []string
	for _, name := range libraries {
		m, _ := filepath.Glob(filepath.Join(escape(f.Site), "nvidia", "*", "lib", name+".so.*"))
		m = slices.DeleteFunc(m, func(p string) bool { return !f.fits(p) })
		if len(m) > 0 {
			out = append(out, m[0])
		}
	}
	return out
}

// fits drops what lies in the folder of CUDA 13 for a plugin of CUDA 12. For one of
// CUDA 13 that folder comes first by its name.
func (f Found) fits(path string) bool {
	inside := strings.HasPrefix(path, filepath.Join(f.Site, "nvidia", "cu13")+string(filepath.Separator))
	return !inside || !strings.Contains(f.Path, "xla_cuda12")
}

// CUDAData returns the folder beside the plugin that holds the toolkit's
// nvvm/libdevice, "" when there is none.
func (f Found) CUDAData() string {
	if f.Site == "" {
		return ""
	}
	for _, rel := range []string{"cu13", "cuda_nvcc", "cu12"} {
		dir := filepath.Join(f.Site, "nvidia", rel)
		if (rel == "cu13") == strings.Contains(f.Path, "xla_cuda12") {
			continue
		}
		if isFile(filepath.Join(dir, "nvvm", "libdevice", "libdevice.10.bc")) {
			return dir
		}
	}
	return ""
}
