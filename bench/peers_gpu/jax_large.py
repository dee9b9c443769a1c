#!/usr/bin/env python3
"""Time a training step of ResNet-50 or ViT-S at 224x224 in JAX, plain or entangled, or a plain
one of ResNet-20 or a small ViT at 32x32.

The networks and the step are those of torch_large.py: forward, loss, backward and update
in one compiled function per phase whose parameters are donated. Images are NHWC. bf16
means activations and products in bfloat16 with float32 weights and statistics; f32 asks
for the highest precision of products, tf32 takes the default.
"""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from common import Size, arguments, measure


class Params:
    """Draws named parameters; alphas are those of choices."""

    def __init__(self):
        self.random, self.weights, self.alphas = np.random.default_rng(0), {}, {}

    def normal(self, name, scale, *shape):
        self.weights[name] = (self.random.standard_normal(shape) * scale).astype(np.float32)

    def full(self, name, v, *shape):
        self.weights[name] = np.full(shape, v, np.float32)

    def mixture(self, name, choices):
        self.alphas[name] = np.zeros(choices, np.float32)


def mask(alpha, rows):
    return jnp.matmul(jax.nn.softmax(alpha), jnp.asarray(rows), precision="highest")


def prefixes(size, keep):
    return np.stack([(np.arange(size) < k).astype(np.float32) for k in keep])


KERNELS = np.stack([np.eye(9, dtype=np.float32)[4], np.ones(9, np.float32)])


