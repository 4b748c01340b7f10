"""Golden files for GPT-2 and for its banded GPT-3 form, at tiny size, float32 on the CPU.

    python gpt2.py OUTPUT_FOLDER

writes, for each of gpt2-tiny, gpt3-tiny, gpt2-tiny-trained and gpt3-tiny-trained,
OUTPUT_FOLDER/CASE/ (a model folder as Hugging Face saves it) and OUTPUT_FOLDER/CASE.safetensors
(inputs and expected outputs; README.md lists the names).

GPT-2 comes from transformers, eager attention. GPT-3 comes from `forward` below, which is first
shown to equal transformers when no layer is banded.
"""

import argparse
import json
import math
import os

import golden  # first: it sets the thread count
import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

WINDOW = 5  # keys that a query of a banded layer sees, itself included; 256 at real size


def config(layers):
    return GPT2Config(
        vocab_size=97, n_positions=24, n_embd=32, n_layer=layers, n_head=4,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=0, attn_implementation="eager",
    )


def window_of(layer, banded):
    """0 is dense. Layers 1, 3, ... of a banded model are local."""
    return WINDOW if banded and layer % 2 == 1 else 0


def forward(w, cfg, ids, banded):
    """Logits [B, T, V] of ids [B, T]. w maps Hugging Face names to tensors."""
    B, T = ids.shape
    H, D = cfg.n_head, cfg.n_embd // cfg.n_head
    eps = cfg.layer_norm_epsilon
    q_pos, k_pos = torch.arange(T)[:, None], torch.arange(T)[None, :]

    def norm(x, name):
        return F.layer_norm(x, (cfg.n_embd,), w[name + ".weight"], w[name + ".bias"], eps)

    def linear(x, name):  # Conv1D keeps weights as [in, out]
        return x @ w[name + ".weight"] + w[name + ".bias"]

    x = w["transformer.wte.weight"][ids] + w["transformer.wpe.weight"][:T]
    for i in range(cfg.n_layer):
        p = f"transformer.h.{i}."
        q, k, v = linear(norm(x, p + "ln_1"), p + "attn.c_attn").split(cfg.n_embd, dim=-1)
        q, k, v = (t.view(B, T, H, D).transpose(1, 2) for t in (q, k, v))
        seen = k_pos <= q_pos
        if window_of(i, banded):
            seen = seen & (k_pos > q_pos - window_of(i, banded))
        scores = (q @ k.transpose(-2, -1) / math.sqrt(D)).masked_fill(~seen, float("-inf"))
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, cfg.n_embd)
        x = x + linear(y, p + "attn.c_proj")
        h = F.gelu(linear(norm(x, p + "ln_2"), p + "mlp.c_fc"), approximate="tanh")
        x = x + linear(h, p + "mlp.c_proj")
    return norm(x, "transformer.ln_f") @ w["transformer.wte.weight"].T


def params(model):
    return dict(model.named_parameters())  # the tied lm_head is listed once, as wte


def logits_of(model, ids, banded):
    if banded:
        return forward(params(model), model.config, ids, True)
    return model(input_ids=ids, use_cache=False).logits


def sum_loss(logits, ids):
    """Summed next-token cross entropy in nats, and the number of predicted tokens."""
    n = ids.shape[0] * (ids.shape[1] - 1)
    return F.cross_entropy(logits[:, :-1].reshape(n, -1), ids[:, 1:].reshape(n), reduction="sum"), n


def mean_loss(model, sequences, banded):
    """Mean over all predicted tokens of all sequences [1 or more, T_i]; also the list of logits."""
    total, count, all_logits = 0.0, 0, []
    for ids in sequences:
        logits = logits_of(model, ids, banded)
        s, n = sum_loss(logits, ids)
        total, count = total + s, count + n
        all_logits.append(logits)
    return total / count, all_logits


