//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	onnxruntime "github.com/yalue/onnxruntime_go"
)

// New returns the runtime. The library is looked for when it is first used.
func New(o Options) runtimes.Runtime {
	if o.Threads < 1 {
		o.Threads = 1
	}
	return library{o}
}

type library struct{ Options }

func (library) Name() string { return Name }

func (l library) Describe() (runtimes.Info, error) {
	path, err := l.load()
	if err != nil {
		return runtimes.Info{}, err
	}
	return runtimes.Info{Name: Name, Version: "ONNX Runtime " + onnxruntime.GetVersion(), Location: path, Threads: l.Threads}, nil
}

var (
	loadMu sync.Mutex
	loaded string // path of the library that this process uses
)

// load brings the library into the process. A process can hold one.
func (l library) load() (string, error) {
	loadMu.Lock()
	defer loadMu.Unlock()
	if loaded != "" && l.Library == "" {
		return loaded, nil
	}
	path, err := Find(l.Library)
	if err != nil {
		return "", &runtimes.UnavailableError{Runtime: Name, Reason: err.Error()}
	}
	if loaded != "" {
		if path != loaded {
			return "", &runtimes.UnavailableError{Runtime: Name, Reason: fmt.Sprintf("ort: library %q: this process already uses %q", path, loaded)}
		}
		return loaded, nil
	}
	onnxruntime.SetSharedLibraryPath(path)
	// Errors are returned, so they are not logged.
	if err := onnxruntime.InitializeEnvironment(onnxruntime.WithLogLevelFatal()); err != nil {
		return "", &runtimes.UnavailableError{Runtime: Name, Reason: fmt.Sprintf("ort: library %q: want ONNX Runtime %s or newer: %v", path, MinVersion, err)}
	}
	loaded = path
	return path, nil
}

// Open builds a session on the CPU execution provider.
func (l library) Open(src runtimes.Source) (runtimes.Session, error) {
	if _, err := l.load(); err != nil {
		return nil, err
	}
	g := src.Model.Graph
	s := &session{model: src.Model, graph: g, label: src.Label(), threads: l.Threads, inputs: runtimes.FeedNames(g)}
	for _, v := range g.Outputs {
		s.outputs = append(s.outputs, v.Name)
	}
	if len(s.inputs) == 0 || len(s.outputs) == 0 {
		return nil, &runtimes.UnsupportedError{Runtime: Name, Reasons: []string{"want at least one input and one output"}}
	}
	opts, err := onnxruntime.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("ort: %s: session options: %w", s.label, err)
	}
	defer opts.Destroy()
	if err := l.configure(opts); err != nil {
		return nil, fmt.Errorf("ort: %s: session options: %w", s.label, err)
	}
	if err := s.open(src, opts); err != nil {
		return nil, err
	}
	return s, nil
}

// Optimise writes what the library makes of a model but for layouts, which are the
// machine's own and give values other names.
func (l library) Optimise(src runtimes.Source, path string) error {
	if _, err := l.load(); err != nil {
		return err
	}
	g := src.Model.Graph
	s := &session{model: src.Model, graph: g, label: src.Label(), inputs: runtimes.FeedNames(g)}
	for _, v := range g.Outputs {
		s.outputs = append(s.outputs, v.Name)
	}
	opts, err := onnxruntime.NewSessionOptions()
	if err != nil {
		return fmt.Errorf("ort: %s: session options: %w", s.label, err)
	}
	defer opts.Destroy()
	for _, err := range []error{l.configure(opts), opts.SetGraphOptimizationLevel(onnxruntime.GraphOptimizationLevelEnableExtended), opts.SetOptimizedModelFilePath(path)} {
		if err != nil {
			return fmt.Errorf("ort: %s: session options: %w", s.label, err)
		}
	}
	if err := s.open(src, opts); err != nil {
		return err
	}
	return s.Close()
}

// Profile runs a model with the library's profile of itself.
func (l library) Profile(src runtimes.Source, in map[string]*ir.Tensor, warmup, runs int) ([]runtimes.NodeTimes, error) {
	if _, err := l.load(); err != nil {
		return nil, err
	}
	if warmup < 0 || runs < 1 {
		return nil, fmt.Errorf("ort: profile: want at least one run behind 0 or more, got %d behind %d", runs, warmup)
	}
	dir, err := os.MkdirTemp("", "entangle-profile-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	g := src.Model.Graph
	s := &session{model: src.Model, graph: g, label: src.Label(), threads: l.Threads, inputs: runtimes.FeedNames(g)}
	for _, v := range g.Outputs {
		s.outputs = append(s.outputs, v.Name)
	}
	opts, err := onnxruntime.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("ort: %s: session options: %w", s.label, err)
	}
	defer opts.Destroy()
	for _, err := range []error{l.configure(opts), opts.EnableProfiling(filepath.Join(dir, "profile"))} {
		if err != nil {
			return nil, fmt.Errorf("ort: %s: session options: %w", s.label, err)
		}
	}
	if err := s.open(src, opts); err != nil {
		return nil, err
	}
	for range warmup + runs {
		if _, err := s.Run(in); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	// The library writes the file when the session ends.
	if err := s.Close(); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "profile*"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("ort: profile: want one file, got %d (%v)", len(files), err)
	}
	return readProfile(files[0], warmup, runs)
}

// open makes the session.
func (s *session) open(src runtimes.Source, opts *onnxruntime.SessionOptions) (err error) {
	if src.Path != "" && src.Data == nil {
		s.s, err = onnxruntime.NewDynamicAdvancedSession(src.Path, s.inputs, s.outputs, opts)
	} else {
		data, rerr := src.Bytes()
		if rerr != nil {
			return rerr
		}
		if len(data) == 0 {
			return fmt.Errorf("ort: %s: want an ONNX file, got no bytes", s.label)
		}
		s.s, err = onnxruntime.NewDynamicAdvancedSessionWithONNXData(data, s.inputs, s.outputs, opts)
	}
	if err != nil {
		return openError(s.label, err)
	}
	return nil
}

func (l library) configure(o *onnxruntime.SessionOptions) error {
	level := onnxruntime.GraphOptimizationLevelEnableAll
	if l.NoOptimise {
		level = onnxruntime.GraphOptimizationLevelDisableAll
	}
	for _, err := range []error{
		o.SetIntraOpNumThreads(l.Threads),
		o.SetInterOpNumThreads(1),
		o.SetGraphOptimizationLevel(onnxruntime.GraphOptimizationLevel(level)),
		// Idle worker threads must not spin into the other model's turn.
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func openError(label string, err error) error {
	msg := err.Error()
	for _, s := range []string{"NOT_IMPLEMENTED", "Could not find an implementation", "not a registered function/op", "is under development", "Unsupported model IR version"} {
		if strings.Contains(msg, s) {
			return &runtimes.UnsupportedError{Runtime: Name, Reasons: []string{label + ": " + msg}}
		}
	}
	return fmt.Errorf("ort: %s: %w", label, err)
}
