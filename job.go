package entangle

import (
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// Job is everything that a run is made of. Job files, --set and messages name its fields by
// the keys in the tags, joined by dots: tune.lr, data.mean, search.weights.epochs. DefaultJob
// has a value for each; Check says what is wrong with one.
type Job struct {
	Model   string `json:"model" doc:"ONNX file to start from"`
	Teacher string `json:"teacher" doc:"larger model that search and tuning learn from; empty: the model itself, for finetune labels alone"`
	Out     string `json:"out" doc:"ONNX file to write"`
	Run     string `json:"run" doc:"run folder: checkpoints, log, recipe, report, job.yaml; empty: out with .run for its extension"`

	Data      Data             `json:"data"`
	LearnAt   []string         `json:"learn_at" doc:"tensors to learn at, in place of the outputs behind them; what comes behind stays as it is; none: the outputs, or the last floats before operators without gradients"`
	Outputs   net.Settings     `json:"outputs" doc:"what outputs are, NAME=KIND[:WEIGHT],…: logits, probabilities, next-token, sigmoid, values or embedding; empty: found by operators, shapes and labels"`
	Target    Targets          `json:"target" doc:"most that the subnet may cost, METRIC=LIMIT,…: a share of the original (0.5, 50%) or a count (20M, 1MiB); several values of one metric (macs=0.75,0.5,0.25) make a family; drop=POINTS is the most that quality may lose, and a metric alone beside it the one that is made small (drop=1,params), else macs"`
	Member    int              `json:"member" want:">=0" doc:"of a family, the size that is tuned, by its place in target from 1 on; 0: all"`
	Latency   Latency          `json:"latency"`
	Method    string           `json:"method" oneof:"method" doc:"what chooses the subnet"`
	Space     Space            `json:"space"`
	Search    search.Config    `json:"search"`
	Evolution decide.Evolution `json:"evolution"`

	Refine      int           `json:"refine" want:">=0" doc:"subnets within the target whose loss on the alpha split decides after the search; 0: the coefficients alone decide"`
	Judged      int           `json:"refine_batches" want:">=0" doc:"batches of the alpha split that judge a subnet, at most; 0: 2, with a batch that is smaller for few samples as many more"`
	Inherit     string        `json:"inherit" oneof:"inherit" doc:"weights that the subnet starts from"`
	Calibrate   int           `json:"calibrate" want:">=0" doc:"batches that recalibrate running statistics after the cut"`
	Reconstruct int           `json:"reconstruct" want:">=0" doc:"batches, without labels, on which layers of the subnet are fitted to the original's by least squares; 0: none, but of 512 samples by the method reconstruct"`
	Tune        train.Weights `json:"tune"`
	Baselines   bool          `json:"baselines" doc:"also tune what the other methods choose at the same cost"`

	Evaluate Evaluate `json:"evaluate"`
	MaxDrop  *float64 `json:"max_drop" want:">=0" unit:"points" doc:"most that compress may lose, in points: of evaluate's number where there is one, else percentage points of accuracy, or of the outputs' agreement with the original; null: no limit"`

	Seed uint64 `json:"seed" doc:"seed of every random stream"`
	Engine
	Every  int    `json:"every" want:">=0" doc:"steps between checkpoints; 0: one per epoch"`
	Verify bool   `json:"verify" doc:"compare the written file on ONNX Runtime with the engine, and time it beside the original"`
	ORTLib string `json:"ort_lib" doc:"shared library of ONNX Runtime; empty: the usual places"`
	Record Record `json:"record"`
}

// Data says which data set a run reads, and how its samples reach the model.
type Data struct {
	Source string `json:"source" doc:"data set, KIND:PATH, with options behind it if wished: lm:PATH?seq=256&stride=64"`
	data.Options
	Split search.Splits `json:"split"`
	Batch int           `json:"batch" want:">=0" doc:"samples per batch; 0: 128, fewer on few samples"`
}

// Latency says where the metric latency has its prices from.
type Latency struct {
	Runtime   string `json:"runtime" oneof:"latency runtime" doc:"runtime that pieces and subnets are timed on: ort, cpu (this program's engine); empty: ort where there is one, else cpu"`
	Batch     int    `json:"batch" want:">=1" doc:"samples of a run; a model that fixes its batch runs at that"`
	Table     string `json:"table" doc:"CSV of times of what measure --pieces wrote, from another device; empty: timed here"`
	Cache     string `json:"cache" doc:"folder that times are kept in; empty: entangle/latency in the user's cache"`
	Calibrate int    `json:"calibrate" want:">=1" doc:"random subnets that are timed whole to calibrate the sum of the pieces"`
	Check     int    `json:"check" want:">=1" doc:"other random subnets that the prediction is judged by"`
}

// Space says what may change.
type Space struct {
	File string `json:"file" doc:"space.yaml to search instead of all that the model offers"`
	space.Options
	Order         string              `json:"order" oneof:"importance" doc:"importance that ranks a width's units"`
	Superposition space.Superposition `json:"superposition" oneof:"superposition" doc:"weights that carry a width's coefficients: every (as in TangleNAS) or reader (once per unit)"`
	Separate      bool                `json:"separate_weights" doc:"give every choice weights of its own, as in weight sharing without entanglement; wants superposition every"`
}

// Engine says where the steps run.
type Engine struct {
	Threads    int    `json:"threads" want:"[0,1024]" doc:"threads of the engine and of each runtime; 0: all cores"`
	Device     string `json:"device" doc:"where the engine runs: cpu, cuda, cuda:N, cuda:N,N,… whose GPUs share each batch, or auto: a GPU if this program can use one, else the processor"`
	Precision  string `json:"precision" oneof:"precision" doc:"products on a GPU, from exact to fast"`
	Plugin     string `json:"pjrt_plugin" doc:"PJRT plugin for CUDA; empty: found, see docs/gpu.md"`
	StepMemory Memory `json:"step_memory" doc:"most temporary memory of a training step, such as 2GiB, or least: blocks of the forward pass are computed again to keep it; empty: no limit"`
	DeviceData Memory `json:"device_data" doc:"most memory of a GPU for training images, such as 2GiB, which are then uploaded once; 0: none; empty: 4GiB on a GPU"`
}

// Record is what a run folder's job.yaml adds: what the run was made with. A job that has
// hashes is refused when the model, the teacher or the data are no longer those.
type Record struct {
	Verb      string `json:"verb" oneof:"verb" doc:"command that the job is of"`
	Version   string `json:"version" doc:"of the program"`
	Processor string `json:"processor" doc:"that the engine ran on"`
	Model     string `json:"model_sha256" doc:"SHA-256 of the model's file"`
	Weights   string `json:"weights_sha256" doc:"SHA-256 of its graph and weights, those in other files included"`
	Data      string `json:"data_sha256" doc:"SHA-256 of what the data set holds"`
	Teacher   string `json:"teacher_sha256" doc:"SHA-256 of the teacher's graph and weights; empty: no teacher"`
}

// Inherit lists the weights that a subnet can start from: those that the search
// trained, or the original's.
var Inherit = []string{"search", "original"}

// Methods lists what can choose: the search, Reconstruct, one width ratio everywhere, a random
// choice of at least 97 % of the budget, or evolution over a supernet trained on
// single subnets. Uniform and random start from the original's weights.
var Methods = []string{"search", Reconstruct, "uniform", "random", "evolution"}

// Reconstruct is the method that trains nothing: a search in rounds over the original's
// weights, fitted by least squares on the way. Without other settings of tune the subnet's layers
// are then fitted to the original's, and that is all. Labels are not needed.
const Reconstruct = "reconstruct"

// Baseline reports whether a method is one that Job.Baselines puts beside another: those that
// take little beyond tuning.
func Baseline(method string) bool { return method != "evolution" && method != Reconstruct }

// DefaultJob returns the settings of a short search from pretrained weights to half of the
// MACs: a search in rounds, units ranked by first-order Taylor importance, recalibration and fine-tuning,
// with distillation and labels in equal parts.
func DefaultJob() Job {
	j := Job{
		Data:    Data{Options: data.Options{Scale: data.ScaleUnit}, Split: search.Splits{Weights: 0.45, Alpha: 0.45, Val: 0.1}},
		Target:  Targets{{Metric: space.MACs, Share: 0.5}},
		Latency: Latency{Batch: 1, Calibrate: latency.Calibrating, Check: latency.Checking},
		Method:  Methods[0],
		Space:   Space{Options: space.DefaultOptions(), Order: net.Importance[0], Superposition: space.Reader},
		Search:  search.DefaultConfig(), Refine: 64, Inherit: Inherit[0], Calibrate: 100, Tune: train.DefaultWeights(),
		Evaluate: Evaluate{Name: "own measure", Better: Better[0], Timeout: 600},
		Engine:   Engine{Device: "auto", Precision: "f32"},
		Verify:   true,
	}
	j.Search.Relaxation, j.Search.Rounds, j.Search.RoundBatches, j.Search.Even = search.InRounds, 0, 0, nil
	for _, w := range []*train.Weights{&j.Search.Weights, &j.Tune} {
		w.Epochs, w.Rate = train.Auto, 0
		w.Objective.Labels, w.Objective.Distill = 0.5, 0.5
	}
	return j
}
