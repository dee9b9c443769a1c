// Command quality is the scoreboard of docs/quality.md: what the search finds beside uniform
// width, random choice, evolution and other programs, all at an equal number of passes over
// samples, by validation. make quality runs it.
//
//	quality -set quick -seeds 1,2,3 -only 'resnet8*'
//
// Finished rows are kept, a file per task and a line per row, and are not run again. A search
// with other settings is a method of its own name:
//
//	quality -set quick -variant cold:search.alpha_lr=0.01,refine=0
//
// -final scores the tuned subnets on the test part, each once, and logs it.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/internal/rows"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := scoreboard(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quality:", err)
		os.Exit(1)
	}
}

func scoreboard(ctx context.Context) error {
	b := &bench{folders: folders{}}
	var set, only, columns, seeds, variant, one, page, out string
	var final, list bool
	flag.StringVar(&set, "set", "core", "rows to run: core or quick")
	flag.StringVar(&only, "only", "*", "glob of TASK@BUDGET")
	flag.StringVar(&columns, "methods", "", "methods, comma-separated; empty: all")
	flag.StringVar(&seeds, "seeds", "1,2,3", "seeds")
	flag.StringVar(&variant, "variant", "", "NAME:KEY=VALUE,KEY=VALUE: a search, or the one method of -methods, with other settings, beside which nothing else is run")
	flag.IntVar(&b.threads, "threads", 1, "threads of the engine")
	flag.StringVar(&out, "out", "bench/results/quality", "folder of finished rows")
	flag.StringVar(&page, "page", "docs/quality.md", "page whose tables are rebuilt")
	flag.StringVar(&b.cache, "cache", ".cache/quality", "folder of tuned subnets, models and data")
	flag.BoolVar(&final, "final", false, "score tuned subnets on the test part, each once")
	flag.BoolVar(&list, "list", false, "print the rows that are not finished, and stop")
	flag.StringVar(&one, "one", "", "run the row of this JSON request, and print it")
	for _, name := range []string{"real", "peers", "ocr", "fashion"} {
		flag.Func(name, "folder that the table calls "+name, func(s string) error { b.folders[name] = s; return nil })
	}
	flag.Parse()
	b.out, b.state = store(out), rows.State()
	b.folders["cache"], b.folders["repo"] = b.cache, "."
	if one != "" {
		return b.one(ctx, one)
	}
	if final {
		if err := b.final(ctx); err != nil {
			return err
		}
		return rebuild(page, b.out)
	}
	work, err := plan(set, only, columns, seeds, variant)
	if err != nil {
		return err
	}
	var failed []error
	for _, w := range work {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.next(ctx, w, list); err != nil {
			fmt.Fprintln(os.Stderr, "quality:", err)
			failed = append(failed, err)
		}
	}
	if list {
		return nil
	}
	if err := rebuild(page, b.out); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d rows failed", len(failed), len(work))
	}
	return nil
}

// request is a row to run.
type request struct {
	Task, Budget, Method string
	Seed                 uint64
	Settings             []string
	Base                 *row
}

// assignments splits KEY=VALUE,KEY=VALUE; a value may have commas.
func assignments(text string) (out []string) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == ',' }) {
		if strings.Contains(part, "=") || len(out) == 0 {
			out = append(out, part)
		} else {
			out[len(out)-1] += "," + part
		}
	}
	return out
}

// plan lists the rows in the order in which they are run: those of a search before those that
// are given its passes.
func plan(set, only, columns, seeds, variant string) ([]request, error) {
	var out []request
	own, changes, _ := strings.Cut(variant, ":")
	for _, t := range tables {
		for _, budget := range t.budgets {
			if ok, err := path.Match(only, t.name+"@"+budget); err != nil {
				return nil, fmt.Errorf("-only: %w", err)
			} else if !ok || t.set != set {
				continue
			}
			for _, s := range strings.Split(seeds, ",") {
				seed, err := strconv.ParseUint(s, 10, 32)
				if err != nil || seed == 0 {
					return nil, fmt.Errorf("-seeds: want numbers above 0, got %q", s)
				}
				if variant != "" {
					settings := assignments(changes)
					of := "search"
					if columns != "" {
						of = columns
					}
					out = append(out, request{Task: t.name, Budget: budget, Method: of + "/" + own, Seed: seed, Settings: settings})
					continue
				}
				list := methods
				if columns != "" {
					list = strings.Split(columns, ",")
				}
				for p := range t.peers {
					if name, at, _ := strings.Cut(p, "@"); at == budget && (columns == "" || slices.Contains(list, name)) && !slices.Contains(list, name) {
						list = append(slices.Clip(list), name)
					}
				}
				for _, m := range list {
					if peer(m) && t.peers[m+"@"+budget] == "" {
						continue
					}
					out = append(out, request{Task: t.name, Budget: budget, Method: m, Seed: seed})
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no row of the set %q matches %q", set, only)
	}
	return out, nil
}

// next runs a row in a process of its own, unless it is finished.
func (b *bench) next(ctx context.Context, w request, list bool) error {
	have, err := b.out.rows()
	if err != nil {
		return err
	}
	want := row{Task: w.Task, Budget: w.Budget, Method: w.Method, Seed: w.Seed}
	if slices.ContainsFunc(have, func(r row) bool { return r.id() == want.id() }) {
		return nil
	}
	if list {
		fmt.Println(want.id())
		return nil
	}
	if w.Method != "search" {
		base := row{Task: w.Task, Budget: w.Budget, Method: "search", Seed: w.Seed}
		at := slices.IndexFunc(have, func(r row) bool { return r.id() == base.id() })
		if at < 0 {
			return fmt.Errorf("%s: the search's row comes first: its passes are what everyone has", want.id())
		}
		w.Base = &have[at]
	}
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append(os.Args[1:], "-one", string(text))...)
	cmd.Stderr = os.Stderr
	got, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", want.id(), err)
	}
	var r row
	if err := json.Unmarshal(got, &r); err != nil {
		return fmt.Errorf("%s: %w", want.id(), err)
	}
	fmt.Println(r.line())
	return b.out.add(r)
}

// one runs the row of a request and prints it as JSON.
func (b *bench) one(ctx context.Context, text string) error {
	var w request
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return fmt.Errorf("-one: %w", err)
	}
	t, err := lookup(w.Task)
	if err != nil {
		return err
	}
	r, err := b.run(ctx, t, w.Budget, w.Method, w.Seed, w.Settings, w.Base)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func lookup(name string) (task, error) {
	for _, t := range tables {
		if t.name == name {
			return t, nil
		}
	}
	return task{}, fmt.Errorf("no task %q", name)
}

func sum(file string) (string, error) {
	text, err := os.ReadFile(file)
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:]), err
}

// testLog is the file of figures on test parts.
const testLog = "test.jsonl"

// tested is a figure on the test part of a tuned subnet.
type tested struct {
	ID      string  `json:"id"`
	SHA256  string  `json:"sha256"`
	State   string  `json:"state"`
	Time    string  `json:"time"`
	Samples int     `json:"samples"`
	Test    float64 `json:"test"` // as row.Val
}

func (s store) tested() ([]tested, error) {
	file := filepath.Join(string(s), testLog)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return rows.Read[tested](file)
}
