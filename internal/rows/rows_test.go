package rows

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAppendRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.jsonl")
	for _, v := range []int{3, 1} {
		if err := Append(file, v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read[int](file)
	if err != nil || !slices.Equal(got, []int{3, 1}) {
		t.Errorf("want the lines in their order, got %v, %v", got, err)
	}
	if err := os.WriteFile(file, []byte("1\n\nx\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Read[int](file); err == nil || !strings.Contains(err.Error(), "a.jsonl:3:") {
		t.Errorf("want an error that names the third line, got %v", err)
	}
}

func TestRebuild(t *testing.T) {
	page := filepath.Join(t.TempDir(), "p.md")
	for _, c := range []struct{ text, want string }{
		{"a\n" + Begin + "old\n" + End + "b\n", "a\n" + Begin + "new\n" + End + "b\n"},
		{"no marks\n", "no marks\n"},
		{End + Begin, End + Begin},
	} {
		if err := os.WriteFile(page, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		err := Rebuild(page, "new\n")
		got, _ := os.ReadFile(page)
		if string(got) != c.want || (err == nil) != (c.text != c.want) {
			t.Errorf("%q: want %q, got %q, %v", c.text, c.want, got, err)
		}
	}
}
