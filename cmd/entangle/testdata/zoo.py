"""Exports small PyTorch networks of random weights as ONNX.

    zoo.py FOLDER [NAME…]    writes FOLDER/NAME.onnx, and prints a line of JSON for each:
                                {"family", "name", "sizes": open sizes but the first axis by name, "error"}
"""
import json
import math
import os
import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn

warnings.filterwarnings("ignore")
ZOO = {}
FAMILIES = {
    "detectors": ("yolo", "retinanet", "ssd", "detr", "multi-task"),
    "classifiers": ("cbam", "ghostnet", "hrnet", "res2net", "mobilenet", "shufflenet", "densenet", "efficientnet", "regnet", "resn", "convnext", "mlp-mixer", "selective", "dlrm"),
    "maps and images": ("unet", "deeplab", "edsr", "dcgan", "style", "nafnet", "diffusion", "esrgan", "pix2pix"),
    "vision transformers": ("vit", "swin", "maxvit", "mobilevit", "clip", "deit", "pvt", "efficientvit", "perceiver"),
    "text encoders": ("bert", "minilm", "albert", "ft-", "deberta"),
    "decoders and pairs": ("gpt2", "qwen", "phi", "falcon", "mixtral", "t5", "whisper", "bloom"),
    "sound and series": ("tcn", "conformer", "wav2vec2", "crnn", "citrinet"),
}


class Entry:
    def __init__(self, make, inputs, axes, opset, names, outputs, shared, half):
        self.make, self.inputs, self.axes, self.opset, self.names, self.outputs, self.shared, self.half = make, inputs, axes, opset, names, outputs, shared, half


def zoo(name, *inputs, axes=None, opset=13, names=("x",), outputs=("y",), shared=False, half=False):
    """Registers what makes a module. Axes leaves sizes open, by value: {"x": {0: "batch"}}. Shared
    leaves vectors as they start, so that the exporter merges equal ones; half is all in float16."""

    def put(make):
        ZOO[name] = Entry(make, inputs, axes, opset, names, outputs, shared, half)
        return make

    return put


def image(*dims):
    return lambda g: torch.randn(*dims, generator=g)


def tokens(vocab, *dims):
    return lambda g: torch.randint(0, vocab, dims, generator=g)


def ones(*dims):
    return lambda g: torch.ones(dims, dtype=torch.int64)


BATCH = {"x": {0: "batch"}, "y": {0: "batch"}}
OPEN = {"x": {0: "batch", 2: "height", 3: "width"}, "y": {0: "batch"}}
TEXT = {"input_ids": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "sequence"}, "y": {0: "batch"}}


# Convolutions.


