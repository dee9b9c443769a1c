package ops

import (
	"slices"
	"sync"
)

// All lists every operator, grouped as in docs/ops.md.
func All() []*Op {
	return slices.Concat(
		[]*Op{
			opConv(), opConvTranspose(), opMatMul(), opGemm(), opEinsum(),
			opMaxPool(), opAveragePool(), opLpPool(),
			opBatchNormalization(), opInstanceNormalization(), opGroupNormalization(), opLayerNormalization(), opRMSNormalization(),
			opLpNormalization(), opMeanVarianceNormalization(), opLRN(),
			opPRelu(), opClip(), opWhere(), opCast(), opCastLike(), opDropout(), opQuantizeLinear(), opDequantizeLinear(), opDynamicQuantizeLinear(),
		},
		[]*Op{
			opConcat(), opSplit(), opSlice(), opPad(), opReshape(), opFlatten(), opSqueeze(), opUnsqueeze(), opTranspose(), opExpand(), opTile(),
			opDepthToSpace(), opSpaceToDepth(), opResize(), opUpsample(),
			opGather(), opGatherElements(), opGatherND(), opOneHot(), opTrilu(), opCumSum(), opNonZero(), opTopK(), opScatterElements(), opScatter(), opScatterND(),
			opConstant(), opIdentity(), opShape(), opSize(), opRange(), opConstantOfShape(), opEyeLike(),
		},
		[]*Op{opSimplifiedLayerNormalization(), opEmbedLayerNormalization(), opAttention(), opMultiHeadAttention(), opGroupQueryAttention(), opMicrosoftAttention()}, skipNorms(), biasActivations(), rotaries(),
		globalPools(), activations(), softmaxes(), unaryMath(), binaryMath(), reductions(), argReductions(),
	)
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
