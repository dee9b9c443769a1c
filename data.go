package entangle

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/internal/keys"
	"github.com/entangle-nas/entangle/search/net"
)

// options is what begins the options in a data set's spec.
var options = regexp.MustCompile(`\?[a-z_]+=`)

// open divides Source into the spec that data.Open takes, and the options with those behind
// the question mark set. A command may hold question marks, and has no options behind it.
func (d Data) open() (spec string, o data.Options, err error) {
	at := options.FindStringIndex(d.Source)
	if at == nil || strings.HasPrefix(d.Source, "cmd:") {
		return d.Source, d.Options, nil
	}
	spec, o = d.Source[:at[0]], d.Options
	for _, item := range strings.Split(d.Source[at[0]+1:], "&") {
		key, value, ok := strings.Cut(item, "=")
		if !ok {
			return "", o, fmt.Errorf("want OPTION=VALUE behind the question mark, got %q", item)
		}
		before := o
		if err := keys.Set(&o, key, value); err != nil {
			return "", o, err
		}
		if x, y, set := differ(before, o, key); set {
			return "", o, fmt.Errorf("%s: stands in the source as %s and beside it as %s: want one of them", key, y, x)
		}
	}
	for _, f := range keys.Check(&o, lists) {
		return "", o, f
	}
	return spec, o, nil
}

// differ returns the values of a key when it was set before, and to something else.
func differ(before, after data.Options, key string) (x, y string, differs bool) {
	value := func(o data.Options) string {
		for _, k := range keys.List(&o, lists) {
			if k.Path == key {
				return k.Value
			}
		}
		return ""
	}
	x, y = value(before), value(after)
	unset := value(DefaultJob().Data.Options)
	return x, y, x != unset && x != y
}

// OpenData opens a data set for a model, which says what the options leave open: the layout
// of images, their channels and their size. Model may be nil.
func OpenData(m *Model, d Data) (*data.Set, error) {
	spec, o, err := d.open()
	if err != nil {
		return nil, &JobError{[]error{&keyed{"data.source", err}}}
	}
	if spec == "" {
		return nil, &JobError{[]error{&keyed{"data.source", fmt.Errorf("want KIND:PATH, got none")}}}
	}
	if m != nil {
		m.fillImages(spec, &o)
		o.Inputs = net.Inputs(m.Normal)
	}
	set, err := data.Open(spec, o)
	var option *data.OptionError
	if errors.As(err, &option) {
		return nil, &JobError{[]error{&keyed{"data." + option.Option, err}}}
	}
	return set, err
}

// fillImages sets what is open of the options for images by the model's only input of rank
// 4: channels last where only its last size can be a number of channels. Arrays of files are
// brought to no size: they hold what the model takes.
func (m *Model) fillImages(spec string, o *data.Options) {
	var shape []int
	for _, v := range m.Normal.Graph.Inputs {
		if m.Normal.Graph.Init(v.Name) != nil || len(v.Type.Shape) != 4 {
			continue
		}
		if shape != nil {
			return
		}
		for _, d := range v.Type.Shape {
			n := -1
			if d.Known() {
				n = d.Size
			}
			shape = append(shape, n)
		}
	}
	if shape == nil {
		return
	}
	channels := func(n int) bool { return n == 1 || n == 3 }
	if o.Layout == "" && data.Reads(spec, "layout") {
		o.Layout = data.NCHW
		if !channels(shape[1]) && channels(shape[3]) {
			o.Layout = data.NHWC
		}
	}
	c, h, w := shape[1], shape[2], shape[3]
	if o.Layout == data.NHWC {
		h, w, c = shape[1], shape[2], shape[3]
	}
	if o.Channels == 0 && channels(c) && data.Reads(spec, "channels") {
		o.Channels = c
	}
	if o.Resize == (data.Size{}) && h > 0 && w > 0 && data.Reads(spec, "resize") && !strings.HasPrefix(spec, "npz:") {
		o.Resize = data.Size{h, w}
	}
}
