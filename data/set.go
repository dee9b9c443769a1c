package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Scale says what range the model takes pixels in.
type Scale string

// Ranges of pixels.
const (
	ScaleUnit Scale = "unit"   // 0…1; the empty word as well
	ScaleRaw  Scale = "raw255" // 0…255
)

// Layout is the order of a batch's axes for images.
type Layout string

// Layouts.
const (
	NCHW Layout = "nchw" // the empty word as well
	NHWC Layout = "nhwc"
)

// Size is the height and width of an image; the zero value keeps the source's.
type Size [2]int

// MarshalText writes HEIGHTxWIDTH, or nothing for the zero value.
func (s Size) MarshalText() ([]byte, error) {
	if s == (Size{}) {
		return nil, nil
	}
	return fmt.Appendf(nil, "%dx%d", s[0], s[1]), nil
}

// UnmarshalText reads what MarshalText writes.
func (s *Size) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = Size{}
		return nil
	}
	h, w, ok := strings.Cut(string(text), "x")
	a, errA := strconv.Atoi(h)
	b, errB := strconv.Atoi(w)
	if !ok || errA != nil || errB != nil || a < 1 || b < 1 {
		return fmt.Errorf("want HEIGHTxWIDTH, for example 32x32, got %q", text)
	}
	*s = Size{a, b}
	return nil
}

// Options say how samples are read and normalised.
type Options struct {
	// For float sources Mean and Std are in the source's units. One value stands for all channels.
	Mean  []float64 `json:"mean" doc:"mean per channel, on the scale of 0…1; none: 0"`
	Std   []float64 `json:"std" want:">0" doc:"standard deviation per channel, likewise; none: 1"`
	Scale Scale     `json:"scale" oneof:"scale" doc:"range of the pixels that the model takes: unit (0…1) or raw255 (0…255)"`
	// Layout, Resize and Channels follow from the model that a job is for.
	Layout Layout `json:"layout" oneof:"layout" doc:"axis order of images; empty: what the model takes"`
	// Resize scales the largest centred rectangle of that aspect ratio.
	Resize   Size `json:"resize" doc:"HEIGHTxWIDTH that images of a folder are brought to; empty: what the model takes"`
	Channels int  `json:"channels" want:"[0,3]" doc:"channels of images of a folder, 3 or 1; 0: what the model takes"`
	// Limit keeps samples in turn from every class.
	Limit     int    `json:"limit" want:">=0" doc:"at most so many samples of each part; 0: all"`
	Seq       int    `json:"seq" want:">=0" doc:"tokens per sample of lm, words per sample of tsv; 0: 256 and 64"`
	Stride    int    `json:"stride" want:">=0" doc:"how far apart training samples of lm begin; 0: seq, so that none overlap"`
	Tokenizer string `json:"tokenizer" doc:"tokenizer for the text of lm: tokenizer.json, or llama2.c's .bin"`
	Vocab     int    `json:"vocab" want:">=0" doc:"most words that tsv keeps; 0: 8192"`
	// CacheBytes bounds the decoded images kept by folder.
	CacheBytes int64 `json:"cache_bytes" want:">=0" doc:"bytes of decoded images of a folder that are kept in memory; 0: 1 GiB"`
	// Folders that are not on disk keep their number.
	Classes string `json:"classes" doc:"file with the name of a class a line, in the order of the model's outputs, which numbers the folders of classes; empty: by their names"`
	SkipBad bool   `json:"skip_bad" doc:"go on without files that cannot be read"`

	Host   *Host        `json:"-"` // nil: nobody listens, nothing ends the reading
	Inputs []ModelInput `json:"-"` // of the model that the set is for, which cmd is told; nil: unknown
}

// Host is what opening a set may touch of the world beside files.
type Host struct {
	Context context.Context // ends the reading; nil: nothing does
	// Progress hears how many of a number of things are done; a total of 0 is unknown. It is
	// called by one goroutine at a time, for every thing. Nil: nobody listens.
	Progress func(what string, done, total int)
}

func (h *Host) context() context.Context {
	if h == nil || h.Context == nil {
		return context.Background()
	}
	return h.Context
}

func (h *Host) progress(what string, done, total int) {
	if h != nil && h.Progress != nil {
		h.Progress(what, done, total)
	}
}

// Options returns what the set was opened with.
func (s *Set) Options() Options { return s.opts }

// Field describes one input of a sample.
type Field struct {
	// Name is the model input it belongs to; "" for the model's only input.
	Name string
	// Shape is that of one sample; images are [C, H, W].
	Shape []int
	// DType is F32 or I64, as batches carry it.
	DType prim.DType
	// Image says that augmentation and normalisation apply.
	Image bool
	// Bytes says that the source stores one byte per element, so that values run
	// to 255 before normalisation.
	Bytes bool
	// Whole says that the model of Options.Inputs takes the bytes as integers: they come as they
	// are, whatever the scale.
	Whole bool
	// Optional says that a model may do without the field.
	Optional bool
}

