#!/usr/bin/env bash
# Run everything that needs a GPU, beside PyTorch and JAX, and write a page of the figures.
#
#   make build-gpu && bench/gpu.sh [OPTION ...]
#
# Sections, those first that are worth most:
#   device    what there is
#   quick     the quickest third of the backend's conformance
#   resnet50  steps at 224x224, plain and of the supernet, beside PyTorch eager, torch.compile, JAX
#   vit_s     likewise
#   small     the plain steps of resnet20 and vit_tiny, likewise
#   search    one compression from end to end, and how busy the GPU is
#   tf32      resnet50 again in tf32
#   suite     the rest of the conformance
#   steps     the five training steps in float32 beside PyTorch eager
# The page is written after every section, and when the program is stopped. A section that lacks
# what it needs, or the time, says so in one line and is left out. With --results FILE a second
# call adds to what a first one measured.
#
# Options:
#   --only LIST         sections, comma-separated
#   --seconds N         time for everything (460); a section starts only if it should fit
#   --entangle FILE     the program, built with XLA (bin/entangle-gpu)
#   --suite FILE        the suite, built with XLA (bin/xla.test)
#   --python FILE       a Python with torch and jax[cuda13] (python3)
#   --torch-steps FILE  the peer's five steps (../shared/peers/torch_steps.py)
#   --precision P       of the large steps and the search: f32, tf32 or bf16 (bf16)
#   --batch N           of the large steps (64)
#   --count N           timed steps (20)
#   --model FILE        what the search compresses (resnet20.onnx of the folder ENTANGLE_MODELS)
#   --data KIND:PATH    what it learns from
#   --search OPTIONS    further options of entangle compress
#   --out FILE          the page to write (gpu-benchmarks.md)
#   --results FILE      the figures as JSON lines, added to what it holds
#   --tiny 1            the peers' networks in small sizes, to check the script without a GPU
#   --device D          cuda; cpu checks the script
set -u -o pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(dirname "$here")"
only="device,quick,resnet50,vit_s,small,search,tf32,suite,steps"
limit=460
device="cuda"
tiny=""
entangle="$root/bin/entangle-gpu"
suite="$root/bin/xla.test"
python="python3"
torch_steps="$root/../shared/peers/torch_steps.py"
precision="bf16"
batch=64
count=20
model="${ENTANGLE_MODELS:-$root/../shared/real}/resnet20.onnx"
data=""
search="--mean .485,.456,.406 --std .229,.224,.225 --divisor 4 --search-epochs 1 --search-lr 0.02 --epochs 2 --lr 0.03 --augment flip,crop:4"
out="gpu-benchmarks.md"
results=""

while [ $# -gt 0 ]; do
  if [ $# -lt 2 ]; then echo "gpu.sh: $1: want a value" >&2; exit 2; fi
  case "$1" in
    --only) only="$2" ;;
    --seconds) limit="$2" ;;
    --entangle) entangle="$2" ;;
    --suite) suite="$2" ;;
    --python) python="$2" ;;
    --torch-steps) torch_steps="$2" ;;
    --precision) precision="$2" ;;
    --batch) batch="$2" ;;
    --count) count="$2" ;;
    --model) model="$2" ;;
    --data) data="$2" ;;
    --search) search="$2" ;;
    --out) out="$2" ;;
    --results) results="$2" ;;
    --tiny) tiny="--tiny" ;;
    --device) device="$2" ;;
    *) echo "gpu.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done

tmp="$(mktemp -d)"
results="${results:-$tmp/results.jsonl}"
touch "$results"

# page writes what is known, whole or not at all.
page() { "$python" "$here/peers_gpu/report.py" page --results "$results" >"$out.new" && mv "$out.new" "$out"; }

trap 'exit 143' TERM INT
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; page; rm -rf "$tmp"' EXIT

