package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

func (e *env) inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what a model is made of, what it costs and what may change in it",
		ArgsUsage: "MODEL",
		Description: "The tables show the normal graph: local functions inlined, constants folded, dead nodes gone.\n" +
			"MACs are counted for one sample. Per node, \"elastic\" names the groups whose units it gives birth to\n" +
			"with the nodes that are cut together with it, as far as space offers them; \"pinned\" says why an axis\n" +
			"of its weights stays.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "stage", Usage: "print the graph itself as text: raw (as in the file), normal, or lowered (the program of primitives for one sample); long tensors are cut short"},
			&cli.IntFlag{Name: "passes", Usage: "stop after so many passes over the lowered program: " + strings.Join(passNames(), ", "), DefaultText: "all"},
			dimFlag(), jsonFlag(),
		},
		Action: e.inspect,
	}
}

type inspection struct {
	File        string            `json:"file"`
	Bytes       int64             `json:"bytes"`
	SHA256      string            `json:"sha256"`
	IRVersion   int64             `json:"ir_version"`
	Opsets      []inspectedOpset  `json:"opsets"`
	Producer    string            `json:"producer,omitempty"`
	Inputs      []inspectedValue  `json:"inputs"`
	Outputs     []inspectedOutput `json:"outputs"`
	LearnsAt    []string          `json:"learns_at,omitempty"` // tensors, where it is not at the outputs
	Learns      string            `json:"learns,omitempty"`    // the same in words, with what stands behind; or why nothing can be learned
	Sizes       map[string]int    `json:"sizes,omitempty"`     // taken for dimensions that neither the model nor --dim gives
	Operators   []inspectedOp     `json:"operators"`           // of the file, by name
	Parameters  int               `json:"parameters"`
	WeightBytes int               `json:"weight_bytes"`
	MACs        float64           `json:"macs"`
	Unpriced    []string          `json:"unpriced,omitempty"` // nodes whose sizes are not all known
	Nodes       []inspectedNode   `json:"nodes"`
	SpaceError  string            `json:"space_error,omitempty"` // why nothing can be said of elasticity
}

type inspectedOpset struct {
	Domain  string `json:"domain"`
	Version int64  `json:"version"`
}

// inspectedOutput is an output with what it is taken for as long as no labels tell: "" where
// it is no float, or a cache.
type inspectedOutput struct {
	Name   string       `json:"name"`
	Type   string       `json:"type"`
	Kind   measure.Kind `json:"kind,omitempty"`
	Reason string       `json:"reason,omitempty"`
}

type inspectedValue struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type inspectedOp struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
	Runs  bool   `json:"runs"` // the engines can run it
}

type inspectedNode struct {
	Name       string         `json:"name"`
	Op         string         `json:"op"`
	Output     string         `json:"output"` // type of the first output
	MACs       float64        `json:"macs"`
	Parameters int            `json:"parameters"`
	Elastic    []elasticGroup `json:"elastic,omitempty"`
	Choices    []elasticDim   `json:"choices,omitempty"` // dimensions other than width
	Pinned     []pinnedAxis   `json:"pinned,omitempty"`
	Note       string         `json:"note,omitempty"` // why a node that costs MACs has none of these
	Shared     []sharedWeight `json:"shared,omitempty"`
	Whole      string         `json:"whole,omitempty"` // why a node with subgraphs is kept as it is
}

// sharedWeight is a matrix or kernel that other nodes read too: a head that is the embedding.
type sharedWeight struct {
	Weight string   `json:"weight"`
	With   []string `json:"with"`
}

// shared lists the weights of n that other nodes read.
func shared(x *ir.Index, n *ir.Node) []sharedWeight {
	var out []sharedWeight
	for _, v := range n.Inputs {
		t := x.Init(v)
		if t == nil || len(t.Dims) < 2 || !t.DType.IsFloat() {
			continue
		}
		s := sharedWeight{Weight: v}
		for _, r := range x.Consumers(v) {
			if r != n {
				s.With = append(s.With, r.Label())
			}
		}
		if s.With != nil {
			out = append(out, s)
		}
	}
	return out
}

// elasticGroup is a group that a node gives units to.
type elasticGroup struct {
	Group  string   `json:"group"`
	Units  int      `json:"units"`
	Heads  bool     `json:"heads,omitempty"`   // the units are heads of an attention, or groups of them
	TiedTo []string `json:"tied_to,omitempty"` // the other nodes whose weights share the units
}

