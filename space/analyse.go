package space

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Member is one axis that a group lives on. Units[u] lists the positions of unit
// u along the axis: one for plain channels, a block after a flatten.
type Member struct {
	Value string
	Axis  int
	Units [][]int
	// Weight: the value is a trained initialiser. Contracted: its positions are
	// summed against activations (true for every weight of a group whose units are
	// also summed against computed values). Statistic: it holds running statistics.
	Weight, Contracted, Statistic bool
}

// Group is a set of units that can be kept or cut one by one, each on all
// members at once.
type Group struct {
	Name    string   // Nodes[0], made unique
	Nodes   []string // labels of the nodes whose weights give birth to the units, in graph order
	Size    int      // units
	Members []Member
	Kind    string // the kind of dimension that takes the units
	Heads   bool   // the units are heads of an attention, or groups of them
}

// Pin is an axis that must keep its size.
type Pin struct {
	Value  string
	Axis   int
	Reason string
}

// Analysis is what Analyse finds.
type Analysis struct {
	Model  *ir.Model
	Facts  *ops.Facts
	Source string // Fingerprint of the model that Model is the head of (ops.Tail); "" where it is whole
	Groups []*Group
	Batch  int // samples that the facts were inferred for; 1 when the model fixes its batch
	// Pins holds, by value name and axis, why an axis with weights' positions is not elastic.
	Pins map[string]map[int]string
	own  string // the kind whose own reading of the attentions it is; "" is that of all others

	branches struct {
		once sync.Once
		of   *branches
	}
	kernels struct {
		once    sync.Once
		readers map[string][]*ir.Node
		why     map[string]string
	}
}

type axisID struct {
	value string
	axis  int
}

type analysis struct {
	facts  *ops.Facts
	index  map[axisID]int // axis → number
	axes   []axisID
	start  []int32 // first position of each axis
	parent []int32
	pin    map[int]string // axis → reason
	role   map[int]bool   // axis that is contracted
	blind  map[int]bool   // axis contracted against another computed value: no weight reads its units
	state  map[string]bool
	birth  map[int][]*ir.Node // axis of a weight → nodes that it gives units to
	known  *ops.Recognised
	norms  map[*ir.Node][]ops.AxisPair // for Site.Units, where known has none
	mixed  []mixing
}

// mixing is a link that ties a position to one of another number.
type mixing struct {
	node     *ir.Node
	position int32
}

// Analyse partitions the positions of all axes of a normal graph into groups that the
// named kinds of dimensions can take units of; without a name, those of every kind that is
// not on request. Of attentions, whole heads are the units, unless one of the kinds reads
// them its own way; two such kinds exclude each other. Facts must be static (every shape
// known under the binding they were inferred with).
func Analyse(m *ir.Model, f *ops.Facts, kinds ...string) (*Analysis, error) {
	own := Kind{Recognise: ops.Recognise}
	for _, name := range kinds {
		k, err := KindByName(name)
		if err != nil {
			return nil, err
		}
		if k.OnRequest() && own.Name != "" && own.Name != name {
			return nil, fmt.Errorf("space: kinds %q and %q: want one of them, each reads attentions its own way", own.Name, name)
		}
		if k.OnRequest() {
			own = k
		}
	}
	a := &analysis{facts: f, index: map[axisID]int{}, pin: map[int]string{}, role: map[int]bool{}, blind: map[int]bool{}, state: map[string]bool{}, birth: map[int][]*ir.Node{}, known: own.Recognise(m.Graph, f), norms: ops.NormUnits(m.Graph, f)}
	if err := a.number(m.Graph); err != nil {
		return nil, err
	}
	cache := ops.CacheAxes(m.Graph, f)
	for _, v := range m.Graph.Inputs {
		if m.Graph.Init(v.Name) == nil {
			a.pinAll(v.Name, fmt.Sprintf("graph input %q keeps its shape", v.Name), cache[v.Name]...)
		}
	}
	for _, n := range m.Graph.Nodes {
		if err := a.node(n); err != nil {
			return nil, err
		}
	}
	for _, r := range ops.SizeReads(m.Graph, f) {
		if x, ok := a.index[axisID{r.Value, r.Axis}]; ok {
			a.pinAxis(x, fmt.Sprintf("node %q (%s): computes with the size of axis %d of %q", r.Node.Label(), r.Node.OpType, r.Axis, r.Value))
		}
	}
	for _, v := range m.Graph.Outputs {
		a.pinAll(v.Name, fmt.Sprintf("graph output %q keeps its shape", v.Name), cache[v.Name]...)
	}
	return a.groups(m, own)
}