// Set is an opened data set.
type Set struct {
	Spec    string
	Fields  []Field
	Classes []string // names by label; empty without labels per sample
	Parts   []*Part
	// ByName says that classes are numbered in the order of their names.
	ByName bool
	// Notes say how the source was understood, a line each.
	Notes []string
	// LabelShape is the shape of one sample's label: nil for a class; else of integers, such
	// as [positions] or [height, width], where negative ones do not count, or of floats, and
	// then without axes for one float.
	LabelShape []int
	// FloatLabels says that labels are floats.
	FloatLabels bool
	// Vocab is above every token number of the first field; 0 for sets without tokens.
	Vocab int

	opts    Options
	masks   *maskClasses // of all parts whose arrays are masks; nil: none
	checked func() error // called when every sample has been read once; nil: nothing to do
}

// Part is a named part of a set as the source divides it: "train", "test", "val".
type Part struct {
	Name string
	// Labels holds one class per sample, or nil.
	Labels []int64

	set     *Set
	columns []column
	targets column // when the set has a LabelShape
	n       int
	// ordered says that samples are a stream; each shares elements with the overlap
	// samples after it.
	ordered bool
	overlap int
	stride  int // elements from a sample's start to the next one's; 0 where samples are no windows
}

// column holds one field of every sample. read fills dst with sample i as stored,
// in [C, H, W] order for images.
type column interface {
	count() int
	read(i int, dst []float32) error
}

