package prim

import "fmt"

// Entry describes one primitive for lists and documents.
type Entry struct {
	Prim Prim // without attributes
	Doc  string
}

// All lists every primitive, in the order of the documents.
func All() []Entry {
	return []Entry{
		{Const{}, "a tensor known when the program is built"},
		{Random{}, "uniform numbers from a seed, equal bits on every backend"},
		{Map{}, "an elementwise expression over broadcast operands; casts"},
		{Reduce{}, "an elementwise expression folded over axes by sum, product, maximum or minimum"},
		{ArgReduce{}, "the position of the largest or smallest element along an axis"},
		{MatMul{}, "the batched matrix product, either operand transposed"},
		{Conv{}, "cross-correlation with groups, strides, dilations and pads"},
		{ConvInputGrad{}, "the adjoint of conv in its input; transposed convolution"},
		{ConvWeightGrad{}, "the adjoint of conv in its kernel"},
		{MaxPool{}, "the maximum of each window"},
		{MaxPoolIndex{}, "the position of each window's maximum"},
		{MaxPoolGrad{}, "the gradient of maxpool"},
		{SumPool{}, "the sum of each window"},
		{SumPoolGrad{}, "the adjoint of sumpool"},
		{Reshape{}, "the same elements under another shape"},
		{Transpose{}, "axes permuted"},
		{Slice{}, "a box of elements, any steps"},
		{Pad{}, "a constant around and between the elements"},
		{Concat{}, "operands joined along an axis"},
		{Reverse{}, "the order flipped along axes"},
		{Gather{}, "slices picked by an index"},
		{ScatterAdd{}, "slices added up by an index; the adjoint of gather"},
		{StopGrad{}, "the operand without its gradient"},
		{Barrier{}, "the first operand, computed again behind it and after the others"},
	}
}

// Validate reports an undocumented primitive or a name used twice.
func Validate() error {
	seen := map[string]bool{}
	for _, e := range All() {
		name := e.Prim.Name()
		if name == "" || e.Doc == "" || seen[name] {
			return fmt.Errorf("prim: %q: want a unique name and a document line", name)
		}
		seen[name] = true
	}
	return nil
}