// number gives every axis of every value a range of positions.
func (a *analysis) number(g *ir.Graph) error {
	next := int32(0)
	add := func(name string) error {
		f, ok := a.facts.Values[name]
		if !ok || name == "" {
			return nil
		}
		if _, done := a.index[axisID{name, 0}]; done {
			return nil
		}
		if f.Type.Kind != ir.KindTensor || !f.Type.Static() {
			return nil
		}
		for i, n := range f.Shape() {
			id := axisID{name, i}
			a.index[id] = len(a.axes)
			a.axes = append(a.axes, id)
			a.start = append(a.start, next)
			if int(next)+n > 1<<30 {
				return fmt.Errorf("space: value %q: the model's axes have more than 2³⁰ positions in all", name)
			}
			next += int32(n)
		}
		return nil
	}
	for _, t := range g.Inits {
		if err := add(t.Name); err != nil {
			return err
		}
	}
	for _, v := range g.Inputs {
		if err := add(v.Name); err != nil {
			return err
		}
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			if err := add(o); err != nil {
				return err
			}
		}
	}
	a.start = append(a.start, next)
	a.parent = make([]int32, next)
	for i := range a.parent {
		a.parent[i] = int32(i)
	}
	return nil
}

func (a *analysis) find(x int32) int32 {
	for a.parent[x] != x {
		a.parent[x] = a.parent[a.parent[x]]
		x = a.parent[x]
	}
	return x
}

func (a *analysis) union(x, y int32) {
	x, y = a.find(x), a.find(y)
	if x < y {
		a.parent[y] = x
	} else {
		a.parent[x] = y
	}
}

func (a *analysis) size(axis int) int { return int(a.start[axis+1] - a.start[axis]) }

func (a *analysis) pinAxis(axis int, reason string) {
	if _, done := a.pin[axis]; !done {
		a.pin[axis] = reason
	}
}

func (a *analysis) pinAll(value, reason string, except ...int) {
	for i := 0; ; i++ {
		axis, ok := a.index[axisID{value, i}]
		if !ok {
			return
		}
		if !slices.Contains(except, i) {
			a.pinAxis(axis, reason)
		}
	}
}

// Whole says why a node with subgraphs (If, Loop, Scan) is kept as it is; "" for any other.
func Whole(n *ir.Node) string {
	if len(ir.Subgraphs(n)) == 0 {
		return ""
	}
	return "what its branches hold is kept whole; a model of one branch alone, such as a decoder with a past, is elastic"
}

