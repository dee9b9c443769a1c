package entangle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/internal/keys"
	"github.com/entangle-nas/entangle/space"
)

// Key is one setting of a job.
type Key = keys.Key

// Keys lists the job's settings with their values, in the order of job files.
func (j *Job) Keys() []Key { return keys.List(j, lists) }

// Set gives a key the value of a text, as after --set; elements of a list stand between
// commas. A wrong key or a value of another type is a *JobError.
func (j *Job) Set(key, value string) error {
	if err := keys.Set(j, key, value); err != nil {
		return &JobError{[]error{err}}
	}
	return nil
}

// Read sets what a job file (YAML or JSON) names over the present values. Paths in it are
// relative to the working directory. All faults are in one *JobError, each with file, line
// and column.
func (j *Job) Read(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return &JobError{[]error{fmt.Errorf("job: %w", err)}}
	}
	if err := keys.Read(j, path, text); err != nil {
		var all interface{ Unwrap() []error }
		if errors.As(err, &all) {
			return &JobError{all.Unwrap()}
		}
		return &JobError{[]error{err}}
	}
	return nil
}

// Marshal returns the whole job as YAML.
func (j *Job) Marshal() ([]byte, error) { return keys.Write(j) }

// Schema returns the JSON Schema of job files.
func Schema() ([]byte, error) {
	j := DefaultJob()
	return keys.Schema(&j, lists, "Job of entangle", "https://github.com/entangle-nas/entangle/job.schema.json")
}

// complete returns the job as it runs: paths from the root, what was left open filled in, and
// the record of what it runs with.
func (j Job) complete(m, teacher *Model, set *data.Set, be engine.Backend) (*Job, error) {
	j.Threads = j.Workers()
	spec, _, err := j.Data.open()
	if err != nil {
		return nil, err
	}
	j.Data.Source, j.Data.Options = set.AbsoluteSpec(spec), set.Options()
	for _, path := range []*string{&j.Model, &j.Teacher, &j.Out, &j.Run, &j.Data.Tokenizer, &j.Data.Classes, &j.Space.File, &j.Latency.Table, &j.Latency.Cache, &j.Plugin, &j.ORTLib} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	j.Record = Record{Version: Version(), Processor: processor(be)}
	if m.Path != "" {
		if j.Record.Model, j.Record.Weights, err = m.Digest(); err != nil {
			return nil, err
		}
	}
	if teacher != nil {
		j.Record.Teacher = space.Fingerprint(teacher.Raw)
	}
	j.Record.Data, err = set.Digest()
	return &j, err
}

// Digest returns SHA-256 of the model's file, and of the graph with its weights, which covers
// those that lie in other files.
func (m *Model) Digest() (file, weights string, err error) {
	f, err := Digest(m.Path)
	return f.SHA256, space.Fingerprint(m.Raw), err
}
