"""Golden files for the decoder families, at tiny size, float32 on the CPU.

    python decoders.py OUTPUT_FOLDER [CASE ...]

writes OUTPUT_FOLDER/CASE.safetensors for each case of the table below (README.md lists the tensors). The weights are
not in the files: both sides make them by the formula of `fill` from the names and shapes that transformers saves.
"""

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
            num_key_value_heads=2, max_position_embeddings=64, pad_token_id=None)
NEOX = dict(vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=64)
LONG = dict(TINY, max_position_embeddings=16)  # so that the longer sequence passes it
LENGTHS = (21, 9)


def rope(kind, theta=10000.0, **kw):
    return dict(rope_type=kind, rope_theta=theta, **kw)


class PaLMConfig(hf.PretrainedConfig):
    """PaLM, which transformers does not have: the class below is the reference."""

    model_type = "plinth_palm"


class PaLM(hf.PreTrainedModel):
    """PaLM as section 2 of Chowdhery et al. 2022 says, without biases: y = x + MLP(LN(x)) + Attention(LN(x)); one key and value head; SwiGLU;
    rotary positions; tied embeddings; logits divided by the root of the width (section 5). The paper leaves open which elements a rotation
    pairs (i and i + D/2 here, as in lucidrains' PaLM-pytorch) and the norm's epsilon (1e-5)."""

    config_class = PaLMConfig
    base_model_prefix = "model"

    def __init__(self, config):
        super().__init__(config)
        C, D, F_ = config.hidden_size, config.head_dim, 4 * config.hidden_size
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)
        layer = lambda: torch.nn.ModuleDict(dict(
            norm=torch.nn.LayerNorm(C, bias=False),
            self_attn=torch.nn.ModuleDict(dict(q_proj=linear(C, config.num_attention_heads * D), k_proj=linear(C, D), v_proj=linear(C, D),
                                               o_proj=linear(config.num_attention_heads * D, C))),
            mlp=torch.nn.ModuleDict(dict(gate_proj=linear(C, F_), up_proj=linear(C, F_), down_proj=linear(F_, C)))))
        self.model = torch.nn.ModuleDict(dict(
            embed_tokens=torch.nn.Embedding(config.vocab_size, C), norm=torch.nn.LayerNorm(C, bias=False),
            layers=torch.nn.ModuleList([layer() for _ in range(config.num_hidden_layers)])))
        self.post_init()

    def _init_weights(self, module):
        pass  # `fill` sets every value

    def attention(self, a, x):
        """Causal multi-query attention of x [T, C]."""
        T, D = len(x), self.config.head_dim
        angle = torch.arange(T)[:, None] * 10000.0 ** (-torch.arange(0, D, 2) / D)  # [T, D/2]

        def turn(h):  # [..., T, D]
            u, v = h.chunk(2, dim=-1)
            return torch.cat((u * angle.cos() - v * angle.sin(), u * angle.sin() + v * angle.cos()), dim=-1)

        q = turn(a["q_proj"](x).view(T, -1, D).transpose(0, 1))  # [H, T, D]
        scores = q @ turn(a["k_proj"](x)).T / D**0.5  # [H, T, T]
        scores = scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), float("-inf"))
        return a["o_proj"]((scores.softmax(-1) @ a["v_proj"](x)).transpose(0, 1).reshape(T, -1))

    def forward(self, input_ids, use_cache=False):
        m = self.model
        x = m["embed_tokens"](input_ids[0])
        for layer in m["layers"]:
            h, mlp = layer["norm"](x), layer["mlp"]
            x = x + mlp["down_proj"](F.silu(mlp["gate_proj"](h)) * mlp["up_proj"](h)) + self.attention(layer["self_attn"], h)
        logits = m["norm"](x) @ m["embed_tokens"].weight.T / self.config.hidden_size**0.5
        return hf.modeling_outputs.CausalLMOutput(logits=logits[None])


hf.AutoConfig.register(PaLMConfig.model_type, PaLMConfig)
hf.AutoModelForCausalLM.register(PaLMConfig, PaLM)

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
    "phi3": (hf.Phi3Config, dict(TINY, sliding_window=7), True),
    "phi3-longrope": (hf.Phi3Config, dict(TINY, hidden_size=32, original_max_position_embeddings=16, rope_parameters=rope(
        "longrope", partial_rotary_factor=0.75, short_factor=[1.0, 1.1, 1.3], long_factor=[1.0, 2.0, 5.0])), False),
    "mixtral": (hf.MixtralConfig, dict(TINY, num_local_experts=4, num_experts_per_tok=2), True),
    "gemma": (hf.GemmaConfig, dict(TINY, head_dim=8), True),
    "gemma2": (hf.Gemma2Config, dict(TINY, head_dim=8, sliding_window=5, query_pre_attn_scalar=5, final_logit_softcapping=3.0, attn_logit_softcapping=2.0), True),
    "gemma3": (hf.Gemma3TextConfig, dict(TINY, head_dim=8, sliding_window=5, query_pre_attn_scalar=5, layer_types=["sliding_attention", "full_attention"],
        rope_parameters=dict(sliding_attention=rope("default", theta=100.0), full_attention=rope("linear", theta=1e4, factor=8.0))), True),
    "gpt_neox": (hf.GPTNeoXConfig, dict(NEOX, rotary_pct=0.5), True),
    "gpt_neox-sequential": (hf.GPTNeoXConfig, dict(NEOX, use_parallel_residual=False, rotary_pct=1.0, rotary_emb_base=500.0), True),
    "gptj": (hf.GPTJConfig, dict(vocab_size=VOCAB, n_positions=64, n_embd=16, n_layer=2, n_head=2, rotary_dim=4), True),
    "palm": (PaLMConfig, dict(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, head_dim=8, max_position_embeddings=64), True),
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
        centre, spread = 1.0, 0.5  # norms; Gemma adds 1 to them, too
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
    for n in [n for n in grads if ".mlp.experts." in n]:  # Mixtral's experts are one tensor in memory
        g, root = grads.pop(n), n.split("mlp.experts.")[0] + "block_sparse_moe.experts."
        for e in range(len(g)):
            parts = dict(zip(("w1", "w3"), g[e].chunk(2))) if "gate_up" in n else {"w2": g[e]}
            grads |= {f"{root}{e}.{w}.weight": x for w, x in parts.items()}
    grads = {n.replace(".mlp.gate.", ".block_sparse_moe.gate."): g for n, g in grads.items()}
    return {n: grads[n if n in grads else n.replace("embed_out", "lm_head")] for n in state}  # GPT-NeoX's head


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
    meta = golden.model_meta(config, state)
    golden.write(os.path.join(out, case + ".safetensors"), t, meta)
    print(f"  loss {float(loss.detach()):.4f}, largest logit {max(float(l.detach().abs().max()) for l in logits):.2f}")


if __name__ == "__main__":
    golden.main(__doc__, CASES, write)
