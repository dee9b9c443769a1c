package main

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// lookup is a published tabular benchmark: what every architecture of a space reaches, in percent of test
// images, after training of its own.
type lookup struct {
	of     map[string]float64
	sorted []float64 // descending
}

// format says how a table is written: a line per architecture, the first columns of which spell it.
type format struct {
	file   string
	header []string // nil: there is none
	spells int      // columns of the architecture
	value  int      // column of its accuracy
}

// read reads a gzipped table. Every line must have as many columns as the first, its own
// architecture and a percentage.
func (f format) read(folder string) (*lookup, error) {
	path := filepath.Join(folder, f.file)
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l, err := f.parse(unpacked)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

func (f format) parse(r io.Reader) (*lookup, error) {
	lines := csv.NewReader(r)
	lines.ReuseRecord = true
	l := &lookup{of: map[string]float64{}}
	for n := 1; ; n++ {
		line, err := lines.Read()
		switch {
		case errors.Is(err, io.EOF) && len(l.of) > 0:
			l.sorted = make([]float64, 0, len(l.of))
			for _, v := range l.of {
				l.sorted = append(l.sorted, v)
			}
			slices.Sort(l.sorted)
			slices.Reverse(l.sorted)
			return l, nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("want a line per architecture, got none")
		case err != nil:
			return nil, err
		case n == 1 && f.header != nil:
			if !slices.Equal(line, f.header) {
				return nil, fmt.Errorf("line 1: want the columns %q, got %q", f.header, line)
			}
			continue
		case len(line) <= max(f.value, f.spells-1):
			return nil, fmt.Errorf("line %d: want at least %d columns, got %d", n, max(f.value, f.spells-1)+1, len(line))
		}
		key := strings.Join(line[:f.spells], ",")
		v, err := strconv.ParseFloat(line[f.value], 64)
		if err != nil || !(v >= 0 && v <= 100) {
			return nil, fmt.Errorf("line %d, column %d: want a percentage, got %q", n, f.value+1, line[f.value])
		}
		if _, twice := l.of[key]; twice {
			return nil, fmt.Errorf("line %d: architecture %q stands twice", n, key)
		}
		l.of[key] = v
	}
}

// accuracy looks an architecture up.
func (l *lookup) accuracy(architecture string) (float64, error) {
	v, ok := l.of[architecture]
	if !ok {
		return 0, fmt.Errorf("architecture %q: not in the table of %d", architecture, len(l.of))
	}
	return v, nil
}

// rank is 1 for the best; equals share the smallest.
func (l *lookup) rank(accuracy float64) int {
	at, _ := slices.BinarySearchFunc(l.sorted, accuracy, func(x, want float64) int {
		if x > want {
			return -1
		} else if x < want {
			return 1
		}
		return 0
	})
	return at + 1
}

// best is the highest accuracy.
func (l *lookup) best() float64 { return l.sorted[0] }

// mean is that of all architectures, which is what a random pick has.
func (l *lookup) mean() float64 {
	sum := 0.0
	for _, v := range l.sorted {
		sum += v
	}
	return sum / float64(len(l.sorted))
}

// bestOf is the expected best of n random architectures, drawn without repetition.
func (l *lookup) bestOf(n int) float64 {
	total := len(l.sorted)
	n = min(n, total)
	// left is the probability that the draws are all behind the place.
	sum, left := 0.0, 1.0
	for i, v := range l.sorted {
		if total-i < n {
			break
		}
		none := max(float64(total-i-n)/float64(total-i), 0) // none of the draws is this one, when none was before
		sum += v * left * (1 - none)
		left *= none
	}
	return sum
}
