package hloeval

import "sync"

// rules lists the operations.
var rules = sync.OnceValue(func() map[string]rule {
	r := map[string]rule{
		"stablehlo.constant":         {0, []string{"value"}, constant},
		"sdy.sharding_constraint":    {1, []string{"sharding"}, spread},
		"stablehlo.iota":             {0, []string{"iota_dimension"}, iota},
		"stablehlo.compare":          {2, []string{"comparison_direction", "compare_type"}, compare},
		"stablehlo.select":           {3, nil, choose},
		"stablehlo.convert":          {1, nil, convert},
		"stablehlo.is_finite":        {1, nil, isFinite},
		"stablehlo.broadcast_in_dim": {1, []string{"broadcast_dimensions"}, broadcast},
		"stablehlo.reshape":          {1, nil, reshape},
		"stablehlo.transpose":        {1, []string{"permutation"}, transpose},
		"stablehlo.slice":            {1, []string{"start_indices", "limit_indices", "strides"}, slice},
		"stablehlo.pad":              {2, []string{"edge_padding_low", "edge_padding_high", "interior_padding"}, pad},
		"stablehlo.concatenate":      {-1, []string{"dimension"}, concatenate},
		"stablehlo.reverse":          {1, []string{"dimensions"}, reverse},
		"stablehlo.dot_general":      {2, []string{"dot_dimension_numbers", "precision_config"}, dotGeneral},
		"stablehlo.convolution": {2, []string{"window_strides", "padding", "lhs_dilation", "rhs_dilation", "window_reversal",
			"dimension_numbers", "feature_group_count", "batch_group_count", "precision_config"}, convolution},
		"stablehlo.reduce":        {2, []string{"dimensions"}, reduce},
		"stablehlo.reduce_window": {2, []string{"window_dimensions", "window_strides", "base_dilations", "window_dilations", "padding"}, reduceWindow},
		"stablehlo.gather":        {2, []string{"dimension_numbers", "slice_sizes", "indices_are_sorted"}, gather},
		"stablehlo.scatter":       {3, []string{"scatter_dimension_numbers", "indices_are_sorted", "unique_indices"}, scatter},
	}
	for name := range unaryFloat {
		r[name] = rule{1, nil, unary}
	}
	for name := range unaryInt {
		r[name] = rule{1, nil, unary}
	}
	for name := range binaryFloat {
		r[name] = rule{2, nil, binary}
	}
	for name := range binaryInt {
		r[name] = rule{2, nil, binary}
	}
	return r
})