// node applies the links and pins of one node.
func (a *analysis) node(n *ir.Node) error {
	site := a.facts.Sites[n]
	op := ops.Lookup(n.Domain, n.OpType)
	all := slices.Concat(n.Inputs, n.Outputs)
	if op == nil || op.Axes == nil || site == nil {
		why := fmt.Sprintf("node %q (%s) has no axis rule", n.Label(), n.OpType)
		if hint := Whole(n); hint != "" {
			why = fmt.Sprintf("node %q (%s): %s", n.Label(), n.OpType, hint)
		}
		for _, v := range slices.Concat(ir.Uses(n), n.Outputs) {
			a.pinAll(v, why)
		}
		return nil
	}
	for _, i := range op.State {
		a.state[n.Input(i)] = true
	}
	for _, v := range all {
		if f, ok := a.facts.Values[v]; v != "" && (!ok || !f.Type.Static()) {
			for _, w := range all {
				a.pinAll(w, fmt.Sprintf("node %q (%s) has a value %q of unknown shape", n.Label(), n.OpType, v))
			}
			return nil
		}
	}
	if why := a.known.Whole[n]; why != "" {
		for _, v := range all {
			a.pinAll(v, fmt.Sprintf("node %q (%s): %s", n.Label(), n.OpType, why))
		}
	}
	if site.Rules() == nil {
		for _, v := range all {
			a.pinAll(v, fmt.Sprintf("node %q (%s) has an input of unknown type", n.Label(), n.OpType))
		}
		return nil
	}
	if u := slices.Concat(a.norms[n], a.known.Units[n]); u != nil {
		at := *site
		at.Units = u
		site = &at
	}
	var ax ops.Axes
	op.Axes(site, &ax)
	name := func(r ops.AxisRef) string {
		if r.Out {
			return n.Output(r.Index)
		}
		return n.Input(r.Index)
	}
	lookup := func(r ops.AxisRef) (int, error) {
		i, ok := a.index[axisID{name(r), r.Axis}]
		if !ok {
			return 0, fmt.Errorf("space: node %q (%s): axis rule names axis %d of %q, which has type %s", n.Label(), n.OpType, r.Axis, name(r), a.facts.Values[name(r)].Type)
		}
		return i, nil
	}
	touched := map[int]bool{}
	for _, l := range ax.Links {
		if name(l.A) == "" || name(l.B) == "" {
			continue
		}
		x, err := lookup(l.A)
		if err != nil {
			return err
		}
		y, err := lookup(l.B)
		if err != nil {
			return err
		}
		touched[x], touched[y] = true, true
		if l.Role == ops.Contracted {
			a.role[x], a.role[y] = true, true
			if !a.facts.Values[name(l.A)].Weight && !a.facts.Values[name(l.B)].Weight {
				a.blind[x], a.blind[y] = true, true
			}
		}
		if l.Role == ops.Born {
			for _, id := range []int{x, y} {
				a.birth[id] = append(a.birth[id], n)
			}
		}
		if err := a.link(n, l, x, y); err != nil {
			return err
		}
	}
	for _, p := range ax.Pins {
		if name(p.Ref) == "" {
			continue
		}
		x, err := lookup(p.Ref)
		if err != nil {
			return err
		}
		touched[x] = true
		a.pinAxis(x, fmt.Sprintf("node %q (%s): %s", n.Label(), n.OpType, p.Reason))
	}
	for _, v := range all {
		for i := 0; ; i++ {
			x, ok := a.index[axisID{v, i}]
			if !ok {
				break
			}
			if !touched[x] && a.size(x) > 1 {
				a.pinAxis(x, fmt.Sprintf("node %q (%s) says nothing of axis %d of %q", n.Label(), n.OpType, i, v))
			}
		}
	}
	return nil
}

func (a *analysis) link(n *ir.Node, l ops.Link, x, y int) error {
	if l.PairsA == nil && l.PairsB == nil {
		if a.size(x) != a.size(y) {
			return fmt.Errorf("space: node %q (%s): axis rule ties axes of sizes %d and %d", n.Label(), n.OpType, a.size(x), a.size(y))
		}
		for i := range a.size(x) {
			a.union(a.start[x]+int32(i), a.start[y]+int32(i))
		}
		return nil
	}
	if len(l.PairsA) != len(l.PairsB) {
		return fmt.Errorf("space: node %q (%s): axis rule gives %d positions for %d", n.Label(), n.OpType, len(l.PairsA), len(l.PairsB))
	}
	for i, p := range l.PairsA {
		q := l.PairsB[i]
		if p < 0 || p >= a.size(x) || q < 0 || q >= a.size(y) {
			return fmt.Errorf("space: node %q (%s): axis rule ties position %d of %d with %d of %d", n.Label(), n.OpType, p, a.size(x), q, a.size(y))
		}
		a.union(a.start[x]+int32(p), a.start[y]+int32(q))
		if mixed := len(a.mixed) > 0 && a.mixed[len(a.mixed)-1].node == n; p != q && !mixed {
			a.mixed = append(a.mixed, mixing{n, a.start[x] + int32(p)})
		}
	}
	return nil
}