// elasticDim is a dimension of one node.
type elasticDim struct {
	Kind    string   `json:"kind"`
	Choices []int    `json:"choices"`
	TiedTo  []string `json:"tied_to,omitempty"` // the other nodes that share what it changes
}

// pinnedAxis is an axis of a node's weight that must keep its size.
type pinnedAxis struct {
	Weight string `json:"weight"`
	Axis   int    `json:"axis"`
	Reason string `json:"reason"`
}

func (e *env) inspect(c *cli.Context) error {
	path, err := argument(c)
	if err != nil {
		return err
	}
	dims, err := bindings(c, "dim")
	if err != nil {
		return err
	}
	passes, err := passesOf(c)
	if err != nil {
		return err
	}
	m, err := entangle.Import(path)
	if err != nil {
		return err
	}
	if err := e.checkDims(dims, m); err != nil {
		return err
	}
	switch c.String("stage") {
	case "raw":
		return ir.Print(e.stdout, m.Raw)
	case "normal":
		return ir.Print(e.stdout, m.Normal)
	}
	sizes := e.defaultSizes(m, dims)
	f, err := m.Infer(dims)
	if err != nil {
		return err
	}
	if c.String("stage") == "lowered" {
		return e.printLowered(m, f, passes)
	}
	r, err := inspectModel(m, f, dims)
	if err != nil {
		return err
	}
	r.Sizes = sizes
	if c.Bool("json") {
		return e.printJSON(r)
	}
	return e.printInspection(r)
}

func passNames() []string {
	var out []string
	for _, p := range engine.Passes() {
		out = append(out, p.Name)
	}
	return out
}

// passesOf checks --stage and --passes and returns the passes to apply to a lowered program.
func passesOf(c *cli.Context) ([]engine.Pass, error) {
	stage, passes := c.String("stage"), engine.Passes()
	if stages := []string{"raw", "normal", "lowered"}; stage != "" && !slices.Contains(stages, stage) {
		return nil, usagef("--stage: want one of %s, got %q", strings.Join(stages, ", "), stage)
	}
	if stage != "" && c.Bool("json") {
		return nil, usagef("--json: want it without --stage, which prints text")
	}
	if !c.IsSet("passes") {
		return passes, nil
	}
	n := c.Int("passes")
	switch {
	case stage != "lowered":
		return nil, usagef("--passes: want --stage lowered beside it")
	case n < 0 || n > len(passes):
		return nil, usagef("--passes: want 0 to %d, got %d", len(passes), n)
	}
	return passes[:n], nil
}

// printLowered prints the program of the forward pass at the sizes of f.
func (e *env) printLowered(m *entangle.Model, f *ops.Facts, passes []engine.Pass) error {
	head := m.Runnable()
	if head.Tail != nil {
		e.logf("note: the program of what is before the tail: %s", head.LearnsAt())
	}
	p, _, err := ops.Program(head.Normal, f.Bind, prim.F32)
	if err != nil {
		return &entangle.ModelError{Err: err}
	}
	if p, err = engine.RunPasses(p, passes); err != nil {
		return err
	}
	return engine.Dump(e.stdout, p)
}

func inspectModel(m *entangle.Model, f *ops.Facts, dims map[string]int) (*inspection, error) {
	file, err := entangle.Digest(m.Path)
	if err != nil {
		return nil, err
	}
	r := &inspection{File: m.Path, Bytes: file.Bytes, SHA256: file.SHA256, IRVersion: m.Raw.IRVersion, Producer: strings.TrimSpace(m.Raw.ProducerName + " " + m.Raw.ProducerVersion)}
	for _, o := range m.Raw.Opsets {
		r.Opsets = append(r.Opsets, inspectedOpset{o.Domain, o.Version})
	}
	for _, v := range m.Normal.Graph.Inputs {
		if m.Normal.Graph.Init(v.Name) == nil {
			r.Inputs = append(r.Inputs, inspectedValue{v.Name, v.Type.String()})
		}
	}
	for _, v := range m.Normal.Graph.Outputs {
		r.Outputs = append(r.Outputs, inspectedOutput{Name: v.Name, Type: v.Type.String()})
	}
	r.Operators = operators(m.Raw)
	cost := ops.ModelCost(m.Normal, f)
	r.Parameters, r.WeightBytes, r.MACs = cost.Params, cost.Bytes, cost.MACs
	index := ir.NewIndex(m.Normal.Graph)
	for _, p := range cost.Nodes {
		n := inspectedNode{Name: p.Node.Label(), Op: opName(p.Node), Output: f.Values[p.Node.Output(0)].Type.String(), MACs: p.MACs, Parameters: p.Params, Shared: shared(index, p.Node), Whole: space.Whole(p.Node)}
		if !staticNode(f, p.Node) {
			r.Unpriced = append(r.Unpriced, n.Name)
		}
		r.Nodes = append(r.Nodes, n)
	}
	head, err := m.Split()
	if err != nil {
		r.Learns = err.Error()
		head = m.Learned()
	} else if r.Learns = head.LearnsAt(); head.Tail != nil {
		r.LearnsAt = head.Tail.At
	}
	r.meanings(head, dims)
	an, err := head.Analyse(dims)
	if err != nil {
		r.SpaceError = err.Error()
		return r, nil
	}
	r.elasticity(head.Normal.Graph, an)
	return r, nil
}

