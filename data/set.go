package data

import (
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Scale says what range the model takes pixels in.
type Scale string

// Ranges of pixels.
const (
	ScaleUnit Scale = ""       // 0…1
	ScaleRaw  Scale = "raw255" // 0…255
)

// Layout is the order of a batch's axes for images.
type Layout string

// Layouts.
const (
	NCHW Layout = ""
	NHWC Layout = "nhwc"
)

// Options say how samples are read and normalised.
type Options struct {
	// Mean and Std are per channel, in units where a pixel runs from 0 to 1 (for
	// float sources, in the source's units). One value stands for all channels;
	// none for mean 0 and deviation 1.
	Mean, Std []float64
	Scale     Scale
	Layout    Layout
	// Resize is height and width: the largest centred rectangle of that aspect ratio
	// is scaled. [0 0] keeps the size of the source.
	Resize [2]int
	// Channels of folder images: 3 (also for 0) or 1.
	Channels int
	// Limit keeps at most so many samples of each part, taken in turn from every class. 0 keeps all.
	Limit int
	// Seq is the tokens per sample of lm and the words per sample of tsv; 0 stands for
	// 256 and 64.
	Seq int
	// Stride is how far apart the samples of the training part of lm begin, 1 to Seq;
	// 0 stands for Seq. Other parts never overlap.
	Stride int
	// Tokenizer is the file that turns the text of lm into tokens.
	Tokenizer string
	// Vocab is the most words that tsv keeps; 0 stands for 8192.
	Vocab int
	// CacheBytes bounds the decoded images kept by folder; 0 stands for 1 GiB.
	CacheBytes int64
}

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
	// Optional says that a model may do without the field.
	Optional bool
}

// Set is an opened data set.
type Set struct {
	Spec    string
	Fields  []Field
	Classes []string // names by label; empty without labels per sample
	Parts   []*Part
	// LabelShape is the shape of one sample's label: nil for a class, [positions] for a
	// target at every position, where negative ones do not count.
	LabelShape []int
	// Vocab is above every token number of the first field; 0 for sets without tokens.
	Vocab int

	opts Options
}

// Part is a named part of a set as the source divides it: "train", "test", "val".
type Part struct {
	Name string
	// Labels holds one class per sample, or nil.
	Labels []int64

	set     *Set
	columns []column
	targets column // of integers, when the set has a LabelShape
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

// Labelled reports whether samples have labels, one each or one per position.
func (p *Part) Labelled() bool { return p.Labels != nil || p.targets != nil }

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
		for i, l := range p.Labels {
			if l < 0 || int(l) >= len(s.Classes) {
				return fmt.Errorf("part %q: label of sample %d: want 0 to %d, got %d", p.Name, i, len(s.Classes)-1, l)
			}
		}
		if p.n == 0 {
			return fmt.Errorf("part %q: no samples", p.Name)
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
	return nil
}

func (s *Set) checkOptions() error {
	o := &s.opts
	var errs []error
	if o.Limit < 0 {
		errs = append(errs, fmt.Errorf("limit: want at least 0, got %d", o.Limit))
	}
	if o.Scale != ScaleUnit && o.Scale != ScaleRaw {
		errs = append(errs, fmt.Errorf("scale: want %q or nothing, got %q", ScaleRaw, o.Scale))
	}
	if o.Layout != NCHW && o.Layout != NHWC {
		errs = append(errs, fmt.Errorf("layout: want %q or nothing, got %q", NHWC, o.Layout))
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
	if p.Labels != nil {
		labels := make([]int64, n)
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
	p.n = n
}

// picked is a column seen through an index.
type picked struct {
	column
	index []int
}

func (c picked) count() int                      { return len(c.index) }
func (c picked) read(i int, dst []float32) error { return c.column.read(c.index[i], dst) }
