package data

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Source is one kind of data set that Open can read.
type Source struct {
	Name string // what stands before the colon
	Doc  string
	read func(path string, o Options) (*Set, error)
	// options are the keys of Options that the kind reads, beside limit.
	options []string
}

// images are the options of every kind of images.
var images = []string{"mean", "std", "scale", "layout", "resize"}

// Sources lists the kinds of data set.
func Sources() []Source {
	return []Source{
		{"idx", "folder with MNIST-style IDX files (train-*, t10k-*), plain or .gz", readIDX, images},
		{"cifar10", "folder with CIFAR-10 in its binary layout (data_batch_*.bin, test_batch.bin)", readCIFAR, images},
		{"folder", "folder with one sub-folder of PNG, JPEG, BMP or WebP files per class, or with such files and no labels; or train/, val/, test/ above them", readFolder, append([]string{"channels", "cache_bytes", "classes", "skip_bad"}, images...)},
		{"masks", "folder with images/ and masks/, files of the same names, or those in train/, val/, test/: masks are grey or palette PNG files whose values are class numbers, or .npy arrays [H, W]; 255 does not count", readMasks, append([]string{"channels", "cache_bytes", "skip_bad"}, images...)},
		{"npz", "NumPy .npz file with one array per model input and, optionally, \"labels\"; or a folder with train.npz and test.npz", readNPZSet, images},
		{"tokens", "NumPy .npz file with token arrays (input_ids, attention_mask, …) and, optionally, \"labels\", one per sample or per position; .npy of input_ids; or a folder with train, val, test", readTokens, nil},
		{"cmd", "command of the shell whose program streams the samples as arrays by the names of the model's inputs, and \"labels\": see docs/own-data.md", readCommand, []string{"mean", "std", "scale", "layout", "cache_bytes"}},
		{"lm", "stream of tokens for next-token prediction: raw .bin or .u16 (two bytes a token), .u32, .npy of rank 1, or .txt with a tokenizer; or a folder with train, val, test", readLM, []string{"seq", "stride", "tokenizer"}},
		{"tsv", "labelled sentences, sentence, tab and class number a line, as train.tsv and test.tsv, val.tsv or dev.tsv in a folder; words of the training part are the vocabulary", readTSV, []string{"seq", "vocab"}},
	}
}

// Open reads the data set named by spec, KIND:PATH with a KIND of Sources.
func Open(spec string, o Options) (*Set, error) {
	kind, path, ok := strings.Cut(spec, ":")
	var names []string
	for _, s := range Sources() {
		if ok && path != "" && s.Name == kind {
			if err := s.check(o); err != nil {
				return nil, fmt.Errorf("data: %s: %w", spec, err)
			}
			set, err := s.read(path, o)
			if err == nil {
				set.Spec, set.opts = spec, o
				err = set.finish()
			}
			if err != nil {
				return nil, fmt.Errorf("data: %s: %w", spec, err)
			}
			return set, nil
		}
		names = append(names, s.Name+":PATH")
	}
	return nil, &OptionError{"source", fmt.Errorf("data: want one of %s, got %q", strings.Join(names, ", "), spec)}
}

// Reads reports whether the kind of a spec reads an option, by its key.
func Reads(spec, key string) bool {
	kind, _, _ := strings.Cut(spec, ":")
	for _, s := range Sources() {
		if s.Name == kind {
			return key == "limit" || slices.Contains(s.options, key)
		}
	}
	return false
}

// check reports options that are set and that the kind does not read.
func (s Source) check(o Options) error {
	var errs []error
	v := reflect.ValueOf(o)
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("json")
		if key != "-" && !v.Field(i).IsZero() && v.Field(i).Interface() != ScaleUnit && !Reads(s.Name, key) {
			errs = append(errs, &OptionError{key, fmt.Errorf("option %s: data of the kind %s has none", key, s.Name)})
		}
	}
	return errors.Join(errs...)
}

// OptionError is a setting that no data set can be opened with, whatever its files hold:
// Option is "source", for the spec, or the key of a field of Options.
type OptionError struct {
	Option string
	Err    error
}

// Error is the error of the setting.
func (e *OptionError) Error() string { return e.Err.Error() }

// Unwrap returns it.
func (e *OptionError) Unwrap() error { return e.Err }

// ValidateSources reports every source that is incomplete or listed twice.
func ValidateSources(list []Source) error {
	var errs []error
	seen := map[string]bool{}
	for i, s := range list {
		if s.Name == "" || s.Doc == "" || s.read == nil {
			errs = append(errs, fmt.Errorf("data source %d (%q): want Name, Doc and read", i, s.Name))
		}
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("data source %q: listed twice", s.Name))
		}
		seen[s.Name] = true
	}
	return errors.Join(errs...)
}
