"""Reads a job on standard input, loads its T5 folder with transformers and prints what it computes; for tests.

    {"dir": FOLDER, "source": [ids], "target": [ids], "out": FOLDER}  ->  {"loss": ..., "logits": [...], "greedy": [ids]}

of the teacher-forced target and of ten tokens chosen one after the other. With out it saves the model there. It fails when a weight is missing,
unused or of another shape.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import transformers as hf

hf.utils.logging.set_verbosity_error()
hf.utils.logging.disable_progress_bar()
job = json.load(sys.stdin)
model, info = hf.AutoModelForSeq2SeqLM.from_pretrained(job["dir"], dtype=torch.float32, output_loading_info=True)
if faults := {k: sorted(map(str, v)) for k, v in info.items() if v}:
    sys.exit(f"{job['dir']}: weights do not fit: {faults}")
model.eval()
source, target = torch.tensor([job["source"]]), torch.tensor([job["target"]])
with torch.no_grad():
    r = model(input_ids=source, labels=target)
    ids = model.generate(source, attention_mask=torch.ones_like(source), max_new_tokens=10, do_sample=False, num_beams=1)
if job.get("out"):
    model.save_pretrained(job["out"])
json.dump({"loss": float(r.loss), "logits": r.logits[0].flatten().tolist(), "greedy": ids[0, 1:].tolist()}, sys.stdout)
