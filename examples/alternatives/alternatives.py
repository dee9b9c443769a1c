"""Two small networks whose layers hold alternatives, with data that say which layers need which.

    python3 alternatives.py kernels DIR

writes DIR/train.npz, DIR/test.npz and DIR/kernels.onnx, and prints what every alternative is worth alone in
each layer, all others as they are, after a short tuning: the truth that a search is held against.
The other network: separable. Wants PyTorch and NumPy.
"""

import copy
import json
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SIZE, TRAIN, TEST, BATCH = 16, 2048, 1024, 128
TUNE = 3  # epochs


# Data. Classes of pictures are texture (2) times direction (4): the texture goes in any pooling of
# its own scale, the direction is that of a dark cell from a bright one beside it, in a grid of 4×4.


def pictures(rng, n, texture):
    x, y = rng.normal(0, 0.25, (n, 1, SIZE, SIZE)), rng.integers(0, 8, n)
    for image, label in zip(x[:, 0], y):
        dy, dx = [(0, 1), (0, -1), (1, 0), (-1, 0)][label // 2]
        r, c = rng.integers(max(0, -dy), 4 - max(0, dy)), rng.integers(max(0, -dx), 4 - max(0, dx))
        image[4 * r : 4 * r + 4, 4 * c : 4 * c + 4] += 1.5
        bright, (r, c) = (r, c), (r + dy, c + dx)
        image[4 * r : 4 * r + 4, 4 * c : 4 * c + 4] -= 1.5
        texture(rng, image, label % 2, {bright, (r, c)})
    return x.astype(np.float32), y.astype(np.int64)


def stripes(rng, image, kind, taken):
    """Stripes across or along: any 2×2 pixels hold the same numbers."""
    s = 0.5 * (-1.0) ** (np.arange(SIZE) + rng.integers(2))
    image += s[:, None] if kind else s


def pairs(rng, image, kind, taken):
    """Two dots in one cell, three pixels apart, across or along: any cell holds the same numbers, and
    3×3 pixels never both dots. Cells at the border would give places away."""
    free = [(r, c) for r in (1, 2) for c in (1, 2) if (r, c) not in taken]
    r, c = (4 * i for i in free[rng.integers(len(free))])
    k = rng.integers(4)
    for end in 0, 3:
        image[(r + end, c + k) if kind else (r + k, c + end)] += 3


# Networks. A Mix adds its branches up; `path` says which, None all of them.


class Mix(nn.Module):
    def __init__(self, **branches):
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.names, self.path = list(branches), None

    def forward(self, x):
        out = [self.branches[n](x) for n in self.names if self.path in (None, n)]
        return sum(out[1:], out[0])


class Crop(nn.Module):
    """A convolution whose smaller kernels are its centre; `crop` is the size in use."""

    def __init__(self, c, k):
        super().__init__()
        self.conv, self.norm, self.crop = nn.Conv2d(c, c, k, padding=k // 2, bias=False), nn.BatchNorm2d(c), k

    def forward(self, x):
        cut = (self.conv.kernel_size[0] - self.crop) // 2
        w = self.conv.weight
        if cut == 0:
            return self.norm(self.conv(x))
        return self.norm(F.conv2d(x, w[:, :, cut:-cut, cut:-cut], padding=self.crop // 2))


class Nested(Mix):
    """A 1×1 convolution beside a 5×5 one that is a 3×3 one too."""

    def __init__(self, c):
        super().__init__(point=conv(c, c, 1), five=Crop(c, 5))
        self.names = ["point", "three", "five"]

    def forward(self, x):
        five = self.branches["five"]
        five.crop = 3 if self.path == "three" else 5
        if self.path is None:
            return self.branches["point"](x) + five(x)
        return self.branches["point"](x) if self.path == "point" else five(x)


def conv(a, b, k, groups=1):
    return nn.Sequential(nn.Conv2d(a, b, k, padding=k // 2, groups=groups, bias=False), nn.BatchNorm2d(b))


def trunk(layer, plan):
    """A stem of 1×1, then layers of plan's widths; a number below 0 pools by it."""
    c = plan[0]
    out = [conv(1, c, 1), nn.ReLU()]
    for p in plan:
        if p < 0:
            out.append(nn.MaxPool2d(-p))
            continue
        if p != c:
            out += [conv(c, p, 1), nn.ReLU()]
        c = p
        out += [layer(c), nn.ReLU()]
    return nn.Sequential(*out, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 8))


def separable(c):
    return Mix(point=conv(c, c, 1), separable=nn.Sequential(conv(c, c, 3, c), conv(c, c, 1)), full=conv(c, c, 3))


# name: network, data, the paths that train each layer alone, epochs. What a layer's list leaves out
# learns in the sum only.
NETWORKS = {
    "separable": (
        lambda: trunk(separable, [12, -2, 16, 16, -2, 24, -2, 24, 24]),
        lambda rng, n: pictures(rng, n, stripes),
        [["separable", "full"]] + [["point", "separable", "full"]] * 2 + [["separable", "full"]] + [["point", "separable", "full"]] * 2,
        24,
    ),
    "kernels": (
        lambda: trunk(Nested, [8, -4, 16, 16, 16]),
        lambda rng, n: pictures(rng, n, pairs),
        [["five"], ["three", "five"], ["point", "three", "five"], ["point", "three", "five"]],
        24,
    ),
}


def mixes(net):
    return [m for m in net.modules() if isinstance(m, Mix)]


def fit(net, data, epochs, lr, rng, paths=None):
    """Trains; with paths, half of the steps on the sum and half on one drawn branch per layer."""
    x, y = data
    steps = epochs * (len(x) // BATCH)
    opt = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=steps, pct_start=0.1)
    net.train()
    for step in range(steps):
        if step % (len(x) // BATCH) == 0:
            order = torch.from_numpy(rng.permutation(len(x)))
        i = order[step % (len(x) // BATCH) * BATCH :][:BATCH]
        if paths:
            for m, p in zip(mixes(net), paths):
                m.path = p[rng.integers(len(p))] if step % 2 else None
        loss = F.cross_entropy(net(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        rate.step()
    return net


def accuracy(net, data):
    net.eval()
    with torch.no_grad():
        return 100 * (net(data[0]).argmax(1) == data[1]).float().mean().item()


def main(name, folder):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    build, draw, paths, epochs = NETWORKS[name]
    train, test = draw(np.random.default_rng(1), TRAIN), draw(np.random.default_rng(2), TEST)
    for part, (x, y) in ("train", train), ("test", test):
        np.savez(f"{folder}/{part}.npz", x=x, labels=y)
    train, test = ([torch.from_numpy(a) for a in d] for d in (train, test))
    rng = np.random.default_rng(3)
    net = fit(build(), train, epochs, 4e-3, rng, paths)
    for m in mixes(net):
        m.path = None
    fit(net, train, TUNE, 1e-3, rng)
    print(f"sum of all: {accuracy(net, test):.1f}", flush=True)
    torch.onnx.export(
        net.eval(), torch.zeros(1, 1, SIZE, SIZE), f"{folder}/{name}.onnx", opset_version=13, input_names=["x"], output_names=["logits"],
        dynamic_axes={"x": {0: "N"}, "logits": {0: "N"}}, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )
    truth = []
    for layer, m in enumerate(mixes(net)):
        row = {}
        for path in m.names:
            other = copy.deepcopy(net)
            mixes(other)[layer].path = path
            row[path] = round(accuracy(fit(other, train, TUNE, 1e-3, np.random.default_rng(4)), test), 1)
        print(layer + 1, json.dumps(row), flush=True)
        truth.append(row)
    json.dump(truth, open(f"{folder}/truth.json", "w"))


if __name__ == "__main__":
    main(*sys.argv[1:])
