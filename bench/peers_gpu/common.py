"""What the peers' programs share: arguments, the gate, the clock and the line that they print.

A program builds its step and runs it a few times; then, with --gate PATH, it makes the
file PATH.ready and waits for PATH.go, so that several can compile at once and be timed in
turn. It prints one JSON object per workload with the keys of `entangle bench --json`.
"""
import argparse
import json
import os
import resource
import sys
import time

WORKLOADS = ["resnet20", "vit_tiny", "resnet50", "vit_s", "resnet50_super", "vit_s_super"]


class Size:
    """The sizes of the networks; tiny ones check the programs where there is no GPU."""

    def __init__(self, workload, tiny):
        if workload in ("resnet20", "vit_tiny"):
            self.small(tiny)
            return
        self.image = 32 if tiny else 224
        self.classes = 10 if tiny else 1000
        self.blocks = [1, 1, 1, 1] if tiny else [3, 4, 6, 3]
        self.width = 8 if tiny else 64
        self.embed = 128 if tiny else 384
        self.depth = 3 if tiny else 12
        self.heads = self.embed // 64
        self.patch = 8 if tiny else 16
        self.hidden = 4 * self.embed
        self.hiddens = [self.hidden // 2, 3 * self.hidden // 4, self.hidden]
        self.kept = [self.depth - 2, self.depth - 1, self.depth]

    def small(self, tiny):
        self.image, self.classes = 32, 10
        self.blocks = [1, 1, 1] if tiny else [3, 3, 3]
        self.width = 8 if tiny else 16
        self.embed = 64 if tiny else 192
        self.depth = 2 if tiny else 12
        self.heads, self.patch, self.hidden = self.embed // 64, 4, 4 * self.embed
        self.hiddens, self.kept = [], []


def arguments(doc, modes):
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("workload", choices=WORKLOADS)
    p.add_argument("--mode", choices=modes, default=modes[0])
    p.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="f32")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    p.add_argument("--tiny", action="store_true", help="small sizes, to check the program")
    p.add_argument("--gate", help="wait for this file with .go before timing")
    return p.parse_args()


def gate(path):
    if not path:
        return
    open(path + ".ready", "w").close()
    while not os.path.exists(path + ".go"):
        time.sleep(0.01)


def measure(args, program, step, device_mb):
    """Time step(), which returns when the device is done, and print the line."""
    for _ in range(3):
        loss = step()
    gate(args.gate)
    ms = []
    for _ in range(args.steps):
        start = time.perf_counter()
        loss = step()
        ms.append(1e3 * (time.perf_counter() - start))
    if loss != loss:
        sys.exit(f"{args.workload}: the loss is not a number")
    ms.sort()
    print(json.dumps({
        "workload": args.workload, "program": program, "mode": args.mode, "precision": args.precision, "batch": args.batch,
        "device": args.device, "median_ms": round(ms[len(ms) // 2], 3), "min_ms": round(ms[0], 3),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), "device_mb": round(device_mb()),
    }), flush=True)