left() { echo $((limit - SECONDS)); }
say() { printf '%4ds  %s\n' "$SECONDS" "$*" >&2; }

# record SECTION adds the fields of JSON lines on stdin to the results.
record() { sed "s/^{/{\"section\":\"$1\",/" >>"$results"; }

skip() {
  say "$1: left out: $2"
  printf '{"skipped":"%s"}\n' "${2//\"/}" | record "$1"
}

# begin SECTION SECONDS tells whether the section is wanted and fits.
begin() {
  case ",$only," in *",$1,"*) ;; *) return 1 ;; esac
  if [ "$(left)" -lt "$2" ]; then
    skip "$1" "$2 seconds needed, $(left) left of $limit"
    return 1
  fi
  say "$1"
  began=$SECONDS
}

# done_with SECTION says how long it took and writes the page.
done_with() {
  say "$1: $((SECONDS - began)) s"
  page
}

# have MODULE asks the Python once.
declare -A found
have() {
  if [ -z "${found[$1]:-}" ]; then
    found[$1]=no
    if "$python" -c "import $1" 2>/dev/null; then found[$1]=yes; fi
  fi
  [ "${found[$1]}" = yes ]
}

# No process may take the whole GPU while others compile.
export XLA_PYTHON_CLIENT_PREALLOCATE=false

if begin device 5; then
  {
    name="$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)"
    driver="$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)"
    torch="$("$python" -c 'import torch; print(torch.__version__)' 2>/dev/null)"
    jax="$("$python" -c 'import jax; print(jax.__version__)' 2>/dev/null)"
    program="$("$entangle" version 2>/dev/null | head -n 1)"
    printf '{"name":"%s","driver":"%s","torch":"%s","jax":"%s","program":"%s","date":"%s"}\n' \
      "${name:-none}" "${driver:-none}" "${torch:-none}" "${jax:-none}" "${program:-none}" "$(date -u +%F)"
  } | record device
  "$entangle" doctor --device "$device" >&2 || true
  done_with device
fi

# suite_part NAME ARGUMENT... runs a part of the suite into a log of its own.
suite_part() {
  local name="$1"
  shift
  # Hundreds of small programs: the fastest kernel of each is not looked for.
  XLA_FLAGS="${XLA_FLAGS:-} --xla_gpu_autotune_level=0" "$suite" -test.v -test.timeout 150s "$@" >"$tmp/suite-$name.log" 2>&1
  echo $? >"$tmp/suite-$name.rc"
}

# conformance SECTION PART... runs parts of the suite at once: NAME ARGUMENT...
conformance() {
  local section="$1" part words workers=()
  shift
  if [ ! -x "$suite" ]; then
    skip "$section" "$suite is not there: make build-gpu"
    return
  fi
  rm -f "$tmp"/suite-*
  for part in "$@"; do
    read -r -a words <<<"$part"
    suite_part "${words[@]}" &
    workers+=($!)
  done
  wait "${workers[@]}"
  # Only the innermost tests count: those that no later line continues.
  cat "$tmp"/suite-*.log >"$tmp/suite.log"
  printf '{"pass":%d,"fail":%d,"skip":%d,"parts_failed":%d}\n' \
    "$(grep -c -- '--- PASS: TestDevice/.*/' "$tmp/suite.log")" "$(grep -c -- '--- FAIL: TestDevice/.*/' "$tmp/suite.log")" \
    "$(grep -c -- '--- SKIP' "$tmp/suite.log")" "$(grep -L '^0$' "$tmp"/suite-*.rc | wc -l)" | record "$section"
  grep -- '--- FAIL' "$tmp/suite.log" | head -n 20 >&2
  grep -h 'panic:\|device_test.go.*xla:' "$tmp/suite.log" | sort -u | head -n 3 >&2
}

