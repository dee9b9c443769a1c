#!/usr/bin/env python3
"""Export transformers as PyTorch users spell them, with random weights.

Needs PyTorch 1.13 (Debian: python3-torch). The committed files were made by one
run; tests read the files, never this script.
Usage: make.py [DIR]
"""
import math, os, sys, warnings
import torch, torch.nn as nn, torch.nn.functional as F

warnings.filterwarnings("ignore")
out = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
WIDTH, HEADS, DEEP, HIDDEN, VOCAB, LONGEST = 24, 6, 4, 40, 50, 16


class Encoder(nn.Module):
    """torch.nn.TransformerEncoder: sequence first inside, batch and heads merged."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        layer = lambda: nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, batch_first=True, activation="gelu")
        self.layers = nn.ModuleList([layer() for _ in range(2)])
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, 0])


class FusedAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        p = ((q @ k.transpose(-2, -1)) * DEEP**-0.5).softmax(-1)
        return self.out((p @ v).transpose(1, 2).reshape(b, t, c))


class Vision(nn.Module):
    """A vision transformer: patches by convolution, class token, fused q, k, v."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, 4)
        self.token, self.position = nn.Parameter(torch.randn(1, 1, WIDTH)), nn.Parameter(torch.randn(1, 10, WIDTH))
        block = lambda: nn.ModuleList([nn.LayerNorm(WIDTH), FusedAttention(), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)])
        self.blocks = nn.ModuleList([block() for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        for norm, attend, norm2, up, down in self.blocks:
            x = x + attend(norm(x))
            x = x + down(F.gelu(up(norm2(x))))
        return self.head(self.norm(x)[:, 0])


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def split(self, x):
        return x.view(x.size()[:-1] + (HEADS, DEEP)).permute(0, 2, 1, 3)

    def forward(self, x, mask):
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        p = torch.softmax(torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(DEEP) + mask, -1)
        y = torch.matmul(p, v).permute(0, 2, 1, 3).contiguous()
        return self.out(y.view(y.size()[:-2] + (WIDTH,)))


class Bert(nn.Module):
    """A BERT-like encoder: positions from a buffer, additive mask, norms after the sums."""

    def __init__(self):
        super().__init__()
        self.word, self.place = nn.Embedding(VOCAB, WIDTH), nn.Embedding(LONGEST, WIDTH)
        self.register_buffer("places", torch.arange(LONGEST).expand(1, -1))
        layer = lambda: nn.ModuleList([SelfAttention(), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH), nn.LayerNorm(WIDTH)])
        self.layers = nn.ModuleList([layer() for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, ids, mask):
        m = (1.0 - mask[:, None, None, :].to(torch.float32)) * -1e4
        x = self.norm(self.word(ids) + self.place(self.places[:, : ids.size(1)]))
        for attend, norm, up, down, norm2 in self.layers:
            x = norm(attend(x, m) + x)
            x = norm2(down(F.gelu(up(x))) + x)
        return self.head(torch.tanh(x[:, 0]))


class GPT(nn.Module):
    """A GPT-2-like block: weights transposed, fused q, k, v by split, mask by where, tied head."""

    def __init__(self):
        super().__init__()
        self.word, self.place = nn.Embedding(VOCAB, WIDTH), nn.Embedding(LONGEST, WIDTH)
        self.wide, self.wide_bias = nn.Parameter(torch.randn(WIDTH, 3 * WIDTH) * 0.3), nn.Parameter(torch.randn(3 * WIDTH))
        self.out, self.out_bias = nn.Parameter(torch.randn(WIDTH, WIDTH) * 0.3), nn.Parameter(torch.randn(WIDTH))
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(3)])
        self.register_buffer("causal", torch.tril(torch.ones(LONGEST, LONGEST, dtype=torch.bool)).view(1, 1, LONGEST, LONGEST))

    def project(self, x, w, b):
        return torch.addmm(b, x.view(-1, x.size(-1)), w).view(x.size()[:-1] + (w.size(1),))

    def forward(self, ids):
        x = self.word(ids) + self.place(torch.arange(0, ids.size(-1), dtype=torch.long).unsqueeze(0))
        parts = self.project(self.norms[0](x), self.wide, self.wide_bias).split(WIDTH, dim=2)
        q, k, v = (t.view(t.size()[:-1] + (HEADS, DEEP)).permute(0, 2, 1, 3) for t in parts)
        s = torch.matmul(q, k.transpose(-1, -2))
        s = s / torch.full([], v.size(-1) ** 0.5, dtype=s.dtype)
        n, m = q.size(-2), k.size(-2)
        s = torch.where(self.causal[:, :, m - n : m, :m], s, torch.full([], -1e4, dtype=s.dtype))
        y = torch.matmul(torch.softmax(s, -1), v).permute(0, 2, 1, 3).contiguous()
        x = x + self.project(y.view(y.size()[:-2] + (WIDTH,)), self.out, self.out_bias)
        h = self.up(self.norms[1](x))
        h = 0.5 * h * (1.0 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * torch.pow(h, 3.0))))
        return torch.matmul(self.norms[2](x + self.down(h)), self.word.weight.t())


