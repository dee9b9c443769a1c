"""Exports small PyTorch modules, and runs them from a state dict that was cut.

    torch_cut.py FOLDER export NAME          writes model.onnx and state.pt
    torch_cut.py FOLDER run NAME FUNCTION.py reads kept.json too, writes in.bin and out.bin
"""
import json
import os
import runpy
import sys

import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, wide, inner):
        super().__init__()
        self.stem = nn.Conv2d(3, wide, 3, padding=1, bias=False)
        self.bn0 = nn.BatchNorm2d(wide)
        self.conv1 = nn.Conv2d(wide, inner, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.fc = nn.Linear(wide, 5)

    def forward(self, x):
        x = torch.relu(self.bn0(self.stem(x)))
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.relu(x + y).mean((2, 3)))

    @staticmethod
    def of(state):
        return Residual(state["stem.weight"].shape[0], state["conv1.weight"].shape[0])

    @staticmethod
    def sample(g):
        return torch.randn(2, 3, 8, 8, generator=g)


class Bert(nn.Module):
    deep = 4  # width of a head

    def __init__(self, wide, inner, hidden):
        super().__init__()
        self.words = nn.Embedding(50, wide)
        self.query, self.key, self.value = (nn.Linear(wide, inner) for _ in range(3))
        self.dense = nn.Linear(inner, wide)
        self.norm1 = nn.LayerNorm(wide)
        self.up = nn.Linear(wide, hidden)
        self.down = nn.Linear(hidden, wide)
        self.norm2 = nn.LayerNorm(wide)
        self.classifier = nn.Linear(wide, 3)
        self.heads = inner // self.deep

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, self.deep).permute(0, 2, 1, 3)

    def forward(self, ids):
        x = self.words(ids)
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        a = torch.softmax(q @ k.transpose(-1, -2) / self.deep**0.5, -1) @ v
        x = self.norm1(x + self.dense(a.permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[1], self.heads * self.deep)))
        x = self.norm2(x + self.down(nn.functional.gelu(self.up(x))))
        return self.classifier(x)

    @staticmethod
    def of(state):
        return Bert(state["words.weight"].shape[1], state["query.weight"].shape[0], state["up.weight"].shape[0])

    @staticmethod
    def sample(g):
        return torch.randint(0, 50, (2, 6), generator=g)


MODULES = {"residual": (Residual, (16, 12)), "bert": (Bert, (24, 32, 40))}


def main(folder, what, name, *rest):
    cls, sizes = MODULES[name]
    path = lambda file: os.path.join(folder, file)
    g = torch.Generator().manual_seed(1)
    if what == "export":
        torch.manual_seed(2)
        net = cls(*sizes)
        for p in net.state_dict().values():  # nothing is 0 or 1, and no two tensors are the same
            if p.is_floating_point():
                p.copy_(torch.randn(p.shape) * 0.3 if p.dim() > 1 else 0.5 + torch.rand(p.shape))
        net.eval()
        torch.save(net.state_dict(), path("state.pt"))
        torch.onnx.export(net, cls.sample(g), path("model.onnx"), opset_version=13, input_names=["x"], output_names=["y"],
                          training=torch.onnx.TrainingMode.PRESERVE, dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
        return
    cut = runpy.run_path(rest[0])["cut_state_dict"]
    with open(path("kept.json")) as f:
        state, unknown = cut(torch.load(path("state.pt")), json.load(f))
    lost = [n for n in unknown if not n.endswith("num_batches_tracked")]
    assert not lost, f"no initialiser for {lost}"
    net = cls.of(state)
    net.load_state_dict(state)
    net.eval()
    x = cls.sample(g)
    with torch.no_grad():
        y = net(x)
    x.numpy().tofile(path("in.bin"))
    y.numpy().tofile(path("out.bin"))
    print(list(y.shape), {n: list(t.shape) for n, t in state.items()})


main(*sys.argv[1:])
