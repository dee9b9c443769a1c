package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/rows"
)

// final scores every tuned subnet that has not been scored on its task's test part. A row of
// which a subnet was scored before is refused: the test part is read once per frozen state.
func (b *bench) final(ctx context.Context) error {
	if strings.HasSuffix(b.state, "-dirty") {
		return fmt.Errorf("the working tree differs from its commit: test is scored once per frozen state")
	}
	list, err := b.out.rows()
	if err != nil {
		return err
	}
	done, err := b.out.tested()
	if err != nil {
		return err
	}
	for _, r := range list {
		t, err := lookup(r.Task)
		if err != nil || t.set != "core" {
			continue
		}
		file := b.file(r)
		if _, err := os.Stat(file); err != nil {
			fmt.Fprintln(os.Stderr, "quality: not scored:", r.id()+":", err)
			continue
		}
		got, err := sum(file)
		if err != nil {
			return err
		}
		if got != r.SHA256 {
			return fmt.Errorf("%s: %s is not the subnet of the row", r.id(), file)
		}
		if slices.ContainsFunc(done, func(d tested) bool { return d.ID == r.id() && d.SHA256 == r.SHA256 }) {
			continue
		}
		v, err := b.test(ctx, t, r, file)
		if err != nil {
			return fmt.Errorf("%s: %w", r.id(), err)
		}
		if err := rows.Append(filepath.Join(string(b.out), testLog), v); err != nil {
			return err
		}
	}
	return nil
}

// test scores a file on its task's test part.
func (b *bench) test(ctx context.Context, t task, r row, file string) (tested, error) {
	out := tested{ID: r.id(), SHA256: r.SHA256, State: b.state, Time: time.Now().UTC().Format(time.RFC3339)}
	j, m, set, err := b.open(t, r.Budget, r.Seed, r.Settings)
	if err != nil {
		return out, err
	}
	if set.Part("test") == nil {
		return out, fmt.Errorf("data %q: no part \"test\"", set.Spec)
	}
	cut, err := entangle.Import(file)
	if err != nil {
		return out, err
	}
	j.Model, j.Tune.Epochs, j.Calibrate = file, 0, 0
	p, err := entangle.PrepareTraining(cut, m, set, j)
	if err != nil {
		return out, err
	}
	p.Views.Val = data.View{}
	_, _, q, err := p.Train(ctx, cpu.New(cpu.Options{Threads: b.threads}), "test", entangle.Options{})
	if err != nil {
		return out, err
	}
	judged, _ := r.figures(q)
	out.Test, out.Samples = judged.Inherited, p.Views.Test.Len()
	return out, nil
}
