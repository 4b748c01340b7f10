"""Greedy continuations by transformers: a list of {"dir", "prompt", "n"} on standard input, their ids on standard output."""
import json
import sys

import torch
from transformers import AutoModelForCausalLM

answers = []
for job in json.load(sys.stdin):
    model = AutoModelForCausalLM.from_pretrained(job["dir"], dtype=torch.float32).eval()  # anew: the frequencies of a model remember the longest text
    model.generation_config.eos_token_id = None
    ids = torch.tensor([job["prompt"]])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=job["n"], min_new_tokens=job["n"], do_sample=False, pad_token_id=0)
    answers.append(out[0, ids.shape[1]:].tolist())
json.dump(answers, sys.stdout)
