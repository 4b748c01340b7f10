"""Loads folders of encoders with transformers, computes what each makes of texts, and saves each again:
[{"dir": path, "again": path, "ids": [[id, ...], ...]}, ...] -> [{"outputs": [[...], ...], "report"}, ...]; an output is all of a text's, end to end."""
import json
import sys

import torch
import transformers

out = []
for job in json.load(sys.stdin):
    name = json.load(open(job["dir"] + "/config.json"))["architectures"][0]
    model, info = getattr(transformers, name).from_pretrained(job["dir"], output_loading_info=True, attn_implementation="eager")
    model.eval()
    report = {k: sorted(map(str, v)) for k, v in info.items() if v}
    outputs = []
    with torch.no_grad():
        for ids in job["ids"]:
            outputs.append([x for y in model(torch.tensor([ids])).values() for x in y.flatten().tolist()])
    model.save_pretrained(job["again"])
    out.append({"outputs": outputs, "report": json.dumps(report) if report else ""})
json.dump(out, sys.stdout)
