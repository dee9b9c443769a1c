#!/usr/bin/env python3
"""Time and memory of entangle on files of BERT-base's and GPT-2-small's size, and of a search step next to PyTorch's.

Files of random weights are built by models/build into DIR (0.9 GB) and stay there. Per file:
  inspect, space, extract, verify    processor seconds, wall seconds, peak resident MB
  one search step                    median processor and wall seconds over the steps behind the first of a run, ours and
                                     PyTorch's in turn; beside other work only processor seconds of one thread say much
A search step is one step of the architecture parameters (Adam) on a batch and one of the weights (SGD, momentum,
clipped) on another, both of 2 samples of 128 tokens, on labels, with dropout. PyTorch's network has the same layers
and, as factors of activations, the masks of the same choices: embedding, heads and hidden units in eight steps,
every branch skipped or not. Its architecture step computes no gradients of weights.

Needs numpy and Debian's python3-torch with OpenBLAS (run by /usr/bin/python3).
Usage: large.py [--threads N] [--steps N] [--rounds N] [--entangle FILE] [--only bert,gpt2] DIR
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

TOKENS, BATCH, EMBED, DEPTH, HEADS, HIDDEN = 128, 2, 768, 12, 12, 3072
VOCAB = {"bert": 30522, "gpt2": 50257}
NETWORK = {"bert": "encoder", "gpt2": "decoder"}


def torch_steps(name, threads, steps):
    """Processor and wall seconds of each step of this process's network."""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    bert, vocab = name == "bert", VOCAB[name]

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(EMBED), nn.LayerNorm(EMBED)
            self.qkv, self.proj = nn.Linear(EMBED, 3 * EMBED), nn.Linear(EMBED, EMBED)
            self.up, self.down = nn.Linear(EMBED, HIDDEN), nn.Linear(HIDDEN, EMBED)

        def attend(self, x, mask, heads):
            q, k, v = self.qkv(x).view(BATCH, TOKENS, 3, HEADS, EMBED // HEADS).permute(2, 0, 3, 1, 4)
            a = (q @ k.transpose(-1, -2) * (EMBED // HEADS) ** -0.5 + mask).softmax(-1) @ v
            return F.dropout(self.proj((a * heads[:, None, None]).transpose(1, 2).reshape(BATCH, TOKENS, EMBED)), 0.1)

        def mlp(self, x, hidden):
            return F.dropout(self.down(F.gelu(self.up(x)) * hidden), 0.1)

        def forward(self, x, mask, embed, heads, hidden, keep):
            if bert:
                x = self.norm1(x + keep[0] * embed * self.attend(x, mask, heads))
                return self.norm2(x + keep[1] * embed * self.mlp(x, hidden))
            x = x + keep[0] * embed * self.attend(self.norm1(x), mask, heads)
            return x + keep[1] * embed * self.mlp(self.norm2(x), hidden)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.position = nn.Parameter(0.02 * torch.randn(vocab, EMBED)), nn.Parameter(0.02 * torch.randn(1, TOKENS, EMBED))
            self.layers, self.norm = nn.ModuleList(Layer() for _ in range(DEPTH)), nn.LayerNorm(EMBED)
            if bert:
                self.kind, self.pooler, self.head = nn.Parameter(0.02 * torch.randn(2, EMBED)), nn.Linear(EMBED, EMBED), nn.Linear(EMBED, 2)
            self.mask = torch.zeros(1) if bert else torch.full((TOKENS, TOKENS), -1e9).triu(1)

        def forward(self, ids, embed, heads, hidden, keep):
            x = F.embedding(ids, self.table) + self.position
            if bert:
                x = self.norm(x + F.embedding(torch.zeros_like(ids), self.kind))
            x = F.dropout(x, 0.1) * embed
            for i, layer in enumerate(self.layers):
                x = layer(x, self.mask, embed, heads[i], hidden[i], keep[i])
            if bert:
                return self.head(F.dropout(torch.tanh(self.pooler(x[:, 0])), 0.1))
            return F.linear(self.norm(x), self.table)

    def rows(size):
        sizes = torch.linspace(size / 4, size, 8).round()
        return (torch.arange(size) < sizes[:, None]).float()

    embed_rows, head_rows, hidden_rows = rows(EMBED), rows(HEADS), rows(HIDDEN)
    alphas = {"embed": torch.zeros(8), "heads": torch.zeros(DEPTH, 8), "hidden": torch.zeros(DEPTH, 8), "keep": torch.zeros(DEPTH, 2, 2)}
    for a in alphas.values():
        a.requires_grad_(True)
    model = Network()
    movers = torch.optim.Adam(alphas.values(), 0.02, (0.5, 0.999), weight_decay=1e-3), torch.optim.SGD(model.parameters(), 0.001, 0.9, weight_decay=1e-4, nesterov=True)

    def draw():
        ids = torch.randint(vocab, (BATCH, TOKENS + 1))
        return ids[:, :-1], torch.randint(2, (BATCH,)) if bert else ids[:, 1:].reshape(-1)
    batches = draw(), draw()

    def step():
        for of_weights, (ids, target), mover in zip((False, True), batches, movers):
            model.requires_grad_(of_weights)
            for a in alphas.values():
                a.requires_grad_(not of_weights)
            mover.zero_grad(set_to_none=True)
            c = {k: a.softmax(-1) for k, a in alphas.items()}
            out = model(ids, c["embed"] @ embed_rows, c["heads"] @ head_rows, c["hidden"] @ hidden_rows, c["keep"][..., 1])
            F.cross_entropy(out.view(-1, out.shape[-1]), target).backward()
            if of_weights:
                nn.utils.clip_grad_norm_(model.parameters(), 5)
            mover.step()

    out = []
    for _ in range(steps):
        cpu, wall = time.process_time(), time.perf_counter()
        step()
        out.append((time.process_time() - cpu, time.perf_counter() - wall))
    return out


def usage(args):
    """What a command took: it runs below a process of its own, whose only child it is."""
    code = "import json,resource,subprocess,sys,time\nt=time.perf_counter()\np=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL)\nw=time.perf_counter()-t\nr=resource.getrusage(resource.RUSAGE_CHILDREN)\nprint(json.dumps([p.returncode,w,r.ru_utime+r.ru_stime,r.ru_maxrss/1024]))"
    p = subprocess.run([sys.executable, "-c", code, *args], stdout=subprocess.PIPE)
    status, wall, cpu, peak = json.loads(p.stdout)
    if status:
        sys.exit("large: %s: exit code %d" % (" ".join(args), status))
    return wall, cpu, peak


def data_of(name, folder):
    import numpy as np
    r, path = np.random.default_rng(0), os.path.join(folder, name + ".npz")
    ids = r.integers(0, VOCAB[name], (16, TOKENS + 1))
    fields = {"input_ids": ids[:, :-1], "labels": ids[:, 1:]}
    if name == "bert":
        fields = {"input_ids": ids[:, :-1], "attention_mask": np.ones((16, TOKENS), np.int64), "token_type_ids": np.zeros((16, TOKENS), np.int64), "labels": r.integers(0, 2, 16)}
    np.savez(path, **fields)
    return "tokens:" + path


def search(args, name, model, source, folder, steps):
    """Processor and wall seconds of the steps of a search behind the first, its recipe, peak MB and last checkpoint's bytes."""
    recipe, run = os.path.join(folder, name + ".json"), os.path.join(folder, name + ".run")
    shutil.rmtree(run, ignore_errors=True)
    # 7 of the 16 samples are for the weights: three steps an epoch.
    command = [args.entangle, "search", model, "--set", "search.relaxation=drnas", "--data", source, "--batch", str(BATCH), "--distill", "0", "--target", "macs=0.5", "--search-epochs", repr(steps / 3), "--search-lr", "0.001",
               "--set", "space.order=magnitude", "--set", "refine=0", "--threads", str(args.threads), "--seed", "1", "--run", run, "--force", "-q", "-o", recipe]
    log, tick, at, peak = os.path.join(run, "log.jsonl"), os.sysconf("SC_CLK_TCK"), [], 0
    p = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while p.poll() is None:
        time.sleep(0.02)
        try:
            with open("/proc/%d/stat" % p.pid) as f:
                cpu = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / tick
            with open("/proc/%d/status" % p.pid) as f:
                peak = max([peak] + [int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM")])
            with open(log) as f:
                seen = sum('"kind":"step"' in line for line in f)
        except (OSError, IndexError):
            continue
        if seen > len(at):
            at.append((cpu, time.perf_counter()))
    if p.returncode:
        sys.exit("large: %s: exit code %d" % (" ".join(command), p.returncode))
    if len(at) != steps:
        sys.exit("large: want %d steps one by one, saw %d" % (steps, len(at)))
    return [(b[0] - a[0], b[1] - a[1]) for a, b in zip(at, at[1:])], recipe, peak, os.path.getsize(os.path.join(run, "search.checkpoint"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=6)
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--entangle", default="./bin/entangle")
    p.add_argument("--only", default="bert,gpt2")
    p.add_argument("--torch", choices=list(VOCAB), help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.torch:
        seconds = torch_steps(args.torch, args.threads, args.steps)
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
        return
    os.makedirs(args.dir, exist_ok=True)
    for name in args.only.split(","):
        model = os.path.join(args.dir, name + ".onnx")
        if not os.path.exists(model):
            sizes = ["-vocab", VOCAB[name], "-width", EMBED, "-depth", DEPTH, "-heads", HEADS, "-size", TOKENS, "-seed", 1]
            subprocess.run(["go", "run", "./models/build", *map(str, sizes), *(["-classes", "2"] if name == "bert" else []), NETWORK[name], model], check=True)
        source, ours, theirs, peaks = data_of(name, args.dir), [], [], []
        for _ in range(args.rounds):
            seconds, recipe, mine, kept = search(args, name, model, source, args.dir, args.steps)
            ours += seconds
            out = subprocess.run([sys.executable, __file__, "--torch", name, "--threads", str(args.threads), "--steps", str(args.steps), args.dir], stdout=subprocess.PIPE, check=True).stdout
            seconds, peak = json.loads(out)
            theirs += seconds[1:]
            peaks.append((mine, peak))
        print("%s: file %.0f MB; peak %.0f MB, PyTorch %.0f MB; checkpoint at the end %.0f MB" % (
            name, os.path.getsize(model) / 1e6, max(x for x, _ in peaks), max(x for _, x in peaks), kept / 1e6), flush=True)
        for i, what in enumerate(("processor time", "wall time")):
            a, b = statistics.median(x[i] for x in ours), statistics.median(x[i] for x in theirs)
            print("%s: search step, %s, %d threads: %.2f s, PyTorch %.2f s, ratio %.2f" % (name, what, args.threads, a, b, a / b), flush=True)
        small = os.path.join(args.dir, name + "-half.onnx")
        for verb, command in (("inspect", ["inspect", model]), ("space", ["space", model]), ("extract", ["extract", model, "--recipe", recipe, "-q", "--force", "-o", small]),
                              ("verify", ["verify", model, "--latency", "0", "--threads", str(args.threads)])):
            wall, cpu, peak = usage([args.entangle, *command])
            print("%s: %-8s %6.1f s of processor time, %6.1f s, %5.0f MB" % (name, verb, cpu, wall, peak), flush=True)


if __name__ == "__main__":
    main()
