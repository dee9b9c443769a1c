#!/usr/bin/env python3
"""Time the decoder's training steps of `entangle bench` in PyTorch and print one JSON line each.

Workloads (float32, drawn tokens, step = forward, loss, backward and update, SGD with momentum 0.9):
  decoder        GPT, embedding 256, depth 6, 4 heads of 64, MLP 1024 (GELU), 2048 tokens, sequences of 128,
                 batch 16, head tied to the token table
  decoder_super  its supernet: 1 to 4 heads, MLP in {512, 768, 1024}, depth in {4, 5, 6}; one step of the
                 architecture parameters (Adam) on one batch, then one of the weights on another
Coefficients are the softmax of the parameters; weights are multiplied by masks.

Needs Debian's python3-torch (run by /usr/bin/python3).
Usage: torch_decoder.py [--threads N] [--steps N] WORKLOAD ...
"""
import argparse
import json
import resource
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

VOCAB, TOKENS, BATCH, EMBED, DEPTH, HEADS, WIDTH, HIDDEN = 2048, 128, 16, 256, 6, 4, 64, 1024
WIDTHS, HIDDENS, DEPTHS = [64, 128, 192, 256], [512, 768, 1024], [4, 5, 6]
WARMUP = 2


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(EMBED), nn.LayerNorm(EMBED)
        self.qkv, self.proj = nn.Linear(EMBED, 3 * HEADS * WIDTH), nn.Linear(HEADS * WIDTH, EMBED)
        self.up, self.down = nn.Linear(EMBED, HIDDEN), nn.Linear(HIDDEN, EMBED)

    def weights(self, heads, hidden):
        """The weights, multiplied by the masks of heads [256] and hidden [1024] where there are any."""
        qw, qb, pw = self.qkv.weight, self.qkv.bias, self.proj.weight
        uw, ub, dw = self.up.weight, self.up.bias, self.down.weight
        if heads is not None:
            three = heads.repeat(3)
            qw, qb, pw = qw * three[:, None], qb * three, pw * heads
            uw, ub, dw = uw * hidden[:, None], ub * hidden, dw * hidden
        return qw, qb, pw, uw, ub, dw

    def forward(self, x, mask, heads=None, hidden=None):
        qw, qb, pw, uw, ub, dw = self.weights(heads, hidden)
        q, k, v = F.linear(self.norm1(x), qw, qb).view(BATCH, TOKENS, 3, HEADS, WIDTH).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-1, -2) * WIDTH ** -0.5 + mask).softmax(-1) @ v
        x = x + F.linear(a.transpose(1, 2).reshape(BATCH, TOKENS, -1), pw, self.proj.bias)
        return x + F.linear(F.gelu(F.linear(self.norm2(x), uw, ub)), dw, self.down.bias)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(VOCAB, EMBED))
        self.position = nn.Parameter(0.02 * torch.randn(1, TOKENS, EMBED))
        self.layers, self.norm = nn.ModuleList(Layer() for _ in range(DEPTH)), nn.LayerNorm(EMBED)
        self.mask = torch.full((TOKENS, TOKENS), -1e9).triu(1)

    def forward(self, ids, heads=None, hidden=None, depth=None):
        x, kept = F.embedding(ids, self.table) + self.position, []
        for i, layer in enumerate(self.layers):
            x = layer(x, self.mask) if heads is None else layer(x, self.mask, heads[i], hidden[i])
            if depth is not None and i + 1 in DEPTHS:
                kept.append(x)
        if depth is not None:
            x = sum(c * k for c, k in zip(depth, kept))
        return F.linear(self.norm(x), self.table)


def prefixes(sizes):
    """Mask rows of choices that keep the first so many of the last of sizes positions."""
    return torch.stack([(torch.arange(sizes[-1]) < s).float() for s in sizes])


def draw():
    ids = torch.randint(VOCAB, (BATCH, TOKENS + 1))
    return ids[:, :-1], ids[:, 1:].reshape(-1)


def loss_of(logits, following):
    return F.cross_entropy(logits.view(-1, VOCAB), following)


def plain_step():
    model = Decoder()
    optimiser = torch.optim.SGD(model.parameters(), 0.01, 0.9)
    ids, following = draw()

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss_of(model(ids), following).backward()
        optimiser.step()
    return step


def super_step():
    model = Decoder()
    heads = [torch.zeros(len(WIDTHS), requires_grad=True) for _ in range(DEPTH)]
    hidden = [torch.zeros(len(HIDDENS), requires_grad=True) for _ in range(DEPTH)]
    depth = torch.zeros(len(DEPTHS), requires_grad=True)
    head_rows, hidden_rows = prefixes(WIDTHS), prefixes(HIDDENS)
    weights = torch.optim.SGD(model.parameters(), 0.01, 0.9)
    alphas = torch.optim.Adam([*heads, *hidden, depth], 3e-4, (0.5, 0.999), weight_decay=1e-3)
    batches = draw(), draw()

    def step():
        for (ids, following), optimiser in zip(batches, (alphas, weights)):
            weights.zero_grad(set_to_none=True)
            alphas.zero_grad(set_to_none=True)
            logits = model(ids, [a.softmax(0) @ head_rows for a in heads], [a.softmax(0) @ hidden_rows for a in hidden], depth.softmax(0))
            loss_of(logits, following).backward()
            optimiser.step()
    return step


STEPS = {"decoder": plain_step, "decoder_super": super_step}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("workload", nargs="+", choices=STEPS)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=5)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.workload:
        torch.manual_seed(0)
        step, ms = STEPS[name](), []
        for _ in range(WARMUP + args.steps):
            start = time.perf_counter()
            step()
            ms.append(1e3 * (time.perf_counter() - start))
        ms = sorted(ms[WARMUP:])
        print(json.dumps(dict(workload=name, form="mask" if name.endswith("super") else None, device="cpu", threads=args.threads,
                              torch=torch.__version__, median_ms=round(ms[len(ms) // 2], 2), min_ms=round(ms[0], 2),
                              peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))), flush=True)


if __name__ == "__main__":
    main()
