"""Prompt tuning, as PEFT computes it.

    python prompt.py < JOBS

Each job names a `model` folder, a `task` of CLASSES and an input of `ids` with `segments` or `target`. With `adapter` the prompt of that
folder is loaded; with `make` one of `tokens` virtual tokens is made, given random values and saved there. For each it prints the logits of all tokens, the virtual ones included (without a head the features), and the gradient of half
their squares by the virtual tokens, as JSON.
"""

import json
import sys

import torch
import transformers as hf
from peft import PeftModel, PromptTuningConfig, get_peft_model

CLASSES = {"CAUSAL_LM": hf.AutoModelForCausalLM, "SEQ_CLS": hf.AutoModelForSequenceClassification, "SEQ_2_SEQ_LM": hf.AutoModelForSeq2SeqLM,
           "TOKEN_CLS": hf.AutoModelForTokenClassification, "QUESTION_ANS": hf.AutoModelForQuestionAnswering, "FEATURE_EXTRACTION": hf.AutoModel}


def run(job):
    more = dict(num_labels=job["labels"]) if job["task"] in ("SEQ_CLS", "TOKEN_CLS") else {}
    base = CLASSES[job["task"]].from_pretrained(job["model"], dtype=torch.float32, attn_implementation="eager", local_files_only=True, **more)
    if "make" in job:
        torch.manual_seed(0)
        width = base.get_input_embeddings().embedding_dim  # PEFT does not find it in all configurations
        model = get_peft_model(base, PromptTuningConfig(task_type=job["task"], num_virtual_tokens=job["tokens"], token_dim=width, num_layers=1, num_attention_heads=1))
        model.save_pretrained(job["make"])
    else:
        model = PeftModel.from_pretrained(base, job["adapter"])
        model.prompt_encoder.requires_grad_(True)
    kwargs = dict(input_ids=torch.tensor([job["ids"]]), attention_mask=torch.ones(1, len(job["ids"]), dtype=torch.long))
    if job.get("segments"):
        kwargs["token_type_ids"] = torch.tensor([job["segments"]])
    if job.get("target"):
        kwargs["decoder_input_ids"] = torch.tensor([job["target"]])
    out = model.eval()(**kwargs)
    if job["task"] == "QUESTION_ANS":
        logits = torch.stack([out.start_logits[0], out.end_logits[0]], -1)
    else:
        logits = (out.last_hidden_state if job["task"] == "FEATURE_EXTRACTION" else out.logits)[0]
    (logits**2 / 2).sum().backward()
    grad = model.prompt_encoder["default"].embedding.weight.grad
    return dict(logits=logits.flatten().tolist(), grad=grad.flatten().tolist())


if __name__ == "__main__":
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    json.dump([run(job) for job in json.load(sys.stdin)], sys.stdout)