// batchOf returns the bound size of the first input's leading dimension when the
// model leaves it open.
func batchOf(m *ir.Model, f *ops.Facts) int {
	for _, v := range m.Graph.Inputs {
		if m.Graph.Init(v.Name) != nil || len(v.Type.Shape) == 0 {
			continue
		}
		if s := f.Values[v.Name].Shape(); !v.Type.Shape[0].Known() && len(s) > 0 {
			return max(s[0], 1)
		}
		return 1
	}
	return 1
}

// groups collects the classes that no pin reaches and that live on weights. Those on an
// axis of the known attentions are of the kind that reads them its own way.
func (a *analysis) groups(m *ir.Model, own Kind) (*Analysis, error) {
	pinned := make([]int32, a.start[len(a.axes)]) // by root: 1 + the axis whose pin holds the class
	order := make([]int, 0, len(a.pin))
	for x := range a.pin {
		order = append(order, x)
	}
	sort.Ints(order)
	for _, x := range order {
		for p := a.start[x]; p < a.start[x+1]; p++ {
			if r := a.find(p); pinned[r] == 0 {
				pinned[r] = int32(x) + 1
			}
		}
	}
	weights := map[string]bool{}
	for _, t := range m.Graph.Inits {
		weights[t.Name] = t.DType.IsFloat()
	}
	an := &Analysis{Model: m, Facts: a.facts, Batch: batchOf(m, a.facts), Pins: map[string]map[int]string{}, own: own.Name}
	type class struct {
		axes []int
		pos  []int
	}
	classes := map[int32]*class{}
	var roots []int32
	onWeight := map[int32]bool{}
	for x, id := range a.axes {
		w := weights[id.value]
		for p := a.start[x]; p < a.start[x+1]; p++ {
			r := a.find(p)
			if pinned[r] > 0 {
				why := a.pin[int(pinned[r])-1]
				if w && a.size(x) > 1 {
					an.pin(id.value, id.axis, why)
				}
				continue
			}
			c := classes[r]
			if c == nil {
				c = &class{}
				classes[r] = c
				roots = append(roots, r)
			}
			c.axes = append(c.axes, x)
			c.pos = append(c.pos, int(p-a.start[x]))
			onWeight[r] = onWeight[r] || w
		}
		if w && a.size(x) == 1 && a.birth[x] != nil {
			an.pin(id.value, id.axis, "one unit only: nothing is left without it")
		}
	}
	heads := map[int]bool{}
	for _, at := range a.known.Attentions {
		if x, ok := a.index[axisID{at.Value, at.Axis}]; ok {
			heads[x] = true
		}
	}
	bySig := map[string]*Group{}
	for _, r := range roots {
		if !onWeight[r] {
			continue
		}
		c := classes[r]
		sig := fmt.Sprint(c.axes)
		g := bySig[sig]
		if g == nil {
			g = &Group{Kind: widthKind.Name}
			bySig[sig] = g
			an.Groups = append(an.Groups, g)
			for i, x := range c.axes {
				if i > 0 && x == c.axes[i-1] {
					continue
				}
				id := a.axes[x]
				g.Members = append(g.Members, Member{Value: id.value, Axis: id.axis, Weight: weights[id.value] && !a.state[id.value],
					Contracted: a.role[x] && weights[id.value], Statistic: a.state[id.value]})
				for _, n := range a.birth[x] {
					if weights[id.value] && !slices.Contains(g.Nodes, n.Label()) {
						g.Nodes = append(g.Nodes, n.Label())
					}
				}
			}
			if slices.ContainsFunc(c.axes, func(x int) bool { return a.blind[x] }) {
				for i := range g.Members {
					g.Members[i].Contracted = g.Members[i].Weight
				}
			}
			if len(g.Nodes) == 0 {
				g.Nodes = []string{g.Members[0].Value}
			}
			g.Name = g.Nodes[0]
			if slices.ContainsFunc(c.axes, func(x int) bool { return heads[x] }) {
				if g.Heads = own.Name == ""; !g.Heads {
					g.Kind = own.Name
				}
				g.Name += own.Suffix
			}
		}
		k := -1
		for i, x := range c.axes {
			if i == 0 || x != c.axes[i-1] {
				k++
				g.Members[k].Units = append(g.Members[k].Units, nil)
			}
			g.Members[k].Units[g.Size] = append(g.Members[k].Units[g.Size], c.pos[i])
		}
		g.Size++
	}
	an.Groups = slices.DeleteFunc(an.Groups, func(g *Group) bool {
		if g.Size > 1 && len(g.Members) > 1 {
			return false
		}
		for _, mb := range g.Members {
			why := "nothing reads its positions at the sizes at hand"
			if len(g.Members) > 1 {
				why = a.lone(mb)
			}
			if weights[mb.Value] && a.size(a.index[axisID{mb.Value, mb.Axis}]) > 1 {
				an.pin(mb.Value, mb.Axis, why)
			}
		}
		return true
	})
	an.pinKernels()
	unique := map[string]int{}
	for _, g := range an.Groups {
		unique[g.Name]++
		if k := unique[g.Name]; k > 1 {
			g.Name = fmt.Sprintf("%s#%d", g.Name, k)
		}
	}
	return an, nil
}