// meanings says what outputs are taken for where nothing is known of labels.
func (r *inspection) meanings(m *entangle.Model, dims map[string]int) {
	f, err := m.Infer(dims)
	if err != nil {
		return
	}
	list, err := net.Meanings(m.Normal, f, 1, net.Labels{}, m.Means(nil))
	if err != nil {
		return
	}
	for _, x := range list {
		if at := slices.IndexFunc(r.Outputs, func(o inspectedOutput) bool { return o.Name == x.Output }); at >= 0 {
			r.Outputs[at].Kind, r.Outputs[at].Reason = x.Kind, x.Reason
		}
	}
}

// operators counts the operators of the file, subgraphs included.
func operators(m *ir.Model) []inspectedOp {
	missing := map[string]bool{}
	for _, o := range ops.Missing(m) {
		missing[strings.TrimPrefix(o.Domain+"."+o.Name, ".")] = true
	}
	counts := map[string]int{}
	ir.WalkNodes(m.Graph.Nodes, func(n *ir.Node) { counts[opName(n)]++ })
	var out []inspectedOp
	for name, n := range counts {
		out = append(out, inspectedOp{Name: name, Count: n, Runs: !missing[name]})
	}
	slices.SortFunc(out, func(a, b inspectedOp) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func opName(n *ir.Node) string {
	return strings.TrimPrefix(ir.NormalDomain(n.Domain)+"."+n.OpType, ".")
}

func staticNode(f *ops.Facts, n *ir.Node) bool {
	for _, names := range [][]string{n.Inputs, n.Outputs} {
		for _, v := range names {
			if v != "" && !f.Values[v].Type.Static() {
				return false
			}
		}
	}
	return true
}

// elasticity adds, per node, the groups it gives birth to, its other dimensions
// and why axes of its weights stay: what the space offers that search takes by default.
func (r *inspection) elasticity(g *ir.Graph, an *space.Analysis) {
	o := space.DefaultOptions()
	sp, err := space.New(an, o)
	if err != nil {
		sp = &space.Space{} // nothing may change
	}
	effects, err := sp.Bind(an)
	if err != nil {
		panic("BUG: inspect: a new space does not bind: " + err.Error())
	}
	groups := map[string]*space.Group{}
	for _, grp := range an.Groups {
		groups[grp.Name] = grp
	}
	births, choices := map[string][]elasticGroup{}, map[string][]elasticDim{}
	for i, d := range sp.Dims {
		if d.CountsUnits() {
			for _, name := range d.Nodes() {
				grp := groups[name]
				for _, label := range grp.Nodes {
					births[label] = append(births[label], elasticGroup{Group: grp.Name, Units: grp.Size, Heads: grp.Heads, TiedTo: others(grp.Nodes, label)})
				}
			}
			continue
		}
		nodes := d.Nodes()
		if d.Ordered() && len(effects[i].Axes) > 0 {
			nodes = readers(g, effects[i].Axes[0].Value)
		}
		for _, label := range nodes {
			choices[label] = append(choices[label], elasticDim{d.Kind, d.Choices, others(nodes, label)})
		}
	}
	reasons := an.Reasons(sp, effects, o)
	byLabel := map[string]*ir.Node{}
	for _, n := range g.Nodes {
		byLabel[n.Label()] = n
	}
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if byLabel[n.Name] == nil {
			n.Note = "behind where learning ends: it stays as it is"
			continue
		}
		n.Elastic, n.Choices = births[n.Name], choices[n.Name]
		for _, w := range byLabel[n.Name].Inputs {
			for _, a := range sortedAxes(reasons[w]) {
				n.Pinned = append(n.Pinned, pinnedAxis{w, a, reasons[w][a]})
			}
		}
		if n.MACs > 0 && n.Elastic == nil && n.Choices == nil && n.Pinned == nil {
			n.Note = "no units or weights of its own: it follows what it reads"
		}
	}
}

func others(names []string, name string) []string {
	var out []string
	for _, n := range names {
		if n != name {
			out = append(out, n)
		}
	}
	return out
}

// readers lists the nodes that read a value.
func readers(g *ir.Graph, value string) []string {
	var out []string
	for _, n := range g.Nodes {
		if slices.Contains(n.Inputs, value) {
			out = append(out, n.Label())
		}
	}
	return out
}

func sortedAxes(pins map[int]string) []int {
	var out []int
	for a := range pins {
		out = append(out, a)
	}
	slices.Sort(out)
	return out
}

func (e *env) printInspection(r *inspection) error {
	fmt.Fprintf(e.stdout, "%s  %d bytes, IR version %d", r.File, r.Bytes, r.IRVersion)
	for _, o := range r.Opsets {
		name := o.Domain
		if ir.NormalDomain(name) == "" {
			name = "opset"
		}
		fmt.Fprintf(e.stdout, ", %s %d", name, o.Version)
	}
	if r.Producer != "" {
		fmt.Fprintf(e.stdout, ", by %s", r.Producer)
	}
	fmt.Fprintln(e.stdout)
	for _, v := range r.Inputs {
		fmt.Fprintf(e.stdout, "input   %s  %s\n", v.Name, v.Type)
	}
	for _, v := range r.Outputs {
		fmt.Fprintf(e.stdout, "output  %s  %s", v.Name, v.Type)
		if v.Kind != "" {
			fmt.Fprintf(e.stdout, "  %s: %s", v.Kind, v.Reason)
		}
		fmt.Fprintln(e.stdout)
	}
	if r.Learns != "" {
		fmt.Fprintln(e.stdout, r.Learns)
	}
	fmt.Fprintf(e.stdout, "parameters  %s (%d)\nMACs        %s (%.0f)\n\n", count(float64(r.Parameters)), r.Parameters, count(r.MACs), r.MACs)
	t := columns("operator", ">count", "runs")
	for _, o := range r.Operators {
		runs := "yes"
		if !o.Runs {
			runs = "no"
		}
		t.Add(o.Name, fmt.Sprint(o.Count), runs)
	}
	if err := t.Text(e.stdout); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout)
	t = columns("node", "operator", "output", ">MACs", ">parameters", "elastic, tied to; pinned")
	for _, n := range r.Nodes {
		t.Add(n.Name, n.Op, n.Output, number(n.MACs), number(float64(n.Parameters)), n.remark())
	}
	if err := t.Text(e.stdout); err != nil {
		return err
	}
	if len(r.Unpriced) > 0 {
		e.logf("note: %d nodes have sizes that are not known and count no MACs; give --dim NAME=SIZE", len(r.Unpriced))
	}
	if r.SpaceError != "" {
		e.logf("note: elasticity is not known: %s", r.SpaceError)
	}
	return nil
}