if begin quick 60; then
  conformance quick \
    "matmul -test.run TestDevice/primitives/^matmul" \
    "map -test.run TestDevice/primitives/^map" \
    "reduce -test.run TestDevice/primitives/^reduce" \
    "conv-f32 -test.run TestDevice/primitives/^conv\$/././^f32\$" \
    "codes -test.run TestDevice/codes" \
    "random -test.run TestDevice/(casts|random)"
  done_with quick
fi

# contest NAME... starts the commands in the files NAME.cmd at once, each of which stops at
# its gate when it has compiled, and then lets one after the other be timed, alone.
contest() {
  local name pid pids=() until=$((SECONDS + $1))
  shift
  for name in "$@"; do
    bash "$tmp/$name.cmd" >"$tmp/$name.json" 2>"$tmp/$name.log" &
    pids+=($!)
  done
  local waiting=1
  while [ "$waiting" = 1 ] && [ "$SECONDS" -lt "$until" ]; do
    waiting=0
    local i=0
    for name in "$@"; do
      if [ ! -e "$tmp/$name.ready" ] && kill -0 "${pids[$i]}" 2>/dev/null; then waiting=1; fi
      i=$((i + 1))
    done
    sleep 0.2
  done
  local i=0
  for name in "$@"; do
    pid="${pids[$i]}"
    if [ ! -e "$tmp/$name.ready" ] && kill -0 "$pid" 2>/dev/null; then say "$name: not ready in time; it is timed all the same"; fi
    i=$((i + 1))
    touch "$tmp/$name.go"
    while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt $((until + 60)) ]; do sleep 0.1; done
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    if [ -s "$tmp/$name.json" ]; then
      say "$name: $(cat "$tmp/$name.json")"
    else
      say "$name: no result: $(tail -n 1 "$tmp/$name.log")"
    fi
  done
}

# ours FILE WORKLOAD PRECISION BATCH writes the command of this program.
ours() {
  printf 'exec "%s" bench "%s" --here --quiet --device "%s" --precision %s --batch %s --steps %s --gate "%s"\n' \
    "$entangle" "$2" "$device" "$3" "$4" "$count" "$tmp/$1" >"$tmp/$1.cmd"
}

# large SECTION PRECISION BATCH WORKLOAD... runs steps, ours and the peers', the supernet's in
# PyTorch without compilation as well.
large() {
  local section="$1" kind="$2" size="$3" names=() w mode
  shift 3
  for w in "$@"; do
    ours "ours-$w" "$w" "$kind" "$size"
    names+=("ours-$w")
    if have torch; then
      for mode in eager compile; do
        if [ "$mode" = eager ] && [ "${w%_super}" = "$w" ]; then continue; fi
        printf 'exec "%s" "%s/peers_gpu/torch_large.py" %s %s --mode %s --device %s --precision %s --batch %s --steps %s --gate "%s"\n' \
          "$python" "$here" "$w" "$tiny" "$mode" "$device" "$kind" "$size" "$count" "$tmp/torch-$mode-$w" >"$tmp/torch-$mode-$w.cmd"
        names+=("torch-$mode-$w")
      done
    fi
    if have jax; then
      printf 'exec "%s" "%s/peers_gpu/jax_large.py" %s %s --device %s --precision %s --batch %s --steps %s --gate "%s"\n' \
        "$python" "$here" "$w" "$tiny" "$device" "$kind" "$size" "$count" "$tmp/jax-$w" >"$tmp/jax-$w.cmd"
      names+=("jax-$w")
    fi
  done
  have torch || skip "$section" "$python has no torch"
  have jax || skip "$section" "$python has no jax"
  contest 110 "${names[@]}"
  local name
  for name in "${names[@]}"; do
    [ -s "$tmp/$name.json" ] || continue
    case "$name" in
      ours-*) sed "s/^{/{\"program\":\"entangle\",\"mode\":\"xla\",\"precision\":\"$kind\",/" "$tmp/$name.json" | record "$section" ;;
      *) record "$section" <"$tmp/$name.json" ;;
    esac
    rm -f "$tmp/$name".*
  done
  done_with "$section"
}

