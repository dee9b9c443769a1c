module @entangle {
  func.func @main(%arg0: tensor<16x64x64xf32>, %arg1: tensor<1x64x64xf32>) -> (tensor<16x64x64xf32>) {
    %0 = "stablehlo.convert"(%arg0) : (tensor<16x64x64xf32>) -> tensor<16x64x64xbf16>
    %1 = "stablehlo.convert"(%arg1) : (tensor<1x64x64xf32>) -> tensor<1x64x64xbf16>
    %2 = "stablehlo.reshape"(%1) : (tensor<1x64x64xbf16>) -> tensor<64x64xbf16>
    %3 = "stablehlo.dot_general"(%0, %2) {dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [], rhs_batching_dimensions = [], lhs_contracting_dimensions = [2], rhs_contracting_dimensions = [1]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<16x64x64xbf16>, tensor<64x64xbf16>) -> tensor<16x64x64xbf16>
    %4 = "stablehlo.convert"(%3) : (tensor<16x64x64xbf16>) -> tensor<16x64x64xf32>
    "func.return"(%4) : (tensor<16x64x64xf32>) -> ()
  }
}