// number prints 0 as a dash.
func number(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", v)
}

func (n inspectedNode) remark() string {
	var parts []string
	for _, g := range n.Elastic {
		s := fmt.Sprintf("elastic: %d units", g.Units)
		if g.Heads {
			s = fmt.Sprintf("elastic: %d heads", g.Units)
		}
		if len(g.TiedTo) > 0 {
			s += " tied to " + shorten(g.TiedTo)
		}
		parts = append(parts, s)
	}
	for _, d := range n.Choices {
		s := fmt.Sprintf("%s: %s", d.Kind, strings.Trim(fmt.Sprint(d.Choices), "[]"))
		if len(d.TiedTo) > 0 {
			s += " tied to " + shorten(d.TiedTo)
		}
		parts = append(parts, s)
	}
	axes := map[string][]string{} // by reason
	var reasons []string
	for _, p := range n.Pinned {
		if axes[p.Reason] == nil {
			reasons = append(reasons, p.Reason)
		}
		axes[p.Reason] = append(axes[p.Reason], fmt.Sprintf("axis %d of %s", p.Axis, p.Weight))
	}
	for _, why := range reasons {
		parts = append(parts, fmt.Sprintf("pinned: %s: %s", strings.Join(axes[why], ", "), why))
	}
	if n.Note != "" {
		parts = append(parts, n.Note)
	}
	for _, s := range n.Shared {
		parts = append(parts, fmt.Sprintf("shares %s with %s", s.Weight, shorten(s.With)))
	}
	if n.Whole != "" {
		parts = append(parts, "whole: "+n.Whole)
	}
	return strings.Join(parts, "; ")
}

func shorten(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}