if begin resnet50 120; then large resnet50 "$precision" "$batch" resnet50 resnet50_super; fi
if begin vit_s 120; then large vit_s "$precision" "$batch" vit_s vit_s_super; fi
if begin small 80; then large small "$precision" 128 resnet20 vit_tiny; fi

if begin search 60; then
  if [ -z "$data" ]; then
    skip search "no --data"
  elif [ ! -e "$model" ]; then
    skip search "$model is not there"
  else
    nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits -lms 200 >"$tmp/busy" 2>/dev/null &
    watch=$!
    began=$SECONDS
    # shellcheck disable=SC2086 # options are words
    timeout "$(left)" "$entangle" compress "$model" --data "$data" --device "$device" --precision "$precision" --target macs=0.5 --seed 1 $search \
      --no-verify --run "$tmp/run" -o "$tmp/small.onnx" >"$tmp/search.out" 2>"$tmp/search.log"
    rc=$?
    kill "$watch" 2>/dev/null
    wait "$watch" 2>/dev/null
    if [ "$rc" = 0 ]; then
      "$python" "$here/peers_gpu/report.py" search --log "$tmp/run/log.jsonl" --busy "$tmp/busy" --wall $((SECONDS - began)) | record search
      cat "$tmp/search.out" >&2
    else
      skip search "exit code $rc: $(tail -n 1 "$tmp/search.log" | tr -d '\134')"
    fi
  fi
  done_with search
fi

if begin tf32 120; then large tf32 tf32 "$batch" resnet50 resnet50_super; fi

if begin suite 160; then
  families='TestDevice/primitives/^(conv|matmul|map|reduce|maxpool|sumpool|transpose|slice|reverse|reshape|pad)'
  parts=(
    "maxpool -test.run TestDevice/primitives/^maxpool -test.skip TestDevice/primitives/^maxpool_grad"
    "maxpoolgrad -test.run TestDevice/primitives/^maxpool_grad"
    "sumpool -test.run TestDevice/primitives/^sumpool"
    "layout -test.run TestDevice/primitives/^(transpose|slice|reverse|reshape|pad)"
    "others -test.run TestDevice/primitives -test.skip $families"
    "rest -test.run TestDevice -test.skip TestDevice/(primitives|codes|casts|random)"
    "conv-f64 -test.run TestDevice/primitives/^conv\$/././^f64\$"
  )
  for family in conv_input_grad conv_weight_grad; do
    for type in f32 f64; do
      parts+=("$family-$type -test.run TestDevice/primitives/^$family\$/././^$type\$")
    done
  done
  conformance suite "${parts[@]}"
  done_with suite
fi

if begin steps 90; then
  five=(resnet20 mobilenet vit_tiny resnet20_super vit_tiny_super)
  names=()
  for w in "${five[@]}"; do
    ours "ours-$w" "$w" f32 0
    names+=("ours-$w")
  done
  contest 90 "${names[@]}"
  for w in "${five[@]}"; do
    [ -s "$tmp/ours-$w.json" ] && sed 's/^{/{"program":"entangle",/' "$tmp/ours-$w.json" | record steps
  done
  if [ ! -e "$torch_steps" ]; then
    skip steps "$torch_steps is not there"
  elif ! have torch; then
    skip steps "$python has no torch"
  else
    # As exact as ours: no TF32 in float32 products.
    NVIDIA_TF32_OVERRIDE=0 timeout 60 "$python" "$torch_steps" --device "$device" --steps "$count" 2>"$tmp/torch-steps.log" |
      sed 's/^{/{"program":"torch",/' | record steps
    [ "${PIPESTATUS[0]}" = 0 ] || skip steps "the peer did not end well: $(tail -n 1 "$tmp/torch-steps.log")"
  fi
  done_with steps
fi

page
cat "$out"
