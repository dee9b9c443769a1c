package main

import (
	"path/filepath"
	"strconv"
	"strings"
)

// task is a model with its data and the settings of its search and tuning.
type task struct {
	name    string
	set     string   // core or quick
	model   string   // below the folder that root names: real, cache or repo
	data    string   // likewise behind KIND:
	budgets []string // of MACs
	// settings are KEY=VALUE of entangle.Job, in order.
	settings []string
	nats     bool              // judged by loss, else by accuracy
	peers    map[string]string // methods whose subnets were cut elsewhere: file by method@budget
}

const cifar = "data.mean=.485,.456,.406 data.std=.229,.224,.225"

// tables lists every row of the scoreboard. What is not said is the program's default. The
// epochs of tune.epochs are what a method has beside the search's passes.
var tables = []task{
	{name: "resnet20", set: "core", model: "real/resnet20.onnx", data: "cifar10:cache/cifar10", budgets: []string{"0.5", "0.25", "0.15"},
		settings: fields(cifar, "data.split.weights=0.47 data.split.alpha=0.47 data.split.val=0.06 space.divisor=4 search.weights.epochs=1.5 search.weights.lr=0.02 tune.epochs=8 tune.lr=0.05",
			"search.weights.weight_decay=5e-4 tune.weight_decay=5e-4 search.weights.augment=flip,crop:4 tune.augment=flip,crop:4", distill("0.7")),
		peers: map[string]string{"tp-magnitude@0.5": "peers/torch_pruning/r20_magnitude_0.5.onnx", "tp-taylor@0.5": "peers/torch_pruning/r20_taylor_0.5.onnx", "tp-magnitude@0.25": "peers/torch_pruning/r20_magnitude_0.25.onnx"}},
	{name: "resnet20-long", set: "core", model: "real/resnet20.onnx", data: "cifar10:cache/cifar10", budgets: []string{"0.5"},
		settings: fields(cifar, "data.split.weights=0.47 data.split.alpha=0.47 data.split.val=0.06 space.divisor=4 search.weights.epochs=1.5 search.weights.lr=0.02 tune.epochs=24 tune.lr=0.05",
			"search.weights.weight_decay=5e-4 tune.weight_decay=5e-4 search.weights.augment=flip,crop:4 tune.augment=flip,crop:4", distill("0.7")),
		peers: map[string]string{"tp-magnitude@0.5": "peers/torch_pruning/r20_magnitude_0.5.onnx"}},
	{name: "mobilenet", set: "core", model: "cache/mobilenet.onnx", data: "cifar10:cache/cifar10", budgets: []string{"0.5", "0.25"},
		settings: fields(cifar, "search.weights.epochs=1.5 tune.epochs=4 search.weights.augment=flip,crop:4 tune.augment=flip,crop:4")},
	{name: "fashion", set: "core", model: "repo/models/pretrained/fashion.onnx", data: "idx:fashion", budgets: []string{"0.5", "0.25"},
		settings: fields("data.mean=0.2860 data.std=0.3530 search.weights.epochs=1.5 tune.epochs=4 search.weights.augment=flip,crop:2 tune.augment=flip,crop:2")},
	{name: "ln-vit", set: "core", model: "cache/vit-cifar10.onnx", data: "cifar10:cache/cifar10", budgets: []string{"0.5"},
		settings: fields("data.mean=.4914,.4822,.4465 data.std=.2023,.1994,.2010 data.batch=64 search.weights.optimizer=adamw tune.optimizer=adamw search.weights.epochs=2 search.weights.lr=0.001",
			"tune.epochs=4 tune.lr=0.001 search.weights.augment=flip,crop:4 tune.augment=flip,crop:4")},
	{name: "vit", set: "core", model: "real/vit_ibp_3_3_8.onnx", data: "cifar10:cache/cifar10", budgets: []string{"0.5"},
		settings: fields("data.mean=.4914,.4822,.4465 data.std=.2023,.1994,.2010 search.weights.optimizer=adamw tune.optimizer=adamw search.weights.epochs=1.5 search.weights.lr=0.001",
			"tune.epochs=4 tune.lr=0.002 search.weights.augment=flip,crop:4 tune.augment=flip,crop:4")},
	{name: "stories", set: "core", model: "real/stories260K.onnx", data: "lm:cache/stories", budgets: []string{"0.5"}, nats: true,
		settings: fields(stories, "data.seq=256 search.weights.epochs=3 tune.epochs=2")},
	{name: "sst2", set: "core", model: "cache/bert.onnx", data: "tsv:real/text/sst2", budgets: []string{"0.5"},
		settings: fields("data.seq=32 data.batch=32 search.weights.optimizer=adamw tune.optimizer=adamw search.weights.epochs=3 search.weights.lr=0.0003 tune.epochs=3 tune.lr=0.0003 search.weights.weight_decay=0.1 tune.weight_decay=0.1",
			"search.weights.objective.smoothing=0.1 tune.objective.smoothing=0.1 search.weights.objective.temperature=2 tune.objective.temperature=2 search.weights.clip=1 tune.clip=1 search.weights.augment=none tune.augment=none")},
	{name: "pp-ocr", set: "core", model: "ocr/ch_PP-OCRv4_rec_infer.onnx", data: "folder:cache/lines", budgets: []string{"0.5"},
		settings: fields("data.mean=.5,.5,.5 data.std=.5,.5,.5", distill("1"), "search.weights.objective.temperature=1 tune.objective.temperature=1 data.split.weights=0.47 data.split.alpha=0.47 data.split.val=0.06 data.batch=8",
			"search.weights.optimizer=adamw tune.optimizer=adamw search.weights.epochs=1.3 search.weights.lr=0.001 calibrate=30 tune.epochs=1 tune.lr=0.001",
			"search.weights.warmup=0.2 tune.warmup=0.2 search.weights.weight_decay=0.01 tune.weight_decay=0.01 search.weights.clip=1 tune.clip=1 search.weights.augment=none tune.augment=none")},

	{name: "resnet8-quick", set: "quick", model: "real/mlperftiny_resnet8.onnx", data: "cifar10:cache/cifar10", budgets: []string{"0.3"},
		settings: fields("data.scale=raw255 data.limit=4000", quick, "space.divisor=4 search.weights.epochs=3 tune.epochs=4 search.weights.augment=flip,crop:4 tune.augment=flip,crop:4", distill("0.7"))},
	{name: "fashion-quick", set: "quick", model: "repo/models/pretrained/fashion.onnx", data: "idx:fashion", budgets: []string{"0.25"},
		settings: fields("data.mean=0.2860 data.std=0.3530 data.limit=5000", quick, "space.divisor=4 search.weights.epochs=3 tune.epochs=4 search.weights.augment=flip,crop:2 tune.augment=flip,crop:2", distill("0.7"))},
	{name: "vit-quick", set: "quick", model: "real/vit_ibp_3_3_8.onnx", data: "cifar10:cache/cifar10", budgets: []string{"0.4"},
		settings: fields("data.mean=.4914,.4822,.4465 data.std=.2023,.1994,.2010 data.limit=8000 search.weights.optimizer=adamw tune.optimizer=adamw search.weights.lr=0.001 tune.lr=0.002", quick,
			"search.weights.epochs=2 tune.epochs=3 search.weights.augment=flip,crop:4 tune.augment=flip,crop:4")},
	{name: "stories-quick", set: "quick", model: "real/stories260K.onnx", data: "lm:cache/stories", budgets: []string{"0.5"}, nats: true,
		settings: fields(stories, "data.seq=64 data.limit=1200 data.batch=16 data.split.val=0.2 data.split.weights=0.4 data.split.alpha=0.4 search.weights.epochs=3 tune.epochs=3 refine=32")},
}

