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
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/search/net"
)

const checkpointMagic = "entangle checkpoint 2\n"

type tensorHead struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

type checkpointHead struct {
	Position Position     `json:"position"`
	Tensors  []tensorHead `json:"tensors"`
}

// persistent reports whether a buffer of that name outlives a step: names of the
// program's own, but for sums of gradients, which every step begins anew.
func persistent(name string) bool {
	return strings.HasPrefix(name, "@") && !strings.HasPrefix(name, net.SumName(""))
}

// saveCheckpoint writes the position and every persistent f32 buffer of env, whole or
// not at all.
func saveCheckpoint(path string, pos Position, env net.Env) error {
	head := checkpointHead{Position: pos}
	var values []*prim.Tensor
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !persistent(name) {
			continue
		}
		t, err := env[name].Read()
		if err != nil {
			return fmt.Errorf("search: checkpoint: %q: %w", name, err)
		}
		head.Tensors = append(head.Tensors, tensorHead{name, t.Shape})
		values = append(values, t)
	}
	text, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("search: checkpoint: %w", err)
	}
	err = atomicfile.Write(path, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<20)
		b.WriteString(checkpointMagic)
		if err := binary.Write(b, binary.LittleEndian, uint64(len(text))); err != nil {
			return err
		}
		b.Write(text)
		var word [4]byte
		for _, t := range values {
			for _, v := range t.F32 {
				binary.LittleEndian.PutUint32(word[:], math.Float32bits(v))
				if _, err := b.Write(word[:]); err != nil {
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

// loadCheckpoint reads a checkpoint of the run and uploads its tensors over env,
// which must hold buffers of the same names and shapes. found is false when there is no file.
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
	var n uint64
	if err := binary.Read(r, binary.LittleEndian, &n); err != nil || n > 1<<30 {
		return fail("header length %d is out of range", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return fail("truncated header")
	}
	var head checkpointHead
	if err := json.Unmarshal(text, &head); err != nil {
		return fail("header: %w", err)
	}
	if head.Position.Run != run {
		return fail("it belongs to another model, data split or configuration (%.12s…, this run is %.12s…); remove it or resume with the old settings", head.Position.Run, run)
	}
	want := 0
	for name := range env {
		if persistent(name) {
			want++
		}
	}
	if want != len(head.Tensors) {
		return fail("want %d tensors, got %d", want, len(head.Tensors))
	}
	loaded := net.Env{}
	for _, h := range head.Tensors {
		old := env[h.Name]
		if old == nil || !slices.Equal(old.Type().Shape, h.Shape) {
			return fail("tensor %q%v does not belong to this run", h.Name, h.Shape)
		}
		t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: h.Shape})
		if err := binary.Read(r, binary.LittleEndian, t.F32); err != nil {
			return fail("tensor %q: truncated", h.Name)
		}
		if loaded[h.Name], err = be.Upload(t); err != nil {
			return fail("tensor %q: %w", h.Name, err)
		}
	}
	maps.Copy(env, loaded)
	return head.Position, true, nil
}
