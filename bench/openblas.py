#!/usr/bin/env python3
"""Time the matrix products of `entangle bench` in OpenBLAS (cblas_sgemm) and print one JSON line each.

A step is one product c = a·b of float32 matrices in row-major order, into storage that is there before.

Needs libopenblas.so.0 (Debian: libopenblas0-pthread).
Usage: openblas.py [--threads N] [--steps N] WORKLOAD ...
"""
import argparse
import ctypes
import json
import random
import resource
import time

ROW_MAJOR, NO_TRANS = 101, 111
SIZES = {"matmul_1024": (1024, 1024, 1024), "matmul_4096x192x768": (4096, 768, 192)}
WARMUP = 2


def load():
    blas = ctypes.CDLL("libopenblas.so.0")
    size, pointer, real = ctypes.c_int, ctypes.c_void_p, ctypes.c_float
    blas.cblas_sgemm.argtypes = [size] * 6 + [real, pointer, size, pointer, size, real, pointer, size]
    blas.cblas_sgemm.restype = None
    blas.openblas_get_corename.restype = ctypes.c_char_p
    return blas


def normal(n):
    draw = random.Random(0)
    some = [draw.gauss(0, 1) for _ in range(4093)]
    return (ctypes.c_float * n)(*(some * (n // len(some) + 1))[:n])


def step_of(blas, m, n, k):
    a, b, c = normal(m * k), normal(k * n), normal(m * n)
    return lambda: blas.cblas_sgemm(ROW_MAJOR, NO_TRANS, NO_TRANS, m, n, k, 1, a, k, b, n, 0, c, n)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("workload", nargs="+", choices=SIZES)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=20)
    args = p.parse_args()
    blas = load()
    blas.openblas_set_num_threads(args.threads)
    for name in args.workload:
        step, ms = step_of(blas, *SIZES[name]), []
        for _ in range(WARMUP + args.steps):
            start = time.perf_counter()
            step()
            ms.append(1e3 * (time.perf_counter() - start))
        ms = sorted(ms[WARMUP:])
        print(json.dumps(dict(workload=name, device="cpu", threads=args.threads, openblas=blas.openblas_get_corename().decode(),
                              median_ms=round(ms[len(ms) // 2], 3), min_ms=round(ms[0], 3),
                              peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))), flush=True)


if __name__ == "__main__":
    main()
