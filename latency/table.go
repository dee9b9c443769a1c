package latency

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/ir"
)

// ManifestName is the file of a folder of pieces that names the others.
const ManifestName = "manifest.json"

// Manifest lists the models that a device is to time.
type Manifest struct {
	Version int    `json:"version"` // 1
	Source  string `json:"source"`  // fingerprint of the model
	Batch   int    `json:"batch"`
	Files   []Item `json:"files"`
}

// Item is a model of a manifest.
type Item struct {
	ID   string `json:"id"` // of its line in the table
	File string `json:"file"`
	// Use is piece, original, again (the original once more, for the noise), subnet (a random
	// one that calibrates or checks), or nothing (a model that does nothing, whose time is
	// taken off the pieces').
	Use    string      `json:"use"`
	Kind   string      `json:"kind,omitempty"` // of a piece: its operators
	Inputs []ItemInput `json:"inputs"`
}

// ItemInput is an input with its sizes. Floats may have any values in [0.1, 1), other numbers
// are 0.
type ItemInput struct {
	Name  string `json:"name"`
	Type  string `json:"type"` // float32, int64, …
	Shape []int  `json:"shape"`
}

// Uses of items.
const (
	usePiece    = "piece"
	useOriginal = "original"
	useAgain    = "again"
	useSubnet   = "subnet"
	useNothing  = "nothing"
)

func id(use, key string) string {
	sum := sha256.Sum256([]byte(key))
	return use + "-" + hex.EncodeToString(sum[:6])
}

