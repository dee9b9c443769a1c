package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/entangle-nas/entangle/engine/xla"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/internal/testenv"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"entangle": func() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/script/*.txtar; -update rewrites the outputs
// that the scripts compare with cmp.
//
// Beside testscript's own, scripts have the command "code N PROGRAM ARGS…",
// which demands an exit code, and the conditions [ort] (ONNXRUNTIME_LIB names a
// library and the program can load it), [real] (ENTANGLE_MODELS names a folder, here $REAL), [fashion], and [xla] (built with the tag).
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	pretrained, err := testenv.FindModels()
	if err != nil {
		t.Logf("scripts leave out what reads pretrained models: %v", err)
	}
	const fashion = "/usr/share/datasets/fashion-mnist"
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ONNXRUNTIME_LIB", os.Getenv("ONNXRUNTIME_LIB"))
			env.Setenv("REAL", pretrained)
			env.Setenv("MODELS", filepath.Join(root, "models", "fixtures"))
			env.Setenv("FASHION", "idx:"+fashion)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "xla" {
				return xla.Built, nil
			}
			path, ok := map[string]string{"ort": os.Getenv("ONNXRUNTIME_LIB"), "real": pretrained, "fashion": fashion}[cond]
			if !ok {
				return false, &usageError{"script: unknown condition " + cond}
			}
			_, err := os.Stat(path)
			return path != "" && err == nil && (cond != "ort" || ort.Built), nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"code": code},
	})
}

// code runs a program and demands its exit code; stdout and stderr can be
// matched afterwards as after exec.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		s, ok := strings.CutPrefix(err.Error(), "exit status ")
		if !ok {
			ts.Fatalf("%v", err)
		}
		got, err = strconv.Atoi(s)
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code: want %d, got %d", want, got)
	}
}
