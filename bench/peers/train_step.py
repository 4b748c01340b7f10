"""The training step of a GPT-2-shaped model in PyTorch, float32 on the CPU: the peer of `plinth train`.

    python train_step.py --layers 6 --width 384 --heads 6 --vocab 1024 --seq 256 --batch 8 --steps 10 --threads 2 --json

A step is forward, mean cross entropy over batch*seq targets, backward, clipping at 1.0, and fused AdamW
(betas .9 .95, eps 1e-8, decay 0.1 on matrices). Weights are tied, dropout is off, GELU is the tanh form.

Tokens: --tokens is a flat stream of int32 (.npy of any shape, or raw little-endian .bin). Step i takes
batch rows of seq+1 tokens from position i*batch*(seq+1), wrapping at the end of the whole batches: inputs
are a row without its last token, targets a row without its first. Without --tokens they are uniform random.

Weights: --init reads a safetensors file with Hugging Face GPT-2 names (positions beyond seq are dropped),
--save-init writes one.

--warmup steps run first, untimed, on the same batches; weights and optimiser start afresh after them.

--interactive: after the line {"ready": true, ...}, each line "go" on stdin runs one step and is answered
by one line {"step", "seconds", "loss"}; so two programs can take turns. After --steps, or at the end of
stdin, the summary comes as the last line.

Summary: seconds (all), median_seconds, tokens_per_second (from the median), loss (per step), peak_rss_bytes.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name, default in dict(layers=6, width=384, heads=6, vocab=1024, seq=256, batch=8, steps=10, threads=2, warmup=2).items():
    p.add_argument("--" + name, type=int, default=default)
p.add_argument("--lr", type=float, default=1e-3)
p.add_argument("--seed", type=int, default=1)
p.add_argument("--mode", choices=["eager", "compile"], default="eager")
p.add_argument("--tokens", metavar="FILE")
p.add_argument("--init", metavar="FILE")
p.add_argument("--save-init", metavar="FILE")
p.add_argument("--interactive", action="store_true")
p.add_argument("--json", action="store_true", help="one JSON object at the end; implied by --interactive")
args = p.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)  # read when torch loads

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(args.threads)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn_in, self.attn_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):  # x [B, T, C]
        B, T, C = x.shape
        q, k, v = self.attn_in(self.ln_1(x)).view(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_out(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.ln_2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, layers, width, heads, vocab, seq):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(seq, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        for name, w in self.named_parameters():
            if w.dim() == 2:
                std = 0.02 / (2 * layers) ** 0.5 if name.endswith("_out.weight") else 0.02
                nn.init.normal_(w, std=std)
            elif name.endswith("bias"):
                nn.init.zeros_(w)

    def forward(self, ids, targets):  # both [B, T]
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def hf_name(name):
    """The Hugging Face name of one of our parameters, and whether it is stored transposed there."""
    hf = name
    for ours, theirs in (("attn_in", "attn.c_attn"), ("attn_out", "attn.c_proj"), ("mlp_in", "mlp.c_fc"), ("mlp_out", "mlp.c_proj")):
        hf = hf.replace(ours, theirs)
    return "transformer." + hf, hf != name and name.endswith(".weight")


def read_init(model, path):
    from safetensors.torch import load_file

    file = {n if n.startswith("transformer.") or n.startswith("lm_head.") else "transformer." + n: t for n, t in load_file(path).items()}
    file.pop("lm_head.weight", None)  # tied
    with torch.no_grad():
        for name, w in model.named_parameters():
            hf, transposed = hf_name(name)
            t = file.pop(hf)
            t = t.T if transposed else t[: args.seq] if name == "wpe.weight" else t
            if t.shape != w.shape:
                sys.exit(f"{path}: {hf} is {list(t.shape)}, want {list(w.shape)}")
            w.copy_(t)
    if file:
        sys.exit(f"{path}: unused tensors {sorted(file)}")


def write_init(model, path):
    from safetensors.torch import save_file

    tensors = {}
    for name, w in model.named_parameters():
        hf, transposed = hf_name(name)
        tensors[hf] = (w.detach().T if transposed else w.detach()).clone(memory_format=torch.contiguous_format)
    save_file(tensors, path, {"format": "pt"})


def batches():
    """[n, batch, seq+1] int64; step i takes i mod n."""
    shape = (-1, args.batch, args.seq + 1)
    if not args.tokens:
        g = torch.Generator().manual_seed(args.seed)
        return torch.randint(args.vocab, (4, args.batch, args.seq + 1), generator=g)
    flat = np.load(args.tokens).reshape(-1) if args.tokens.endswith(".npy") else np.fromfile(args.tokens, "<i4")
    each = args.batch * (args.seq + 1)
    whole = len(flat) // each * each
    if whole == 0:
        sys.exit(f"{args.tokens}: {len(flat)} tokens, a batch takes {each}")
    return torch.from_numpy(flat[:whole].astype(np.int64)).view(shape)


def make_optimizer(model):
    ps = list(model.parameters())
    groups = [
        {"params": [w for w in ps if w.dim() >= 2], "weight_decay": 0.1},
        {"params": [w for w in ps if w.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.95), eps=1e-8, fused=True)


def main():
    torch.manual_seed(args.seed)
    model = GPT(args.layers, args.width, args.heads, args.vocab, args.seq)
    if args.init:
        read_init(model, args.init)
    if args.save_init:
        write_init(model, args.save_init)
    start = [w.detach().clone() for w in model.parameters()]
    run = torch.compile(model) if args.mode == "compile" else model
    data = batches()

    def step(opt, i):
        began = time.perf_counter()
        rows = data[i % len(data)]
        loss = run(rows[:, :-1], rows[:, 1:])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        loss = loss.item()
        return time.perf_counter() - began, loss

    opt = make_optimizer(model)
    for i in range(args.warmup):
        step(opt, i)
    with torch.no_grad():
        for w, s in zip(model.parameters(), start):
            w.copy_(s)
    del start
    opt = make_optimizer(model)

    about = {"peer": "pytorch", "torch": torch.__version__, "mode": args.mode, "threads": args.threads,
             "params": sum(w.numel() for w in model.parameters()), "tokens_per_step": args.batch * args.seq}
    if args.interactive:
        print(json.dumps({"ready": True} | about), flush=True)
    seconds, losses = [], []
    for i in range(args.steps):
        if args.interactive:
            line = sys.stdin.readline()
            if not line:
                break
            if line.strip() != "go":
                sys.exit(f'got {line!r}, want "go"')
        s, loss = step(opt, i)
        seconds.append(s)
        losses.append(loss)
        if args.interactive:
            print(json.dumps({"step": i, "seconds": s, "loss": loss}), flush=True)

    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    median = statistics.median(seconds) if seconds else None
    result = about | {"median_seconds": median, "tokens_per_second": args.batch * args.seq / median if seconds else None,
                      "seconds": seconds, "loss": losses, "peak_rss_bytes": rss}
    if args.json or args.interactive:
        print(json.dumps(result), flush=True)
    else:
        for k, v in result.items():
            print(f"{k:18} {v}")


if __name__ == "__main__":
    main()