// portable is what is timed elsewhere: groups are Patterns, as the device's runtime is not here.
func portable(src Source, o Options) (*work, []string, error) {
	w, err := plan(src, Patterns(src.Net.An.Model.Graph), o)
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	for _, c := range w.classes {
		note, err := src.pieces(c, o.Seed)
		if err != nil {
			return nil, nil, err
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	return w, notes, nil
}

// each visits everything that is timed elsewhere once. Make makes the model.
func (w *work) each(visit func(it Item, make func() (*ir.Model, error)) error) error {
	seen := map[string]bool{}
	once := func(it Item, make func() (*ir.Model, error)) error {
		if seen[it.ID] {
			return nil
		}
		seen[it.ID] = true
		it.File = it.ID + ".onnx"
		return visit(it, make)
	}
	err := once(Item{ID: useNothing, Use: useNothing}, func() (*ir.Model, error) { return nothing(), nil })
	largest := w.src.Net.Space.Largest()
	for _, use := range []string{useOriginal, useAgain} {
		err = errors.Join(err, once(Item{ID: use, Use: use}, func() (*ir.Model, error) { return w.src.cut(largest) }))
	}
	for _, c := range w.classes {
		for _, p := range c.points {
			err = errors.Join(err, once(Item{ID: id(usePiece, p.signature), Use: usePiece, Kind: c.kind}, func() (*ir.Model, error) { return p.model, nil }))
		}
	}
	for _, choice := range slices.Concat(w.calibrate[1:], w.check) {
		if !slices.Equal(choice, largest) {
			err = errors.Join(err, once(Item{ID: id(useSubnet, w.src.key(choice)), Use: useSubnet}, func() (*ir.Model, error) { return w.src.cut(choice) }))
		}
	}
	return err
}

// WritePieces writes pieces and subnets of a source to a folder, with its manifest, and
// returns how many files there are to time. A folder that has a manifest is refused, unless
// forced.
func WritePieces(dir string, src Source, o Options, force bool) (int, error) {
	path := filepath.Join(dir, ManifestName)
	if _, err := os.Stat(path); err == nil && !force {
		return 0, fmt.Errorf("latency: %s exists: --force writes over it", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	w, _, err := portable(src, o)
	if err != nil {
		return 0, err
	}
	list := Manifest{Version: 1, Source: src.Net.Space.Source, Batch: src.Batch}
	err = w.each(func(it Item, make func() (*ir.Model, error)) error {
		m, err := make()
		if err != nil {
			return err
		}
		in, err := exporter.RandomInputs(m.Graph, exporter.VerifyOptions{Batch: src.Batch, Dims: src.dims()})
		if err != nil {
			return err
		}
		for _, name := range runtimes.FeedNames(m.Graph) {
			it.Inputs = append(it.Inputs, ItemInput{name, in[0][name].DType.String(), slices.Clone(in[0][name].Dims)})
		}
		list.Files = append(list.Files, it)
		return exporter.Write(filepath.Join(dir, it.File), m, exporter.Options{})
	})
	if err != nil {
		return 0, fmt.Errorf("latency: %s: %w", dir, err)
	}
	text, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return 0, err
	}
	return len(list.Files), atomicfile.WriteBytes(path, append(text, '\n'))
}

// ReadTable makes prices of times that another device took for what WritePieces wrote: lines
// "id,milliseconds" under a heading of these two words, among others if wished; lines that
// begin with # are comments, of which "# runtime: NAME" names the runtime. Times of something
// else, and times that are missing, are an error that names them.
func ReadTable(path string, src Source, o Options) (*Prices, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	times, name, err := readTable(f)
	if err != nil {
		return nil, fmt.Errorf("latency: %s: %w", path, err)
	}
	w, notes, err := portable(src, o)
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		if o.Note != nil {
			o.Note(n)
		}
	}
	known := map[string]bool{}
	var missing []string
	err = w.each(func(it Item, _ func() (*ir.Model, error)) error {
		known[it.ID] = true
		if _, ok := times[it.ID]; !ok {
			missing = append(missing, fmt.Sprintf("%s (%s)", it.ID, strings.TrimSpace(it.Use+" "+it.Kind)))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	other := 0
	for k := range times {
		if !known[k] {
			other++
		}
	}
	switch {
	case other > 0 && len(missing) > len(known)/2:
		return nil, fmt.Errorf("latency: %s: the times are of another model, space, batch or seed: %d of %d lines are of nothing that this one is made of", path, other, len(times))
	case len(missing) > 0:
		const told = 5
		text := strings.Join(missing[:min(len(missing), told)], ", ")
		if n := len(missing) - told; n > 0 {
			text += fmt.Sprintf(", and %d others", n)
		}
		return nil, fmt.Errorf("latency: %s: want a time for each of %d models, got none for %s", path, len(known), text)
	}
	p := &Prices{Source: src.Net.Space.Source, Runtime: name, Batch: src.Batch, Original: math.Min(times[useOriginal], times[useAgain]), Timed: len(known)}
	p.Noise = math.Abs(times[useAgain]/times[useOriginal] - 1)
	bySignature := map[string]float64{}
	for _, c := range w.classes {
		for _, x := range c.points {
			bySignature[x.signature] = max(times[id(usePiece, x.signature)]-times[useNothing], 1e-4)
		}
	}
	w.price(p, w.curves(bySignature))
	var ratios []float64
	for _, choice := range slices.Concat(w.calibrate, w.check) {
		at := id(useSubnet, src.key(choice))
		if slices.Equal(choice, src.Net.Space.Largest()) {
			at = useOriginal
		}
		ratios = append(ratios, times[at]/p.Original)
	}
	return p, w.calibrated(p, ratios)
}

func readTable(r io.Reader) (times map[string]float64, runtime string, err error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, "", err
	}
	runtime = "another device"
	for _, line := range strings.Split(string(body), "\n") {
		if name, ok := strings.CutPrefix(line, "# runtime:"); ok {
			runtime = strings.TrimSpace(name)
		}
	}
	rows := csv.NewReader(strings.NewReader(string(body)))
	rows.Comment, rows.TrimLeadingSpace = '#', true
	head, err := rows.Read()
	if err != nil {
		return nil, "", fmt.Errorf("want a line with the words id and milliseconds, got %w", err)
	}
	at, ms := slices.Index(head, "id"), slices.Index(head, "milliseconds")
	if at < 0 || ms < 0 {
		return nil, "", fmt.Errorf("want the words id and milliseconds in the first line, got %q", head)
	}
	times = map[string]float64{}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return times, runtime, nil
		}
		if err != nil {
			return nil, "", err
		}
		line, _ := rows.FieldPos(0)
		v, err := strconv.ParseFloat(strings.TrimSpace(row[ms]), 64)
		if err != nil || !(v > 0) || math.IsInf(v, 0) {
			return nil, "", fmt.Errorf("line %d: %s: want milliseconds above 0, got %q", line, row[at], row[ms])
		}
		if _, again := times[row[at]]; again {
			return nil, "", fmt.Errorf("line %d: want every id once, got %s twice", line, row[at])
		}
		times[row[at]] = v
	}
}