class Llama(nn.Module):
    """A Llama-like block: RMS norms, rotary positions, grouped key heads, gated hidden layer."""

    def __init__(self):
        super().__init__()
        dense = lambda a, b: nn.Linear(a, b, bias=False)
        self.word, self.head = nn.Embedding(VOCAB, WIDTH), dense(WIDTH, VOCAB)
        self.q, self.k, self.v, self.out = dense(WIDTH, WIDTH), dense(WIDTH, WIDTH // 2), dense(WIDTH, WIDTH // 2), dense(WIDTH, WIDTH)
        self.gate, self.up, self.down = dense(WIDTH, HIDDEN), dense(WIDTH, HIDDEN), dense(HIDDEN, WIDTH)
        self.norms = nn.ParameterList([nn.Parameter(torch.randn(WIDTH)) for _ in range(3)])
        self.register_buffer("rates", 1.0 / (10000 ** (torch.arange(0, DEEP, 2).float() / DEEP)))

    def norm(self, x, w):
        return w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))

    def turn(self, x):
        return torch.cat((-x[..., x.shape[-1] // 2 :], x[..., : x.shape[-1] // 2]), -1)

    def repeat(self, x):
        b, h, t, d = x.shape
        return x[:, :, None, :, :].expand(b, h, 2, t, d).reshape(b, h * 2, t, d)

    def forward(self, ids):
        b, t = ids.shape
        x = self.word(ids)
        y = self.norm(x, self.norms[0])
        split = lambda z, h: z.view(b, t, h, DEEP).transpose(1, 2)
        q, k, v = split(self.q(y), HEADS), split(self.k(y), HEADS // 2), split(self.v(y), HEADS // 2)
        angles = torch.einsum("i,j->ij", torch.arange(t, dtype=torch.float32), self.rates)
        angles = torch.cat((angles, angles), -1)
        cos, sin = angles.cos()[None, None], angles.sin()[None, None]
        q, k = q * cos + self.turn(q) * sin, k * cos + self.turn(k) * sin
        k, v = self.repeat(k), self.repeat(v)
        s = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(DEEP) + torch.full((t, t), float("-inf")).triu(1)
        y = torch.matmul(torch.softmax(s, -1, dtype=torch.float32), v).transpose(1, 2).contiguous().reshape(b, t, WIDTH)
        x = x + self.out(y)
        y = self.norm(x, self.norms[1])
        x = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return self.head(self.norm(x, self.norms[2]))


class T5(nn.Module):
    """A T5-like block: relative position bias from a table, no scale."""

    def __init__(self):
        super().__init__()
        dense = lambda a, b: nn.Linear(a, b, bias=False)
        self.word, self.bias = nn.Embedding(VOCAB, WIDTH), nn.Embedding(32, HEADS)
        self.q, self.k, self.v, self.out = (dense(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down, self.head = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH), nn.Linear(WIDTH, 5)
        self.scale = nn.Parameter(torch.randn(WIDTH))

    def forward(self, ids):
        b, t = ids.shape
        x = self.word(ids)
        y = self.scale * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))
        split = lambda z: z.view(b, -1, HEADS, DEEP).transpose(1, 2)
        q, k, v = split(self.q(y)), split(self.k(y)), split(self.v(y))
        distance = torch.clamp(torch.arange(t)[None, :] - torch.arange(t)[:, None] + 16, 0, 31)
        s = torch.matmul(q, k.transpose(3, 2)) + self.bias(distance).permute(2, 0, 1).unsqueeze(0)
        y = torch.matmul(torch.softmax(s.float(), -1).type_as(s), v).transpose(1, 2).contiguous().view(b, -1, WIDTH)
        x = x + self.out(y)
        return self.head(x + self.down(torch.relu(self.up(x))))


torch.manual_seed(0)
ids = torch.randint(0, VOCAB, (2, 7))
image = torch.randn(2, 3, 12, 12)
for name, model, args, inputs, opset in [
    ("encoder", Encoder(), (ids,), ["ids"], 13),
    ("vision", Vision(), (image,), ["image"], 16),
    ("bert", Bert(), (ids, torch.ones(2, 7, dtype=torch.long)), ["ids", "mask"], 11),
    ("gpt", GPT(), (ids,), ["ids"], 12),
    ("llama", Llama(), (ids,), ["ids"], 14),
    ("t5", T5(), (ids,), ["ids"], 13),
]:
    for p in model.parameters():  # equal vectors would be exported as one
        if p.dim() == 1:
            nn.init.normal_(p, 0.5, 0.3)
    dims = {n: {0: "batch"} if n == "image" else {0: "batch", 1: "seq"} for n in inputs}
    path = os.path.join(out, name + ".onnx")
    torch.onnx.export(model.eval(), args, path, input_names=inputs, output_names=["y"], dynamic_axes={**dims, "y": {0: "batch"}}, opset_version=opset)