const (
	// quick keeps a large share for validation, so that differences of a point show.
	quick   = "data.batch=64 data.split.weights=0.3 data.split.alpha=0.3 data.split.val=0.4 calibrate=30 refine=32"
	stories = "data.tokenizer=real/stories260K.tok512.bin data.batch=8 search.weights.lr=0.0005 refine=100 tune.lr=0.003 search.weights.optimizer=adamw tune.optimizer=adamw search.weights.clip=1 tune.clip=1 " +
		"search.weights.augment=none tune.augment=none search.weights.objective.temperature=1 tune.objective.temperature=1"
)

func distill(share string) string {
	f, _ := strconv.ParseFloat(share, 64)
	labels := strconv.FormatFloat(1-f, 'g', 3, 64)
	return "search.weights.objective.distill=" + share + " search.weights.objective.labels=" + labels + " tune.objective.distill=" + share + " tune.objective.labels=" + labels
}

func fields(parts ...string) []string { return strings.Fields(strings.Join(parts, " ")) }

// folders are where the table's files are; a name of the table begins with the key of one.
type folders map[string]string

// place puts a folder in for the first word of a path; what begins with none of them stays.
func (f folders) place(path string) string {
	first, rest, ok := strings.Cut(path, "/")
	if dir := f[first]; ok && dir != "" {
		return filepath.Join(dir, rest)
	}
	if dir := f[path]; !ok && dir != "" {
		return dir
	}
	return path
}
