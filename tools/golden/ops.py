"""Golden files for single operations, from PyTorch: float32 results of float64 arithmetic.

    python ops.py OUTPUT_FOLDER

writes OUTPUT_FOLDER/ops/CASE.safetensors. In each file: the inputs by name, "y" (or "loss") the
output, "dy" the gradient given to the backward pass, "d" + name the gradient of an input. Scalars and
settings stand in the metadata. Attention tensors are [T, H, D], tokens first.

Inputs are rounded to float32 before use, so results are exact to float32 rounding.
"""

import argparse
import math
import os

import golden  # first: it sets the thread count
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


class Case:
    """Draws inputs and records them with the outputs and gradients."""

    def __init__(self, name, seed, **meta):
        self.name, self.meta, self.tensors, self.inputs = name, meta, {}, {}
        self.g = torch.Generator().manual_seed(seed)

    def draw(self, name, *shape, scale=1.0, shift=0.0, grad=True):
        x = (shift + scale * torch.randn(shape, generator=self.g)).float().double()
        self.tensors[name] = x
        if grad:
            self.inputs[name] = x.requires_grad_()
        return x

    def done(self, out, y):
        """Run backward from y, with a drawn dy unless y is a scalar, and write the file."""
        if y.dim() == 0:
            self.tensors["loss"] = y
            grads = torch.autograd.grad(y, list(self.inputs.values()))
        else:
            dy = self.draw("dy", *y.shape, grad=False)
            self.tensors["y"] = y
            grads = torch.autograd.grad(y, list(self.inputs.values()), dy)
        for name, grad in zip(self.inputs, grads):
            self.tensors["d" + name] = grad
        self.write(out)

    def write(self, out):
        meta = golden.versions() | {"writer": "tools/golden/ops.py"} | self.meta
        golden.write(os.path.join(out, "ops", self.name + ".safetensors"), self.tensors, meta)


def norms(out):
    c = Case("layer_norm", 1, eps=1e-5)
    x, w, b = c.draw("x", 7, 33, shift=0.5), c.draw("w", 33, shift=1, scale=0.3), c.draw("b", 33)
    c.done(out, F.layer_norm(x, (33,), w, b, 1e-5))
    c = Case("rms_norm", 2, eps=1e-6)
    x, w = c.draw("x", 7, 33), c.draw("w", 33, shift=1, scale=0.3)
    c.done(out, F.rms_norm(x, (33,), w, 1e-6))


def activations(out):
    for name, f in (
        ("gelu_tanh", lambda x: F.gelu(x, approximate="tanh")),
        ("gelu_exact", F.gelu),
        ("silu", F.silu),
    ):
        c = Case(name, 3)
        c.done(out, f(c.draw("x", 5, 41, scale=3)))
    c = Case("swiglu", 4, formula="silu(gate) * up")
    gate, up = c.draw("gate", 5, 41, scale=2), c.draw("up", 5, 41)
    c.done(out, F.silu(gate) * up)


def attention(q, k, v, seen, bias=None):
    """q [T, H, D], k and v [T, KV, D]: query head h reads key head h // (H / KV)."""
    repeat = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeat, dim=1), v.repeat_interleave(repeat, dim=1)
    s = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(q.shape[2])
    if bias is not None:
        s = s + bias
    return torch.einsum("hij,jhd->ihd", s.masked_fill(~seen, -math.inf).softmax(-1), v)


def attentions(out):
    T = 19
    i, j = torch.arange(T)[:, None], torch.arange(T)[None, :]
    causal, everything = j <= i, torch.ones(T, T, dtype=torch.bool)
    starts = [0, 4, 11]
    document = torch.tensor([sum(t >= s for s in starts) for t in range(T)])
    same = document[:, None] == document[None, :]
    for name, kv, seen, meta in (
        ("attention_full", 4, everything, {}),
        ("attention_causal", 4, causal, {}),
        ("attention_gqa", 2, causal, {}),
        ("attention_mqa", 1, causal, {}),
        ("attention_window", 4, causal & (j > i - 5), {"window": 5}),
        ("attention_window_gqa", 2, causal & (j > i - 5), {"window": 5}),
        ("attention_documents", 4, causal & same, {"starts": "0,4,11"}),
    ):
        c = Case(name, 5, heads=4, kv_heads=kv, causal=int(name != "attention_full"), layout="[T, H, D]", **meta)
        q, k, v = c.draw("q", T, 4, 8), c.draw("k", T, kv, 8), c.draw("v", T, kv, 8)
        y = attention(q, k, v, seen)
        heads_first = [t.transpose(0, 1)[None] for t in (q, k, v)]
        theirs = F.scaled_dot_product_attention(*heads_first, attn_mask=seen, enable_gqa=kv != 4)
        assert torch.allclose(y, theirs[0].transpose(0, 1), rtol=0, atol=1e-12)
        c.done(out, y)
    c = Case("attention_bias", 6, heads=4, kv_heads=4, causal=1, layout="[T, H, D]", bias="[H, T, T], added to scaled scores")
    q, k, v, bias = c.draw("q", T, 4, 8), c.draw("k", T, 4, 8), c.draw("v", T, 4, 8), c.draw("bias", 4, T, T)
    c.done(out, attention(q, k, v, causal, bias))


