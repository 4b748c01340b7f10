"""Makes a tiny random BERT with a head of three classes and asks transformers' zero-shot-classification:
{"dir", "classes": [names], "texts", "labels", "template"} -> {"single": [{label: score}, ...], "multi": the same}. The folder is left for the caller."""
import json
import os
import sys

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast, pipeline

job = json.load(sys.stdin)
os.makedirs(job["dir"], exist_ok=True)
words = sorted(set(" ".join(job["texts"] + job["labels"] + [job["template"]]).lower().replace(".", " . ").replace("{}", " ").split()))
with open(os.path.join(job["dir"], "vocab.txt"), "w") as f:
    f.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + words) + "\n")
tokenizer = BertTokenizerFast(os.path.join(job["dir"], "vocab.txt"), model_max_length=24)
torch.manual_seed(1)
config = BertConfig(vocab_size=len(words) + 5, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=24,
                    initializer_range=0.5, id2label=dict(enumerate(job["classes"])), label2id={n: i for i, n in enumerate(job["classes"])})
model = BertForSequenceClassification(config).eval()
model.save_pretrained(job["dir"])
tokenizer.save_pretrained(job["dir"])
ask = pipeline("zero-shot-classification", model=model, tokenizer=tokenizer, device="cpu")
out = {}
for name, multi in (("single", False), ("multi", True)):
    answers = ask(job["texts"], job["labels"], hypothesis_template=job["template"], multi_label=multi)
    out[name] = [dict(zip(a["labels"], a["scores"])) for a in answers]
json.dump(out, sys.stdout)
