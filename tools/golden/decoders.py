"""Golden files for the decoder families, at tiny size, float32 on the CPU.

    python decoders.py OUTPUT_FOLDER [CASE ...]

writes OUTPUT_FOLDER/CASE.safetensors for each case of the table below (README.md lists the tensors). The weights are
not in the files: both sides make them by the formula of `fill` from the names and shapes that transformers saves.
"""

import argparse
import json
import os
import tempfile

import golden  # first: it sets the thread count
import numpy as np
import torch
import torch.nn.functional as F
import transformers as hf
from safetensors.torch import load_file, save_file

VOCAB = 37
TINY = dict(vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64)
LONG = dict(TINY, max_position_embeddings=16)  # so that the longer sequence passes it
LENGTHS = (21, 9)


def rope(kind, theta=10000.0, **kw):
    return dict(rope_type=kind, rope_theta=theta, **kw)


# Case: configuration class, settings, and whether gradients are stored.
CASES = {
    "llama": (hf.LlamaConfig, dict(TINY, head_dim=8), True),
    "llama-bias": (hf.LlamaConfig, dict(TINY, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, hidden_act="gelu"), True),
    "llama-linear": (hf.LlamaConfig, dict(TINY, rope_parameters=rope("linear", factor=4.0)), False),
    "llama-dynamic": (hf.LlamaConfig, dict(LONG, head_dim=8, rope_parameters=rope("dynamic", factor=2.0)), False),
    "llama-llama3": (hf.LlamaConfig, dict(TINY, head_dim=8, rope_parameters=rope(
        "llama3", theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)), False),
    "llama-yarn": (hf.LlamaConfig, dict(TINY, head_dim=8, rope_parameters=rope(
        "yarn", theta=100.0, factor=4.0, original_max_position_embeddings=16, beta_fast=2.0, beta_slow=0.5)), False),
    "llama-yarn-mscale": (hf.LlamaConfig, dict(TINY, head_dim=8, rope_parameters=rope(
        "yarn", theta=100.0, factor=4.0, original_max_position_embeddings=16, beta_fast=2.0, beta_slow=0.5, mscale=0.7,
        mscale_all_dim=1.0, truncate=False)), False),
    "mistral": (hf.MistralConfig, dict(TINY, sliding_window=5, head_dim=8), True),
    "qwen2": (hf.Qwen2Config, dict(TINY), True),
    "qwen2-window": (hf.Qwen2Config, dict(TINY, use_sliding_window=True, sliding_window=5, max_window_layers=1), False),
    "qwen3": (hf.Qwen3Config, dict(TINY, head_dim=8), True),
}


def fill(name, shape):
    """The weights of a tensor: uniform in centre ± spread, a hash of the name and the element's index (lowbias32)."""
    seed = 0x811C9DC5
    for b in name.encode():  # FNV-1a
        seed = (seed ^ b) * 0x01000193 & 0xFFFFFFFF
    x = np.arange(int(np.prod(shape)), dtype=np.uint64) ^ seed
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ x >> shift) * factor & 0xFFFFFFFF
    u = (x ^ x >> 16) / 2.0**31 - 1
    if len(shape) > 1:
        centre, spread = 0.0, 0.6
    elif name.endswith("bias"):
        centre, spread = 0.0, 0.3
    else:
        centre, spread = 1.0, 0.5
    return torch.from_numpy((centre + spread * u).astype(np.float32).reshape(shape))


def ids_of(case):
    g = torch.Generator().manual_seed(sum(case.encode()))
    return [torch.randint(0, VOCAB, (n,), generator=g) for n in LENGTHS]


def build(config):
    """The model with the formula's weights, the text of config.json, and the tensors that transformers saves, by name."""
    with tempfile.TemporaryDirectory() as d:
        hf.AutoModelForCausalLM.from_config(config).save_pretrained(d)
        path = os.path.join(d, "model.safetensors")
        state = {n: fill(n, tuple(t.shape)) for n, t in load_file(path).items()}
        save_file(state, path, metadata={"format": "pt"})
        model = hf.AutoModelForCausalLM.from_pretrained(d, attn_implementation="eager", dtype=torch.float32)
        return model.eval(), open(os.path.join(d, "config.json")).read(), state


def loss_of(logits, sequences):
    """Mean next-token cross entropy in nats over the predicted tokens of all sequences."""
    total = sum(F.cross_entropy(l[:-1], s[1:], reduction="sum") for l, s in zip(logits, sequences))
    return total / sum(len(s) - 1 for s in sequences)


def saved_gradients(model, state):
    """Gradients under the names and in the shapes that transformers saves."""
    grads = {n: p.grad for n, p in model.named_parameters()}
    return {n: grads[n] for n in state}


def in_steps(model, ids):
    """Logits [T, V] of a sequence computed one token after the other with a cache."""
    past, rows = hf.DynamicCache(config=model.config), []
    with torch.no_grad():
        for i in range(len(ids)):
            rows.append(model(input_ids=ids[None, i : i + 1], past_key_values=past, use_cache=True).logits[0, 0])
    return torch.stack(rows)


def write(out, case):
    cls, settings, with_gradients = CASES[case]
    torch.manual_seed(0)
    model, config, state = build(cls(**settings))
    sequences = ids_of(case)
    fresh = lambda: build(cls(**settings))[0]  # some rotations remember the longest sequence
    logits = [m(input_ids=s[None], use_cache=False).logits[0] for m, s in zip((model, model if with_gradients else fresh()), sequences)]
    loss = loss_of(logits, sequences)
    t = {"loss": loss}
    for i, (s, l) in enumerate(zip(sequences, logits)):
        t[f"input_ids.{i}"], t[f"logits.{i}"] = s, l
    if with_gradients:
        loss.backward()
        t |= {"grad." + n: g for n, g in saved_gradients(model, state).items()}
    else:
        t["steps.logits"] = in_steps(fresh(), sequences[0])
    meta = golden.versions() | {"config": config, "tensors": json.dumps({n: list(x.shape) for n, x in state.items()})}
    golden.write(os.path.join(out, case + ".safetensors"), t, meta)
    print(f"  loss {float(loss):.4f}, largest logit {max(float(l.abs().max()) for l in logits):.2f}")


if __name__ == "__main__":
    hf.logging.set_verbosity_error()
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out")
    p.add_argument("case", nargs="*", help="cases to write; all without")
    a = p.parse_args()
    for case in a.case or CASES:
        write(a.out, case)
