"""Golden files for T5 at tiny size, float32 on the CPU.

    python t5.py OUTPUT_FOLDER

writes OUTPUT_FOLDER/CASE.safetensors for v1.0, v1.1 and the encoder alone (README.md lists the tensors). The weights are made by
the formula of decoders.py.
"""

import json
import os
import tempfile

import golden  # first: it sets the thread count
import torch
import torch.nn.functional as F
import transformers as hf
from safetensors.torch import load_file, save_file
from transformers.models.t5.modeling_t5 import T5Attention

from decoders import fill

VOCAB = 37
TINY = dict(vocab_size=VOCAB, d_model=16, d_kv=6, d_ff=24, num_layers=2, num_heads=4, relative_attention_num_buckets=8,
            relative_attention_max_distance=12, dropout_rate=0.0, decoder_start_token_id=0)
# Case: class, settings.
CASES = {
    "t5": (hf.T5ForConditionalGeneration, dict(TINY, num_decoder_layers=3)),
    "t5-v1_1": (hf.T5ForConditionalGeneration, dict(TINY, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    "t5-encoder": (hf.T5EncoderModel, dict(TINY, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
}
LENGTHS = ((19, 9), (5, 4), (1, 14))  # of sources and targets


def build(cls, settings):
    """The model with the formula's weights, the text of config.json, and the tensors of its file, by name."""
    with tempfile.TemporaryDirectory() as d:
        model = cls(hf.T5Config(**settings))
        head = settings.get("tie_word_embeddings") is False and hasattr(model, "lm_head")
        if head:  # transformers 5 ties it, and leaves it alone where a file has both
            model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() + 1)
        model.save_pretrained(d)
        path = os.path.join(d, "model.safetensors")
        shapes = {n: tuple(t.shape) for n, t in load_file(path).items()}
        if head:
            shapes["lm_head.weight"] = (VOCAB, settings["d_model"])
        state = {n: fill(n, s) for n, s in shapes.items()}
        save_file(state, path, metadata={"format": "pt"})
        model = cls.from_pretrained(d, attn_implementation="eager", dtype=torch.float32)
        return model.eval(), open(os.path.join(d, "config.json")).read(), state


def buckets():
    """The bucket of every key position less query position from -300 to 300."""
    d = torch.arange(-300, 301)
    return {f"buckets.{way}.{n}.{most}": T5Attention._relative_position_bucket(d, way == "both", n, most)
            for way in ("both", "causal") for n, most in ((32, 128), (8, 12), (12, 100), (64, 256), (16, 17))}


def write(out, case):
    cls, settings = CASES[case]
    torch.manual_seed(0)
    model, config, state = build(cls, settings)
    g = torch.Generator().manual_seed(sum(case.encode()))
    t, total, count = {}, 0.0, 0
    for i, (n, m) in enumerate(LENGTHS):
        source, target = (torch.randint(2, VOCAB, (k,), generator=g) for k in (n, m))
        t[f"input_ids.{i}"] = source
        if cls is hf.T5EncoderModel:
            y = model(input_ids=source[None]).last_hidden_state[0]
            total, count = total + (y * torch.sin(torch.arange(y.numel()).view(y.shape))).sum(), 1
        else:
            target[-1] = 1
            r = model(input_ids=source[None], labels=target[None])
            y = r.encoder_last_hidden_state[0]
            t[f"labels.{i}"], t[f"logits.{i}"] = target, r.logits[0]
            total, count = total + F.cross_entropy(r.logits[0], target, reduction="sum"), count + m
        t[f"encoded.{i}"] = y
    t["loss"] = total / count
    t["loss"].backward()
    t |= {"grad." + n: p.grad for n, p in model.named_parameters()}
    assert set(state) == set(n for n, _ in model.named_parameters()), "a parameter is not in the file"
    if case == "t5":
        t |= buckets()
    golden.write(os.path.join(out, case + ".safetensors"), t, golden.model_meta(config, state))
    print(f"  loss {float(t['loss'].detach()):.4f}, largest feature {max(float(t[n].detach().abs().max()) for n in t if n.startswith('encoded')):.2f}")


if __name__ == "__main__":
    golden.main(__doc__, CASES, write)
