"""Scores of texts by classifiers and taggers: [{"dir": path, "token": bool, "ids": [[id, ...], ...]}, ...] -> [{"scores", "labels", "report"}, ...]."""
import json
import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

out = []
for job in json.load(sys.stdin):
    kind = AutoModelForTokenClassification if job["token"] else AutoModelForSequenceClassification
    model, info = kind.from_pretrained(job["dir"], output_loading_info=True, attn_implementation="eager")
    model.eval()
    report = {k: sorted(v) for k, v in info.items() if v}
    with torch.no_grad():
        scores = [model(torch.tensor([ids])).logits.flatten().tolist() for ids in job["ids"]]
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    out.append({"scores": scores, "labels": names, "report": json.dumps(report) if report else ""})
json.dump(out, sys.stdout)
