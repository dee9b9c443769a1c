package depcheck

// Module is the module's path; packages below are relative to it, "." is the root.
const Module = "github.com/entangle-nas/entangle"

// Anything in a rule's list lifts the restriction.
const Anything = "*"

// Allowed lists, per package, the packages of this module that its non-test
// files may import. A package without a line is an error.
var Allowed = map[string][]string{
	// Leaves.
	"internal/rng":          {},
	"internal/onnxpb":       {},
	"internal/atomicfile":   {},
	"internal/depcheck":     {},
	"internal/half":         {},
	"internal/keys":         {},
	"internal/command":      {},
	"ir":                    {"internal/half"},
	"internal/fashionmnist": {"internal/atomicfile"},
	"ir/pass":               {"ir"},
	"engine/prim":           {"internal/half"},
	"measure":               {},

	// The graph and the operators: no engine but its primitives, no space, no search.
	"ops":      {"ir", "engine/prim"},
	"importer": {"ir", "ir/pass", "internal/onnxpb"},
	"models":   {"ir", "ops", "space", "internal/rng"},

	// The engine knows nothing of ONNX.
	"engine":            {"engine/prim"},
	"engine/ref":        {"engine", "engine/prim"},
	"engine/cpu":        {"engine", "engine/prim", "internal/half"},
	"engine/enginetest": {"engine", "engine/prim", "engine/ref", "internal/rng"}, // ref is the oracle

	// StableHLO for XLA; what reads it back knows nothing of what writes it.
	"engine/xla":                   {"engine", "engine/prim", "engine/xla/lower"},
	"engine/xla/lower":             {"engine/prim", "engine/xla/stablehlo"},
	"engine/xla/stablehlo":         {},
	"engine/xla/plugin":            {},
	"engine/xla/plugin/plugintest": {},
	"engine/xla/internal/hloeval":  {},

	// Data.
	"data":            {"engine/prim", "internal/half", "internal/rng"},
	"examples/shapes": {},
	"examples/stream": {"data"},

	// The space and what is chosen in it.
	"space":  {"ir", "ops", "engine/prim", "internal/rng"},
	"subnet": {"ir", "ops", "space"},
	// The rooms of the search: the loop of α above that of weights; what picks a subnet
	// knows no engine.
	"search/relax":       {"internal/rng"},
	"search/train/optim": {"engine/prim"},
	"search/decide":      {"space", "internal/rng"},
	"search/net":         {"ir", "ops", "engine", "engine/prim", "data", "measure", "space", "internal/rng"},
	"search/train":       {"ir", "engine", "engine/prim", "data", "space", "search/net", "search/train/optim", "internal/atomicfile"},
	"search":             {"engine", "engine/prim", "data", "space", "search/decide", "search/net", "search/train", "search/train/optim", "search/relax", "internal/rng"},

	// What the engine is timed on, and where its time goes.
	"internal/workloads": {"engine", "engine/prim", "search/train/optim", "internal/rng"},
	"internal/trace":     {"engine", "engine/prim"},

	// Networks, data and ONNX Runtime for tests.
	"internal/testenv":     {},
	"internal/mutate":      {"ir"},
	"internal/modeltest":   {"ir", "data", "importer", "models", "internal/testenv"},
	"internal/nettest":     {"internal/rng", "ir", "ops", "models", "engine", "data", "space", "search/net", "search/train", "search/train/optim", "internal/modeltest"},
	"internal/runtest":     {Anything},
	"internal/cuttest":     {"ir", "ops", "engine/prim", "space"},
	"internal/latencytest": {"ir", "ops", "latency", "exporter/runtimes"},
	"internal/orttest":     {"ir", "exporter", "exporter/runtimes", "exporter/runtimes/ort"},

	// What benchmarks measured, and the pages that show it.
	"internal/rows": {"internal/atomicfile"},

	// Data for recognisers of text.
	"internal/textlines": {"internal/atomicfile", "internal/rng"},

	// The door out.
	"exporter":                   {"ir", "measure", "internal/onnxpb", "internal/rng", "internal/atomicfile", "exporter/runtimes"},
	"exporter/runtimes":          {"ir"},
	"exporter/runtimes/ort":      {"ir", "ops", "exporter/runtimes"},
	"exporter/runtimes/gorgonnx": {"ir", "exporter/runtimes"},
	"exporter/runtimes/native":   {"ir", "ops", "engine", "engine/prim", "exporter/runtimes"},

	// Prices of subnets as a runtime has them: above the space and the runtimes, below the search's users.
	"latency": {"ir", "ops", "importer", "space", "subnet", "exporter", "exporter/runtimes", "internal/rng", "internal/atomicfile"},

	"report": {},

	// Those who put it together.
	".":                 {Anything},
	"cmd/entangle":      {Anything},
	"models/build":      {"exporter", "models"},
	"examples/detector": {Anything},
	"bench/quality":     {Anything},
	"bench/paper":       {Anything},
	"examples/faces":    {Anything},
}

// Guarded lists outside modules that only the named packages may import.
var Guarded = map[string][]string{
	"google.golang.org/protobuf":      {"internal/onnxpb", "importer", "exporter"},
	"github.com/yalue/onnxruntime_go": {"exporter/runtimes/ort"},
	"github.com/gomlx/go-xla":         {"engine/xla"},
	"github.com/owulveryck/onnx-go":   {"exporter/runtimes/gorgonnx"},
	"gorgonia.org":                    {"exporter/runtimes/gorgonnx"},
	"github.com/urfave/cli":           {"cmd/entangle"},
	"github.com/rogpeppe/go-internal": {},
	"testing":                         {"engine/enginetest", "engine/xla/plugin/plugintest", "internal/testenv", "internal/cuttest", "internal/modeltest", "internal/nettest", "internal/orttest", "internal/runtest"},
}
