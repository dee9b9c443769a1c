//go:build amd64 && !purego

package cpu

import (
	"golang.org/x/sys/cpu"

	"github.com/entangle-nas/entangle/engine/prim"
)

// nativeKernels returns the assembly kernels, nil on a processor without AVX2 and FMA.
func nativeKernels() *kernels {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA || !cpu.X86.HasOSXSAVE {
		return nil
	}
	k := &kernels{name: "avx2"}
	k.gemm = [7]func(int, *float32, int, int, *float32, int, *float32, int, bool){nil, gemm1x16, gemm2x16, gemm3x16, gemm4x16, gemm5x16, gemm6x16}
	k.conv = [4]func(int, *int64, *float32, *[3]*float32, *[3]*float32, int, int){nil, conv4x1, conv4x2, conv4x3}
	k.wgrad = wgrad4x3
	k.unary = map[prim.Code]op1{
		prim.Neg: vNeg, prim.Abs: vAbs, prim.Sqrt: vSqrt, prim.Rsqrt: vRsqrt, prim.Recip: vRecip,
		prim.Floor: vFloor, prim.Ceil: vCeil, prim.Round: vRound, prim.Not: vNot,
		prim.Exp: vExp, prim.Log: vLog, prim.Tanh: vTanh, prim.Sigmoid: vSigmoid, prim.Erf: vErf,
	}
	k.binary = map[prim.Code]op2{
		prim.Add: vAdd, prim.Sub: vSub, prim.Mul: vMul, prim.Div: vDiv, prim.Max: vMax, prim.Min: vMin,
		prim.Lt: vLt, prim.Le: vLe, prim.Eq: vEq, prim.Ne: vNe, prim.And: vAnd, prim.Or: vOr, prim.Xor: vXor,
	}
	k.depthwise, k.interleave, k.deinterleave, k.padRows = depthwise, interleave, deinterleave, padRows
	k.depthwiseGrad[1], k.depthwiseGrad[3], k.depthwiseGrad[5], k.depthwiseGrad[9] = depthwiseGrad1, depthwiseGrad3, depthwiseGrad5, depthwiseGrad9
	k.transpose8, k.toLanes, k.fromLanes = transpose8, toLanes, fromLanes
	k.copyRows[1], k.copyRows[2] = copyRows1, copyRows2
	k.fromF16, k.toF16, k.fromBF16, k.toBF16 = fromF16, toF16, fromBF16, toBF16
	k.panelProducts, k.fetch = panelProducts, fetch
	k.winograd = [winogradTransforms]tileTransform{winogradInput, winogradOutput, winogradGrad, winogradWeights, winogradWeightsGrad}
	k.copy, k.fma, k.fms, k.fnma, k.sel, k.gate = vCopy, vFma, vFms, vFnma, vSelect, vGate
	k.sum, k.max, k.min, k.dot = rSum, rMax, rMin, rDot
	return k
}
