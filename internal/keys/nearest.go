package keys

import (
	"slices"
	"strings"
)

// Nearest returns the words of a list that are fewest edits from a word: letters put
// in, left out, changed or swapped with the next, capitals aside. More edits than about
// a third of the longer word's letters are not near, and nothing may be. The order is
// the list's, and a word that it has twice comes once.
func Nearest(word string, among []string) []string {
	w := []rune(strings.ToLower(word))
	var out []string
	best := len(w)
	for _, a := range among {
		r := []rune(strings.ToLower(a))
		d := distance(w, r)
		if d > best || d > (max(len(w), len(r))+1)/3 || slices.Contains(out, a) {
			continue
		}
		if d < best {
			best, out = d, nil
		}
		out = append(out, a)
	}
	return out
}

// distance counts edits by optimal string alignment: no part is edited twice.
func distance(a, b []rune) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
