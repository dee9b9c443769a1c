package nettest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle/data"
)

// Tokens opens arrays as a data set of tokens.
func Tokens(t *testing.T, arrays ...data.Array) *data.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = data.WriteNPZ(f, arrays)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.Open("tokens:"+path, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}
