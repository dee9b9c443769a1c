package entangle

import "runtime/debug"

// Version returns the module's version, with the commit of a development build.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	v, commit := info.Main.Version, ""
	if info.Main.Path != module {
		for _, d := range info.Deps {
			if d.Path == module {
				v = d.Version
			}
		}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Path == module {
			commit = s.Value[:min(len(s.Value), 12)]
		}
	}
	if v != "" && v != "(devel)" {
		return v
	}
	if commit != "" {
		return "devel " + commit
	}
	return "devel"
}

const module = "github.com/entangle-nas/entangle"
