package depcheck

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// snippet matches a line of code in a comment.
var snippet = regexp.MustCompile(`(?m)^//\t.*(:=|err = |func \w)`)

// TestSnippetsAreExamples: code in a package's doc.go goes stale, an Example does not.
func TestSnippetsAreExamples(t *testing.T) {
	checked := 0
	for _, tree := range []string{"data", "engine", "exporter", "importer", "ir", "ops", "report"} {
		err := filepath.WalkDir(filepath.Join("../..", tree), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.Name() != "doc.go" {
				return err
			}
			text, err := os.ReadFile(path)
			if line := snippet.Find(text); line != nil {
				t.Errorf("%s: want an Example test in place of %q", path, line)
			}
			checked++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if checked < 15 {
		t.Errorf("want every doc.go checked, got %d", checked)
	}
}
