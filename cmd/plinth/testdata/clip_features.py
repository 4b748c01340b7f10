"""Vectors of unit length by transformers' CLIPModel.

    python clip_features.py < JOB

The job names a `model` folder, `texts` and picture files `images`. It prints the vectors of both as JSON.
"""

import json
import sys

import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

job = json.load(sys.stdin)
model = CLIPModel.from_pretrained(job["model"]).eval()
tokenizer = PreTrainedTokenizerFast(tokenizer_file=job["model"] + "/tokenizer.json")
processor = CLIPImageProcessor.from_pretrained(job["model"])


def unit(x):
    x = getattr(x, "pooler_output", x)  # newer releases return the projection there
    return torch.nn.functional.normalize(x, dim=-1).tolist()


with torch.no_grad():
    texts = [unit(model.get_text_features(input_ids=torch.tensor([tokenizer(t)["input_ids"]])))[0] for t in job["texts"]]
    pixels = processor(images=[Image.open(f) for f in job["images"]], return_tensors="pt")["pixel_values"]
    json.dump(dict(texts=texts, images=unit(model.get_image_features(pixel_values=pixels))), sys.stdout)
