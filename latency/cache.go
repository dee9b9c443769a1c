package latency

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// entry is a line of a cache.
type entry struct {
	Key string  `json:"key"` // a signature, or a subnet's
	MS  float64 `json:"ms"`  // of a subnet the ratio to the original
}

// cache keeps what was measured under one runtime, version, processor and number of threads: a
// line each, as soon as it is known.
type cache struct {
	known map[string]float64
	file  *os.File // nil: nothing is kept
}

// openCache reads the file of the conditions in a folder; "" keeps nothing. Lines that were
// cut off are left out.
func openCache(folder string, conditions ...any) (*cache, error) {
	c := &cache{known: map[string]float64{}}
	if folder == "" {
		return c, nil
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, fmt.Errorf("latency: cache: %w", err)
	}
	sum := sha256.Sum256([]byte(fmt.Sprint(conditions...)))
	path := filepath.Join(folder, hex.EncodeToString(sum[:8])+".jsonl")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("latency: cache: %w", err)
	}
	c.file = f
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	whole := true
	for lines.Scan() {
		var e entry
		if whole = json.Unmarshal(lines.Bytes(), &e) == nil; whole && e.Key != "" && e.MS > 0 {
			c.known[e.Key] = e.MS
		}
	}
	if err := lines.Err(); err != nil {
		f.Close()
		return nil, fmt.Errorf("latency: cache %s: %w", path, err)
	}
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		_, err = fmt.Fprintf(f, "{\"conditions\":%q}\n", fmt.Sprint(conditions...))
		return c, err
	} else if !whole {
		_, err = f.WriteString("\n")
		return c, err
	}
	return c, nil
}

// put keeps a value.
func (c *cache) put(key string, ms float64) error {
	c.known[key] = ms
	if c.file == nil {
		return nil
	}
	b, err := json.Marshal(entry{key, ms})
	if err != nil {
		return err
	}
	if _, err := c.file.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("latency: cache: %w", err)
	}
	return nil
}

func (c *cache) close() {
	if c.file != nil {
		c.file.Close()
	}
}
