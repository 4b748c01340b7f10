"""Write golden files of adapters: what PEFT computes with the tiny models of decoders.py and an adapter of random values.

    python lora.py ../../internal/testkit/golden/lora

Each file holds the adapter as PEFT saves it (`adapter.NAME`, and adapter_config.json in the metadata), `input_ids.I`, `logits.I`, `loss` as in
decoders.py, and `grad.NAME`: the gradient of every tensor of the adapter.

    python lora.py < JOB

loads the adapter in the folder `adapter` on the model in the folder `model` and prints the logits of `ids`, as JSON.
"""

import argparse
import json
import os
import sys
import tempfile

import torch
import transformers as hf
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

import decoders
import golden

GPT2 = dict(vocab_size=decoders.VOCAB, n_positions=64, n_embd=16, n_layer=2, n_head=2)
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]

# Case: configuration class, settings, and the adapter's.
CASES = {
    "llama": (hf.LlamaConfig, dict(decoders.TINY, head_dim=8), dict(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"])),
    "llama-patterns": (hf.LlamaConfig, dict(decoders.TINY, head_dim=8), dict(
        r=4, lora_alpha=6, target_modules=ATTENTION + ["up_proj"], layers_to_transform=[1], rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 3},
        use_rslora=True, exclude_modules=["o_proj"], modules_to_save=["lm_head"])),
    "llama-dora": (hf.LlamaConfig, dict(decoders.TINY, attention_bias=True), dict(r=3, lora_alpha=5, target_modules="all-linear", use_dora=True)),
    "gpt2": (hf.GPT2Config, GPT2, dict(r=4, lora_alpha=8, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)),
    "gpt2-dora": (hf.GPT2Config, GPT2, dict(r=4, lora_alpha=8, target_modules=r".*\.(c_attn|mlp\.c_proj)", fan_in_fan_out=True, use_dora=True)),
    "phi3-dora": (hf.Phi3Config, dict(decoders.TINY), dict(r=4, lora_alpha=8, target_modules=["qkv_proj", "gate_up_proj"], use_dora=True)),
    "gpt_neox": (hf.GPTNeoXConfig, dict(decoders.NEOX, rotary_pct=0.5), dict(r=4, lora_alpha=8, target_modules=["query_key_value", "dense_4h_to_h"])),
}


def write(out, case):
    cls, settings, options = CASES[case]
    torch.manual_seed(0)
    base, config, state = decoders.build(cls(**settings))
    record(out, case, base, LoraConfig(task_type="CAUSAL_LM", **options), golden.model_meta(config, state))


def record(out, case, base, options, meta):
    """Write what base computes with an adapter of random values, and meta."""
    model = get_peft_model(base, options)
    for name, p in model.named_parameters():
        if "lora_B" in name or "lora_magnitude" in name:
            p.data += 0.2 * torch.randn(p.shape)
    sequences = decoders.ids_of(case)
    logits = [model(input_ids=s[None], use_cache=False).logits[0] for s in sequences]
    loss = decoders.loss_of(logits, sequences)
    loss.backward()
    with tempfile.TemporaryDirectory() as d:
        model.save_pretrained(d)
        saved, text = load_file(os.path.join(d, "adapter_model.safetensors")), open(os.path.join(d, "adapter_config.json")).read()
    t = {"loss": loss} | {"adapter." + n: x for n, x in saved.items()}
    for i, (s, l) in enumerate(zip(sequences, logits)):
        t[f"input_ids.{i}"], t[f"logits.{i}"] = s, l
    for n, p in model.named_parameters():
        if p.requires_grad:
            n = n.replace(".default", "").replace(".modules_to_save", "")
            t["grad." + (n if n in saved else n.removesuffix(".weight"))] = p.grad
    assert {n[5:] for n in t if n.startswith("grad.")} == set(saved), (set(saved), [n for n in t if n.startswith("grad.")])
    adapter = json.loads(text) | {"base_model_name_or_path": "base"}  # a temporary folder's name
    adapter |= {k: sorted(v) for k, v in adapter.items() if k in ("target_modules", "modules_to_save") and isinstance(v, list)}  # sets, in any order
    meta = meta | {"adapter": json.dumps(adapter, indent=2, sort_keys=True)}
    golden.write(os.path.join(out, case + ".safetensors"), t, meta)
    print(f"  {case}: loss {float(loss.detach()):.4f}")


def check(job):
    base = hf.AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32, attn_implementation="eager", local_files_only=True)
    model = PeftModel.from_pretrained(base, job["adapter"]).eval()
    with torch.no_grad():
        return model(input_ids=torch.tensor([job["ids"]]), use_cache=False).logits[0].flatten().tolist()


if __name__ == "__main__":
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", nargs="?")
    p.add_argument("case", nargs="*", help="cases to write; all without")
    a = p.parse_args()
    if a.out is None:
        json.dump(check(json.load(sys.stdin)), sys.stdout)
    for case in (a.case or CASES) if a.out else ():
        write(a.out, case)
