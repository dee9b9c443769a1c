#!/usr/bin/env python3
"""Tell whether this Python's PyTorch is fit to be compared with: print the speed of a matrix product in both programs.

A PyTorch whose matrix products run on a reference BLAS says nothing of PyTorch. This ends with status 1 where the
peer's product of two 1024x1024 float32 matrices runs at less than half of the engine's speed. The fastest products
count, of both programs in turn and with the engine's number of threads.

Usage: torch_product.py [--anyway] ENTANGLE
"""
import argparse
import json
import subprocess
import sys
import time

import torch

SIZE, ROUNDS, STEPS, LEAST = 1024, 5, 5, 0.5


def fastest(threads):
    """The least time of a product in ms."""
    torch.set_num_threads(threads)
    a, b, ms = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE), []
    for _ in range(STEPS):
        start = time.perf_counter()
        torch.mm(a, b)
        ms.append(1e3 * (time.perf_counter() - start))
    return min(ms)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("entangle", help="the engine's program")
    p.add_argument("--anyway", action="store_true", help="end with status 0 whatever the speed")
    args = p.parse_args()
    command = [args.entangle, "bench", "--json", "--steps", str(STEPS), f"matmul_{SIZE}"]
    ours, theirs = [], []
    for _ in range(ROUNDS):
        engine = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        ours.append(engine["min_ms"])
        theirs.append(fastest(engine["threads"]))
    ours, theirs = (2e-6 * SIZE ** 3 / min(ms) for ms in (ours, theirs))
    print(f"product of {SIZE}x{SIZE} float32, {engine['threads']} threads: entangle {ours:.1f} GFLOP/s, PyTorch {torch.__version__} {theirs:.1f} GFLOP/s", flush=True)
    if theirs < LEAST * ours and not args.anyway:
        sys.exit(f"bench-peers: PyTorch's product runs at {theirs / ours:.2f} of this engine's speed: want {LEAST} or more, or ratios say nothing. "
                 "Give it a fast BLAS (Debian: libopenblas0-pthread, with libblas.so.3 leading to it and OPENBLAS_CORETYPE not set to an old "
                 "processor), name another Python by PYTHON=, or compare all the same by PEER_ANYWAY=1")


if __name__ == "__main__":
    main()