def losses(out):
    for name, z in (("cross_entropy", 0.0), ("cross_entropy_z", 1e-2)):
        c = Case(name, 7, z_loss=z, ignore=-1, formula="mean over kept targets of (lse - logit[target]) + z_loss * lse^2")
        logits = c.draw("logits", 9, 53, scale=2)
        targets = torch.randint(53, (9,), generator=c.g)
        targets[4] = -1
        c.tensors["targets"] = targets
        kept = targets >= 0
        loss = F.cross_entropy(logits, targets, ignore_index=-1) + z * logits.logsumexp(-1)[kept].square().mean()
        c.done(out, loss)
    c = Case("linear_cross_entropy", 8, z_loss=0.0, ignore=-1, formula="cross entropy of x @ w.T", layout="x [N, C], w [V, C]")
    x, w = c.draw("x", 9, 16), c.draw("w", 53, 16, scale=0.5)
    targets = torch.randint(53, (9,), generator=c.g)
    targets[4] = -1
    c.tensors["targets"] = targets
    c.done(out, F.cross_entropy(x @ w.T, targets, ignore_index=-1))


def rope(out):
    base, D = 10000.0, 8
    for name, pairs in (("rope_half", "i with i + D/2"), ("rope_pairs", "2i with 2i + 1")):
        c = Case(name, 9, base=base, pairs=pairs, layout="x [T, H, D], one position per token")
        x = c.draw("x", 6, 2, D)
        positions = torch.tensor([0, 1, 2, 3, 17, 1000])
        c.tensors["positions"] = positions
        angle = positions.double()[:, None] * base ** (-torch.arange(0, D, 2) / D)
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        if name == "rope_half":
            a, b = x[..., : D // 2], x[..., D // 2 :]
            y = torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
        else:
            a, b = x[..., 0::2], x[..., 1::2]
            y = torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)
        c.done(out, y)


def newton_schulz(out):
    """Muon's orthogonalisation (Jordan 2024): five quintic steps from the Frobenius-normalised matrix."""
    a, b, q = 3.4445, -4.7750, 2.0315
    for name, shape in (("newton_schulz_wide", (12, 20)), ("newton_schulz_tall", (20, 12))):
        c = Case(name, 10, steps=5, coefficients=f"{a},{b},{q}", eps=1e-7, formula="x = m / (|m| + eps); x = a x + (b s + c s s) x with s = x x^T; tall matrices transposed")
        m = c.draw("m", *shape, grad=False)
        x = m.T if shape[0] > shape[1] else m
        x = x / (x.norm() + 1e-7)
        for _ in range(5):
            s = x @ x.T
            x = a * x + (b * s + q * s @ s) @ x
        c.tensors["y"] = x.T if shape[0] > shape[1] else x
        c.write(out)


def adamw(out):
    c = Case("adamw", 11, lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, steps=3)
    w = c.draw("w", 37, grad=False)
    g = c.draw("g", 3, 37, grad=False)
    p = torch.nn.Parameter(w.clone())
    opt = torch.optim.AdamW([p], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    steps = []
    for row in g:
        p.grad = row.clone()
        opt.step()
        steps.append(p.detach().clone())
    c.tensors |= {"y": torch.stack(steps), "m": opt.state[p]["exp_avg"], "v": opt.state[p]["exp_avg_sq"]}
    c.write(out)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("output", help="folder to write into")
    out = p.parse_args().output
    for write in (norms, activations, attentions, losses, rope, newton_schulz, adamw):
        write(out)


if __name__ == "__main__":
    main()
