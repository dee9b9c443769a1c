package entangle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/internal/command"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// Evaluate is a measure of the user's own.
type Evaluate struct {
	Command string  `json:"command" doc:"command of the shell that measures a model: {model} stands for an ONNX file, and the last line it prints is a number; empty: none"`
	Name    string  `json:"name" want:"nonempty" doc:"what the number is called"`
	Better  string  `json:"better" oneof:"better" doc:"numbers that are better"`
	Timeout float64 `json:"timeout" want:">0" unit:"seconds" doc:"seconds that the command may take for one model"`
}

// Better lists which numbers of a measure can be better.
var Better = []string{"higher", "lower"}

// modelPlace stands for the model's file in a command.
const modelPlace = "{model}"

// check reports what is wrong with the settings.
func (e Evaluate) check(f *faults) {
	switch {
	case e.Command == "":
	case strings.Contains(e.Command, "\x00"):
		f.addf("evaluate.command", "want a line for the shell, got one with a zero byte: %q", e.Command)
	case !strings.Contains(e.Command, modelPlace):
		f.addf("evaluate.command", "want %s where the model's file goes, got %q", modelPlace, e.Command)
	}
	if strings.ContainsFunc(e.Name, unicode.IsControl) {
		f.addf("evaluate.name", "want a name that can be printed, got %q", e.Name)
	}
}

// EvaluateError is the user's command that gave no number for a model.
type EvaluateError struct {
	Model   string // which: "original", or a method with the stage
	Command string // as it ran
	Err     error
}

// Error says for which model, why, and what the command printed last.
func (e *EvaluateError) Error() string {
	return fmt.Sprintf("evaluate: %s: %v\nthe command was: %s", e.Model, e.Err, e.Command)
}

// Unwrap returns why.
func (e *EvaluateError) Unwrap() error { return e.Err }

// Evaluated is what the user's command printed for a network before tuning, and after.
type Evaluated struct {
	Cut    *float64 `json:"cut,omitempty"`
	Tuned  *float64 `json:"tuned,omitempty"`
	Failed string   `json:"failed,omitempty"` // why there is no number for the last of them
}

// Last returns the number for the network as it was written; nil without one.
func (e *Evaluated) Last() *float64 {
	if e == nil || e.Failed != "" {
		return nil
	}
	return latest(e.Tuned, e.Cut)
}

// Run gives the command a model's file and returns the number that it prints. What names the
// model. Errors are *EvaluateErrors, but for the context's.
func (e Evaluate) Run(ctx context.Context, what, path string) (float64, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return 0, err
	}
	line := command.Fill(e.Command, modelPlace, path)
	out, log, err := command.Run(ctx, line, time.Duration(e.Timeout*float64(time.Second)))
	if err != nil && ctx.Err() != nil {
		return 0, fmt.Errorf("evaluate: %s: %w", what, ctx.Err())
	}
	v := 0.0
	if err == nil {
		v, err = number(out)
		if err != nil {
			err = &command.Error{Err: err, Stdout: out, Stderr: log}
		}
	}
	if err != nil {
		return 0, &EvaluateError{what, line, err}
	}
	return v, nil
}

// number reads the last line of an output that is not empty.
func number(out string) (float64, error) {
	last := command.LastLines(out, 1, len(out))
	if last == "" {
		return 0, errors.New("want a number on the last line of stdout, got no line")
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(last), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("want a number on the last line of stdout, got %q", command.LastLines(last, 1, 200))
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("want a finite number on the last line of stdout, got %q", last)
	}
	return v, nil
}

// evaluator evaluates models, and remembers what it had for a file in a file of its own.
type evaluator struct {
	Evaluate
	host  *Host
	cache string // "" keeps none
	known map[string]float64
}

// evaluated is the file in a run folder that keeps the numbers.
const evaluated = "evaluated.json"

// newEvaluator returns the job's evaluator, nil where it has no command. Dir keeps the numbers
// unless it is ""; those of before are left aside where they are not wanted.
func (j *Job) newEvaluator(host *Host, dir string, anew bool) (*evaluator, error) {
	if j.Evaluate.Command == "" {
		return nil, nil
	}
	if host == nil {
		host = &Host{}
	}
	e := &evaluator{Evaluate: j.Evaluate, host: host, known: map[string]float64{}}
	if dir == "" {
		return e, nil
	}
	e.cache = filepath.Join(dir, evaluated)
	text, err := os.ReadFile(e.cache)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && anew:
		return e, nil
	case err != nil:
		return nil, err
	}
	if json.Unmarshal(text, &e.known) != nil || e.known == nil {
		e.known = map[string]float64{} // it is written again
	}
	return e, nil
}

// EvaluateFile gives a file to the job's command as Run does, and remembers the number in the
// run folder, for the same file and command; nil without a command. Of o it takes Host,
// Checkpoints and Force.
func (j *Job) EvaluateFile(ctx context.Context, what, path string, o Options) (*float64, error) {
	e, err := j.newEvaluator(o.Host, o.Checkpoints, o.Force)
	if e == nil || err != nil {
		return nil, err
	}
	m, err := Import(path)
	if err != nil {
		return nil, err
	}
	v, err := e.file(ctx, what, path, space.Fingerprint(m.Raw))
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// file evaluates a file. Weights are a digest of those that lie beside it.
func (e *evaluator) file(ctx context.Context, what, path, weights string) (float64, error) {
	f, err := Digest(path)
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256([]byte(f.SHA256 + weights + "\x00" + e.Command))
	key := hex.EncodeToString(sum[:])
	if v, ok := e.known[key]; ok {
		return v, nil
	}
	start := time.Now()
	v, err := e.Run(ctx, what, path)
	if err != nil {
		return 0, err
	}
	e.host.logf(0, "%s of %s: %g (%.1f s)", e.Name, what, v, time.Since(start).Seconds())
	e.known[key] = v
	if e.cache == "" {
		return v, nil
	}
	text, err := json.MarshalIndent(e.known, "", "  ")
	if err != nil {
		return 0, err
	}
	return v, atomicfile.WriteBytes(e.cache, append(text, '\n'))
}

// model evaluates a model that is no file, by writing one for as long as that takes.
func (e *evaluator) model(ctx context.Context, what string, m *ir.Model) (float64, error) {
	dir, err := os.MkdirTemp("", "entangle-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.onnx")
	if err := Export(path, m); err != nil {
		return 0, err
	}
	return e.file(ctx, what, path, "")
}

// original evaluates the model that the run starts from.
func (e *evaluator) original(ctx context.Context, m *Model) (v float64, err error) {
	if m.Path == "" {
		v, err = e.model(ctx, "original", m.Raw)
	} else {
		v, err = e.file(ctx, "original", m.Path, space.Fingerprint(m.Raw))
	}
	return v, err
}
