package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
)

var update = flag.Bool("update", false, "rewrite docs/cli.md and the outputs that scripts compare with")

const cliPage = "../../docs/cli.md"

// TestDocsCLI holds docs/cli.md to the command tree; -update rewrites it.
func TestDocsCLI(t *testing.T) {
	want := cliMarkdown()
	if *update {
		if err := os.WriteFile(cliPage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(cliPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Fatalf("%s is not what the command tree says: run make docs", cliPage)
	}
}

func cliMarkdown() []byte {
	e := &env{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}
	app := e.app()
	var b bytes.Buffer
	b.WriteString("# Command line\n\nPrinted from the command tree by `make docs`.\n\n")
	b.WriteString("Results go to stdout, logs and progress to stderr. With `--json` a result is one JSON value; the text form is for people and may change.\nOptions may stand before or after arguments; `--` ends them.\n\n## Exit codes\n\n| code | meaning |\n| ---: | --- |\n")
	for _, d := range exitDocs {
		fmt.Fprintf(&b, "| %d | %s |\n", d.code, d.meaning)
	}
	b.WriteString("\n## Data sets\n\n`--data KIND:PATH`. A file alone is the part `train`; measure on it with `--part train`. Samples of `lm` and `tsv` have the inputs input_ids, attention_mask, position_ids and, for `tsv`, token_type_ids; a model takes those that it has.\n\n| kind | PATH |\n| --- | --- |\n")
	for _, s := range data.Sources() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", s.Name, s.Doc)
	}
	b.WriteString("\n## Jobs\n\nA job is everything that a run is made of. Each setting has a key; `--set KEY=VALUE` sets any of them, an option is a name for one or more of them, and `--job FILE` reads a YAML or JSON file. Options and `--set` win over the file. Unknown keys and wrong values are errors that name file, line and column, or the key; all of them are shown at once, before any work.\n\n```yaml\nmodel: base.onnx\ndata:\n  source: idx:/usr/share/datasets/fashion-mnist\n  mean: [0.286]\n  std: [0.353]\ntarget: {macs: 0.5, params: 0.6}\ntune:\n  epochs: 5\n```\n\nEvery run folder has a complete `job.yaml`: all settings, and under `record` the program's version, the processor, and SHA-256 of model, teacher and data. `entangle compress --job RUN/job.yaml` gives the same file again, from any folder, and is refused when one of them has changed. `entangle schema` prints the JSON Schema of job files.\n\nOptions of a data set may stand behind its path: `lm:stories?seq=256&stride=64`.\n\n| key | default | meaning |\n| --- | --- | --- |\n")
	job := entangle.DefaultJob()
	for _, k := range job.Keys() {
		meaning := k.Doc
		if k.Values != nil {
			meaning += ": " + strings.Join(slices.DeleteFunc(slices.Clone(k.Values), func(s string) bool { return s == "" }), ", ")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Path, strings.Trim(k.Value, `"`), meaning)
	}
	for _, c := range app.Commands {
		fmt.Fprintf(&b, "\n## entangle %s\n\n%s.\n\n", c.Name, sentence(c.Usage))
		fmt.Fprintf(&b, "    entangle %s\n\n", strings.TrimSpace(c.Name+" [OPTIONS] "+c.ArgsUsage))
		if c.Description != "" {
			b.WriteString(strings.ReplaceAll(c.Description, "\n", "  \n") + "\n\n")
		}
		flagTable(&b, c.Flags)
	}
	return b.Bytes()
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func flagTable(b *bytes.Buffer, flags []cli.Flag) {
	b.WriteString("| option | default | meaning |\n| --- | --- | --- |\n")
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if v, isVisible := f.(cli.VisibleFlag); !ok || isVisible && !v.IsVisible() {
			continue
		}
		names := f.Names()
		for i, n := range names {
			dashes := "--"
			if len(n) == 1 {
				dashes = "-"
			}
			names[i] = "`" + dashes + n + "`"
		}
		def := d.GetDefaultText()
		if !d.TakesValue() || def == `""` {
			def = ""
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", strings.Join(names, " "), strings.Trim(def, `"`), strings.ReplaceAll(d.GetUsage(), "|", "\\|"))
	}
}
