package ops

// All lists every operator, grouped as in docs/ops.md.
var All = []*Op{}

var byName = func() map[string]*Op {
	m := make(map[string]*Op, len(All))
	for _, o := range All {
		m[o.Domain+"."+o.Name] = o
	}
	return m
}()
