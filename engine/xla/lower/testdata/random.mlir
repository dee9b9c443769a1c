module @entangle {
  func.func @main(%arg0: tensor<2xi64>) -> (tensor<2x2xf32>) {
    %0 = "stablehlo.slice"(%arg0) {start_indices = array<i64: 0>, limit_indices = array<i64: 1>, strides = array<i64: 1>} : (tensor<2xi64>) -> tensor<1xi64>
    %1 = "stablehlo.broadcast_in_dim"(%0) {broadcast_dimensions = array<i64: 0>} : (tensor<1xi64>) -> tensor<4xi64>
    %2 = "stablehlo.iota"() {iota_dimension = 0 : i64} : () -> tensor<4xi64>
    %3 = "stablehlo.constant"() {value = dense<-7046029254386353131> : tensor<i64>} : () -> tensor<i64>
    %4 = "stablehlo.broadcast_in_dim"(%3) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %5 = "stablehlo.multiply"(%2, %4) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %6 = "stablehlo.add"(%1, %5) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %7 = "stablehlo.constant"() {value = dense<30> : tensor<i64>} : () -> tensor<i64>
    %8 = "stablehlo.broadcast_in_dim"(%7) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %9 = "stablehlo.shift_right_logical"(%6, %8) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %10 = "stablehlo.xor"(%6, %9) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %11 = "stablehlo.constant"() {value = dense<-4658895280553007687> : tensor<i64>} : () -> tensor<i64>
    %12 = "stablehlo.broadcast_in_dim"(%11) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %13 = "stablehlo.multiply"(%10, %12) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %14 = "stablehlo.constant"() {value = dense<27> : tensor<i64>} : () -> tensor<i64>
    %15 = "stablehlo.broadcast_in_dim"(%14) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %16 = "stablehlo.shift_right_logical"(%13, %15) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %17 = "stablehlo.xor"(%13, %16) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %18 = "stablehlo.constant"() {value = dense<-7723592293110705685> : tensor<i64>} : () -> tensor<i64>
    %19 = "stablehlo.broadcast_in_dim"(%18) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %20 = "stablehlo.multiply"(%17, %19) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %21 = "stablehlo.constant"() {value = dense<31> : tensor<i64>} : () -> tensor<i64>
    %22 = "stablehlo.broadcast_in_dim"(%21) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %23 = "stablehlo.shift_right_logical"(%20, %22) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %24 = "stablehlo.xor"(%20, %23) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %25 = "stablehlo.slice"(%arg0) {start_indices = array<i64: 1>, limit_indices = array<i64: 2>, strides = array<i64: 1>} : (tensor<2xi64>) -> tensor<1xi64>
    %26 = "stablehlo.broadcast_in_dim"(%25) {broadcast_dimensions = array<i64: 0>} : (tensor<1xi64>) -> tensor<4xi64>
    %27 = "stablehlo.xor"(%24, %26) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %28 = "stablehlo.constant"() {value = dense<30> : tensor<i64>} : () -> tensor<i64>
    %29 = "stablehlo.broadcast_in_dim"(%28) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %30 = "stablehlo.shift_right_logical"(%27, %29) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %31 = "stablehlo.xor"(%27, %30) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %32 = "stablehlo.constant"() {value = dense<-4658895280553007687> : tensor<i64>} : () -> tensor<i64>
    %33 = "stablehlo.broadcast_in_dim"(%32) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %34 = "stablehlo.multiply"(%31, %33) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %35 = "stablehlo.constant"() {value = dense<27> : tensor<i64>} : () -> tensor<i64>
    %36 = "stablehlo.broadcast_in_dim"(%35) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %37 = "stablehlo.shift_right_logical"(%34, %36) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %38 = "stablehlo.xor"(%34, %37) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %39 = "stablehlo.constant"() {value = dense<-7723592293110705685> : tensor<i64>} : () -> tensor<i64>
    %40 = "stablehlo.broadcast_in_dim"(%39) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %41 = "stablehlo.multiply"(%38, %40) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %42 = "stablehlo.constant"() {value = dense<31> : tensor<i64>} : () -> tensor<i64>
    %43 = "stablehlo.broadcast_in_dim"(%42) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %44 = "stablehlo.shift_right_logical"(%41, %43) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %45 = "stablehlo.xor"(%41, %44) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %46 = "stablehlo.constant"() {value = dense<40> : tensor<i64>} : () -> tensor<i64>
    %47 = "stablehlo.broadcast_in_dim"(%46) {broadcast_dimensions = array<i64>} : (tensor<i64>) -> tensor<4xi64>
    %48 = "stablehlo.shift_right_logical"(%45, %47) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    %49 = "stablehlo.convert"(%48) : (tensor<4xi64>) -> tensor<4xf32>
    %50 = "stablehlo.constant"() {value = dense<5.960464477539063e-08> : tensor<f32>} : () -> tensor<f32>
    %51 = "stablehlo.broadcast_in_dim"(%50) {broadcast_dimensions = array<i64>} : (tensor<f32>) -> tensor<4xf32>
    %52 = "stablehlo.multiply"(%49, %51) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %53 = "stablehlo.reshape"(%52) : (tensor<4xf32>) -> tensor<2x2xf32>
    "func.return"(%53) : (tensor<2x2xf32>) -> ()
  }
}