def check_forward(cfg):
    """Without bands `forward` equals transformers: logits, loss and gradients, in both precisions."""
    ids = draw_ids((2, 16), 8)
    for dtype, tol in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        model = build(cfg, 7).to(dtype)
        w = params(model)
        out = model(input_ids=ids, labels=ids, use_cache=False)
        theirs = torch.autograd.grad(sum_loss(out.logits, ids)[0], list(w.values()))
        logits = forward(w, cfg, ids, False)
        s, n = sum_loss(logits, ids)
        ours = torch.autograd.grad(s, list(w.values()))
        total = torch.stack([g.norm() for g in theirs]).norm()
        diffs = [rel(logits, out.logits)] + [float((a - b).abs().max() / total) for a, b in zip(ours, theirs)]
        print(f"{dtype}: plain forward against transformers, {cfg.n_layer} layers: worst {max(diffs):.1e}")
        assert max(diffs) < tol, diffs
        assert abs(float((s / n - out.loss).detach())) < 1e-6  # transformers takes the loss in float32


def rel(a, b):
    return float((a - b).detach().abs().max() / b.detach().abs().max())


def build(cfg, seed):
    """Weights wide enough that every part matters: no zero biases, no unit norms."""
    g = torch.Generator().manual_seed(seed)
    model = GPT2LMHeadModel(cfg).eval()
    with torch.no_grad():
        for name, p in sorted(params(model).items()):
            r = torch.randn(p.shape, generator=g)
            if ".ln_" in name and name.endswith(".weight"):
                p.copy_(1 + 0.2 * r)
            elif name.endswith(".bias"):
                p.copy_(0.1 * r)
            elif "wte" in name or "wpe" in name:
                p.copy_(0.3 * r)
            else:
                p.copy_(0.2 * r)
    return model


def draw_ids(shape, seed):
    return torch.randint(0, 97, shape, generator=torch.Generator().manual_seed(seed))


def groups(model, decay):
    """AdamW groups: weight decay on matrices only."""
    ps = list(model.parameters())
    return [
        {"params": [p for p in ps if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in ps if p.dim() < 2], "weight_decay": 0.0},
    ]


def gradients(model, sequences, banded):
    model.zero_grad(set_to_none=True)
    loss, all_logits = mean_loss(model, sequences, banded)
    loss.backward()
    return loss.detach(), all_logits, {n: p.grad.clone() for n, p in params(model).items()}


