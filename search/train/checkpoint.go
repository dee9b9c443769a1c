package train

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/search/net"
)

const checkpointMagic = "entangle checkpoint 3\n"

// A checkpoint is checkpointMagic, the length of a checkpointHead as JSON in eight bytes, the
// head, and per tensor likewise a tensorHead, then the elements of its spans, all numbers
// little-endian.
type checkpointHead struct {
	Position Position `json:"position"`
	Tensors  int      `json:"tensors"`
}

// tensorHead names a tensor and the ranges [from, to) of its elements that are kept, as
// from, to, from, to, …, ascending: those that are not what the run begins with.
type tensorHead struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
	Spans []int  `json:"spans"`
}

// spanBlock is how many elements are kept or left out together.
const spanBlock = 64

// spans returns the ranges of blocks in which now differs from begun by a bit; nil stands for
// zeros.
func spans(now, begun []float32) []int {
	var out []int
	for from := 0; from < len(now); from += spanBlock {
		to := min(from+spanBlock, len(now))
		if same(now[from:to], begun, from) {
			continue
		}
		if n := len(out); n > 0 && out[n-1] == from {
			out[n-1] = to
		} else {
			out = append(out, from, to)
		}
	}
	return out
}

// same compares a block with the elements of begun from element from on.
func same(block, begun []float32, from int) bool {
	for i, v := range block {
		var b uint32
		if begun != nil {
			b = math.Float32bits(begun[from+i])
		}
		if math.Float32bits(v) != b {
			return false
		}
	}
	return true
}

// persistent reports whether a buffer of that name outlives a step: names of the
// program's own, but for sums of gradients, which every step begins anew.
func persistent(name string) bool {
	return strings.HasPrefix(name, "@") && !strings.HasPrefix(name, net.SumName(""))
}

// kept lists the buffers that a checkpoint holds: those that outlive a step, and at the end of
// a run, behind which no step follows, those without the optimiser's state.
func kept(env net.Env, ended bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(env)), func(name string) bool {
		return !persistent(name) || ended && strings.HasPrefix(name, net.SlotsName)
	})
}

// saveCheckpoint writes the position and the kept f32 buffers of env, as far as they are not
// what a run of n begins with, whole or not at all.
func saveCheckpoint(path string, pos Position, n *net.Network, env net.Env, ended bool) error {
	names := kept(env, ended)
	err := atomicfile.Write(path, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<20)
		b.WriteString(checkpointMagic)
		if err := writeHead(b, checkpointHead{pos, len(names)}); err != nil {
			return err
		}
		for _, name := range names {
			t, err := env[name].Read()
			if err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			begun, err := n.Loaded(name)
			if err != nil {
				return err
			}
			head := tensorHead{Name: name, Shape: t.Shape}
			if begun == nil {
				head.Spans = spans(t.F32, nil)
			} else {
				head.Spans = spans(t.F32, begun.F32)
			}
			if err := writeHead(b, head); err != nil {
				return err
			}
			for s := head.Spans; len(s) > 0; s = s[2:] {
				if err := writeFloats(b, t.F32[s[0]:s[1]]); err != nil {
					return err
				}
			}
		}
		return b.Flush()
	})
	if err != nil {
		return fmt.Errorf("search: checkpoint: %w", err)
	}
	return nil
}

// writeHead writes the length of a value as JSON, and the JSON.
func writeHead(b *bufio.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := binary.Write(b, binary.LittleEndian, uint64(len(text))); err != nil {
		return err
	}
	_, err = b.Write(text)
	return err
}

// floatsAtOnce is how many elements pass through one write or read.
const floatsAtOnce = 1 << 14

func writeFloats(w io.Writer, v []float32) error {
	buf := make([]byte, 0, 4*min(floatsAtOnce, len(v)))
	for part := range slices.Chunk(v, floatsAtOnce) {
		buf = buf[:0]
		for _, x := range part {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

func readFloats(r io.Reader, v []float32) error {
	buf := make([]byte, 4*min(floatsAtOnce, len(v)))
	for part := range slices.Chunk(v, floatsAtOnce) {
		raw := buf[:4*len(part)]
		if _, err := io.ReadFull(r, raw); err != nil {
			return err
		}
		for i := range part {
			part[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
	return nil
}

// loadCheckpoint reads a checkpoint of the run and writes its tensors over env, which must
// hold what the run begins with: buffers of the same names and shapes. found is false when
// there is no file. A checkpoint of another run changes nothing; one that is damaged leaves
// env half written.
func loadCheckpoint(be engine.Backend, path, run string, env net.Env) (pos Position, found bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return pos, false, nil
	}
	if err != nil {
		return pos, false, fmt.Errorf("search: checkpoint: %w", err)
	}
	defer f.Close()
	fail := func(format string, args ...any) (Position, bool, error) {
		return Position{}, false, fmt.Errorf("search: checkpoint %s: %w", path, fmt.Errorf(format, args...))
	}
	r := bufio.NewReaderSize(f, 1<<20)
	magic := make([]byte, len(checkpointMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != checkpointMagic {
		return fail("not a checkpoint of this version")
	}
	var head checkpointHead
	if err := readHead(r, &head); err != nil {
		return fail("header: %w", err)
	}
	if head.Position.Run != run {
		return fail("it belongs to another model, data split or configuration (%.12s…, this run is %.12s…); remove it or resume with the old settings", head.Position.Run, run)
	}
	for range head.Tensors {
		var t tensorHead
		if err := readHead(r, &t); err != nil {
			return fail("header of a tensor: %w", err)
		}
		old := env[t.Name]
		if old == nil || !persistent(t.Name) || !slices.Equal(old.Type().Shape, t.Shape) {
			return fail("tensor %q%v does not belong to this run", t.Name, t.Shape)
		}
		if len(t.Spans) == 0 {
			continue
		}
		v, err := old.Read()
		if err != nil {
			return fail("tensor %q: %w", t.Name, err)
		}
		if err := readSpans(r, t.Spans, v.F32); err != nil {
			return fail("tensor %q: %w", t.Name, err)
		}
		if env[t.Name], err = be.Upload(v); err != nil {
			return fail("tensor %q: %w", t.Name, err)
		}
		old.Free()
	}
	return head.Position, true, nil
}

// readHead reads what writeHead wrote.
func readHead(r io.Reader, v any) error {
	var n uint64
	if err := binary.Read(r, binary.LittleEndian, &n); err != nil {
		return fmt.Errorf("truncated: %w", err)
	}
	if n > 1<<30 {
		return fmt.Errorf("length %d is out of range", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return fmt.Errorf("truncated: %w", err)
	}
	return json.Unmarshal(text, v)
}

// readSpans reads the elements of the spans into v.
func readSpans(r io.Reader, spans []int, v []float32) error {
	for last := 0; len(spans) > 0; spans = spans[2:] {
		if len(spans) < 2 || spans[0] < last || spans[1] <= spans[0] || spans[1] > len(v) {
			return fmt.Errorf("want ascending spans within %d elements, got %v", len(v), spans[:min(2, len(spans))])
		}
		last = spans[1]
		if err := readFloats(r, v[spans[0]:spans[1]]); err != nil {
			return fmt.Errorf("truncated: %w", err)
		}
	}
	return nil
}
