"""Zero-shot classification of pictures as transformers' pipeline does it:
{"dir", "pictures": [path, ...], "labels": [...], "template"} -> {"scores": [[p of each label, ...], ...], "images": [[...], ...]}."""
import json
import sys

import torch
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizerFast, pipeline

job = json.load(sys.stdin)
model = CLIPModel.from_pretrained(job["dir"])
# The processor on PIL, which is what OpenAI's code does: the one on tensors resizes in another way.
prepare = CLIPImageProcessorPil.from_pretrained(job["dir"])
tok = CLIPTokenizerFast(tokenizer_file=job["dir"] + "/tokenizer.json")
run = pipeline("zero-shot-image-classification", model=model, image_processor=prepare, tokenizer=tok)
pictures = [Image.open(p).convert("RGB") for p in job["pictures"]]
scores = []
for answer in run(pictures, candidate_labels=job["labels"], hypothesis_template=job["template"]):
    by = {a["label"]: a["score"] for a in answer}
    scores.append([by[l] for l in job["labels"]])
with torch.no_grad():
    x = prepare(pictures, return_tensors="pt")["pixel_values"]
    y = model.visual_projection(model.vision_model(x).pooler_output)
    y = y / y.norm(dim=-1, keepdim=True)
json.dump({"scores": scores, "images": y.tolist()}, sys.stdout)
