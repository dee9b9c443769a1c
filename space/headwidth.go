package space

import "github.com/entangle-nas/entangle/ops"

var headWidthKind = Kind{
	Name:      "head-width",
	Doc:       "width of the heads of spelled-out attentions in place of their number, the same in every head: of queries with keys, of values; only where it is asked for by name",
	Units:     true,
	Recognise: ops.RecogniseWidths,
	Suffix:    ".width",
	Find:      func(an *Analysis, o Options) []Dim { return widthDims(an, o, "head-width") },
	Bind:      bindWidth,
}
