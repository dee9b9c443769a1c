#!/usr/bin/env python3
"""Time a training step of ResNet-50 or ViT-S at 224x224 in PyTorch, plain or entangled, or a
plain one of ResNet-20 or a small ViT at 32x32.

A step is forward, loss, backward and update by SGD with momentum; of a _super workload it
is one step of the architecture parameters (Adam) and one of the weights. Coefficients are
softmaxes that multiply the weights as masks. --mode compile runs the loss through
torch.compile. bf16 is autocast with float32 weights; convolutional networks are in
channels-last order for tf32 and bf16.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

from common import Size, arguments, measure


def prefix_masks(size, keep, device):
    return torch.stack([(torch.arange(size) < k).float() for k in keep]).to(device)


class Mixture(nn.Module):
    """A softmax over choices, as a mask of sizes or of 1x1 within 3x3."""

    def __init__(self, rows):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(rows.shape[0]))
        self.register_buffer("rows", rows)

    def forward(self):
        return self.alpha.softmax(0) @ self.rows


def kernel_masks():
    centre = torch.zeros(9)
    centre[4] = 1
    return torch.stack([centre, torch.ones(9)])


class Bottleneck(nn.Module):
    def __init__(self, i, inner, stride, choices):
        super().__init__()
        o = 4 * inner
        self.stride = stride
        self.c1 = nn.Conv2d(i, inner, 1, bias=False)
        self.c2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.c3 = nn.Conv2d(inner, o, 1, bias=False)
        self.b1, self.b2, self.b3 = nn.BatchNorm2d(inner), nn.BatchNorm2d(inner), nn.BatchNorm2d(o)
        self.short = None
        if stride != 1 or i != o:
            self.short = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        self.width = self.kernel = None
        if choices:
            self.width = Mixture(prefix_masks(inner, [(k + 1) * inner // choices for k in range(choices)], "cpu"))
            self.kernel = Mixture(kernel_masks())

    def forward(self, x):
        w1, w2, w3 = self.c1.weight, self.c2.weight, self.c3.weight
        if self.width is not None:
            m, k = self.width(), self.kernel().view(1, 1, 3, 3)
            w1 = w1 * m.view(-1, 1, 1, 1)
            w2 = w2 * k * m.view(-1, 1, 1, 1) * m.view(1, -1, 1, 1)
            w3 = w3 * m.view(1, -1, 1, 1)
        y = F.relu(self.b1(F.conv2d(x, w1)))
        y = F.relu(self.b2(F.conv2d(y, w2, None, self.stride, 1)))
        y = self.b3(F.conv2d(y, w3))
        return F.relu(y + (x if self.short is None else self.short(x)))


class ResNet50(nn.Module):
    def __init__(self, s, choices):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, s.width, 7, 2, 3, bias=False), nn.BatchNorm2d(s.width)
        blocks, i = [], s.width
        for stage, n in enumerate(s.blocks):
            for b in range(n):
                inner = s.width << stage
                blocks.append(Bottleneck(i, inner, 2 if stage and b == 0 else 1, choices))
                i = 4 * inner
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(i, s.classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 3, 2, 1)
        return self.head(self.blocks(x).mean((2, 3)))


class Basic(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.c2, self.b2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.short = None
        if stride != 1 or i != o:
            self.short = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.b2(self.c2(F.relu(self.b1(self.c1(x)))))
        return F.relu(y + (x if self.short is None else self.short(x)))


class ResNet20(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, s.width, 3, 1, 1, bias=False), nn.BatchNorm2d(s.width)
        blocks, i = [], s.width
        for stage, n in enumerate(s.blocks):
            for b in range(n):
                blocks.append(Basic(i, s.width << stage, 2 if stage and b == 0 else 1))
                i = s.width << stage
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(i, s.classes)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.norm(self.stem(x)))).mean((2, 3)))


class Layer(nn.Module):
    def __init__(self, s, entangled):
        super().__init__()
        e, self.h = s.embed, s.heads
        self.n1, self.n2 = nn.LayerNorm(e), nn.LayerNorm(e)
        self.qkv, self.proj = nn.Linear(e, 3 * e), nn.Linear(e, e)
        self.up, self.down = nn.Linear(e, s.hidden), nn.Linear(s.hidden, e)
        self.heads = self.mlp = None
        if entangled:
            self.heads = Mixture(prefix_masks(e, [64 * (k + 1) for k in range(s.heads)], "cpu"))
            self.mlp = Mixture(prefix_masks(s.hidden, s.hiddens, "cpu"))

    def forward(self, x):
        b, t, e = x.shape
        qw, qb, pw, uw, ub, dw = self.qkv.weight, self.qkv.bias, self.proj.weight, self.up.weight, self.up.bias, self.down.weight
        if self.heads is not None:
            m, f = self.heads(), self.mlp()
            qw, qb, pw = (qw.view(3, e, e) * m.view(1, -1, 1)).view(3 * e, e), (qb.view(3, e) * m).view(-1), pw * m
            uw, ub, dw = uw * f.view(-1, 1), ub * f, dw * f
        q, k, v = F.linear(self.n1(x), qw, qb).view(b, t, 3, self.h, 64).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v) if hasattr(F, "scaled_dot_product_attention") else (q @ k.transpose(-1, -2) / 8).softmax(-1) @ v
        x = x + F.linear(a.transpose(1, 2).reshape(b, t, e), pw, self.proj.bias)
        return x + F.linear(F.gelu(F.linear(self.n2(x), uw, ub)), dw, self.down.bias)


class ViT(nn.Module):
    def __init__(self, s, entangled):
        super().__init__()
        tokens = (s.image // s.patch) ** 2 + 1
        self.patch = nn.Conv2d(3, s.embed, s.patch, s.patch)
        self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, s.embed)), nn.Parameter(torch.randn(1, tokens, s.embed) * 0.02)
        self.layers = nn.ModuleList(Layer(s, entangled) for _ in range(s.depth))
        self.norm, self.head = nn.LayerNorm(s.embed), nn.Linear(s.embed, s.classes)
        self.kept = s.kept if entangled else []
        self.depth = nn.Parameter(torch.zeros(len(s.kept))) if entangled else None

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1).to(x.dtype), x], 1) + self.pos
        kept = []
        for n, layer in enumerate(self.layers):
            x = layer(x)
            if n + 1 in self.kept:
                kept.append(x)
        if self.depth is not None:
            x = sum(c * k for c, k in zip(self.depth.softmax(0), kept))
        return self.head(self.norm(x[:, 0]))


def main():
    a = arguments(__doc__, ["eager", "compile"])
    torch.manual_seed(0)
    fast = a.precision != "f32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = fast
    torch.backends.cudnn.benchmark = True
    s, entangled = Size(a.workload, a.tiny), a.workload.endswith("_super")
    conv = a.workload.startswith("resnet")
    if a.workload == "resnet20":
        model = ResNet20(s)
    elif conv:
        model = ResNet50(s, 4 if entangled else 0)
    else:
        model = ViT(s, entangled)
    model = model.to(a.device)
    shape = (a.batch, 3, s.image, s.image)
    if conv and fast:
        model = model.to(memory_format=torch.channels_last)
    alphas = [p for n, p in model.named_parameters() if n.endswith("alpha") or n == "depth"]
    chosen = {id(p) for p in alphas}
    weights = [p for p in model.parameters() if id(p) not in chosen]
    fused = {"fused": True} if a.device == "cuda" else {}
    phases = [torch.optim.SGD(weights, 0.01, 0.9, **({} if torch.__version__ < "2.3" else fused))]
    if entangled:
        phases.insert(0, torch.optim.Adam(alphas, 3e-4, (0.5, 0.999), weight_decay=1e-3))
    batches = []
    for _ in phases:
        x = torch.randn(shape, device=a.device)
        if conv and fast:
            x = x.to(memory_format=torch.channels_last)
        batches.append((x, torch.randint(s.classes, (a.batch,), device=a.device)))

    def loss_of(x, y):
        with torch.autocast(a.device, torch.bfloat16, enabled=a.precision == "bf16"):
            out = model(x)
        return F.cross_entropy(out.float(), y)

    if a.mode == "compile":
        loss_of = torch.compile(loss_of)
    sync = torch.cuda.synchronize if a.device == "cuda" else (lambda: None)

    def step():
        for (x, y), optimizer in zip(batches, phases):
            for group, on in ((weights, optimizer is phases[-1]), (alphas, optimizer is not phases[-1])):
                for p in group:
                    p.grad = None
                    p.requires_grad_(on)
            loss = loss_of(x, y)
            loss.backward()
            optimizer.step()
        sync()
        return float(loss.detach())

    measure(a, "torch " + torch.__version__, step, lambda: torch.cuda.max_memory_allocated() / 2**20 if a.device == "cuda" else 0)


if __name__ == "__main__":
    main()