// group returns the group of that name; nil where there is none.
func (an *Analysis) group(name string) *Group {
	if i := slices.IndexFunc(an.Groups, func(g *Group) bool { return g.Name == name }); i >= 0 {
		return an.Groups[i]
	}
	return nil
}

// pin notes why an axis of a weight is not elastic; the first reason stays.
func (an *Analysis) pin(value string, axis int, reason string) {
	if an.Pins[value] == nil {
		an.Pins[value] = map[int]string{}
	}
	if an.Pins[value][axis] == "" {
		an.Pins[value][axis] = reason
	}
}

// Reasons returns, by weight and axis, why the space that New offers with these options
// leaves an axis as it is: the pins, except on axes that dims other than widths change, and
// groups that have no smaller width. Every axis of a floating weight with more than one
// position that no effect of the space reaches has a reason.
func (an *Analysis) Reasons(s *Space, effects []*Effect, o Options) map[string]map[int]string {
	if err := o.defaults(); err != nil {
		panic("BUG: space: reasons for options that New refuses: " + err.Error())
	}
	changes := map[string]bool{}
	own := map[axisID]bool{}
	for i, d := range s.Dims {
		if d.CountsUnits() {
			for _, name := range d.Nodes() {
				changes[name] = true
			}
			continue
		}
		for _, x := range effects[i].Axes {
			own[axisID{x.Value, x.Axis}] = true
		}
	}
	out := &Analysis{Pins: map[string]map[int]string{}}
	for v, axes := range an.Pins {
		for a, why := range axes {
			if !own[axisID{v, a}] {
				out.pin(v, a, why)
			}
		}
	}
	for _, g := range an.Groups {
		if changes[g.Name] {
			continue
		}
		why := g.narrow(o)
		if why == "" {
			why = fmt.Sprintf("group %q is kept, or of a kind that is not asked for", g.Name)
		}
		for _, m := range g.Members {
			if m.Weight || m.Statistic {
				out.pin(m.Value, m.Axis, why)
			}
		}
	}
	return out.Pins
}

// lone says why a group of one unit is none: which node first tied positions of different
// numbers, where the unit has several on the axis.
func (a *analysis) lone(mb Member) string {
	if len(mb.Units[0]) == 1 {
		return "one unit only: nothing is left without it"
	}
	const why = "one unit only: its positions are tied to each other"
	unit := a.find(a.start[a.index[axisID{mb.Value, mb.Axis}]] + int32(mb.Units[0][0]))
	for _, m := range a.mixed {
		if a.find(m.position) == unit {
			return fmt.Sprintf("%s through node %q (%s)", why, m.node.Label(), m.node.OpType)
		}
	}
	return why
}

// Matches reports whether a node name matches any of the globs (path.Match syntax without separators' meaning).
func Matches(globs []string, name string) bool {
	for _, g := range globs {
		if globMatch(g, name) {
			return true
		}
	}
	return false
}

func globMatch(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	last := len(parts) - 1
	for _, p := range parts[1:last] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[last])
}