def untrained(out, name, cfg, banded, seed):
    """One case: forward, loss and gradients on a batch and on a ragged pair, then ten AdamW steps."""
    model = build(cfg, seed)
    save(out, name, model, banded)
    t = {}

    ids = draw_ids((2, 16), seed + 1)
    loss, (logits,), grads = gradients(model, [ids], banded)
    if not banded:
        assert abs(float(model(input_ids=ids, labels=ids).loss.detach() - loss)) < 1e-6
    t["input_ids"], t["logits"], t["loss"] = ids, logits, loss
    t |= {"grad." + n: g for n, g in grads.items()}

    pair = [draw_ids((1, 16), seed + 2), draw_ids((1, 9), seed + 3)]
    loss, logits, grads = gradients(model, pair, banded)
    for i in range(2):
        t[f"ragged.input_ids.{i}"], t[f"ragged.logits.{i}"] = pair[i][0], logits[i][0]
    t["ragged.loss"] = loss
    t |= {"ragged.grad." + n: g for n, g in grads.items()}

    batches = draw_ids((10, 2, 16), seed + 4)
    start = {n: p.detach().clone() for n, p in params(model).items()}
    opt = torch.optim.AdamW(groups(model, 0.1), lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    losses, norms = [], []
    for batch in batches:
        opt.zero_grad(set_to_none=True)
        loss, _ = mean_loss(model, [batch], banded)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        opt.step()
        losses.append(loss.detach())
    t["adamw.input_ids"], t["adamw.loss"], t["adamw.grad_norm"] = batches, torch.stack(losses), torch.stack(norms)
    for n, p in params(model).items():
        t["adamw.norm." + n] = p.detach().double().norm()
        t["adamw.change." + n] = (p.detach() - start[n]).double().norm()
    print(f"{name}: loss {float(t['loss']):.4f}, steps {float(losses[0]):.4f} to {float(losses[-1]):.4f}, grad norms", [round(float(x), 2) for x in norms])
    golden.write(os.path.join(out, name + ".safetensors"), t, meta(cfg, banded))
    noise(cfg, banded, seed, ids, t)


def noise(cfg, banded, seed, ids, t):
    """Print how far float32 itself is from float64, the floor of any comparison with these files."""
    loss, (logits,), grads = gradients(build(cfg, seed).double(), [ids], banded)
    total = torch.stack([g.norm() for g in grads.values()]).norm()
    worst = max(
        float((t["grad." + n] - g).abs().max() / (g.abs().max() + 1e-3 * total)) for n, g in grads.items()
    )
    print(f"  float32 against float64: logits {rel(t['logits'], logits):.1e}, loss {abs(float(t['loss'] - loss)):.1e}, gradients {worst:.1e}")


# Four loops that share tokens 50 and 51: what follows those depends on the token before.
LOOPS = [[1, 2, 50, 3, 4, 5], [11, 12, 50, 13, 14, 51, 15], [21, 51, 22, 23, 24], [31, 32, 51, 33, 50, 34, 35, 36]]


def corpus_batch(g, length):
    rows = []
    for _ in range(16):
        loop = LOOPS[torch.randint(len(LOOPS), (), generator=g)]
        at = int(torch.randint(len(loop), (), generator=g))
        rows.append([loop[(at + i) % len(loop)] for i in range(length)])
    return torch.tensor(rows)


def trained(out, name, cfg, banded, seed, steps=300):
    """A model trained on the loops, and its greedy continuations to the end of its context."""
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(cfg)
    g = torch.Generator().manual_seed(seed)
    opt = torch.optim.AdamW(groups(model, 0.1), lr=3e-3, betas=(0.9, 0.95), eps=1e-8)
    for _ in range(steps):
        opt.zero_grad(set_to_none=True)
        loss, _ = mean_loss(model, [corpus_batch(g, cfg.n_positions)], banded)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
    model.eval()
    save(out, name, model, banded)

    t, least = {}, float("inf")
    prompts = [[1], [21], [11, 12, 50], [31, 32, 51, 33, 50, 34, 35, 36], [51], [96, 60, 7, 50]]
    for i, prompt in enumerate(prompts):
        ids, rows, gaps = list(prompt), [], []
        with torch.no_grad():
            for _ in range(cfg.n_positions - len(prompt) + 1):  # the last token is never fed back
                row = logits_of(model, torch.tensor([ids]), banded)[0, -1]
                top = row.topk(2).values
                gaps.append(float(top[0] - top[1]))
                rows.append(row)
                ids.append(int(row.argmax()))
        p = f"greedy.{i}."
        t[p + "prompt"], t[p + "tokens"] = torch.tensor(prompt), torch.tensor(ids[len(prompt):])
        t[p + "gap"], t[p + "logits"] = torch.tensor(gaps), torch.stack(rows)
        least = min(least, min(gaps))
        print(f"{name}: {prompt} -> {ids[len(prompt):]} least gap {min(gaps):.3f}")
        if not banded:
            their = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                                   do_sample=False, max_new_tokens=cfg.n_positions - len(prompt) + 1, eos_token_id=None)
            assert their[0].tolist() == ids, (their[0].tolist(), ids)
    assert least > 1e-2, least
    golden.write(os.path.join(out, name + ".safetensors"), t, meta(cfg, banded) | {"prompts": len(prompts), "least_gap": f"{least:.4f}"})


def save(out, name, model, banded):
    folder = os.path.join(out, name)
    model.save_pretrained(folder)
    os.remove(os.path.join(folder, "generation_config.json"))  # no part of the model
    if banded:
        path = os.path.join(folder, "config.json")
        with open(path) as f:
            c = json.load(f)
        c |= {"model_type": "gpt3", "architectures": ["GPT3LMHeadModel"], "window_size": WINDOW}
        with open(path, "w") as f:
            json.dump(c, f, indent=2, sort_keys=True)
            f.write("\n")


def meta(cfg, banded):
    windows = [window_of(i, banded) for i in range(cfg.n_layer)]
    return golden.versions() | {"writer": "tools/golden/gpt2.py", "window": ",".join(map(str, windows))}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("output", help="folder to write into")
    out = p.parse_args().output
    check_forward(config(2))
    check_forward(config(4))
    untrained(out, "gpt2-tiny", config(2), False, 100)
    untrained(out, "gpt3-tiny", config(4), True, 200)
    trained(out, "gpt2-tiny-trained", config(2), False, 300)
    trained(out, "gpt3-tiny-trained", config(4), True, 400)


if __name__ == "__main__":
    main()
