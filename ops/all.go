package ops

import "sync"

// All lists every operator, grouped as in docs/ops.md.
func All() []*Op {
	return []*Op{}
}

var (
	tableOnce sync.Once
	table     map[string]*Op // by domain + "." + name; filled by Lookup, since rules call Lookup themselves
)

func lookup(key string) *Op {
	tableOnce.Do(func() {
		table = map[string]*Op{}
		for _, o := range All() {
			table[o.Domain+"."+o.Name] = o
		}
	})
	return table[key]
}
