package data

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Words of every vocabulary that readTSV builds, by number.
var specialWords = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]"}

const (
	padWord = iota
	unknownWord
	firstWord // of a sentence
	lastWord
)

// Defaults of Options for sentences.
const (
	defaultWords    = 64
	defaultWordList = 8192
)

// readTSV reads labelled sentences: lines SENTENCE<TAB>CLASS, or SENTENCE<TAB>VALUE when a
// number of any line of the set is not whole. FILE is the part
// "train"; a folder has train.tsv and test.tsv, val.tsv or dev.tsv, which is the
// part "test" when there is no test.tsv and "val" otherwise. A first line whose
// last column is no number is a heading.
//
// The vocabulary is made from the training part: lower-case words between white
// space, the most frequent first, the rest in alphabetical order, Options.Vocab at
// most with the four special ones. A sample is [CLS] words [SEP], cut or padded to
// Options.Seq.
func readTSV(path string, o Options) (*Set, error) {
	if o.Seq == 0 {
		o.Seq = defaultWords
	}
	if o.Vocab == 0 {
		o.Vocab = defaultWordList
	}
	if o.Seq < 2 || o.Vocab <= len(specialWords) {
		return nil, fmt.Errorf("want a sequence of at least 2 words and a vocabulary of more than %d, got %d and %d", len(specialWords), o.Seq, o.Vocab)
	}
	files, err := sentenceFiles(path)
	if err != nil {
		return nil, err
	}
	n := o.Seq
	set := &Set{Fields: []Field{intField("input_ids", n, false), intField("attention_mask", n, true), intField("token_type_ids", n, true), intField("position_ids", n, true)}}
	var ids map[string]int64
	var values [][]float32
	for _, f := range files {
		sentences, numbers, err := readSentences(f.path)
		if err != nil {
			return nil, err
		}
		values = append(values, numbers)
		if ids == nil {
			ids = vocabulary(sentences, o.Vocab)
			set.Vocab = len(ids)
		}
		p := &Part{Name: f.part}
		tokens, mask := make([]int64, n*len(sentences)), make([]int64, n*len(sentences))
		for i, words := range sentences {
			encodeWords(tokens[i*n:(i+1)*n], mask[i*n:(i+1)*n], words, ids)
		}
		count := len(sentences)
		p.columns = []column{intColumn{tokens, n}, intColumn{mask, n}, fixedInts{count, make([]int64, n)}, fixedInts{count, counting(n)}}
		set.Parts = append(set.Parts, p)
	}
	return set, set.labelSentences(values)
}

// labelSentences takes the numbers of every part as classes, or as values when one is not whole.
func (s *Set) labelSentences(values [][]float32) error {
	for _, part := range values {
		s.FloatLabels = s.FloatLabels || slices.ContainsFunc(part, func(v float32) bool { return v != float32(int64(v)) })
	}
	for k, p := range s.Parts {
		if s.FloatLabels {
			s.LabelShape, p.targets = []int{}, floatColumn{values[k], 1}
			continue
		}
		for _, v := range values[k] {
			p.Labels = append(p.Labels, int64(v))
		}
	}
	return s.countClasses()
}

// sentenceFiles lists the parts, the training part first.
func sentenceFiles(path string) ([]partFile, error) {
	files, err := partFiles(path, ".tsv")
	if err != nil {
		return nil, err
	}
	if files[0].part != "train" {
		return nil, fmt.Errorf("want %s, which the vocabulary is made from, found none", filepath.Join(path, "train.tsv"))
	}
	dev := filepath.Join(path, "dev.tsv")
	if _, err := os.Stat(dev); err == nil {
		part := "test"
		if slices.ContainsFunc(files, func(f partFile) bool { return f.part == "test" }) {
			part = "val"
		}
		if !slices.ContainsFunc(files, func(f partFile) bool { return f.part == part }) {
			files = append(files, partFile{part, dev})
		}
	}
	return files, nil
}

func readSentences(path string) (sentences [][]string, numbers []float32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for at := 1; lines.Scan(); at++ {
		line := strings.TrimRight(lines.Text(), "\r")
		if line == "" {
			continue
		}
		cut := strings.LastIndexByte(line, '\t')
		if cut < 0 {
			return nil, nil, fmt.Errorf("%s:%d: want SENTENCE, tab, CLASS or VALUE, got no tab", path, at)
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[cut+1:]), 32)
		if err == nil && v-v != 0 {
			return nil, nil, fmt.Errorf("%s:%d: want a finite number after the last tab, got %.40q", path, at, line[cut+1:])
		}
		if err != nil {
			if at == 1 {
				continue
			}
			return nil, nil, fmt.Errorf("%s:%d: want a class number or a value after the last tab, got %.40q", path, at, line[cut+1:])
		}
		sentences = append(sentences, strings.Fields(strings.ToLower(line[:cut])))
		numbers = append(numbers, float32(v))
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(sentences) == 0 {
		return nil, nil, errors.New(path + ": no sentences found")
	}
	return sentences, numbers, nil
}

// vocabulary numbers the special words and then the most frequent ones.
func vocabulary(sentences [][]string, most int) map[string]int64 {
	times := map[string]int{}
	for _, s := range sentences {
		for _, w := range s {
			times[w]++
		}
	}
	var words []string
	for w := range times {
		if !slices.Contains(specialWords, w) {
			words = append(words, w)
		}
	}
	slices.SortFunc(words, func(a, b string) int {
		if d := times[b] - times[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	words = append(slices.Clone(specialWords), words...)
	ids := map[string]int64{}
	for i, w := range words[:min(most, len(words))] {
		ids[w] = int64(i)
	}
	return ids
}

// encodeWords fills one sample.
func encodeWords(tokens, mask []int64, words []string, ids map[string]int64) {
	n := min(len(words)+2, len(tokens))
	for i := range n {
		id := int64(unknownWord)
		switch {
		case i == 0:
			id = firstWord
		case i == n-1:
			id = lastWord
		default:
			if k, ok := ids[words[i-1]]; ok {
				id = k
			}
		}
		tokens[i], mask[i] = id, 1
	}
}
