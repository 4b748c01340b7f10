"""Write golden files of adapters on models that bitsandbytes made of 4 bits (QLoRA).

    python qlora.py ../../internal/testkit/golden/qlora

CASE/ is the folder that transformers saves of the quantised model, CASE.safetensors what lora.py writes, computed by PEFT and bitsandbytes on the CPU.

    python qlora.py < JOB

prints the logits of `ids` by the model of 4 bits in the folder `model`, as JSON.
"""

import json
import os
import sys
import tempfile

import golden  # first: it sets the thread count
import torch
import transformers as hf
from peft import LoraConfig

import decoders
import lora

TINY = dict(decoders.TINY, hidden_size=64, num_attention_heads=4, num_key_value_heads=2)

# Case: the model's settings, whose rows are whole blocks (others bitsandbytes' library for CPUs reads wrongly); those of bitsandbytes; the adapter's.
CASES = {
    "nf4": (dict(TINY, intermediate_size=128), dict(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True), dict(r=4, lora_alpha=6, target_modules=lora.ATTENTION + ["down_proj"])),
    "fp4": (dict(TINY, intermediate_size=128, num_hidden_layers=1), dict(bnb_4bit_quant_type="fp4"), dict(r=4, lora_alpha=6, target_modules=["q_proj", "down_proj"])),
}


def write(out, case):
    settings, bits, options = CASES[case]
    torch.manual_seed(0)
    base, _, _ = decoders.build(hf.LlamaConfig(**settings))
    with tempfile.TemporaryDirectory() as d:
        base.save_pretrained(d)
        how = hf.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32, **bits)
        model = hf.AutoModelForCausalLM.from_pretrained(d, quantization_config=how, dtype=torch.float32, attn_implementation="eager", device_map="cpu")
    folder = os.path.join(out, case)
    model.save_pretrained(folder)
    for name in os.listdir(folder):
        if name not in ("config.json", "model.safetensors"):
            os.remove(os.path.join(folder, name))
    model.requires_grad_(False)
    lora.record(out, case, model, LoraConfig(task_type="CAUSAL_LM", **options), golden.versions())


def check(job):
    model = hf.AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32, attn_implementation="eager", device_map="cpu", local_files_only=True)
    with torch.no_grad():
        return model(input_ids=torch.tensor([job["ids"]]), use_cache=False).logits[0].flatten().tolist()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        golden.main(__doc__, CASES, write)
    else:
        hf.logging.set_verbosity_error()
        hf.logging.disable_progress_bar()
        json.dump(check(json.load(sys.stdin)), sys.stdout)
