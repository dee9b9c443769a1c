package data

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// prober is a column whose samples may turn out to be unreadable.
type prober interface {
	// probe reads sample i and returns the file that it is in.
	probe(i int) (path string, err error)
}

func (c picked) probe(i int) (string, error) { return c.column.(prober).probe(c.index[i]) }

// proberOf returns c as a prober, or nil.
func proberOf(c column) prober {
	if p, ok := c.(picked); ok && proberOf(p.column) == nil {
		return nil
	}
	p, _ := c.(prober)
	return p
}

// badFile is a file that cannot be read.
type badFile struct {
	path   string
	part   *Part
	sample int
	err    error
}

// probe reads every sample that lies in a file of its own once, several at a time. Files
// that cannot be read are an error, or with Options.SkipBad left out and noted.
func (s *Set) probe() error {
	total := 0
	for _, p := range s.Parts {
		if p.probes() != nil {
			total += p.n
		}
	}
	var bad []badFile
	done := 0
	for _, p := range s.Parts {
		list, err := p.probe(s, &done, total)
		if err != nil {
			return err
		}
		bad = append(bad, list...)
	}
	if bad == nil {
		return nil
	}
	if !s.opts.SkipBad {
		return badFiles(bad, total)
	}
	return s.leaveOut(bad, total)
}

func (p *Part) probes() (out []prober) {
	for _, c := range append(p.columns[:len(p.columns):len(p.columns)], p.targets) {
		if x := proberOf(c); x != nil {
			out = append(out, x)
		}
	}
	return out
}

// probe returns the samples of a part that cannot be read, in their order.
func (p *Part) probe(s *Set, done *int, total int) ([]badFile, error) {
	probers := p.probes()
	if probers == nil {
		return nil, nil
	}
	ctx := s.opts.Host.context()
	var mu sync.Mutex
	var wait sync.WaitGroup
	var bad []badFile
	next := 0
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= p.n || ctx.Err() != nil {
					return
				}
				b := badFile{part: p, sample: i}
				for _, x := range probers {
					if b.path, b.err = x.probe(i); b.err != nil {
						break
					}
				}
				mu.Lock()
				if b.err != nil {
					bad = append(bad, b)
				}
				*done++
				s.opts.Host.progress("check of files", *done, total)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	slices.SortFunc(bad, func(a, b badFile) int { return a.sample - b.sample })
	return bad, ctx.Err()
}

// shownFiles is how many bad files a message shows.
const shownFiles = 5

func badFiles(bad []badFile, total int) error {
	var b strings.Builder
	for _, f := range bad[:min(len(bad), shownFiles)] {
		fmt.Fprintf(&b, "\n  %s: %v", f.path, f.err)
	}
	if more := len(bad) - shownFiles; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return fmt.Errorf("%d of %d files cannot be read:%s\nmend or remove them, or go on without them: option skip_bad (--skip-bad)", len(bad), total, b.String())
}

// leaveOut drops bad samples and notes how many of which class.
func (s *Set) leaveOut(bad []badFile, total int) error {
	classes := map[string]int{}
	gone := map[*Part]map[int]bool{}
	for _, f := range bad {
		if gone[f.part] == nil {
			gone[f.part] = map[int]bool{}
		}
		gone[f.part][f.sample] = true
		if f.part.Labels != nil {
			classes[s.Classes[f.part.Labels[f.sample]]]++
		}
	}
	for _, p := range s.Parts {
		if gone[p] == nil {
			continue
		}
		var keep []int
		for i := range p.n {
			if !gone[p][i] {
				keep = append(keep, i)
			}
		}
		if keep == nil {
			return fmt.Errorf("part %q: no file can be read: %w", p.Name, badFiles(bad, total))
		}
		p.pick(keep)
	}
	note := fmt.Sprintf("left out %d of %d files that cannot be read", len(bad), total)
	for i, c := range slices.Sorted(maps.Keys(classes)) {
		note += fmt.Sprintf("%s%d of class %s", map[bool]string{true: ": ", false: ", "}[i == 0], classes[c], c)
	}
	for _, f := range bad[:min(len(bad), shownFiles)] {
		note += fmt.Sprintf("; %s: %v", f.path, f.err)
	}
	s.Notes = append(s.Notes, note)
	return nil
}