def conv(x, w, stride=1, pad=0):
    return jax.lax.conv_general_dilated(x, w.astype(x.dtype), (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def batch_norm(x, w, name):
    y = x.astype(jnp.float32)
    mean = y.mean((0, 1, 2))
    var = jnp.square(y - mean).mean((0, 1, 2))
    out = (y - mean) * (jax.lax.rsqrt(var + 1e-5) * w[name + ".scale"]) + w[name + ".bias"]
    return out.astype(x.dtype), mean, var


def layer_norm(x, w, name):
    y = x.astype(jnp.float32)
    mean = y.mean(-1, keepdims=True)
    var = jnp.square(y - mean).mean(-1, keepdims=True)
    return ((y - mean) * jax.lax.rsqrt(var + 1e-5) * w[name + ".scale"] + w[name + ".bias"]).astype(x.dtype)


def resnet50(s, choices):
    p, plan = Params(), []

    def norm(name, c):
        p.full(name + ".scale", 1, c)
        p.full(name + ".bias", 0, c)

    def kernel(name, k, i, o):
        p.normal(name, (2 / (i * k * k)) ** 0.5, k, k, i, o)

    kernel("stem", 7, 3, s.width)
    norm("stem.norm", s.width)
    i = s.width
    for stage, n in enumerate(s.blocks):
        for b in range(n):
            name, inner, stride = f"{stage}.{b}", s.width << stage, 2 if stage and b == 0 else 1
            kernel(name + ".1", 1, i, inner)
            kernel(name + ".2", 3, inner, inner)
            kernel(name + ".3", 1, inner, 4 * inner)
            for k, c in ((1, inner), (2, inner), (3, 4 * inner)):
                norm(f"{name}.norm{k}", c)
            short = stride != 1 or i != 4 * inner
            if short:
                kernel(name + ".short", 1, i, 4 * inner)
                norm(name + ".short.norm", 4 * inner)
            if choices:
                p.mixture(name + ".width", choices)
                p.mixture(name + ".kernel", 2)
            plan.append((name, inner, stride, short))
            i = 4 * inner
    p.normal("head", i**-0.5, i, s.classes)
    p.full("head.bias", 0, s.classes)

    def forward(w, a, x):
        stats = {}

        def bn(x, name):
            y, mean, var = batch_norm(x, w, name)
            stats[name] = (mean, var)
            return y

        x = jax.nn.relu(bn(conv(x, w["stem"], 2, 3), "stem.norm"))
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0)))
        for name, inner, stride, short in plan:
            w1, w2, w3 = w[name + ".1"], w[name + ".2"], w[name + ".3"]
            if choices:
                m = mask(a[name + ".width"], prefixes(inner, [(k + 1) * inner // choices for k in range(choices)]))
                k = mask(a[name + ".kernel"], KERNELS).reshape(3, 3, 1, 1)
                w1, w2, w3 = w1 * m, w2 * k * m * m[:, None], w3 * m[:, None]
            y = jax.nn.relu(bn(conv(x, w1), name + ".norm1"))
            y = jax.nn.relu(bn(conv(y, w2, stride, 1), name + ".norm2"))
            y = bn(conv(y, w3), name + ".norm3")
            if short:
                x = bn(conv(x, w[name + ".short"], stride), name + ".short.norm")
            x = jax.nn.relu(y + x)
        x = x.astype(jnp.float32).mean((1, 2))
        return x @ w["head"] + w["head.bias"], stats

    return p, forward


def resnet20(s):
    p, plan = Params(), []

    def unit(name, k, i, o):
        p.normal(name, (2 / (i * k * k)) ** 0.5, k, k, i, o)
        p.full(name + ".norm.scale", 1, o)
        p.full(name + ".norm.bias", 0, o)

    unit("stem", 3, 3, s.width)
    i = s.width
    for stage, n in enumerate(s.blocks):
        for b in range(n):
            name, o, stride = f"{stage}.{b}", s.width << stage, 2 if stage and b == 0 else 1
            unit(name + ".1", 3, i, o)
            unit(name + ".2", 3, o, o)
            short = stride != 1 or i != o
            if short:
                unit(name + ".short", 1, i, o)
            plan.append((name, stride, short))
            i = o
    p.normal("head", i**-0.5, i, s.classes)
    p.full("head.bias", 0, s.classes)

    def forward(w, a, x):
        stats = {}

        def apply(x, name, stride=1, pad=1):
            y, mean, var = batch_norm(conv(x, w[name], stride, pad), w, name + ".norm")
            stats[name + ".norm"] = (mean, var)
            return y

        x = jax.nn.relu(apply(x, "stem"))
        for name, stride, short in plan:
            y = apply(jax.nn.relu(apply(x, name + ".1", stride)), name + ".2")
            x = jax.nn.relu(y + (apply(x, name + ".short", stride, 0) if short else x))
        return x.astype(jnp.float32).mean((1, 2)) @ w["head"] + w["head.bias"], stats

    return p, forward


def vit(s, entangled):
    p = Params()
    e, tokens = s.embed, (s.image // s.patch) ** 2 + 1

    def linear(name, i, o):
        p.normal(name, i**-0.5, i, o)
        p.full(name + ".bias", 0, o)

    def norm(name):
        p.full(name + ".scale", 1, e)
        p.full(name + ".bias", 0, e)

    p.normal("patch", (s.patch * s.patch * 3) ** -0.5, s.patch, s.patch, 3, e)
    p.full("patch.bias", 0, e)
    p.full("class", 0, 1, 1, e)
    p.normal("position", 0.02, 1, tokens, e)
    for n in range(s.depth):
        linear(f"{n}.qkv", e, 3 * e)
        linear(f"{n}.proj", e, e)
        linear(f"{n}.up", e, s.hidden)
        linear(f"{n}.down", s.hidden, e)
        norm(f"{n}.norm1")
        norm(f"{n}.norm2")
        if entangled:
            p.mixture(f"{n}.heads", s.heads)
            p.mixture(f"{n}.mlp", len(s.hiddens))
    norm("norm")
    linear("head", e, s.classes)
    if entangled:
        p.mixture("depth", len(s.kept))

    def forward(w, a, x):
        def dense(x, name, k=None, bias=None):
            k, bias = w[name] if k is None else k, w[name + ".bias"] if bias is None else bias
            return x @ k.astype(x.dtype) + bias.astype(x.dtype)

        x = conv(x, w["patch"], s.patch) + w["patch.bias"].astype(x.dtype)
        b = x.shape[0]
        x = x.reshape(b, -1, e)
        x = jnp.concatenate([jnp.broadcast_to(w["class"].astype(x.dtype), (b, 1, e)), x], 1) + w["position"].astype(x.dtype)
        kept = []
        for n in range(s.depth):
            q, qb, o = w[f"{n}.qkv"], w[f"{n}.qkv.bias"], w[f"{n}.proj"]
            up, ub, down = w[f"{n}.up"], w[f"{n}.up.bias"], w[f"{n}.down"]
            if entangled:
                m = mask(a[f"{n}.heads"], prefixes(e, [64 * (k + 1) for k in range(s.heads)]))
                f = mask(a[f"{n}.mlp"], prefixes(s.hidden, s.hiddens))
                q, qb, o = (q.reshape(e, 3, e) * m).reshape(e, 3 * e), (qb.reshape(3, e) * m).reshape(-1), o * m[:, None]
                up, ub, down = up * f, ub * f, down * f[:, None]
            z = dense(layer_norm(x, w, f"{n}.norm1"), f"{n}.qkv", q, qb).reshape(b, tokens, 3, s.heads, 64).transpose(2, 0, 3, 1, 4)
            score = jnp.einsum("bhqd,bhkd->bhqk", z[0], z[1]) / 8
            y = jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(score.astype(jnp.float32)).astype(x.dtype), z[2])
            x = x + dense(y.transpose(0, 2, 1, 3).reshape(b, tokens, e), f"{n}.proj", o)
            y = jax.nn.gelu(dense(layer_norm(x, w, f"{n}.norm2"), f"{n}.up", up, ub), approximate=False)
            x = x + dense(y, f"{n}.down", down)
            if entangled and n + 1 in s.kept:
                kept.append(x)
        if entangled:
            c = jax.nn.softmax(a["depth"]).astype(x.dtype)
            x = sum(c[k] * y for k, y in enumerate(kept))
        y = layer_norm(x[:, 0], w, "norm").astype(jnp.float32)
        return y @ w["head"] + w["head.bias"], {}

    return p, forward


def main():
    a = arguments(__doc__, ["jit"])
    if a.precision == "f32":
        jax.config.update("jax_default_matmul_precision", "highest")
    device = jax.devices("gpu" if a.device == "cuda" else "cpu")[0]
    s, entangled = Size(a.workload, a.tiny), a.workload.endswith("_super")
    if a.workload == "resnet20":
        p, forward = resnet20(s)
    elif a.workload.startswith("resnet50"):
        p, forward = resnet50(s, 4 if entangled else 0)
    else:
        p, forward = vit(s, entangled)
    kind = jnp.bfloat16 if a.precision == "bf16" else jnp.float32

    def loss_of(w, alphas, x, y):
        out, stats = forward(w, alphas, x.astype(kind))
        return -jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1).mean(), stats

    def moved(old, stats):
        return {k: (0.9 * old[k][0] + 0.1 * m, 0.9 * old[k][1] + 0.1 * v) for k, (m, v) in stats.items()}

    tree = jax.tree_util.tree_map

    @functools.partial(jax.jit, donate_argnums=(0, 2, 3))
    def weight_step(w, alphas, momentum, running, x, y):
        (loss, stats), g = jax.value_and_grad(loss_of, has_aux=True)(w, alphas, x, y)
        momentum = tree(lambda m, d: 0.9 * m + d, momentum, g)
        return tree(lambda v, m: v - 0.01 * m, w, momentum), momentum, moved(running, stats), loss

    @functools.partial(jax.jit, donate_argnums=(1, 2, 3))
    def alpha_step(w, alphas, state, running, x, y):
        (loss, stats), g = jax.value_and_grad(loss_of, argnums=1, has_aux=True)(w, alphas, x, y)
        m, v, t = state
        g = tree(lambda d, p: d + 1e-3 * p, g, alphas)
        m, v, t = tree(lambda m, d: 0.5 * m + 0.5 * d, m, g), tree(lambda v, d: 0.999 * v + 0.001 * d * d, v, g), t + 1
        step = tree(lambda p, m, v: p - 3e-4 * (m / (1 - 0.5**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), alphas, m, v)
        return step, (m, v, t), moved(running, stats), loss

    put = functools.partial(jax.device_put, device=device)
    random = np.random.default_rng(1)

    def batch():
        x = random.standard_normal((a.batch, s.image, s.image, 3)).astype(np.float32)
        return put(x), put(random.integers(s.classes, size=a.batch).astype(np.int32))

    zeros = functools.partial(tree, np.zeros_like)
    w, alphas = put(p.weights), put(p.alphas)
    running = put({k.removesuffix(".scale"): (np.zeros_like(v), np.ones_like(v)) for k, v in p.weights.items() if k.endswith(".scale") and a.workload.startswith("resnet")})
    st = {"w": w, "a": alphas, "m": put(zeros(p.weights)), "s": put((zeros(p.alphas), zeros(p.alphas), np.float32(0))), "r": running}
    first, second = batch(), batch()

    def step():
        if entangled:
            st["a"], st["s"], st["r"], _ = alpha_step(st["w"], st["a"], st["s"], st["r"], *first)
        st["w"], st["m"], st["r"], loss = weight_step(st["w"], st["a"], st["m"], st["r"], *second)
        return float(loss)

    def device_mb():
        stats = device.memory_stats() or {}
        return stats.get("peak_bytes_in_use", 0) / 2**20

    measure(a, "jax " + jax.__version__, step, device_mb)


if __name__ == "__main__":
    main()