// Part returns the part of that name, or nil.
func (s *Set) Part(name string) *Part {
	for _, p := range s.Parts {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Shape returns the shape of the first field of one sample.
func (s *Set) Shape() []int { return s.Fields[0].Shape }

// Len returns the number of samples.
func (p *Part) Len() int { return p.n }

// Labelled reports whether samples have labels; those of no part have none.
func (p *Part) Labelled() bool { return p != nil && (p.Labels != nil || p.targets != nil) }

// All returns the view of every sample in the order of the source.
func (p *Part) All() View {
	index := make([]int, p.n)
	for i := range index {
		index[i] = i
	}
	return View{Name: p.Name, Index: index, part: p}
}

// finish checks the set as a whole and applies the options that hold for every source.
func (s *Set) finish() error {
	if len(s.Parts) == 0 {
		return errors.New("no samples found")
	}
	if err := s.findWhole(); err != nil {
		return err
	}
	for _, p := range s.Parts {
		p.set = s
		p.n = p.columns[0].count()
		for i, c := range p.columns {
			if c.count() != p.n {
				return fmt.Errorf("part %q: field %q: want %d samples as in field %q, got %d", p.Name, s.Fields[i].Name, p.n, s.Fields[0].Name, c.count())
			}
		}
		if p.targets != nil && p.targets.count() != p.n {
			return fmt.Errorf("part %q: want labels for %d samples, got %d", p.Name, p.n, p.targets.count())
		}
		if p.Labels != nil && len(p.Labels) != p.n {
			return fmt.Errorf("part %q: want %d labels, one per sample, got %d", p.Name, p.n, len(p.Labels))
		}
		if err := s.dropUnlabelled(p); err != nil {
			return err
		}
		for i, l := range p.Labels {
			if l < 0 {
				return fmt.Errorf("part %q: label of sample %d: want a class of 0 or more, or -1 for none, got %d", p.Name, i, l)
			}
			if int(l) >= len(s.Classes) {
				return fmt.Errorf("part %q: label of sample %d: want 0 to %d, got %d", p.Name, i, len(s.Classes)-1, l)
			}
		}
		if p.n == 0 {
			return fmt.Errorf("part %q: no samples", p.Name)
		}
	}
	if s.masks != nil {
		if err := s.masks.check(); err != nil {
			return err
		}
	}
	if err := errors.Join(s.checkOptions(), s.resize()); err != nil {
		return err
	}
	if s.opts.Limit > 0 {
		for _, p := range s.Parts {
			p.limit(s.opts.Limit)
		}
	}
	if err := s.probe(); err != nil || s.checked == nil {
		return err
	}
	return s.checked()
}

func (s *Set) checkOptions() error {
	o := &s.opts
	var errs []error
	if o.Limit < 0 {
		errs = append(errs, fmt.Errorf("limit: want at least 0, got %d", o.Limit))
	}
	if o.Scale != "" && o.Scale != ScaleUnit && o.Scale != ScaleRaw {
		errs = append(errs, fmt.Errorf("scale: want %q or %q, got %q", ScaleUnit, ScaleRaw, o.Scale))
	}
	if o.Layout != "" && o.Layout != NCHW && o.Layout != NHWC {
		errs = append(errs, fmt.Errorf("layout: want %q or %q, got %q", NCHW, NHWC, o.Layout))
	}
	for i, v := range o.Std {
		if !(v > 0) {
			errs = append(errs, fmt.Errorf("std: value %d: want a number above 0, got %v", i, v))
		}
	}
	for _, f := range s.Fields {
		if !f.Image {
			continue
		}
		c := f.Shape[0]
		if m := slices.MaxFunc(append([]float64{0}, o.Mean...), cmp.Compare); f.Bytes && m > 1 {
			errs = append(errs, &OptionError{"mean", fmt.Errorf("mean: want values on the scale of 0…1, got %v: is it on 0…255? then give mean/255 and std/255, and the option scale raw255 for a model that takes pixels of 0…255", m)})
		}
		for _, v := range []struct {
			name string
			have int
		}{{"mean", len(o.Mean)}, {"std", len(o.Std)}} {
			if v.have > 1 && v.have != c {
				errs = append(errs, fmt.Errorf("%s: want 1 or %d values for %d channels, got %d", v.name, c, c, v.have))
			}
		}
	}
	return errors.Join(errs...)
}

// findWhole marks the fields that are Whole.
func (s *Set) findWhole() error {
	fields, _ := s.match(s.opts.Inputs, nil)
	for i, in := range s.opts.Inputs {
		if k := fields[i]; k < 0 || !in.Integer || !s.Fields[k].Bytes {
			continue
		}
		for _, x := range []struct {
			option string
			values []float64
		}{{"mean", s.opts.Mean}, {"std", s.opts.Std}} {
			if len(x.values) > 0 {
				return &OptionError{x.option, fmt.Errorf("%s: want none: the model's input %q takes whole numbers, pixels of 0…255 as they are, got %v", x.option, in.Name, x.values)}
			}
		}
		s.Fields[fields[i]].Whole = true
	}
	return nil
}

// normal returns, per channel of f, k and t of x = k·v + t for stored values v,
// and the stored value that becomes 0.
func (s *Set) normal(f Field) (k, t, zero []float32) {
	c := 1
	if f.Image {
		c = f.Shape[0]
	}
	k, t, zero = make([]float32, c), make([]float32, c), make([]float32, c)
	at := func(list []float64, i int, otherwise float64) float64 {
		switch len(list) {
		case 0:
			return otherwise
		case 1:
			return list[0]
		}
		return list[i]
	}
	if f.Whole {
		for i := range c {
			k[i] = 1
		}
		return k, t, zero
	}
	for i := range c {
		mean, std, unit := at(s.opts.Mean, i, 0), at(s.opts.Std, i, 1), 1.0
		if f.Bytes {
			unit = 255
		}
		out := 1.0
		if s.opts.Scale == ScaleRaw && f.Bytes {
			out = 255
		}
		k[i] = float32(out / (unit * std))
		t[i] = float32(-out * mean / std)
		zero[i] = float32(mean * unit)
	}
	return k, t, zero
}

// limit keeps n samples, taken in turn from every class in the order of the source.
func (p *Part) limit(n int) {
	if n >= p.n {
		return
	}
	var keep []int
	for _, g := range classGroups(p, p.All().Index) {
		keep = append(keep, g...)
	}
	rank := make([]int, p.n)
	for _, g := range classGroups(p, p.All().Index) {
		for r, i := range g {
			rank[i] = r
		}
	}
	slices.SortStableFunc(keep, func(a, b int) int { return rank[a] - rank[b] })
	keep = keep[:n]
	slices.Sort(keep)
	p.pick(keep)
}

// unlabelled is the class of a sample that has none.
const unlabelled = -1

// dropUnlabelled leaves the samples of a part out that have no class, and says so.
func (s *Set) dropUnlabelled(p *Part) error {
	var keep []int
	for i, l := range p.Labels {
		if l != unlabelled {
			keep = append(keep, i)
		}
	}
	left := len(p.Labels) - len(keep)
	switch {
	case left == 0:
		return nil
	case len(keep) == 0:
		return fmt.Errorf("part %q: every label is %d, which is none: leave the labels out", p.Name, unlabelled)
	}
	s.Notes = append(s.Notes, fmt.Sprintf("part %q: %d of %d samples have the label %d, which is none: they are left out", p.Name, left, p.n, unlabelled))
	p.pick(keep)
	return nil
}

// pick keeps some samples.
func (p *Part) pick(keep []int) {
	if p.Labels != nil {
		labels := make([]int64, len(keep))
		for k, i := range keep {
			labels[k] = p.Labels[i]
		}
		p.Labels = labels
	}
	for i, c := range p.columns {
		p.columns[i] = picked{c, keep}
	}
	if p.targets != nil {
		p.targets = picked{p.targets, keep}
	}
	p.n = len(keep)
}

// picked is a column seen through an index.
type picked struct {
	column
	index []int
}

func (c picked) count() int                      { return len(c.index) }
func (c picked) read(i int, dst []float32) error { return c.column.read(c.index[i], dst) }
