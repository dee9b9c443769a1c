package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// index reads a Python package index over its simple interface in JSON (PEP 691).
type index struct {
	base   string
	client *http.Client
}

// file is one distribution of a project.
type file struct {
	Name     string            `json:"filename"`
	URL      string            `json:"url"`
	Hashes   map[string]string `json:"hashes"`
	Size     int64             `json:"size"`
	Yanked   any               `json:"yanked"`
	Metadata any               `json:"core-metadata"`
}

// maxPage bounds what is read of a page of the index or of metadata.
const maxPage = 64 << 20

func (x index) get(ctx context.Context, address, accept string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	res, err := x.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, res.Status)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxPage+1))
	if err == nil && len(b) > maxPage {
		err = fmt.Errorf("%s: want at most %d bytes", address, maxPage)
	}
	return b, err
}

// files lists a project's files with absolute addresses.
func (x index) files(ctx context.Context, project string) ([]file, error) {
	page, err := url.JoinPath(x.base, project, "/")
	if err != nil {
		return nil, err
	}
	b, err := x.get(ctx, page, "application/vnd.pypi.simple.v1+json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Files []file `json:"files"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("%s: want the index as JSON (PEP 691): %w", page, err)
	}
	at, err := url.Parse(page)
	if err != nil {
		return nil, err
	}
	for i, f := range list.Files {
		ref, err := at.Parse(f.URL)
		if err != nil {
			return nil, fmt.Errorf("%s: file %q: %w", page, f.Name, err)
		}
		list.Files[i].URL = ref.String()
	}
	return list.Files, nil
}

// requirement is a project with bounds on its version.
type requirement struct {
	project string
	bounds  []bound
}

type bound struct {
	op      string
	version []int
}

// requirementText is a name, its extras, its bounds (in parentheses or not) and a marker.
var requirementText = regexp.MustCompile(`^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$`)

// parseRequirement reads a line of Requires-Dist and returns its marker too.
func parseRequirement(s string) (requirement, string, error) {
	m := requirementText.FindStringSubmatch(s)
	if m == nil {
		return requirement{}, "", fmt.Errorf("requirement %q: want NAME BOUNDS; MARKER", s)
	}
	r := requirement{project: normal(m[1])}
	for _, part := range strings.Split(m[2], ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		op := part[:len(part)-len(strings.TrimLeft(part, "<>=!~"))]
		text := strings.TrimSuffix(strings.TrimSpace(part[len(op):]), ".*")
		v, ok := parseVersion(text)
		if !slices.Contains([]string{"==", ">=", "<=", ">", "<", "!=", "~="}, op) || !ok {
			return r, "", fmt.Errorf("requirement %q: bound %q: want an operator and a version of numbers", s, part)
		}
		if op == "==" && strings.HasSuffix(part, ".*") {
			op = "=*"
		}
		r.bounds = append(r.bounds, bound{op, v})
	}
	return r, strings.TrimSpace(m[3]), nil
}

// normal is the name under which an index keeps a project.
func normal(name string) string {
	return strings.ToLower(regexp.MustCompile(`[-_.]+`).ReplaceAllString(name, "-"))
}

// parseVersion reads numbers with points; pre-releases and the like are refused.
func parseVersion(s string) ([]int, bool) {
	var v []int
	for _, part := range strings.Split(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, false
		}
		v = append(v, n)
	}
	return v, true
}

// compare orders versions; missing numbers are zero.
func compare(a, b []int) int {
	for i := range max(len(a), len(b)) {
		x, y := 0, 0
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return x - y
		}
	}
	return 0
}

// allows reports whether a version is within the bounds.
func (r requirement) allows(v []int) bool {
	for _, b := range r.bounds {
		c := compare(v, b.version)
		prefix := len(v) >= len(b.version) && compare(v[:len(b.version)], b.version) == 0
		ok := map[string]bool{
			"==": c == 0, "=*": prefix, "!=": c != 0, ">=": c >= 0, "<=": c <= 0, ">": c > 0, "<": c < 0,
			"~=": c >= 0 && len(b.version) > 1 && len(v) >= len(b.version)-1 && compare(v[:len(b.version)-1], b.version[:len(b.version)-1]) == 0,
		}[b.op]
		if !ok {
			return false
		}
	}
	return true
}