class ConvAct(nn.Sequential):
    def __init__(self, a, b, k=1, s=1, g=1, act=nn.SiLU, d=1):
        super().__init__(nn.Conv2d(a, b, k, s, d * (k // 2), d, g, bias=False), nn.BatchNorm2d(b), act() if act else nn.Identity())


class Bottleneck(nn.Module):
    def __init__(self, c, add=True):
        super().__init__()
        self.a, self.b, self.add = ConvAct(c, c, 3), ConvAct(c, c, 3), add

    def forward(self, x):
        y = self.b(self.a(x))
        return x + y if self.add else y


class C2f(nn.Module):
    def __init__(self, a, b, n=1, add=True):
        super().__init__()
        self.c = b // 2
        self.one, self.two = ConvAct(a, b), ConvAct((2 + n) * self.c, b)
        self.m = nn.ModuleList(Bottleneck(self.c, add) for _ in range(n))

    def forward(self, x):
        y = list(self.one(x).chunk(2, 1))
        for m in self.m:
            y.append(m(y[-1]))
        return self.two(torch.cat(y, 1))


class C3(nn.Module):
    def __init__(self, a, b, n=1):
        super().__init__()
        c = b // 2
        self.one, self.two, self.three = ConvAct(a, c), ConvAct(a, c), ConvAct(2 * c, b)
        self.m = nn.Sequential(*(Bottleneck(c) for _ in range(n)))

    def forward(self, x):
        return self.three(torch.cat((self.m(self.one(x)), self.two(x)), 1))


class SPPF(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.one, self.two = ConvAct(c, c // 2), ConvAct(2 * c, c)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        x = self.one(x)
        a = self.pool(x)
        b = self.pool(a)
        return self.two(torch.cat((x, a, b, self.pool(b)), 1))


class Pyramid(nn.Module):
    """Features of three levels, joined from the top and again from below."""

    def __init__(self, block):
        super().__init__()
        self.stem, self.b1 = ConvAct(3, 16, 3, 2), nn.Sequential(ConvAct(16, 16, 3, 2), block(16, 16))
        self.b2, self.b3 = nn.Sequential(ConvAct(16, 32, 3, 2), block(32, 32)), nn.Sequential(ConvAct(32, 48, 3, 2), block(48, 48), SPPF(48))
        self.up2, self.up1 = block(80, 32), block(48, 16)
        self.down1, self.n2, self.down2, self.n3 = ConvAct(16, 16, 3, 2), block(48, 32), ConvAct(32, 32, 3, 2), block(80, 48)

    def forward(self, x):
        a = self.b1(self.stem(x))
        b = self.b2(a)
        c = self.b3(b)
        p2 = self.up2(torch.cat((F.interpolate(c, scale_factor=2.0), b), 1))
        p1 = self.up1(torch.cat((F.interpolate(p2, scale_factor=2.0), a), 1))
        n2 = self.n2(torch.cat((self.down1(p1), p2), 1))
        return p1, n2, self.n3(torch.cat((self.down2(n2), c), 1))


class FreeHead(nn.Module):
    """Distances to the sides as means over bins, without anchors."""

    def __init__(self, classes=5, bins=8):
        super().__init__()
        self.neck, self.bins, self.classes = Pyramid(C2f), bins, classes
        self.box = nn.ModuleList(nn.Sequential(ConvAct(c, 16, 3), nn.Conv2d(16, 4 * bins, 1)) for c in (16, 32, 48))
        self.cls = nn.ModuleList(nn.Sequential(ConvAct(c, 16, 3), nn.Conv2d(16, classes, 1)) for c in (16, 32, 48))
        self.dfl = nn.Conv2d(bins, 1, 1, bias=False)
        self.dfl.weight.data[:] = torch.arange(bins, dtype=torch.float).view(1, bins, 1, 1)

    def forward(self, x):
        maps = [torch.cat((b(v), c(v)), 1) for v, b, c in zip(self.neck(x), self.box, self.cls)]
        all = torch.cat([m.view(m.shape[0], 4 * self.bins + self.classes, -1) for m in maps], 2)
        box, cls = all.split((4 * self.bins, self.classes), 1)
        b, _, a = box.shape
        d = self.dfl(box.view(b, 4, self.bins, a).transpose(2, 1).softmax(1)).view(b, 4, a)
        lt, rb = d.chunk(2, 1)
        at = []
        for m, s in zip(maps, (4, 8, 16)):
            h, w = m.shape[2:]
            yy, xx = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
            at.append(torch.stack((xx, yy)).view(2, -1) * s)
        at = torch.cat(at, 1)
        lo, hi = at - lt, at + rb
        return torch.cat(((lo + hi) / 2, hi - lo, cls.sigmoid()), 1)


class AnchorHead(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.neck, self.no = Pyramid(C3), classes + 5
        self.m = nn.ModuleList(nn.Conv2d(c, 3 * self.no, 1) for c in (16, 32, 48))
        self.register_buffer("anchors", torch.rand(3, 1, 3, 1, 1, 2) * 20 + 5)

    def forward(self, x):
        z = []
        for i, v in enumerate(self.neck(x)):
            v = self.m[i](v)
            b, _, h, w = v.shape
            v = v.view(b, 3, self.no, h, w).permute(0, 1, 3, 4, 2).contiguous()
            xy, wh, conf = v.sigmoid().split((2, 2, self.no - 4), 4)
            yy, xx = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            xy = (xy * 2 + torch.stack((xx, yy), 2) - 0.5) * (4 * 2**i)
            wh = (wh * 2) ** 2 * self.anchors[i]
            z.append(torch.cat((xy, wh, conf), 4).view(b, -1, self.no))
        return torch.cat(z, 1)


zoo("yolov8", image(1, 3, 64, 64), opset=12)(FreeHead)
zoo("yolov8-open", image(2, 3, 64, 64), axes={"x": {0: "batch", 2: "height", 3: "width"}, "y": {0: "batch", 2: "anchors"}}, opset=14)(FreeHead)
zoo("yolov5", image(1, 3, 64, 64), opset=12)(AnchorHead)
zoo("yolov5-open", image(2, 3, 64, 64), axes={"x": {0: "batch", 2: "height", 3: "width"}, "y": {0: "batch", 1: "anchors"}}, opset=14)(AnchorHead)


@zoo("retinanet", image(2, 3, 64, 64), axes=BATCH, outputs=("y", "boxes"))
class Retina(nn.Module):
    """One head for all levels."""

    def __init__(self):
        super().__init__()
        self.body = nn.ModuleList([ConvAct(3, 16, 3, 2, act=nn.ReLU), ConvAct(16, 24, 3, 2, act=nn.ReLU), ConvAct(24, 32, 3, 2, act=nn.ReLU)])
        self.side = nn.ModuleList(nn.Conv2d(c, 24, 1) for c in (16, 24, 32))
        self.smooth = nn.ModuleList(nn.Conv2d(24, 24, 3, 1, 1) for _ in range(3))
        tower = lambda: nn.Sequential(nn.Conv2d(24, 24, 3, 1, 1), nn.GroupNorm(8, 24), nn.ReLU())
        self.cls, self.reg = nn.Sequential(tower(), tower(), nn.Conv2d(24, 3 * 4, 3, 1, 1)), nn.Sequential(tower(), nn.Conv2d(24, 3 * 4, 3, 1, 1))

    def forward(self, x):
        c = []
        for b in self.body:
            x = b(x)
            c.append(x)
        p = [s(v) for s, v in zip(self.side, c)]
        for i in (1, 0):
            p[i] = p[i] + F.interpolate(p[i + 1], size=p[i].shape[-2:], mode="nearest")
        out = [[], []]
        for s, v in zip(self.smooth, p):
            v = s(v)
            for k, h in enumerate((self.cls, self.reg)):
                y = h(v)
                n, _, hh, ww = y.shape
                out[k].append(y.view(n, 3, 4, hh, ww).permute(0, 3, 4, 1, 2).reshape(n, -1, 4))
        return torch.cat(out[0], 1).sigmoid(), torch.cat(out[1], 1)


@zoo("ssd-spp", image(2, 3, 64, 64), axes=OPEN, outputs=("y", "boxes"), opset=11)
class SSD(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(ConvAct(3, 16, 3, 2, act=nn.ReLU6), ConvAct(16, 16, 3, 1, 16, act=nn.ReLU6), ConvAct(16, 24, act=nn.ReLU6))
        self.pool = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (3, 5, 9))
        self.b = nn.Sequential(ConvAct(96, 32, act=nn.ReLU6), ConvAct(32, 32, 3, 2, act=nn.ReLU6))
        self.c = nn.ModuleList(nn.Conv2d(c, 4 * 6, 3, 1, 1) for c in (96, 32))
        self.l = nn.ModuleList(nn.Conv2d(c, 4 * 4, 3, 1, 1) for c in (96, 32))

    def forward(self, x):
        x = self.a(x)
        one = torch.cat([x] + [p(x) for p in self.pool], 1)
        maps = (one, self.b(one))
        flat = lambda y, k: y.permute(0, 2, 3, 1).contiguous().view(y.size(0), -1, k)
        return torch.cat([flat(c(v), 6) for c, v in zip(self.c, maps)], 1).softmax(-1), torch.cat([flat(c(v), 4) for c, v in zip(self.l, maps)], 1)


class Attended(nn.Module):
    def __init__(self, plain):
        super().__init__()
        self.plain = plain
        self.stem, self.head = ConvAct(3, 24, 3, 2, act=nn.ReLU), nn.Linear(24, 6)
        self.blocks = nn.ModuleList(nn.Sequential(ConvAct(24, 24, 3, act=nn.ReLU), ConvAct(24, 24, 3, act=None)) for _ in range(2))
        self.mlp = nn.ModuleList(nn.Sequential(nn.Conv2d(24, 8, 1, bias=False), nn.ReLU(), nn.Conv2d(8, 24, 1, bias=False)) for _ in range(2))
        self.spatial = nn.ModuleList(nn.Conv2d(2, 1, 7, padding=3, bias=False) for _ in range(2))

    def forward(self, x):
        x = self.stem(x)
        for b, m, s in zip(self.blocks, self.mlp, self.spatial):
            y = b(x)
            if not self.plain:
                y = y * torch.sigmoid(m(F.adaptive_avg_pool2d(y, 1)) + m(F.adaptive_max_pool2d(y, 1)))
                y = y * torch.sigmoid(s(torch.cat((y.mean(1, keepdim=True), y.max(1, keepdim=True)[0]), 1)))
            x = torch.relu(x + y)
        return self.head(x.mean((2, 3)))


class Normed(nn.Module):
    def __init__(self, norm):
        super().__init__()
        conv = lambda a, b: nn.Sequential(nn.Conv2d(a, b, 3, 1, 1), norm(b))
        self.stem, self.blocks, self.head = conv(3, 24), nn.ModuleList(nn.Sequential(conv(24, 16), nn.ReLU(), conv(16, 24)) for _ in range(2)), nn.Linear(24, 6)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for b in self.blocks:
            x = torch.relu(x + b(x))
        return self.head(x.mean((2, 3)))


zoo("resnet-groupnorm", image(1, 3, 32, 32))(lambda: Normed(lambda c: nn.GroupNorm(4, c)))
zoo("resnet-groupnorm-plain", image(1, 3, 32, 32))(lambda: Normed(nn.BatchNorm2d))
zoo("resnet-half", image(2, 3, 32, 32), axes=BATCH, half=True)(lambda: Normed(nn.BatchNorm2d))
zoo("cbam", image(1, 3, 32, 32), opset=11)(lambda: Attended(False))
zoo("cbam-plain", image(1, 3, 32, 32), opset=11)(lambda: Attended(True))


class UNet(nn.Module):
    def __init__(self, bilinear, norm):
        super().__init__()
        two = lambda a, b: nn.Sequential(nn.Conv2d(a, b, 3, 1, 1), norm(b), nn.LeakyReLU(0.1), nn.Conv2d(b, b, 3, 1, 1), norm(b), nn.LeakyReLU(0.1))
        self.a, self.b, self.c = two(3, 16), two(16, 24), two(24, 32)
        self.bilinear = bilinear
        if bilinear:
            self.u1, self.u2 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.d1, self.d2 = two(56, 24), two(40, 16)
        else:
            self.u1, self.u2 = nn.ConvTranspose2d(32, 24, 2, 2), nn.ConvTranspose2d(24, 16, 2, 2)
            self.d1, self.d2 = two(48, 24), two(32, 16)
        self.out = nn.Conv2d(16, 4, 1)

    def join(self, x, skip):
        dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        return torch.cat((skip, F.pad(x, (dx // 2, dx - dx // 2, dy // 2, dy - dy // 2))), 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        x = self.d1(self.join(self.u1(c), b))
        return self.out(self.d2(self.join(self.u2(x), a)))


zoo("unet-bilinear", image(1, 3, 32, 32), opset=11)(lambda: UNet(True, nn.BatchNorm2d))
zoo("unet-open", image(2, 3, 32, 32), axes={"x": {0: "batch", 2: "height", 3: "width"}, "y": {0: "batch", 2: "height", 3: "width"}})(lambda: UNet(False, lambda c: nn.GroupNorm(4, c)))


@zoo("edsr", image(1, 3, 16, 16), axes=OPEN)
class EDSR(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 16, 3, 1, 1)
        self.body = nn.ModuleList(nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1)) for _ in range(3))
        self.up = nn.Sequential(nn.Conv2d(16, 64, 3, 1, 1), nn.PixelShuffle(2), nn.Conv2d(16, 64, 3, 1, 1), nn.PixelShuffle(2))
        self.tail = nn.Conv2d(16, 3, 3, 1, 1)

    def forward(self, x):
        x = self.head(x - 0.5)
        y = x
        for b in self.body:
            y = y + b(y) * 0.1
        return self.tail(self.up(x + y)) + 0.5


@zoo("dcgan", image(4, 20), axes=BATCH)
class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(20, 32 * 4 * 4)
        self.body = nn.Sequential(
            nn.BatchNorm2d(32), nn.ReLU(), nn.ConvTranspose2d(32, 24, 4, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
            nn.ConvTranspose2d(24, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, 2, 1), nn.Tanh())

    def forward(self, z):
        x = self.l1(z)
        return self.body(x.view(x.shape[0], 32, 4, 4))


@zoo("tcn", image(2, 4, 40), axes={"x": {0: "batch", 2: "time"}, "y": {0: "batch"}})
class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.down, a = nn.ModuleList(), nn.ModuleList(), 4
        for i, b in enumerate((16, 16, 24)):
            d = 2**i
            conv = lambda a, b: nn.utils.weight_norm(nn.Conv1d(a, b, 3, padding=2 * d, dilation=d))
            self.blocks.append(nn.ModuleList([conv(a, b), conv(b, b)]))
            self.down.append(nn.Conv1d(a, b, 1) if a != b else nn.Identity())
            a = b
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        for (one, two), down, d in zip(self.blocks, self.down, (1, 2, 4)):
            y = torch.relu(one(x)[:, :, : -2 * d].contiguous())
            y = torch.relu(two(y)[:, :, : -2 * d].contiguous())
            x = torch.relu(y + down(x))
        return self.head(x[:, :, -1])


@zoo("ghostnet", image(1, 3, 32, 32))
class Ghost(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = ConvAct(3, 16, 3, 2, act=nn.ReLU)
        self.primary, self.cheap = nn.ModuleList(), nn.ModuleList()
        for a, b in ((16, 24), (24, 24), (24, 40)):
            self.primary.append(ConvAct(a, b // 2, act=nn.ReLU))
            self.cheap.append(ConvAct(b // 2, b // 2, 3, 1, b // 2, act=nn.ReLU))
        self.squeeze, self.excite, self.head = nn.Conv2d(40, 8, 1), nn.Conv2d(8, 40, 1), nn.Linear(40, 6)

    def forward(self, x):
        x = self.stem(x)
        for p, c in zip(self.primary, self.cheap):
            y = p(x)
            y = torch.cat((y, c(y)), 1)[:, : 2 * y.shape[1]]
            x = x + y if x.shape[1] == y.shape[1] else y
        x = x * F.hardsigmoid(self.excite(torch.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


@zoo("hrnet", image(2, 3, 32, 32), axes=BATCH)
class HRNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = ConvAct(3, 16, 3, 2, act=nn.ReLU)
        self.wide = nn.ModuleList([ConvAct(16, 16, 3, act=nn.ReLU), ConvAct(16, 24, 3, 2, act=nn.ReLU), ConvAct(24, 32, 3, 2, act=nn.ReLU)])
        self.fuse = nn.ModuleList(nn.ModuleList(self.path(a, b) for a in range(3)) for b in range(3))
        self.out = nn.Conv2d(72, 5, 1)

    @staticmethod
    def path(a, b):
        c = (16, 24, 32)
        if a == b:
            return nn.Identity()
        if a > b:
            return nn.Sequential(ConvAct(c[a], c[b], act=None), nn.Upsample(scale_factor=2 ** (a - b), mode="nearest"))
        return nn.Sequential(*(ConvAct(c[a] if k == a else c[b], c[b], 3, 2, act=nn.ReLU if k + 1 < b else None) for k in range(a, b)))

    def forward(self, x):
        v, x = [], self.stem(x)
        for w in self.wide:
            x = w(x)
            v.append(x)
        v = [torch.relu(sum(f(x) for f, x in zip(row, v))) for row in self.fuse]
        size = v[0].shape[2:]
        v = [v[0]] + [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in v[1:]]
        return self.out(torch.cat(v, 1))


@zoo("style-transfer", image(1, 3, 32, 32), axes={"x": {2: "height", 3: "width"}}, opset=11)
class Style(nn.Module):
    def __init__(self):
        super().__init__()
        conv = lambda a, b, k, s=1: nn.Sequential(nn.ReflectionPad2d(k // 2), nn.Conv2d(a, b, k, s), nn.InstanceNorm2d(b, affine=True))
        self.down = nn.Sequential(conv(3, 12, 9), nn.ReLU(), conv(12, 16, 3, 2), nn.ReLU())
        self.res = nn.ModuleList(nn.Sequential(conv(16, 16, 3), nn.ReLU(), conv(16, 16, 3)) for _ in range(2))
        self.up, self.end = conv(16, 12, 3), nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(12, 3, 9))

    def forward(self, x):
        x = self.down(x)
        for r in self.res:
            x = x + r(x)
        return self.end(torch.relu(self.up(F.interpolate(x, scale_factor=2.0))))


@zoo("nafnet", image(1, 3, 16, 16), axes=OPEN)
class NAFNet(nn.Module):
    def __init__(self):
        super().__init__()
        c = 16
        self.head, self.tail = nn.Conv2d(3, c, 3, 1, 1), nn.Conv2d(c, 3, 3, 1, 1)
        self.up, self.dw, self.down, self.gate = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(2 * c, 2 * c, 3, 1, 1, groups=2 * c), nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1)
        self.f1, self.f2 = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(c, c, 1)
        self.n1, self.n2 = nn.Parameter(torch.rand(2, c)), nn.Parameter(torch.rand(2, c))

    @staticmethod
    def norm(x, p):
        mu = x.mean(1, keepdim=True)
        var = (x - mu).pow(2).mean(1, keepdim=True)
        return p[0].view(1, -1, 1, 1) * ((x - mu) / (var + 1e-6).sqrt()) + p[1].view(1, -1, 1, 1)

    def forward(self, x):
        y = self.head(x)
        for _ in range(2):
            a, b = self.dw(self.up(self.norm(y, self.n1))).chunk(2, 1)
            z = a * b
            y = y + self.down(z * self.gate(F.adaptive_avg_pool2d(z, 1)))
            a, b = self.f1(self.norm(y, self.n2)).chunk(2, 1)
            y = y + self.f2(a * b)
        return x + self.tail(y)


@zoo("res2net-eca", image(2, 3, 32, 32), axes=BATCH)
class Res2Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.one, self.three = ConvAct(3, 32, 3, 2, act=nn.ReLU), ConvAct(32, 32, act=nn.ReLU), ConvAct(32, 32, act=None)
        self.convs, self.eca, self.head = nn.ModuleList(ConvAct(8, 8, 3, act=nn.ReLU) for _ in range(3)), nn.Conv1d(1, 1, 3, padding=1, bias=False), nn.Linear(32, 6)

    def forward(self, x):
        x = self.stem(x)
        parts = torch.split(self.one(x), 8, 1)
        out, y = [], None
        for i, c in enumerate(self.convs):
            y = parts[i] if y is None else y + parts[i]
            y = c(y)
            out.append(y)
        y = self.three(torch.cat(out + [parts[3]], 1))
        w = self.eca(F.adaptive_avg_pool2d(y, 1).squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        return self.head(F.adaptive_avg_pool2d(torch.relu(x + y * torch.sigmoid(w)), 1).flatten(1))


# torchvision.


def vision():
    import torchvision.models as tv
    from torchvision.models import convnext, densenet, efficientnet, maxvit, mobilenetv3, regnet, segmentation, shufflenetv2, swin_transformer, vision_transformer
    from torchvision.models.segmentation import deeplabv3

    zoo("mobilenet-v2", image(1, 3, 64, 64), opset=11)(lambda: tv.mobilenet_v2(width_mult=0.25, num_classes=10))

    def v3():
        c = lambda i, k, e, o, se, act, s: mobilenetv3.InvertedResidualConfig(i, k, e, o, se, act, s, 1, 1.0)
        return mobilenetv3.MobileNetV3([c(16, 3, 16, 16, True, "RE", 2), c(16, 5, 48, 24, True, "HS", 2), c(24, 5, 64, 24, True, "HS", 1)], 64, num_classes=10)

    zoo("mobilenet-v3", image(2, 3, 64, 64), axes=BATCH)(v3)
    zoo("shufflenet-v2", image(1, 3, 64, 64), opset=11)(lambda: shufflenetv2.ShuffleNetV2([2, 2, 1], [16, 32, 48, 64, 96], num_classes=10))
    zoo("shufflenet-v2-open", image(2, 3, 64, 64), axes=BATCH)(lambda: shufflenetv2.ShuffleNetV2([2, 2, 1], [16, 32, 48, 64, 96], num_classes=10))
    zoo("densenet", image(1, 3, 32, 32))(lambda: densenet.DenseNet(8, (2, 2, 2), 16, num_classes=10))
    zoo("efficientnet", image(1, 3, 32, 32))(lambda: efficientnet.EfficientNet([efficientnet.MBConvConfig(1, 3, 1, 16, 16, 1), efficientnet.MBConvConfig(4, 3, 2, 16, 24, 2), efficientnet.MBConvConfig(4, 5, 2, 24, 32, 1)], 0.1, num_classes=10))
    zoo("regnet-y", image(2, 3, 32, 32), axes=BATCH)(lambda: regnet.RegNet(regnet.BlockParams.from_init_params(depth=4, w_0=16, w_a=16.0, w_m=2.0, group_width=8, se_ratio=0.25), num_classes=10, stem_width=16))
    zoo("convnext", image(1, 3, 32, 32))(lambda: convnext.ConvNeXt([convnext.CNBlockConfig(16, 32, 1), convnext.CNBlockConfig(32, None, 1)], num_classes=10))
    zoo("convnext-open", image(2, 3, 32, 32), axes=OPEN, opset=17)(lambda: convnext.ConvNeXt([convnext.CNBlockConfig(16, 32, 1), convnext.CNBlockConfig(32, None, 1)], num_classes=10))
    zoo("vit-torchvision", image(1, 3, 32, 32), opset=14)(lambda: vision_transformer.VisionTransformer(32, 8, 2, 4, 32, 48, num_classes=10))
    zoo("vit-torchvision-open", image(2, 3, 32, 32), axes=BATCH, opset=14)(lambda: vision_transformer.VisionTransformer(32, 8, 2, 4, 32, 48, num_classes=10))
    swin = lambda block, merge: swin_transformer.SwinTransformer([2, 2], 16, [2, 2], [2, 4], [4, 4], num_classes=10, block=block, downsample_layer=merge)
    zoo("swin", image(1, 3, 32, 32), opset=14)(lambda: swin(swin_transformer.SwinTransformerBlock, swin_transformer.PatchMerging))
    zoo("swin-open", image(2, 3, 32, 32), axes=BATCH, opset=14)(lambda: swin(swin_transformer.SwinTransformerBlock, swin_transformer.PatchMerging))

    class Unbiased(swin_transformer.SwinTransformerBlock):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            self.attn.get_relative_position_bias = lambda: torch.zeros(1)

    zoo("swin-plain", image(1, 3, 32, 32), opset=14)(lambda: swin(Unbiased, swin_transformer.PatchMerging))
    zoo("maxvit", image(1, 3, 32, 32), opset=14)(lambda: maxvit.MaxVit((32, 32), 16, 4, [16, 32], [1, 1], 8, 0.0, num_classes=10))

    def deeplab():
        body = nn.Sequential(ConvAct(3, 16, 3, 2, act=nn.ReLU), ConvAct(16, 32, 3, 2, act=nn.ReLU))
        head = deeplabv3.DeepLabHead(32, 5)
        small = deeplabv3.ASPP(32, [2, 4], 16)
        head = nn.Sequential(small, ConvAct(16, 16, 3, act=nn.ReLU), nn.Conv2d(16, 5, 1))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body, self.head = body, head

            def forward(self, x):
                return F.interpolate(self.head(self.body(x)), size=x.shape[-2:], mode="bilinear", align_corners=False)

        return Net()

    zoo("deeplab-v3", image(1, 3, 32, 32), opset=11)(deeplab)
    zoo("deeplab-v3-open", image(2, 3, 32, 32), axes=OPEN)(deeplab)

    def resnext():
        net = tv.resnet.ResNet(tv.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)
        net.inplanes = 16
        net.conv1, net.bn1 = nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16)
        net.groups, net.base_width = 4, 64
        net.layer1 = net._make_layer(tv.resnet.Bottleneck, 8, 1)
        net.layer2 = net._make_layer(tv.resnet.Bottleneck, 16, 2, 2)
        net.layer3 = net.layer4 = nn.Identity()
        net.fc = nn.Linear(64, 10)
        return net

    zoo("resnext", image(2, 3, 32, 32), axes=BATCH)(resnext)


# Transformers.


def heads(x, n):
    return x.view(x.shape[0], x.shape[1], n, x.shape[2] // n).permute(0, 2, 1, 3)


def joined(x):
    x = x.permute(0, 2, 1, 3).contiguous()
    return x.view(x.shape[0], x.shape[1], x.shape[2] * x.shape[3])


class BertLayer(nn.Module):
    def __init__(self, wide=32, n=4, hidden=48, pre=False):
        super().__init__()
        self.n, self.pre = n, pre
        self.q, self.k, self.v, self.o = (nn.Linear(wide, wide) for _ in range(4))
        self.up, self.down, self.n1, self.n2 = nn.Linear(wide, hidden), nn.Linear(hidden, wide), nn.LayerNorm(wide), nn.LayerNorm(wide)

    def attend(self, x, mask, bias=None):
        q, k, v = heads(self.q(x), self.n), heads(self.k(x), self.n), heads(self.v(x), self.n)
        s = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        s = s if mask is None else s + mask
        s = s if bias is None else s + bias
        return self.o(joined(s.softmax(-1) @ v))

    def forward(self, x, mask=None, bias=None):
        if self.pre:
            x = x + self.attend(self.n1(x), mask, bias)
            return x + self.down(F.gelu(self.up(self.n2(x))))
        x = self.n1(x + self.attend(x, mask, bias))
        return self.n2(x + self.down(F.gelu(self.up(x))))


class Bert(nn.Module):
    def __init__(self, end, layers=2, shared=False):
        super().__init__()
        self.words, self.places, self.types, self.norm = nn.Embedding(60, 32), nn.Embedding(32, 32), nn.Embedding(2, 32), nn.LayerNorm(32)
        one = BertLayer()
        self.layers, self.end = nn.ModuleList(one if shared else BertLayer() for _ in range(layers)), end
        self.register_buffer("at", torch.arange(32).unsqueeze(0))
        self.pool, self.head = nn.Linear(32, 32), nn.Linear(32, 3)

    def forward(self, input_ids, attention_mask):
        x = self.words(input_ids) + self.types(torch.zeros_like(input_ids)) + self.places(self.at[:, : input_ids.shape[1]])
        x = self.norm(x)
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(torch.float32).min
        for l in self.layers:
            x = l(x, mask)
        if self.end == "pooler":
            return self.head(torch.tanh(self.pool(x[:, 0])))
        if self.end == "tokens":
            return self.head(x)
        m = attention_mask.unsqueeze(-1).expand(x.size()).float()
        return F.normalize((x * m).sum(1) / m.sum(1).clamp(min=1e-9), p=2, dim=1)


NAMES = ("input_ids", "attention_mask")
zoo("bert", tokens(60, 1, 10), ones(1, 10), names=NAMES)(lambda: Bert("pooler"))
zoo("bert-shared", tokens(60, 1, 10), ones(1, 10), names=NAMES, shared=True)(lambda: Bert("pooler"))
zoo("bert-open", tokens(60, 2, 10), ones(2, 10), names=NAMES, axes=TEXT, opset=14)(lambda: Bert("tokens"))
zoo("minilm-pooled", tokens(60, 2, 10), ones(2, 10), names=NAMES, axes=TEXT, opset=14)(lambda: Bert("mean", 3))
zoo("minilm-pooled-fixed", tokens(60, 1, 10), ones(1, 10), names=NAMES, opset=11)(lambda: Bert("mean", 3))
zoo("albert", tokens(60, 2, 10), ones(2, 10), names=NAMES, axes=TEXT)(lambda: Bert("pooler", 3, True))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch, self.cls, self.at = nn.Conv2d(3, 32, 8, 8), nn.Parameter(torch.randn(1, 1, 32)), nn.Parameter(torch.randn(1, 17, 32))
        self.layers, self.norm, self.head = nn.ModuleList(BertLayer(pre=True) for _ in range(2)), nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), 1) + self.at
        for l in self.layers:
            x = l(x)
        return self.head(self.norm(x)[:, 0, :])


zoo("vit", image(1, 3, 32, 32))(ViT)
zoo("vit-half", image(2, 3, 32, 32), axes=BATCH, opset=17, half=True)(ViT)
zoo("vit-open", image(2, 3, 32, 32), axes=BATCH, opset=14)(ViT)


class MobileViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.local, self.into = ConvAct(3, 16, 3, 2), ConvAct(16, 16, 3), nn.Conv2d(16, 32, 1, bias=False)
        self.layers, self.norm = nn.ModuleList(BertLayer(pre=True) for _ in range(2)), nn.LayerNorm(32)
        self.back, self.fuse, self.head = ConvAct(32, 16), ConvAct(32, 24, 3), nn.Linear(24, 10)

    def forward(self, x):
        x = self.stem(x)
        y = self.into(self.local(x))
        b, c, h, w = y.shape
        p = 2
        y = y.reshape(b * c * (h // p), p, w // p, p).transpose(1, 2)
        y = y.reshape(b, c, (h // p) * (w // p), p * p).transpose(1, 3).reshape(b * p * p, (h // p) * (w // p), c)
        for l in self.layers:
            y = l(y)
        y = self.norm(y).contiguous().view(b, p * p, (h // p) * (w // p), c).transpose(1, 3)
        y = y.reshape(b * c * (h // p), w // p, p, p).transpose(1, 2).reshape(b, c, h, w)
        return self.head(self.fuse(torch.cat((x, self.back(y)), 1)).mean((2, 3)))


zoo("mobilevit", image(1, 3, 32, 32))(MobileViT)
zoo("mobilevit-open", image(2, 3, 32, 32), axes=BATCH, opset=14)(MobileViT)


class ClipLayer(BertLayer):
    """Batch and heads merged, as in older releases."""

    def attend(self, x, mask, bias=None):
        b, t, c = x.size()
        shape = lambda y, n: y.view(b, n, self.n, c // self.n).transpose(1, 2).contiguous()
        q = shape(self.q(x) * (c // self.n) ** -0.5, t).view(b * self.n, -1, c // self.n)
        k, v = (shape(p(x), -1).view(b * self.n, -1, c // self.n) for p in (self.k, self.v))
        s = torch.bmm(q, k.transpose(1, 2))
        if mask is not None:
            s = (s.view(b, self.n, t, t) + mask).view(b * self.n, t, t)
        y = torch.bmm(s.softmax(-1), v).view(b, self.n, t, c // self.n).transpose(1, 2)
        return self.o(y.reshape(b, t, c))


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places, self.text = nn.Embedding(60, 32), nn.Embedding(16, 32), nn.ModuleList(ClipLayer(pre=True) for _ in range(2))
        self.patch, self.cls, self.at, self.picture = nn.Conv2d(3, 24, 8, 8, bias=False), nn.Parameter(torch.randn(24)), nn.Embedding(17, 24), nn.ModuleList(ClipLayer(24, 3, 40, True) for _ in range(2))
        self.n1, self.n2, self.tp, self.pp, self.scale = nn.LayerNorm(32), nn.LayerNorm(24), nn.Linear(32, 16, bias=False), nn.Linear(24, 16, bias=False), nn.Parameter(torch.tensor(2.6))
        self.register_buffer("index", torch.arange(17).unsqueeze(0))

    def forward(self, input_ids, pixels):
        t = input_ids.shape[1]
        x = self.words(input_ids) + self.places(self.index[:, :t])
        mask = torch.full((t, t), float(-1e4)).triu_(1)[None, None]
        for l in self.text:
            x = l(x, mask)
        x = self.n1(x)
        x = self.tp(x[torch.arange(x.shape[0]), input_ids.to(torch.int).argmax(-1)])
        y = self.patch(pixels).flatten(2).transpose(1, 2)
        y = torch.cat((self.cls.expand(y.shape[0], 1, -1), y), 1) + self.at(self.index)
        for l in self.picture:
            y = l(y)
        y = self.pp(self.n2(y[:, 0, :]))
        x, y = x / x.norm(p=2, dim=-1, keepdim=True), y / y.norm(p=2, dim=-1, keepdim=True)
        return x, y, x @ y.t() * self.scale.exp()


zoo("clip", tokens(60, 2, 8), image(2, 3, 32, 32), names=("input_ids", "pixels"), outputs=("text", "image", "y"), opset=14)(Clip)
zoo("clip-open", tokens(60, 3, 8), image(2, 3, 32, 32), names=("input_ids", "pixels"), outputs=("text", "image", "y"), opset=14,
    axes={"input_ids": {0: "texts", 1: "sequence"}, "pixels": {0: "images"}, "text": {0: "texts"}, "image": {0: "images"}, "y": {0: "texts", 1: "images"}})(Clip)


class T5Norm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(c) + 0.5)

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.to(torch.float32).pow(2).mean(-1, keepdim=True) + 1e-6))


class T5Attention(nn.Module):
    def __init__(self, c, n, biased):
        super().__init__()
        self.n, self.biased = n, biased
        self.q, self.k, self.v, self.o = (nn.Linear(c, c, bias=False) for _ in range(4))
        if biased:
            self.table = nn.Embedding(8, n)

    def bias(self, a, b, both):
        d = torch.arange(b)[None, :] - torch.arange(a)[:, None]
        r = 0
        buckets = 8
        if both:
            buckets = 4
            r = (d > 0).to(torch.long) * buckets
            d = d.abs()
        else:
            d = -torch.min(d, torch.zeros_like(d))
        exact = buckets // 2
        far = exact + (torch.log(d.float() / exact) / math.log(16 / exact) * (buckets - exact)).to(torch.long)
        far = torch.min(far, torch.full_like(far, buckets - 1))
        r = r + torch.where(d < exact, d, far)
        return self.table(r).permute(2, 0, 1).unsqueeze(0)

    def forward(self, x, other=None, bias=None):
        y = x if other is None else other
        split = lambda v: v.view(v.shape[0], -1, self.n, v.shape[-1] // self.n).transpose(1, 2)
        s = split(self.q(x)) @ split(self.k(y)).transpose(3, 2)
        if bias is not None:
            s = s + bias
        a = (s.float().softmax(-1) @ split(self.v(y))).transpose(1, 2).contiguous()
        return self.o(a.view(x.shape[0], -1, x.shape[-1]))


class T5Layer(nn.Module):
    def __init__(self, first, cross, gated, c=32, n=4, h=48):
        super().__init__()
        self.attend, self.cross = T5Attention(c, n, first), T5Attention(c, n, False) if cross else None
        self.wi, self.gate, self.wo = nn.Linear(c, h, bias=False), nn.Linear(c, h, bias=False) if gated else None, nn.Linear(h, c, bias=False)
        self.norms = nn.ModuleList(T5Norm(c) for _ in range(3))

    def forward(self, x, bias, other=None):
        x = x + self.attend(self.norms[0](x), None, bias)
        if self.cross is not None:
            x = x + self.cross(self.norms[1](x), other)
        y = self.norms[2](x)
        y = F.relu(self.wi(y)) if self.gate is None else F.gelu(self.wi(y)) * self.gate(y)
        return x + self.wo(y)


class T5(nn.Module):
    def __init__(self, gated=False, biased=True, decoder=True):
        super().__init__()
        self.words, self.biased = nn.Embedding(60, 32), biased
        self.enc, self.dec = nn.ModuleList(T5Layer(i == 0, False, gated) for i in range(2)), nn.ModuleList(T5Layer(i == 0, True, gated) for i in range(2)) if decoder else None
        self.n1, self.n2, self.head = T5Norm(32), T5Norm(32), nn.Linear(32, 60, bias=False)

    def forward(self, input_ids, decoder_ids=None):
        x = self.words(input_ids)
        t = x.shape[1]
        b = self.enc[0].attend.bias(t, t, True) if self.biased else None
        for l in self.enc:
            x = l(x, b)
        x = self.n1(x)
        if self.dec is None:
            return self.head(x)
        y = self.words(decoder_ids)
        s = y.shape[1]
        b = (1.0 - torch.ones(s, s).tril())[None, None] * -1e4
        if self.biased:
            b = b + self.dec[0].attend.bias(s, s, False)
        for l in self.dec:
            y = l(y, b, x)
        return self.head(self.n2(y) * 32**-0.5)


PAIR = {"input_ids": {0: "batch", 1: "sequence"}, "decoder_ids": {0: "batch", 1: "targets"}, "y": {0: "batch"}}
zoo("t5", tokens(60, 1, 10), tokens(60, 1, 6), names=("input_ids", "decoder_ids"), opset=14)(T5)
zoo("t5-open", tokens(60, 2, 10), tokens(60, 2, 6), names=("input_ids", "decoder_ids"), axes=PAIR, opset=14)(lambda: T5(True))
zoo("t5-encoder", tokens(60, 1, 10), names=("input_ids",))(lambda: T5(decoder=False))
zoo("t5-encoder-plain", tokens(60, 1, 10), names=("input_ids",))(lambda: T5(decoder=False, biased=False))


class Conv1D(nn.Module):
    def __init__(self, out, c):
        super().__init__()
        self.weight, self.bias, self.out = nn.Parameter(torch.randn(c, out) * 0.2), nn.Parameter(torch.randn(out) * 0.2), out

    def forward(self, x):
        size = x.size()[:-1] + (self.out,)
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(size)


class GPT2(nn.Module):
    def __init__(self, cached=False, c=32, n=4, layers=2):
        super().__init__()
        self.c, self.n, self.cached = c, n, cached
        self.words, self.places = nn.Embedding(60, c), nn.Embedding(32, c)
        self.attn, self.proj, self.fc, self.back = (nn.ModuleList(Conv1D(o, i) for _ in range(layers)) for o, i in ((3 * c, c), (c, c), (48, c), (c, 48)))
        self.n1, self.n2, self.n3 = nn.ModuleList(nn.LayerNorm(c) for _ in range(layers)), nn.ModuleList(nn.LayerNorm(c) for _ in range(layers)), nn.LayerNorm(c)
        self.register_buffer("causal", torch.ones(32, 32, dtype=torch.uint8).tril().view(1, 1, 32, 32).bool())

    def forward(self, input_ids, *past):
        old = past[0].shape[2] if past else 0
        at = torch.arange(old, input_ids.shape[-1] + old).unsqueeze(0).view(-1, input_ids.shape[-1])
        x = self.words(input_ids) + self.places(at)
        present = []
        for i in range(len(self.attn)):
            q, k, v = self.attn[i](self.n1[i](x)).split(self.c, 2)
            q, k, v = (heads(y, self.n) for y in (q, k, v))
            if past:
                k, v = torch.cat((past[2 * i], k), -2), torch.cat((past[2 * i + 1], v), -2)
            present += [k, v]
            s = q @ k.transpose(-1, -2) / torch.full([], v.size(-1) ** 0.5)
            a, b = q.size(-2), k.size(-2)
            s = torch.where(self.causal[:, :, b - a : b, :b], s, torch.full([], -1e4))
            x = x + self.proj[i](joined(s.softmax(-1) @ v))
            y = self.fc[i](self.n2[i](x))
            x = x + self.back[i](0.5 * y * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (y + 0.044715 * torch.pow(y, 3.0)))))
        y = F.linear(self.n3(x), self.words.weight)
        return (y, *present) if self.cached else y


zoo("gpt2", tokens(60, 1, 8), names=("input_ids",))(GPT2)
zoo("gpt2-open", tokens(60, 2, 8), names=("input_ids",), axes={"input_ids": {0: "batch", 1: "sequence"}, "y": {0: "batch", 1: "sequence"}})(GPT2)
CACHE = [f"{w}.{k}" for w in "01" for k in ("key", "value")]
zoo("gpt2-cache", tokens(60, 2, 3), *(image(2, 4, 5, 8) for _ in CACHE), names=("input_ids", *("past." + c for c in CACHE)), outputs=("y", *("present." + c for c in CACHE)),
    axes={"input_ids": {0: "batch", 1: "sequence"}, "y": {0: "batch"}, **{"past." + c: {0: "batch", 2: "past"} for c in CACHE}, **{"present." + c: {0: "batch", 2: "total"} for c in CACHE}})(lambda: GPT2(True))


class Rotary:
    """A decoder's attention with rotary positions: n query heads over m of keys and values."""

    @staticmethod
    def turn(x, cos, sin):
        a, b = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
        return x * cos + torch.cat((-b, a), -1) * sin

    @staticmethod
    def repeat(x, n):
        b, m, t, d = x.shape
        return x if n == 1 else x[:, :, None, :, :].expand(b, m, n, t, d).reshape(b, m * n, t, d)


class Decoder(nn.Module):
    def __init__(self, kind, c=32, n=4, m=2, h=48, layers=2):
        super().__init__()
        self.kind, self.n, self.m, self.d = kind, n, m, c // n
        bias = kind in ("qwen", "phi")
        self.words, self.head = nn.Embedding(60, c), nn.Linear(c, 60, bias=kind == "phi")
        self.layers = nn.ModuleList()
        for _ in range(layers):
            norm = nn.LayerNorm if kind in ("phi", "falcon") else T5Norm
            l = nn.ModuleDict({"n1": norm(c), "n2": norm(c), "o": nn.Linear(n * self.d, c, bias=kind == "phi"), "down": nn.Linear(h, c, bias=kind == "phi")})
            if kind == "falcon":
                l["qkv"] = nn.Linear(c, (n + 2 * m) * self.d, bias=False)
            else:
                l["q"], l["k"], l["v"] = nn.Linear(c, n * self.d, bias=bias), nn.Linear(c, m * self.d, bias=bias), nn.Linear(c, m * self.d, bias=bias)
            if kind == "moe":
                l["router"], l["experts"] = nn.Linear(c, 4, bias=False), nn.ModuleList(nn.ModuleList([nn.Linear(c, h, bias=False), nn.Linear(c, h, bias=False), nn.Linear(h, c, bias=False)]) for _ in range(4))
            else:
                l["up"] = nn.Linear(c, h, bias=kind == "phi")
                if kind in ("qwen", "llama"):
                    l["gate"] = nn.Linear(c, h, bias=False)
            self.layers.append(l)
        self.norm = T5Norm(c) if kind not in ("phi", "falcon") else nn.LayerNorm(c)
        self.turned = self.d // 2 if kind == "phi" else self.d
        self.register_buffer("freq", 1.0 / (100.0 ** (torch.arange(0, self.turned, 2).float() / self.turned)))

    def attend(self, l, x, cos, sin, mask):
        if self.kind == "falcon":
            b, t, _ = x.shape
            y = l["qkv"](x).view(b, t, self.n + 2 * self.m, self.d)
            q, k, v = y[:, :, : -2 * self.m], y[:, :, -2 * self.m : -self.m], y[:, :, -self.m :]
            q, k, v = (z.transpose(1, 2) for z in (q, k, v))
        else:
            q, k, v = heads(l["q"](x), self.n), heads(l["k"](x), self.m), heads(l["v"](x), self.m)
        if self.turned < self.d:
            q, k = (torch.cat((Rotary.turn(z[..., : self.turned], cos, sin), z[..., self.turned :]), -1) for z in (q, k))
        else:
            q, k = Rotary.turn(q, cos, sin), Rotary.turn(k, cos, sin)
        if self.m > 1:
            k, v = Rotary.repeat(k, self.n // self.m), Rotary.repeat(v, self.n // self.m)
        s = q @ k.transpose(2, 3) / math.sqrt(self.d) + mask
        return l["o"](joined(s.float().softmax(-1) @ v))

    def feed(self, l, x):
        if self.kind == "moe":
            p = l["router"](x).softmax(-1)
            w, at = p.topk(2, -1)
            w = w / w.sum(-1, keepdim=True)
            gate = (F.one_hot(at, 4).to(x.dtype) * w.unsqueeze(-1)).sum(-2)
            return sum(gate[..., i : i + 1] * e[2](F.silu(e[0](x)) * e[1](x)) for i, e in enumerate(l["experts"]))
        if "gate" in l:
            return l["down"](F.silu(l["gate"](x)) * l["up"](x))
        return l["down"](F.gelu(l["up"](x)))

    def forward(self, input_ids):
        x = self.words(input_ids)
        t = input_ids.shape[1]
        f = torch.arange(t).float()[:, None] * self.freq[None, :]
        f = torch.cat((f, f), -1)
        cos, sin = f.cos()[None, None], f.sin()[None, None]
        mask = torch.full((t, t), -1e4).triu(1)[None, None]
        for l in self.layers:
            y = l["n1"](x)
            if self.kind in ("phi", "falcon"):
                x = x + self.attend(l, y, cos, sin, mask) + self.feed(l, y)
            else:
                x = x + self.attend(l, y, cos, sin, mask)
                x = x + self.feed(l, l["n2"](x))
        return self.head(self.norm(x))


LM = {"input_ids": {0: "batch", 1: "sequence"}, "y": {0: "batch", 1: "sequence"}}
zoo("qwen", tokens(60, 1, 8), names=("input_ids",), opset=14)(lambda: Decoder("qwen"))
zoo("qwen-open", tokens(60, 2, 8), names=("input_ids",), axes=LM, opset=14)(lambda: Decoder("qwen"))
zoo("phi", tokens(60, 2, 8), names=("input_ids",), axes=LM, opset=14)(lambda: Decoder("phi", m=4))
zoo("falcon-mqa", tokens(60, 2, 8), names=("input_ids",), axes=LM, opset=14)(lambda: Decoder("falcon", m=1))
zoo("mixtral-moe", tokens(60, 2, 8), names=("input_ids",), axes=LM, opset=14)(lambda: Decoder("moe"))
zoo("mixtral-moe-fixed", tokens(60, 1, 8), names=("input_ids",), opset=14)(lambda: Decoder("moe"))


class Whisper(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv1d(10, 32, 3, padding=1), nn.Conv1d(32, 32, 3, 2, 1)
        self.at, self.places, self.words = nn.Parameter(torch.randn(12, 32)), nn.Parameter(torch.randn(16, 32)), nn.Embedding(60, 32)
        self.enc, self.dec = nn.ModuleList(BertLayer(pre=True) for _ in range(2)), nn.ModuleList(BertLayer(pre=True) for _ in range(2))
        self.cross, self.nc = nn.ModuleList(BertLayer(pre=True) for _ in range(2)), nn.ModuleList(nn.LayerNorm(32) for _ in range(2))
        self.n1, self.n2 = nn.LayerNorm(32), nn.LayerNorm(32)

    def forward(self, mel, input_ids):
        x = F.gelu(self.c2(F.gelu(self.c1(mel)))).permute(0, 2, 1) + self.at
        for l in self.enc:
            x = l(x)
        x = self.n1(x)
        t = input_ids.shape[1]
        y = self.words(input_ids) + self.places[:t]
        mask = torch.full((t, t), -1e4).triu(1)[None, None]
        for l, c, n in zip(self.dec, self.cross, self.nc):
            y = y + l.attend(l.n1(y), mask)
            q, k, v = heads(c.q(n(y)), c.n), heads(c.k(x), c.n), heads(c.v(x), c.n)
            y = y + c.o(joined((q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1) @ v))
            y = y + l.down(F.gelu(l.up(l.n2(y))))
        return F.linear(self.n2(y), self.words.weight)


zoo("whisper", image(1, 10, 24), tokens(60, 1, 5), names=("mel", "input_ids"), opset=14)(Whisper)
zoo("whisper-open", image(2, 10, 24), tokens(60, 2, 5), names=("mel", "input_ids"), axes={"mel": {0: "batch"}, "input_ids": {0: "batch", 1: "sequence"}, "y": {0: "batch", 1: "sequence"}}, opset=14)(Whisper)


class Conformer(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.sub = nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU())
        self.into, self.layers = nn.Linear(8 * 3, c), nn.ModuleList()
        for _ in range(2):
            ff = lambda: nn.Sequential(nn.LayerNorm(c), nn.Linear(c, 48), nn.SiLU(), nn.Linear(48, c))
            self.layers.append(nn.ModuleDict({"f1": ff(), "f2": ff(), "a": BertLayer(pre=True), "n": nn.LayerNorm(c), "end": nn.LayerNorm(c), "p1": nn.Conv1d(c, 2 * c, 1),
                                              "dw": nn.Conv1d(c, c, 7, padding=3, groups=c), "bn": nn.BatchNorm1d(c), "p2": nn.Conv1d(c, c, 1)}))
        self.head = nn.Linear(c, 12)

    def forward(self, x):
        x = self.sub(x.unsqueeze(1))
        b, c, t, f = x.size()
        x = self.into(x.transpose(1, 2).contiguous().view(b, t, c * f))
        for l in self.layers:
            x = x + 0.5 * l["f1"](x)
            x = x + l["a"].attend(l["a"].n1(x), None)
            y = F.glu(l["p1"](l["n"](x).transpose(1, 2)), 1)
            x = x + l["p2"](F.silu(l["bn"](l["dw"](y)))).transpose(1, 2)
            x = l["end"](x + 0.5 * l["f2"](x))
        return F.log_softmax(self.head(x), -1)


zoo("conformer", image(1, 24, 16))(Conformer)
zoo("conformer-open", image(2, 24, 16), axes={"x": {0: "batch", 1: "time"}, "y": {0: "batch", 1: "frames"}})(Conformer)


@zoo("wav2vec2", image(2, 1, 160), axes={"x": {0: "batch"}, "y": {0: "batch"}})
class Wav2Vec(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.g, self.c2 = nn.Conv1d(1, 16, 10, 5, bias=False), nn.GroupNorm(16, 16), nn.Conv1d(16, 24, 3, 2, bias=False)
        self.n, self.p, self.pos = nn.LayerNorm(24), nn.Linear(24, 32), nn.utils.weight_norm(nn.Conv1d(32, 32, 4, padding=2, groups=4), dim=2)
        self.layers, self.head = nn.ModuleList(BertLayer() for _ in range(2)), nn.Linear(32, 9)

    def forward(self, x):
        x = F.gelu(self.c2(F.gelu(self.g(self.c1(x))))).transpose(1, 2)
        x = self.p(self.n(x))
        x = x + F.gelu(self.pos(x.transpose(1, 2))[:, :, :-1]).transpose(1, 2)
        for l in self.layers:
            x = l(x)
        return self.head(x)


@zoo("detr", image(2, 3, 32, 32), axes=BATCH, outputs=("y", "boxes"), opset=14)
class Detr(nn.Module):
    """Attention of PyTorch's own layers, sequence first."""

    def __init__(self):
        super().__init__()
        self.body, self.into = nn.Sequential(ConvAct(3, 16, 3, 2, act=nn.ReLU), ConvAct(16, 24, 3, 2, act=nn.ReLU), ConvAct(24, 32, 3, 2, act=nn.ReLU)), nn.Conv2d(32, 32, 1)
        self.t, self.q, self.at = nn.Transformer(32, 4, 1, 1, 48), nn.Parameter(torch.randn(6, 32)), nn.Parameter(torch.randn(16, 1, 32))
        self.cls, self.box = nn.Linear(32, 5), nn.Linear(32, 4)

    def forward(self, x):
        x = self.into(self.body(x)).flatten(2).permute(2, 0, 1)
        y = self.t(self.at + 0.1 * x, self.q.unsqueeze(1).repeat(1, x.shape[1], 1)).transpose(0, 1)
        return self.cls(y), self.box(y).sigmoid()


class Mixer(nn.Module):
    def __init__(self, c=24, t=16):
        super().__init__()
        self.patch, self.norm, self.head = nn.Conv2d(3, c, 8, 8), nn.LayerNorm(c), nn.Linear(c, 10)
        self.layers = nn.ModuleList(nn.ModuleDict({"n1": nn.LayerNorm(c), "n2": nn.LayerNorm(c), "t": nn.Sequential(nn.Linear(t, 20), nn.GELU(), nn.Linear(20, t)), "c": nn.Sequential(nn.Linear(c, 40), nn.GELU(), nn.Linear(40, c))}) for _ in range(2))

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        for l in self.layers:
            x = x + l["t"](l["n1"](x).transpose(1, 2)).transpose(1, 2)
            x = x + l["c"](l["n2"](x))
        return self.head(self.norm(x).mean(1))


zoo("mlp-mixer", image(1, 3, 32, 32))(Mixer)


@zoo("ft-transformer", image(4, 6), tokens(5, 4, 3), names=("x", "categories"), axes={"x": {0: "batch"}, "categories": {0: "batch"}, "y": {0: "batch"}})
class Tabular(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.w, self.b, self.cls, self.table = nn.Parameter(torch.randn(6, c)), nn.Parameter(torch.randn(10, c)), nn.Parameter(torch.randn(1, c)), nn.Embedding(15, c)
        self.register_buffer("shift", torch.tensor([0, 5, 10]))
        self.layers, self.head = nn.ModuleList(BertLayer(pre=True) for _ in range(2)), nn.Sequential(nn.LayerNorm(c), nn.ReLU(), nn.Linear(c, 2))

    def forward(self, x, categories):
        n = self.w[None] * x[:, :, None]
        x = torch.cat((self.cls.expand(x.shape[0], 1, -1), n, self.table(categories + self.shift[None])), 1) + self.b[None]
        for l in self.layers:
            x = l(x)
        return self.head(x[:, 0])


@zoo("diffusion-unet", image(2, 4, 16, 16), image(2), image(2, 5, 24), names=("x", "time", "text"), axes={"x": {0: "batch"}, "time": {0: "batch"}, "text": {0: "batch"}, "y": {0: "batch"}})
class Diffusion(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.t1, self.t2, self.into, self.out = nn.Linear(16, c), nn.Linear(c, c), nn.Conv2d(4, c, 3, 1, 1), nn.Conv2d(c, 4, 3, 1, 1)
        block = lambda a: nn.ModuleDict({"n1": nn.GroupNorm(8, a), "c1": nn.Conv2d(a, c, 3, 1, 1), "t": nn.Linear(c, c), "n2": nn.GroupNorm(8, c), "c2": nn.Conv2d(c, c, 3, 1, 1), "s": nn.Conv2d(a, c, 1) if a != c else nn.Identity()})
        self.r1, self.r2, self.r3 = block(c), block(c), block(2 * c)
        self.down, self.up, self.n, self.ln = nn.Conv2d(c, c, 3, 2, 1), nn.Conv2d(c, c, 3, 1, 1), nn.GroupNorm(8, c), nn.ModuleList(nn.LayerNorm(c) for _ in range(3))
        self.p1, self.p2, self.q, self.k, self.v, self.o = nn.Linear(c, c), nn.Linear(c, c), nn.Linear(c, c, bias=False), nn.Linear(24, c, bias=False), nn.Linear(24, c, bias=False), nn.Linear(c, c)
        self.a, self.g, self.d = BertLayer(pre=True), nn.Linear(c, 96), nn.Linear(48, c)
        self.register_buffer("freq", torch.exp(-torch.arange(8).float() / 2))

    @staticmethod
    def res(b, x, t):
        h = b["c1"](F.silu(b["n1"](x))) + b["t"](F.silu(t))[:, :, None, None]
        return b["s"](x) + b["c2"](F.silu(b["n2"](h)))

    def mix(self, x, text):
        b, c, h, w = x.shape
        y = self.p1(self.n(x).permute(0, 2, 3, 1).reshape(b, h * w, c))
        y = y + self.a.attend(self.ln[0](y), None)
        q, k, v = heads(self.q(self.ln[1](y)), 4), heads(self.k(text), 4), heads(self.v(text), 4)
        y = y + self.o(joined((q @ k.transpose(-1, -2) * 0.35).softmax(-1) @ v))
        g, s = self.g(self.ln[2](y)).chunk(2, -1)
        y = self.p2(y + self.d(g * F.gelu(s)))
        return x + y.reshape(b, h, w, c).permute(0, 3, 1, 2).contiguous()

    def forward(self, x, time, text):
        e = time[:, None].float() * self.freq[None]
        t = self.t2(F.silu(self.t1(torch.cat((e.cos(), e.sin()), -1))))
        a = self.res(self.r1, self.into(x), t)
        b = self.mix(self.res(self.r2, self.down(a), t), text)
        x = self.up(F.interpolate(b, scale_factor=2.0, mode="nearest"))
        return self.out(F.silu(self.res(self.r3, torch.cat((x, a), 1), t)))


@zoo("crnn", image(1, 1, 16, 40))
class CRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.l, self.h = nn.Sequential(ConvAct(1, 16, 3, 2), ConvAct(16, 24, 3, 2)), nn.LSTM(96, 16, bidirectional=True), nn.Linear(32, 9)

    def forward(self, x):
        x = self.c(x)
        b, c, h, w = x.shape
        return self.h(self.l(x.reshape(b, c * h, w).permute(2, 0, 1))[0])

# Spellings that other exports have.


@zoo("multi-task", image(2, 3, 32, 32), axes=BATCH, outputs=("y", "features", "mask"))
class Tasks(nn.Module):
    """Outputs of three kinds from one trunk; one has no batch axis."""

    def __init__(self):
        super().__init__()
        self.body, self.seg, self.fc = nn.Sequential(ConvAct(3, 16, 3, 2), C2f(16, 24), SPPF(24)), nn.Conv2d(24, 1, 1), nn.Linear(24, 7)
        self.prior = nn.Parameter(torch.randn(7, 4))

    def forward(self, x):
        x = self.body(x)
        return self.fc(x.mean((2, 3))), self.prior @ self.prior.t(), F.interpolate(self.seg(x), scale_factor=2, mode="bilinear", align_corners=False).squeeze(1)


@zoo("deit-distilled", image(2, 3, 32, 32), axes=BATCH, opset=14)
class DeiT(ViT):
    """Two tokens in front, the mean of two heads, fused q, k, v, scales of layers."""

    def __init__(self):
        super().__init__()
        self.two, self.at = nn.Parameter(torch.randn(1, 2, 32)), nn.Parameter(torch.randn(1, 18, 32))
        self.qkv, self.o, self.g, self.h2 = nn.ModuleList(nn.Linear(32, 96) for _ in range(2)), nn.ModuleList(nn.Linear(32, 32) for _ in range(2)), nn.Parameter(torch.rand(2, 32)), nn.Linear(32, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.two.expand(x.shape[0], -1, -1), x), 1) + self.at
        for l, p, o, g in zip(self.layers, self.qkv, self.o, self.g):
            b, t, c = x.shape
            q, k, v = p(l.n1(x)).reshape(b, t, 3, 4, c // 4).permute(2, 0, 3, 1, 4).unbind(0)
            y = (q * 0.35 @ k.transpose(-2, -1)).softmax(-1) @ v
            x = x + g * o(y.transpose(1, 2).reshape(b, t, c))
            x = x + g * l.down(F.gelu(l.up(l.n2(x))))
        x = self.norm(x)
        return (self.head(x[:, 0]) + self.h2(x[:, 1])) / 2


@zoo("pvt", image(2, 3, 32, 32), axes=BATCH, opset=14)
class PVT(nn.Module):
    """Keys and values of a map made smaller, stages of growing width, depthwise positions."""

    def __init__(self):
        super().__init__()
        self.p = nn.ModuleList([nn.Conv2d(3, 16, 7, 4, 3), nn.Conv2d(16, 32, 3, 2, 1)])
        self.l, self.sr, self.dw = nn.ModuleList([BertLayer(16, 2, 32, True), BertLayer(32, 4, 48, True)]), nn.ModuleList([nn.Conv2d(16, 16, 2, 2), nn.Conv2d(32, 32, 1)]), nn.ModuleList([nn.Conv2d(32, 32, 3, 1, 1, groups=32), nn.Conv2d(48, 48, 3, 1, 1, groups=48)])
        self.n, self.head = nn.ModuleList([nn.LayerNorm(16), nn.LayerNorm(32)]), nn.Linear(32, 10)

    def forward(self, x):
        for p, l, sr, dw, n in zip(self.p, self.l, self.sr, self.dw, self.n):
            x = p(x)
            b, c, h, w = x.shape
            x = x.flatten(2).transpose(1, 2)
            y = l.n1(x)
            z = n(sr(y.transpose(1, 2).reshape(b, c, h, w)).flatten(2).transpose(1, 2))
            q, k, v = heads(l.q(y), l.n), heads(l.k(z), l.n), heads(l.v(z), l.n)
            x = x + l.o(joined((q @ k.transpose(-2, -1) * 0.35).softmax(-1) @ v))
            y = l.up(l.n2(x))
            y = dw(y.transpose(1, 2).reshape(b, y.shape[2], h, w)).flatten(2).transpose(1, 2)
            x = (x + l.down(F.gelu(y))).transpose(1, 2).reshape(b, c, h, w)
        return self.head(x.mean((2, 3)))


@zoo("efficientvit-linear", image(2, 3, 32, 32), axes=BATCH, opset=14)
class Efficient(nn.Module):
    """Linear attention of maps by ReLU, as in EfficientViT, and talking to groups of channels."""

    def __init__(self):
        super().__init__()
        self.stem, self.qkv, self.agg, self.o, self.head = ConvAct(3, 32, 3, 4, act=nn.Hardswish), nn.Conv2d(32, 96, 1, bias=False), nn.Conv2d(96, 96, 5, padding=2, groups=96, bias=False), ConvAct(32, 32, act=None), nn.Linear(32, 10)

    def forward(self, x):
        x = self.stem(x)
        b, c, h, w = x.shape
        y = self.agg(self.qkv(x)).reshape(b, -1, 3 * 8, h * w).transpose(-1, -2)
        q, k, v = y[..., :8], y[..., 8:16], y[..., 16:]
        q, k, v = torch.relu(q), torch.relu(k), F.pad(v, (0, 1), value=1.0)
        y = q @ (k.transpose(-1, -2) @ v)
        y = (y[..., :-1] / (y[..., -1:] + 1e-6)).transpose(-1, -2).reshape(b, c, h, w)
        return self.head((x + self.o(y)).mean((2, 3)))


@zoo("perceiver", image(2, 20, 12), axes={"x": {0: "batch", 1: "points"}, "y": {0: "batch"}}, opset=14)
class Perceiver(nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.latents, self.cross, self.n, self.self, self.head = nn.Linear(12, 24), nn.Parameter(torch.randn(6, 32)), BertLayer(pre=True), nn.LayerNorm(24), BertLayer(pre=True), nn.Linear(32, 5)
        self.k, self.v = nn.Linear(24, 32), nn.Linear(24, 32)

    def forward(self, x):
        x = self.n(F.gelu(self.into(x)))
        z = self.latents.unsqueeze(0).expand(x.shape[0], -1, -1)
        c = self.cross
        z = z + c.o(joined((heads(c.q(c.n1(z)), 4) @ heads(self.k(x), 4).transpose(-1, -2) * 0.35).softmax(-1) @ heads(self.v(x), 4)))
        z = z + c.down(F.gelu(c.up(c.n2(z))))
        return self.head(self.self(z).mean(1))


@zoo("citrinet", image(2, 16, 30), axes={"x": {0: "batch", 2: "frames"}, "y": {0: "batch", 2: "frames"}})
class Separable(nn.Module):
    """Separable convolutions in time with squeeze and excitation over all frames (CitriNet)."""

    def __init__(self):
        super().__init__()
        self.a, self.pw, self.bn, self.s1, self.s2, self.res, self.head = nn.Conv1d(16, 16, 11, padding=5, groups=16), nn.Conv1d(16, 32, 1), nn.BatchNorm1d(32), nn.Linear(32, 8), nn.Linear(8, 32), nn.Conv1d(16, 32, 1), nn.Conv1d(32, 9, 1)

    def forward(self, x):
        y = self.bn(self.pw(self.a(x)))
        s = F.adaptive_avg_pool1d(y, 1).transpose(1, 2)
        y = y * torch.sigmoid(self.s2(torch.relu(self.s1(s))).transpose(1, 2))
        return F.log_softmax(self.head(torch.relu(y + self.res(x))), 1)


@zoo("dlrm", image(4, 8), tokens(20, 4, 3), names=("x", "ids"), axes={"x": {0: "batch"}, "ids": {0: "batch"}, "y": {0: "batch"}}, opset=11)
class DLRM(nn.Module):
    """Products of all pairs of embeddings; the pairs are chosen by an index."""

    def __init__(self):
        super().__init__()
        self.e, self.bottom, self.top = nn.ModuleList(nn.Embedding(20, 16) for _ in range(3)), nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU()), nn.Sequential(nn.Linear(22, 24), nn.ReLU(), nn.Linear(24, 1))
        i, j = torch.tril_indices(4, 4, -1)
        self.register_buffer("at", i * 4 + j)

    def forward(self, x, ids):
        x = self.bottom(x)
        t = torch.stack([x] + [e(ids[:, i]) for i, e in enumerate(self.e)], 1)
        z = torch.bmm(t, t.transpose(1, 2)).flatten(1)[:, self.at]
        return torch.sigmoid(self.top(torch.cat((x, z), 1)))


@zoo("esrgan-dense", image(1, 3, 16, 16), axes=OPEN, opset=11)
class Dense(nn.Module):
    """Dense blocks in blocks with scaled residuals, upsampled by sizes read from Shape."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 16, 3, 1, 1), nn.Conv2d(16, 3, 3, 1, 1)
        self.c = nn.ModuleList(nn.ModuleList([nn.Conv2d(16 + 8 * i, 8 if i < 2 else 16, 3, 1, 1) for i in range(3)]) for _ in range(2))
        self.up = nn.Conv2d(16, 16, 3, 1, 1)

    def forward(self, x):
        x = y = self.first(x)
        for block in self.c:
            z = [y]
            for i, c in enumerate(block):
                o = c(torch.cat(z, 1))
                z.append(F.leaky_relu(o, 0.2) if i < 2 else o)
            y = y + 0.2 * z[-1]
        y = x + y
        y = F.interpolate(y, size=(2 * y.shape[2], 2 * y.shape[3]), mode="nearest")
        return self.last(F.leaky_relu(self.up(y), 0.2))


@zoo("pix2pix", image(2, 3, 32, 32), axes=BATCH)
class Pix(nn.Module):
    """Skips around strided and transposed convolutions, instance norms without parameters."""

    def __init__(self):
        super().__init__()
        self.d = nn.ModuleList([nn.Conv2d(3, 16, 4, 2, 1), nn.Conv2d(16, 24, 4, 2, 1), nn.Conv2d(24, 32, 4, 2, 1)])
        self.u = nn.ModuleList([nn.ConvTranspose2d(32, 24, 4, 2, 1), nn.ConvTranspose2d(48, 16, 4, 2, 1), nn.ConvTranspose2d(32, 3, 4, 2, 1)])

    def forward(self, x):
        a = self.d[0](x)
        b = F.instance_norm(self.d[1](F.leaky_relu(a, 0.2)))
        c = self.d[2](F.leaky_relu(b, 0.2))
        y = F.instance_norm(self.u[0](F.relu(c)))
        y = F.instance_norm(self.u[1](F.relu(torch.cat((y, b), 1))))
        return torch.tanh(self.u[2](F.relu(torch.cat((y, a), 1))))


@zoo("selective-kernel", image(2, 3, 32, 32), axes=BATCH)
class Selective(nn.Module):
    """Softmax over branches of different kernels, mixed by Einsum-free sums (SKNet), and maxout."""

    def __init__(self):
        super().__init__()
        self.stem, self.b1, self.b2, self.s, self.e, self.head = ConvAct(3, 24, 3, 2), ConvAct(24, 24, 3), ConvAct(24, 24, 3, d=2), nn.Linear(24, 12), nn.ModuleList(nn.Linear(12, 24) for _ in range(2)), nn.Linear(12, 10)

    def forward(self, x):
        x = self.stem(x)
        v = torch.stack((self.b1(x), self.b2(x)), 1)
        s = self.s(v.sum(1).mean((2, 3)))
        a = torch.stack([e(s) for e in self.e], 1).softmax(1)
        y = (v * a[:, :, :, None, None]).sum(1)
        y = y.view(y.shape[0], 12, 2, y.shape[2], y.shape[3]).max(2)[0]
        return self.head(y.mean((2, 3)))


@zoo("deberta", tokens(60, 2, 10), ones(2, 10), names=NAMES, axes={"input_ids": {0: "batch"}, "attention_mask": {0: "batch"}, "y": {0: "batch"}}, opset=14)
class Deberta(nn.Module):
    """Disentangled attention: content to position and back, gathered by distance."""

    def __init__(self):
        super().__init__()
        self.words, self.rel, self.n = nn.Embedding(60, 32), nn.Parameter(torch.randn(1, 19, 32)), nn.LayerNorm(32)
        self.layers, self.head = nn.ModuleList(BertLayer() for _ in range(2)), nn.Linear(32, 3)
        self.register_buffer("at", (torch.arange(10)[:, None] - torch.arange(10)[None] + 9)[None, None])

    def forward(self, input_ids, attention_mask):
        x = self.n(self.words(input_ids)) * attention_mask.unsqueeze(-1)
        m = (1.0 - attention_mask[:, None, None].float()) * -1e4
        for l in self.layers:
            q, k, v, pk, pq = heads(l.q(x), 4), heads(l.k(x), 4), heads(l.v(x), 4), heads(l.k(self.rel), 4), heads(l.q(self.rel), 4)
            at = self.at.expand(q.shape[0], 4, -1, -1)
            s = q @ k.transpose(-1, -2) + torch.gather(q @ pk.transpose(-1, -2), -1, at) + torch.gather(k @ pq.transpose(-1, -2), -1, at).transpose(-1, -2)
            x = l.n1(x + l.o(joined((s / 4.9 + m).softmax(-1) @ v)))
            x = l.n2(x + l.down(F.gelu(l.up(x))))
        return self.head(x[:, 0])


@zoo("bloom-alibi", tokens(60, 2, 8), names=("input_ids",), axes={"input_ids": {0: "batch", 1: "sequence"}, "y": {0: "batch", 1: "sequence"}}, opset=14)
class Bloom(nn.Module):
    """Heads mixed with q, k, v in one projection, slopes of distance added by baddbmm."""

    def __init__(self, n=4):
        super().__init__()
        self.n, self.words, self.wn, self.end = n, nn.Embedding(60, 32), nn.LayerNorm(32), nn.LayerNorm(32)
        self.layers, self.qkv = nn.ModuleList(BertLayer(pre=True) for _ in range(2)), nn.ModuleList(nn.Linear(32, 96) for _ in range(2))
        self.register_buffer("slopes", 2.0 ** -torch.arange(1, n + 1).float())

    def forward(self, input_ids):
        x = self.wn(self.words(input_ids))
        b, t = input_ids.shape
        alibi = (self.slopes[None, :, None, None] * torch.arange(t)[None, None, None].float()).expand(b, -1, -1, -1).reshape(b * self.n, 1, t)
        mask = torch.full((t, t), -1e4).triu(1)[None, None]
        for l, p in zip(self.layers, self.qkv):
            y = p(l.n1(x)).view(b, t, self.n, 3, 8)
            q, k, v = y[..., 0, :], y[..., 1, :], y[..., 2, :]
            q, v = q.transpose(1, 2).reshape(b * self.n, t, 8), v.transpose(1, 2).reshape(b * self.n, t, 8)
            k = k.permute(0, 2, 3, 1).reshape(b * self.n, 8, t)
            s = torch.baddbmm(alibi, q, k, beta=1.0, alpha=0.35).view(b, self.n, t, t)
            y = torch.bmm((s + mask).softmax(-1).view(b * self.n, t, t), v)
            x = x + l.o(y.view(b, self.n, t, 8).permute(0, 2, 1, 3).reshape(b, t, 32))
            x = x + l.down(F.gelu(l.up(l.n2(x))))
        return F.linear(self.end(x), self.words.weight)


def halved(path):
    """Turns every float of a file into float16."""
    import onnx
    from onnx import TensorProto, numpy_helper

    m = onnx.load(path)
    cast = lambda t: t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype("float16"), t.name)) if t.data_type == TensorProto.FLOAT else None
    for t in m.graph.initializer:
        cast(t)
    for n in m.graph.node:
        for a in n.attribute:
            if a.name == "to" and a.i == TensorProto.FLOAT:
                a.i = TensorProto.FLOAT16
            elif a.HasField("t"):
                cast(a.t)
    for v in (*m.graph.input, *m.graph.output, *m.graph.value_info):
        if v.type.tensor_type.elem_type == TensorProto.FLOAT:
            v.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(m, path)


def main(folder, *wanted):
    try:
        vision()
    except ImportError as e:
        print(json.dumps({"name": "torchvision", "error": str(e)}))
    for i, (name, e) in enumerate(ZOO.items()):
        if wanted and name not in wanted:
            continue
        said = {"family": next(f for f, starts in FAMILIES.items() if name.startswith(starts)), "name": name, "sizes": {}}
        torch.manual_seed(i)
        g = torch.Generator().manual_seed(i)
        net = e.make()
        with torch.no_grad():
            for k, p in () if e.shared else net.state_dict().items():  # statistics and slopes are not what they start as
                if p.is_floating_point() and p.dim() == 1 and ("running" in k or (p == 0).all() or (p == 1).all()):
                    p.copy_(0.5 + torch.rand(p.shape, generator=g) if (p == 1).all() else 0.2 * torch.randn(p.shape, generator=g))
        net.eval()
        inputs = tuple(x(g) for x in e.inputs)
        for v, x in zip(e.names, inputs):
            said["sizes"].update((d, x.shape[k]) for k, d in (e.axes or {}).get(v, {}).items() if k > 0)
        try:
            torch.onnx.export(net, inputs, os.path.join(folder, name + ".onnx"), opset_version=e.opset, input_names=list(e.names), output_names=list(e.outputs), dynamic_axes=e.axes)
            if e.half:
                halved(os.path.join(folder, name + ".onnx"))
        except Exception as x:
            said["error"] = f"{type(x).__name__}: {x}"[:300]
        print(json.dumps(said), flush=True)


main(*sys.argv[1:])
