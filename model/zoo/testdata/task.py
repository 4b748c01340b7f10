"""Scores of texts by models with heads: [{"dir": path, "task": "sequence", "token" or "span", "ids": [[id, ...], ...]}, ...] -> [{"scores", "labels", "report"}, ...]."""
import json
import sys

import torch
from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification, AutoModelForTokenClassification

CLASSES = {"sequence": AutoModelForSequenceClassification, "token": AutoModelForTokenClassification, "span": AutoModelForQuestionAnswering}


def score(out):
    return out.logits if "logits" in out else torch.stack([out.start_logits, out.end_logits], -1)


out = []
for job in json.load(sys.stdin):
    model, info = CLASSES[job["task"]].from_pretrained(job["dir"], output_loading_info=True, attn_implementation="eager")
    model.eval()
    report = {k: sorted(v) for k, v in info.items() if v}
    with torch.no_grad():
        scores = [score(model(torch.tensor([ids]))).flatten().tolist() for ids in job["ids"]]
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    out.append({"scores": scores, "labels": names, "report": json.dumps(report) if report else ""})
json.dump(out, sys.stdout)
